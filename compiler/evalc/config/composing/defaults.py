"""The defaults list: which files a config is made of, in which order, and where each one goes.

A list is worked through from its end to its start, as Hydra does, since what stands later (an
``override``, a group that another entry interpolates) must be known first. The result is in the
order of the lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalc.config.composing.entries import (
    MISSING,
    SELF,
    Entry,
    Item,
    absolute_package,
    bad_option,
    file_item,
    option_of,
    read_item,
)
from evalc.config.composing.found import FailedError, Site, known
from evalc.config.composing.interpolation import Resolver
from evalc.config.composing.problems import (
    BadDefaults,
    OptionNeeded,
    UnknownConfig,
    UnknownReference,
    Unsupported,
    UnusedChoice,
)
from evalc.errors import ConfigError
from evalc.source import Mapping, Node, Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence as Items

    from evalc.config.composing.overrides import Override
    from evalc.config.composing.repository import Loaded, Repository
    from evalc.errors import Problem


@dataclass(frozen=True)
class Part:
    """One file's share of a config: the values of ``config``, put below the key ``package``.

    ``package`` is dotted, and empty for the top. ``chosen`` is the line of a defaults list, or the
    override, that named the file.
    """

    config: Loaded
    package: str
    chosen: Node
    # The group's key when the file has no defaults list of its own; such a key is used once only.
    key: str | None = None


@dataclass
class _Choice:
    """An option that something outside of a list gives to one of its groups."""

    item: Item
    text: str
    used: bool = False


@dataclass
class _Choices:
    """What overrides say about groups, and which options the lists have settled on."""

    appended: list[Item] = field(default_factory=list)
    chosen: dict[str, _Choice] = field(default_factory=dict)
    deleted: dict[str, _Choice] = field(default_factory=dict)
    known: dict[str, Item] = field(default_factory=dict)
    keys: dict[str, set[str]] = field(default_factory=dict)


def resolve_defaults(
    repository: Repository, primary: Loaded, overrides: Iterable[Override]
) -> list[Part]:
    """The parts of a config, in the order in which they are merged.

    ``overrides`` are those that name groups. Raises :class:`~evalc.errors.ConfigError` with every
    problem of the lists, the overrides and the files they name.
    """
    builder = _Builder(repository, overrides)
    parts = builder.build(primary)
    if builder.problems:
        raise ConfigError(builder.problems)
    return parts


class _Builder:
    def __init__(self, repository: Repository, overrides: Iterable[Override]) -> None:
        self.repository = repository
        self.problems: list[Problem] = []
        self.choices = _Choices()
        self._lists: dict[int, list[Item]] = {}
        # The keys that were found to be used twice.
        self._twice: set[str] = set()
        for override in overrides:
            self._take(override)

    def build(self, primary: Loaded) -> list[Part]:
        root = primary.values
        item = Item(root, "", primary.name, is_group=False)
        entry = Entry(item, "", "", absolute_package(primary.package))
        parts = self._expand(entry, primary, (), interpolated=False)
        self._check_unused()
        self._check_twice(parts)
        return parts

    # --- overrides -------------------------------------------------------------------------------

    def _take(self, override: Override) -> None:
        """Note what an override says about a group."""
        key = f"{override.key}@{override.package}" if override.package is not None else override.key
        if override.key.startswith("hydra/"):
            self._bad(Unsupported(feature="Hydra's own groups", location=override.location))
            return
        if override.action == "force":
            what = f"'{override.key}' is a group, and ++ does not work for groups"
            advice = f"use + to add an option, or {override.key}=OPTION to change it"
            self._bad(BadDefaults(what=what, advice=advice, location=override.location))
            return
        option = option_of(override.value)
        if override.action == "delete":
            if override.value is not None and not isinstance(option, str):
                self._bad(bad_option(override.value))
                return
            item = Item(override.value or override.key_node, override.key, option)
            self.choices.deleted[key] = _Choice(item, override.text)
            return
        assert override.value is not None
        if option is None:
            self._bad(bad_option(override.value))
            return
        item = Item(override.value, override.key, option, override.package)
        if override.action == "add":
            self.choices.appended.append(replace(item, appended=True))
        else:
            self.choices.chosen[key] = _Choice(item, override.text)

    def _check_unused(self) -> None:
        for key, choice in self.choices.chosen.items():
            if not choice.used:
                # An 'override' line of a list says where it stands; an -o can be turned into an
                # addition.
                append = f"+{choice.text}" if choice.text else ""
                self._unused("override", key, choice, append)
        for key, choice in self.choices.deleted.items():
            if not choice.used:
                self._unused("delete", key, choice, "")

    def _unused(self, verb: str, key: str, choice: _Choice, append: str) -> None:
        known = tuple(sorted(self.choices.keys.get(key.partition("@")[0], ())))
        shown = key
        if verb == "delete" and choice.item.option is not None:
            shown = f"{key}={choice.item.option}"
        at = choice.item.node.location
        self._bad(UnusedChoice(key=shown, verb=verb, known=known, append=append, location=at))

    def _check_twice(self, parts: Items[Part]) -> None:
        seen = set()
        for part in parts:
            if part.key in seen and part.key not in self._twice:
                what = f"'{part.key}' is more than once in the defaults lists"
                self._bad(BadDefaults(what=what, location=part.chosen.location))
            if part.key is not None:
                seen.add(part.key)

    # --- the lists -------------------------------------------------------------------------------

    def _parts(self, entry: Entry, above: tuple[str, ...], *, interpolated: bool) -> list[Part]:
        """The parts that one entry brings: its file, and what that file's defaults list names.

        ``above`` are the files whose lists led here; ``interpolated`` says that an interpolation
        did.
        """
        try:
            loaded = self._load(entry)
        except ConfigError as error:
            # A file that is named twice is broken once.
            self.problems += [p for p in error.problems if p not in self.problems]
            return []
        if loaded is not None:
            entry = replace(entry, header=absolute_package(loaded.package))
        if entry.item.is_group:
            if self._is_deleted(entry):
                return []
            self._settle(entry)
        if entry.name is None:
            return []
        problem = self._problem_with(entry, loaded, above)
        if problem is not None:
            self._bad(problem)
        elif loaded is not None:
            return self._expand(entry, loaded, (*above, entry.config), interpolated=interpolated)
        return []

    def _is_deleted(self, entry: Entry) -> bool:
        deletion = self.choices.deleted.get(entry.key)
        if deletion is None or deletion.item.option not in (None, entry.name):
            return False
        deletion.used = True
        return True

    def _problem_with(
        self, entry: Entry, loaded: Loaded | None, above: tuple[str, ...]
    ) -> Problem | None:
        at = entry.item.node.location
        if entry.config.endswith(MISSING):
            if not entry.item.is_group:
                return BadDefaults(what="a defaults list can't leave out a file", location=at)
            options = self.repository.options(entry.group)
            return OptionNeeded(key=entry.key, options=options, location=at)
        if loaded is None:
            return None if entry.item.optional else self._unknown(entry)
        if entry.config in above:
            chain = " -> ".join((*above[above.index(entry.config) :], entry.config))
            return BadDefaults(what=f"configs name each other: {chain}", location=at)
        return None

    def _load(self, entry: Entry) -> Loaded | None:
        if entry.name is None or entry.name == MISSING:
            return None
        loaded = self.repository.load(entry.config)
        if loaded is not None:
            # Its list must make sense even where an override takes the file out.
            self._read_list(loaded)
        return loaded

    def _unknown(self, entry: Entry) -> Problem:
        if entry.item.is_group:
            group, name, options = entry.group, entry.name, self.repository.options(entry.group)
        else:
            group, name, options = None, entry.config, ()
        return UnknownConfig(
            name=str(name),
            group=group,
            options=options,
            places=self.repository.places,
            location=entry.item.node.location,
        )

    def _settle(self, entry: Entry) -> None:
        """Note the option that a group has; two different ones are an error."""
        key, item = entry.key, entry.item
        # Lists are worked through from their end, so what is known stands later.
        later = self.choices.known.setdefault(key, item)
        if later.option != item.option and key not in self._twice:
            self._twice.add(key)
            what = f"'{key}' has the option '{item.option}' already, from {item.node.location}"
            change = (
                f"-o {key}={later.option}" if later.appended else f"override {key}: {later.option}"
            )
            at = later.node.location
            self._bad(BadDefaults(what=what, advice=f"to change it: '{change}'", location=at))
        self.choices.keys.setdefault(entry.group, set()).add(key)

    def _expand(
        self, entry: Entry, loaded: Loaded, above: tuple[str, ...], *, interpolated: bool
    ) -> list[Part]:
        """The parts of a file: its own values and those of its defaults list."""
        key = entry.key if entry.item.is_group else None
        own = Part(loaded, entry.package, entry.item.node, key)
        entries = [
            Entry(item, entry.group, entry.package)
            for item in self._items(loaded, primary=not above)
        ]
        self._note_overrides(entries, loaded, interpolated=interpolated)
        entries = [child for child in entries if not child.item.override]
        if not entries:
            return [own]
        brought: list[list[Part]] = [[] for _ in entries]
        deferred: list[tuple[int, Entry]] = []
        for index, child in reversed(list(enumerate(entries))):
            if child.item.is_self:
                brought[index] = [replace(own, key=None)]
                continue
            chosen = self._overridden(child)
            if isinstance(chosen.item.option, str) and "${" in chosen.item.option:
                deferred.append((index, chosen))
                continue
            for one in reversed(chosen.files()):
                parts = self._parts(one, above, interpolated=interpolated)
                brought[index] = parts + brought[index]
        settled = dict(self.choices.known)
        for index, child in deferred:
            filled = self._interpolate(child, settled)
            if filled is not None:
                brought[index] = self._parts(filled, above, interpolated=True)
        return [part for parts in brought for part in parts]

    def _items(self, loaded: Loaded, *, primary: bool) -> list[Item]:
        """The entries of a file's list, with ``_self_`` and with what overrides add to it."""
        items = list(self._read_list(loaded))
        appended = self.choices.appended if primary else []
        # A list that only overrides what others list leaves the file as it is.
        brings = any(not item.override for item in items) or (appended and not items)
        if brings and not any(item.is_self for item in items):
            items.append(Item(loaded.values, "", SELF, is_group=False))
        return items + appended

    def _note_overrides(self, entries: Items[Entry], loaded: Loaded, *, interpolated: bool) -> None:
        """Take up the ``override`` lines of a list, before any of its files is looked at."""
        seen = False
        for entry in entries:
            item = entry.item
            if item.is_self:
                continue
            if seen and not (item.override or item.appended):
                what = "this stands after an 'override', and overrides come last in a list"
                self._bad(BadDefaults(what=what, location=item.node.location))
            if not item.override:
                continue
            seen = True
            if interpolated:
                what = f"{loaded.name} is chosen by an interpolation, so it can't override groups"
                self._bad(BadDefaults(what=what, location=item.node.location))
                continue
            self.choices.chosen.setdefault(entry.key, _Choice(item, ""))

    def _overridden(self, entry: Entry) -> Entry:
        choice = self.choices.chosen.get(entry.key) if entry.item.is_group else None
        if choice is None:
            return entry
        choice.used = True
        item = replace(entry.item, option=choice.item.option, node=choice.item.node)
        return replace(entry, item=item)

    def _interpolate(self, entry: Entry, settled: dict[str, Item]) -> Entry | None:
        """Fill in an option such as ``${execution}`` from what groups have settled on."""
        item = entry.item
        text = self._filled(item.node, str(item.option), settled)
        if text is None:
            return None
        filled = replace(item, option=text) if item.is_group else file_item(item, text)
        return replace(entry, item=filled)

    def _filled(self, node: Node, text: str, settled: dict[str, Item]) -> str | None:
        options: dict[str, Node] = {
            key: _scalar_at(node, str(item.option))
            for key, item in settled.items()
            if item.option is not None
        }
        site = Site(_scalar_at(node, text), ("",))
        root = Mapping(node.source, node.start, node.end, options, {})
        resolver = Resolver(root, lambda _: False)
        try:
            found = resolver.scalar(site.node, site.path, command=False)
            value = known(found, "a part of a defaults list", site)
        except FailedError as error:
            resolver.report(error.problem)
            self.problems += map(self._about_groups, resolver.problems)
            return None
        if not isinstance(value, str):
            what = f"'{text}' is not the name of a file"
            self._bad(BadDefaults(what=what, location=node.location))
            return None
        return value

    def _about_groups(self, problem: Problem) -> Problem:
        """In a defaults list an interpolation refers to the option of a group."""
        if not isinstance(problem, UnknownReference):
            return problem
        groups = ", ".join(sorted(self.choices.known))
        return BadDefaults(
            what=f"'{problem.key}' is no group of the defaults lists",
            advice=f"groups with an option: {groups}" if groups else "",
            location=problem.location,
        )

    def _read_list(self, loaded: Loaded) -> list[Item]:
        """The entries of a file's list as written; what is wrong with them is told once."""
        items = self._lists.get(id(loaded))
        if items is not None:
            return items
        items = self._lists[id(loaded)] = []
        for node in loaded.defaults.items if loaded.defaults else ():
            try:
                item = read_item(node)
            except ConfigError as error:
                self.problems += error.problems
                continue
            if item.is_self and any(other.is_self for other in items):
                what = "_self_ is given twice in one defaults list"
                self._bad(BadDefaults(what=what, location=node.location))
                continue
            items.append(item)
        return items

    def _bad(self, problem: Problem) -> None:
        self.problems.append(problem)


def _scalar_at(node: Node, text: str) -> Scalar:
    return Scalar(node.source, node.start, node.end, text, text, plain_style=True)
