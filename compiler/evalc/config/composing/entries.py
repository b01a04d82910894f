"""The entries of a defaults list: what they say, and which file and package that means.

defaults:
  - base                              a file
  - execution: slurm/default          a file of a group, which overrides can change
  - optional cluster: ${execution}    one that need not be there, named like another's choice
  - deployment@judge: vllm            its values go below the key judge
  - override /deployment: none        another option for what is listed elsewhere
  - _self_                            where the values of the file with the list come in
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalc.config.composing.problems import BadDefaults, Unsupported
from evalc.errors import ConfigError
from evalc.source import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from evalc.errors import Problem

MISSING = "???"
SELF = "_self_"
_KEYWORDS = ("optional", "override")


@dataclass(frozen=True)
class Item:
    """One entry of a defaults list, as written.

    ``group`` is the directory, absolute with a leading slash, else below the directory of the
    file that holds the list. ``option`` is a file in it, several, or None for no file.
    """

    node: Node
    group: str
    option: str | list[str] | None
    package: str | None = None
    # A file that is named directly (``- base``) belongs to no group that could be overridden.
    is_group: bool = True
    optional: bool = False
    override: bool = False
    appended: bool = False

    @property
    def is_self(self) -> bool:
        """Whether this is ``_self_``, the place of the file's own values."""
        return self.option == SELF and not self.is_group


@dataclass(frozen=True)
class Entry:
    """An item in the place where it stands.

    ``base`` and ``parent_package`` are the directory and the package of the file whose list it is
    in, ``header`` is the package that its own file asks for.
    """

    item: Item
    base: str
    parent_package: str
    header: str | None = None

    @property
    def group(self) -> str:
        """The directory, from the top."""
        if self.item.group.startswith("/"):
            return self.item.group[1:]
        return "/".join(part for part in (self.base, self.item.group) if part)

    @property
    def name(self) -> str | None:
        """The one file that is named."""
        assert not isinstance(self.item.option, list)
        return self.item.option

    @property
    def config(self) -> str:
        """The file, from the top."""
        return f"{self.group}/{self.name}" if self.group else str(self.name)

    def files(self) -> list[Entry]:
        """The entry, or one entry for each file when it names several."""
        if not isinstance(self.item.option, list):
            return [self]
        paths = [f"{self.item.group}/{option}" for option in self.item.option]
        items = [replace(file_item(self.item, path), package=self.asked_package) for path in paths]
        return [replace(self, item=item) for item in items]

    @property
    def package(self) -> str:
        """Where the file's values go."""
        asked = self.asked_package
        return self._package(self.header if asked is None else asked)

    @property
    def key(self) -> str:
        """What overrides call this entry: ``group``, or ``group@package`` for another package."""
        package = self._package(self.asked_package)
        if package == self.group.replace("/", "."):
            return self.group
        return f"{self.group}@{package or '_global_'}"

    @property
    def asked_package(self) -> str | None:
        """The package that the entry itself asks for, with its keywords replaced."""
        asked = self.item.package
        if asked == "_here_":
            return ""
        if asked is not None and "_group_" in asked:
            return "_global_." + asked.replace("_group_", self.group.replace("/", "."))
        return asked

    def _package(self, asked: str | None) -> str:
        own = self.item.group.lstrip("/").replace("/", ".") if asked is None else asked
        package = ".".join(part for part in (self.parent_package, own) if part)
        before, found, after = package.rpartition("_global_")
        return after[1:] if found else before + after


def read_item(node: Node) -> Item:
    """One entry of a defaults list. Raises :class:`~evalc.errors.ConfigError`."""
    if isinstance(node, Scalar) and isinstance(node.value, str):
        path, package = _split_package(node.value)
        # What an interpolation stands for may hold a slash, so it is taken apart when known.
        item = Item(node, "", path, package, is_group=False)
        if "${" not in path:
            item = file_item(item, path)
        if item.is_self and package is not None:
            what = "_self_ goes where its file goes, it has no package"
            raise ConfigError([BadDefaults(what=what, location=node.location)])
        return item
    if isinstance(node, Mapping) and len(node.entries) == 1:
        ((key, value),) = node.entries.items()
        return _read_group(node.keys[key], value)
    what = "an entry of a defaults list is a file or one 'group: option'"
    raise ConfigError([BadDefaults(what=what, advice=_quote_hint(node), location=node.location)])


def _read_group(key: Scalar, value: Node) -> Item:
    option = option_of(value)
    if (option is None and not _is_null(value)) or option == SELF:
        raise ConfigError([bad_option(value)])
    path, package = _split_package(str(key.value))
    *keywords, group = path.split(" ")
    if not group.strip("/") or any(word not in _KEYWORDS for word in keywords):
        what = f"'{key.value}' is not a group"
        advice = "a group is a directory, with 'optional' or 'override' before it"
        raise ConfigError([BadDefaults(what=what, advice=advice, location=key.location)])
    if group.lstrip("/").split("/")[0] == "hydra":
        raise ConfigError([Unsupported(feature="Hydra's own groups", location=key.location)])
    return Item(
        value,
        group,
        option,
        package,
        optional="optional" in keywords,
        override="override" in keywords,
    )


def bad_option(node: Node) -> Problem:
    """The problem that ``node`` names no option."""
    what = "an option of a group is the name of a file, or a list of such names"
    return BadDefaults(what=what, advice=_quote_hint(node), location=node.location)


def _split_package(text: str) -> tuple[str, str | None]:
    """``group@package`` taken apart; Hydra ignores what follows a colon in the package."""
    path, at, package = text.partition("@")
    return path, package.partition(":")[0] if at else None


def file_item(item: Item, path: str) -> Item:
    """The item that names one file by its path."""
    group, _, name = path.rpartition("/")
    # "/base" is the file base at the top, whose directory must not become relative.
    group = group or ("/" if path.startswith("/") else "")
    return replace(item, group=group, option=name, is_group=False)


def absolute_package(header: str | None) -> str | None:
    """A package header counts from the top, with or without ``_global_`` before it."""
    if header is None or header == "_global_" or header.startswith("_global_."):
        return header
    return f"_global_.{header}"


def option_of(node: Node | None) -> str | list[str] | None:
    """The option or options that a value names; None when it names none."""
    if isinstance(node, Scalar):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, Sequence):
        names = [item.value for item in node.items if isinstance(item, Scalar)]
        texts = [name for name in names if isinstance(name, str)]
        if len(texts) == len(node.items) and not any("${" in text for text in texts):
            return texts
    return None


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _quote_hint(node: Node) -> str:
    is_text = not isinstance(node, Scalar) or isinstance(node.value, str) or node.value is None
    return "" if is_text else "a name that looks like a number or a boolean needs quotes"
