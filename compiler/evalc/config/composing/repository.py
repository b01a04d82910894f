"""Where the files of a config are looked up, and what is read from one.

A config is named by a path without suffix, ``execution/slurm/default``. Directories are searched
in order and the first file found wins; a group is a directory, its options are the files in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, TypeAlias

from evalc.config.composing.problems import BadDefaults, BadHeader, NotAMapping, Unsupported
from evalc.errors import ConfigError, Location, Problem, Source, UsageError
from evalc.source import Mapping, Node, Scalar, Sequence, parse, read_file
from evalc.source.nodes import empty_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    # Folders of groups that other packages bring, each with the name to show for it.
    Added: TypeAlias = Callable[[], Iterable[tuple[str, FilePath]]]

_SUFFIX = ".yaml"
_HEADER = re.compile(r"\s*#\s*@")
# Hydra looks for headers in the first 512 characters of a file.
_HEADER_SPAN = 512


def no_folders() -> tuple[tuple[str, FilePath], ...]:
    """No package brings groups of its own."""
    return ()


@dataclass(frozen=True)
class Loaded:
    """A config file that was read: its values, and what it says about how to use them.

    ``name`` is how defaults lists call it; ``values`` lacks the defaults list, which is
    ``defaults``; ``package`` is from a ``# @package`` header.
    """

    name: str
    source: Source
    values: Mapping | Sequence
    defaults: Sequence | None
    package: str | None


class Repository:
    """The config files that a composition can use.

    ``added`` gives folders of other packages, each with the name to show for it. They are searched
    last, and asked for only when nothing else has a name: to find them takes long.

    Raises :class:`~evalc.errors.UsageError` when one of ``config_dirs`` is no directory.
    """

    def __init__(
        self,
        primary: Source,
        config_dirs: Iterable[FilePath],
        builtin: FilePath,
        added: Added = no_folders,
    ) -> None:
        self._roots: list[tuple[FilePath, str, str]] = []
        for directory in config_dirs:
            if not directory.is_dir():
                raise UsageError(f"there is no directory {directory}", "see --config-dir")
            self._roots.append((directory, str(directory), "file"))
        if primary.directory is not None:
            self._roots.append((FilePath(primary.directory), primary.directory, "file"))
        self._roots.append((builtin, "<evalc>", "builtin"))
        self._added = added
        self._cache: dict[str, Loaded | ConfigError | None] = {}
        self.sources: list[Source] = []

    @property
    def places(self) -> tuple[str, ...]:
        """The directories that are searched, as people know them."""
        return tuple(shown for _, shown, _ in self._all_roots())

    def _all_roots(self) -> Iterator[tuple[FilePath, str, str]]:
        """The places in their order, each with what is shown for it and what its values are."""
        yield from self._roots
        for shown, folder in self._added():
            yield folder, f"<{shown}>", "builtin"

    def is_group(self, name: str) -> bool:
        """Whether a directory of that name is in any of the places."""
        # What other packages have is not looked for where a name can't be a group's: most
        # overrides name a key.
        roots = self._roots if "." in name else self._all_roots()
        return any((root / name).is_dir() for root, _, _ in roots)

    def groups(self) -> frozenset[str]:
        """The groups at the top of evalc's own, and of the config's, places."""
        return frozenset(
            path.name
            for root, _, _ in self._roots
            for path in root.iterdir()
            if path.is_dir() and any(path.glob(f"*{_SUFFIX}"))
        )

    def options(self, group: str) -> tuple[str, ...]:
        """The configs of a group, those in its subdirectories (``slurm/default``) too."""
        found = set()
        for root, _, _ in self._all_roots():
            for path in (root / group).rglob(f"*{_SUFFIX}"):
                found.add(path.relative_to(root / group).with_suffix("").as_posix())
        return tuple(sorted(found))

    def load(self, name: str) -> Loaded | None:
        """The config of that name, or None when there is none.

        Raises :class:`~evalc.errors.ConfigError` when the file is not a config.
        """
        if name not in self._cache:
            try:
                self._cache[name] = self._find(name)
            except ConfigError as error:
                self._cache[name] = error
        found = self._cache[name]
        if isinstance(found, ConfigError):
            raise found
        return found

    def _find(self, name: str) -> Loaded | None:
        file_name = name if name.endswith(_SUFFIX) else name + _SUFFIX
        for root, shown, kind in self._all_roots():
            path = root / file_name
            if path.is_file():
                shown_path = str(path) if kind == "file" else f"{shown}/{file_name}"
                source = read_file(path, shown_path, kind)
                return self.read(name, source)
        return None

    def read(self, name: str, source: Source) -> Loaded:
        """Take a source apart into values, defaults list and header."""
        self.sources.append(source)
        package, problems = _package_header(source)
        root = parse(source)
        if isinstance(root, Scalar) and root.value is None:
            # A document that was begun and holds nothing is an empty config, as in OmegaConf.
            root = empty_mapping(source)
        defaults: Node | None = None
        if isinstance(root, Mapping):
            if "defaults" in root.entries:
                defaults = root.entries.pop("defaults")
                del root.keys["defaults"]
            if "hydra" in root.entries:
                block = root.entries["hydra"]
                advice = "remove it: evalc is not Hydra, and has no use for it"
                if isinstance(block, Mapping) and "searchpath" in block.entries:
                    advice = "remove it, and give the folders of 'searchpath' with --config-dir"
                at = root.keys["hydra"].location
                problems.append(Unsupported(feature="'hydra:'", advice=advice, location=at))
        elif isinstance(root, Scalar):
            problems.append(NotAMapping(what="a single value", location=root.location))
        if defaults is not None and not isinstance(defaults, Sequence):
            what = "the defaults list is not a list"
            advice = "write '- group: option' on lines of its own"
            problems.append(BadDefaults(what=what, advice=advice, location=defaults.location))
        if problems or not isinstance(root, Mapping | Sequence):
            raise ConfigError(problems)
        assert defaults is None or isinstance(defaults, Sequence)
        return Loaded(name, source, root, defaults, package)


def _package_header(source: Source) -> tuple[str | None, list[Problem]]:
    """The ``# @package`` of the comment lines that a file starts with."""
    package = None
    problems: list[Problem] = []
    for number, line in enumerate(source.text[:_HEADER_SPAN].splitlines(), 1):
        if not line.strip():
            continue
        if not _HEADER.match(line):
            break
        words = line.strip().lstrip("#").split()
        if len(words) != 2:
            at = Location(source, number, 1, number, len(line) + 1)
            problems.append(BadHeader(line=line.strip(), location=at))
        elif words[0] == "@package":
            package = words[1]
    return package, problems
