"""Composing: from a config file to one tree of values.

The files that the defaults lists name are merged in their order, overrides are applied, and
references are filled in. The result equals what Hydra 1.3 composes from the same files.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.config.composing.apply import apply_override
from evalc.config.composing.defaults import Part, resolve_defaults
from evalc.config.composing.fill import fill_references
from evalc.config.composing.interpolation import Resolver, unreadable
from evalc.config.composing.keys import split_key
from evalc.config.composing.merge import Layers, copied, shallow
from evalc.config.composing.problems import NotAMapping
from evalc.config.composing.repository import Repository, no_folders
from evalc.errors import ConfigError, Problem, Source
from evalc.source import Mapping, Node, Path, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence as Items

    from evalc.config.composing.overrides import Override
    from evalc.config.composing.repository import Added


@dataclass(frozen=True)
class Composed:
    """A composed config.

    ``root`` has every reference filled in; text that is known only at run time is a
    :data:`~evalc.words.Word`. ``unresolved`` is the same with references kept. Every node knows
    where it was written, and ``previous`` leads to what it replaced. ``sources`` are the files that
    were read, in order. ``referred`` are the paths that references led to. ``problems`` are the
    references that can't be read or stand for nothing; ``root`` has stand-ins for them.
    """

    root: Mapping
    unresolved: Mapping
    sources: tuple[Source, ...]
    referred: frozenset[Path]
    problems: tuple[Problem, ...]


class Composing:
    """The config whose file is ``primary``, with its overrides. Files are read once, however often
    it is composed; ``composing.filled(composing.merged())`` does it once.

    Groups are looked up in ``config_dirs``, then beside the file, then in ``builtin``, then in the
    folders that ``added`` gives, which is called only when they are nowhere else.
    ``command_keys`` tells which paths hold bash commands. ``underlay`` puts defaults under the
    merged files, before overrides (which may then name such a key) and again after (which may have
    chosen other defaults). ``readdress`` may give an override another key, seeing what it will be
    applied to. A value left as ``???`` is no error here.

    This and :meth:`merged` raise :class:`~evalc.errors.ConfigError` with all problems of the step
    that fails (reading, defaults lists, merging, overrides), and :class:`~evalc.errors.UsageError`
    when a directory is not there.
    """

    def __init__(
        self,
        primary: Source,
        *,
        config_dirs: Items[pathlib.Path],
        overrides: Items[str],
        builtin: pathlib.Path,
        command_keys: Callable[[Path], bool],
        added: Added = no_folders,
        underlay: Callable[[Mapping], Mapping] = lambda root: root,
        readdress: Callable[[Override, Mapping], Override] = lambda override, _root: override,
    ) -> None:
        self._overrides: Items[Override] = ()
        if overrides:
            from evalc.config.composing.overrides import parse_overrides

            self._overrides = parse_overrides(overrides)
        self.repository = Repository(primary, config_dirs, builtin, added)
        self._command_keys = command_keys
        self._underlay = underlay
        self._readdress = readdress
        name = pathlib.PurePath(primary.name).stem
        loaded = self.repository.read(name, primary)
        if not isinstance(loaded.values, Mapping):
            raise ConfigError([NotAMapping(what="a list", location=loaded.values.location)])
        self._loaded, self._primary = loaded, loaded.values
        # What the files come to, by the options of groups that were asked for.
        self._wholes: dict[tuple[str, ...], tuple[Mapping, list[Problem]]] = {}
        self._misread: list[Problem] = []

    def merged(self, given: Items[Override] = (), *, only: str = "") -> Mapping:
        """The config before its references are filled in. ``given`` are overrides that come before
        those of the command line, and give way to them; of these, with ``only``, those of that
        block at the top are applied and no others."""
        own = (o for o in self._overrides if not only or o.key.partition(".")[0] == only)
        parsed = [*given, *own]
        of_groups = [o for o in parsed if _names_group(o, self.repository)]
        of_values = [o for o in parsed if o not in of_groups]
        chosen = tuple(
            f"{o.action} {o.key} {o.package} {o.value and o.value.plain()}" for o in of_groups
        )
        if chosen not in self._wholes:
            parts = resolve_defaults(self.repository, self._loaded, of_groups)
            misread = _unreadable(parts, of_values)
            self._wholes[chosen] = self._whole(parts, misread), misread
        whole, self._misread = self._wholes[chosen]
        try:
            return self._underlay(_apply([self._readdress(o, whole) for o in of_values], whole))
        except ConfigError as error:
            raise ConfigError(dict.fromkeys([*self._misread, *error.problems])) from None

    def _whole(self, parts: Items[Part], misread: Items[Problem]) -> Mapping:
        try:
            return self._underlay(_merge_parts(parts, self._primary))
        except ConfigError as error:
            raise ConfigError(dict.fromkeys([*misread, *error.problems])) from None

    def filled(self, root: Mapping) -> Composed:
        """The config with its references filled in; ``root`` is what was merged last."""
        resolver = Resolver(root, self._command_keys)
        resolved = fill_references(resolver)
        problems = tuple(dict.fromkeys([*self._misread, *resolver.problems]))
        referred = frozenset(resolver.referred)
        return Composed(resolved, root, tuple(self.repository.sources), referred, problems)


def _names_group(override: Override, repository: Repository) -> bool:
    """Whether an override picks an option of a group; a mapping is merged into its values."""
    return not isinstance(override.value, Mapping) and repository.is_group(override.key)


def _unreadable(parts: Items[Part], overrides: Items[Override]) -> list[Problem]:
    """Every ``${…}`` that can't be read, even where something else replaces it."""
    nodes: list[Node] = [override.value for override in overrides if override.value is not None]
    sources = {id(part.config): part.config for part in parts}
    nodes += [config.values for config in sources.values() if "${" in config.source.text]
    return [problem for node in nodes for problem in unreadable(node)]


def _merge_parts(parts: Items[Part], primary: Mapping) -> Mapping:
    layers = Layers(Mapping(primary.source, primary.start, primary.end, {}, {}))
    for part in parts:
        values: Node = part.config.values
        if sum(other.config is part.config for other in parts) > 1:
            # A package gets a copy, whose later changes are its own.
            values = copied(layers.current(values)) if part.package else layers.current(values)
        layers.add(_layer(part, values))
    if layers.problems:
        raise ConfigError(layers.problems)
    return layers.root


def _layer(part: Part, values: Node) -> Mapping:
    """A file's values as a mapping from the top: below the key that is their package."""
    chosen = part.chosen
    for step in reversed(split_key(part.package) if part.package else []):
        key = Scalar(chosen.source, chosen.start, chosen.end, step, step, plain_style=True)
        values = Mapping(values.source, values.start, values.end, {step: values}, {step: key})
    if not isinstance(values, Mapping):
        what = "a list, which can't be merged into the top of the config"
        raise ConfigError([NotAMapping(what=what, location=values.location)])
    return values


def _apply(overrides: Items[Override], root: Mapping) -> Mapping:
    own = shallow(root)
    problems = [problem for override in overrides for problem in apply_override(own, override)]
    if problems:
        raise ConfigError(problems)
    return own
