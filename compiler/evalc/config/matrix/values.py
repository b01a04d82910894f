"""The axes of a matrix and their values, as they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.config.matrix import CELL, EXCLUDE, INCLUDE, NAME, VALUE
from evalc.config.matrix.problems import BadMatrix
from evalc.errors import did_you_mean, first_line
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import scalar_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from evalc.errors import Location, Problem
    from evalc.source import Node

# A name of a cell is a part of names of folders, jobs and containers. See evalc.plan.names.
NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 60
# What an override may be called, see evalc.config.composing.overrides.
_PATH = re.compile(r"[A-Za-z_$][\w$-]*(?:\.[\w$-]+)*|[A-Za-z_][\w-]*(?:/[A-Za-z_][\w-]*)+")
_LISTS = frozenset((INCLUDE, EXCLUDE))


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of the config that a cell sets: its dotted path, and where it and its value are."""

    path: str
    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Value:
    """One value of an axis.

    ``name`` is its part of the cells' names; ``node`` is what ``${matrix.AXIS}`` stands for, and
    ``at`` where the value was written.
    """

    name: str
    node: Node
    settings: tuple[Setting, ...]
    at: Location

    def is_meant(self, node: Node) -> bool:
        """Whether ``include`` or ``exclude`` mean this value: by its name, or as it is."""
        if not isinstance(node, Scalar):
            return False
        own = self.node.value if isinstance(self.node, Scalar) else None
        same = own == node.value and isinstance(own, bool) == isinstance(node.value, bool)
        return scalar_text(node) == self.name or (own is not None and same)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis and its values. ``is_path``: its name is a key of the config, which each value is
    given to; else values set what they say."""

    name: str
    key: Scalar
    is_path: bool
    values: tuple[Value, ...]

    @property
    def last(self) -> str:
        """Its name as people read it."""
        return re.split(r"[./]", self.name)[-1]

    def value(self, node: Node) -> Value | None:
        """The value that a node means."""
        return next((value for value in self.values if value.is_meant(node)), None)


class Reading:
    """Reads the block; what is wrong goes to ``problems``.

    ``tops`` are the keys that a config may have at its top, and the groups.
    """

    def __init__(self, tops: Collection[str]) -> None:
        self.tops = tops
        self.problems: list[Problem] = []

    def bad(self, at: Location, what: str, advice: str = "", more: str = "") -> None:
        """Report what does not mean anything."""
        found = BadMatrix(what=what, advice=advice, more=more, location=first_line(at))
        self.problems.append(found)

    def axes(self, block: Mapping) -> list[Axis]:
        """The axes of the block, in order."""
        found = []
        for name, node in block.entries.items():
            if name in _LISTS:
                continue
            key = block.keys[name]
            if name in (CELL, NAME, VALUE):
                self.bad(key.location, f"an axis can't be called '{name}'", "take another name")
                continue
            is_path = self.is_path(name)
            if not is_path and ("." in name or not NAMES.fullmatch(name)):
                self._unknown(name, key)
                continue
            if not isinstance(node, Sequence):
                advice = "write it as a list, one item a line, each after a dash"
                self.bad(node.location, f"the axis '{name}' must have a list of values", advice)
                continue
            if not node.items:
                self.bad(node.location, f"the axis '{name}' has no values", "remove it")
            empty = Axis(name, key, is_path, ())
            values = [self.value(empty, item) for item in node.items]
            found.append(Axis(name, key, is_path, tuple(v for v in values if v is not None)))
            self._check_names(found[-1])
        return found

    def _check_names(self, axis: Axis) -> None:
        taken: dict[str, Value] = {}
        for value in axis.values:
            first = taken.setdefault(value.name.casefold(), value)
            if first is not value:
                what = f"two values of '{axis.name}' are called '{value.name}'"
                advice = f"the first is on line {first.at.line}; name one of them otherwise"
                self.bad(value.at, what, advice)

    def is_path(self, name: str) -> bool:
        """Whether a name is that of a key of the config, or of a group."""
        first = re.split(r"[./]", name, maxsplit=1)[0]
        return first in self.tops or first.startswith("x-")

    def _unknown(self, name: str, key: Scalar) -> None:
        first = name.partition(".")[0]
        self.bad(
            key.location,
            f"'{name}' is no key of a config",
            did_you_mean(first, self.tops),
            f"a config has: {', '.join(sorted(self.tops))}",
        )

    def value(self, axis: Axis, item: Node) -> Value | None:
        """One item of an axis; None when it means nothing."""
        if isinstance(item, Scalar):
            return self._plain(axis, item)
        at = first_line(item.location)
        if not isinstance(item, Mapping):
            advice = "name it: {name: …, value: […]}"
            self.bad(at, f"a list among the values of '{axis.name}' has no name", advice)
            return None
        given, name = item.entries.get(VALUE), item.entries.get(NAME)
        if name is None:
            self.bad(at, f"this value of '{axis.name}' needs a name", "add 'name: …'")
            return None
        if not self.is_name(name):
            return None
        if axis.is_path and given is None:
            advice = "write 'value: …'"
            self.bad(at, f"this item does not say what '{axis.name}' is to be", advice)
            return None
        settings = list(self.settings(item, but=(NAME, VALUE)))
        if axis.is_path and given is not None:
            settings.insert(0, Setting(axis.name, axis.key, given))
        assert isinstance(name, Scalar)
        return Value(scalar_text(name), given or name, tuple(settings), at)

    def _plain(self, axis: Axis, item: Scalar) -> Value | None:
        name = _readable(axis, item)
        if not NAMES.fullmatch(name) or len(name) > _LONGEST_NAME:
            what = f"this value of '{axis.name}' makes no name that people could read"
            self.bad(item.location, what, "name it: {name: …, value: …}")
            return None
        settings = (Setting(axis.name, axis.key, item),) if axis.is_path else ()
        return Value(name, item, settings, item.location)

    def is_name(self, node: Node) -> bool:
        """Whether a name given by the user can be one; if not, it is reported."""
        if not isinstance(node, Scalar):
            self.bad(node.location, "a name must be text")
            return False
        text = scalar_text(node)
        why = ""
        if not NAMES.fullmatch(text):
            why = "only letters, digits, '.', '_' and '-' go into one, and a letter or digit first"
        elif len(text) > _LONGEST_NAME:
            why = f"it is longer than {_LONGEST_NAME} characters"
        if why:
            self.bad(node.location, f"{text!r} can't be a part of a cell's name: {why}")
        return not why

    def settings(self, item: Mapping, but: Collection[str]) -> Iterator[Setting]:
        """The keys of the config that an item sets."""
        for name, node in item.entries.items():
            key = item.keys[name]
            if name in but:
                continue
            if not self.is_path(name):
                self._unknown(name, key)
            elif not _PATH.fullmatch(name):
                advice = "write the keys below one another"
                self.bad(key.location, f"'{name}' can't be written as a dotted key", advice)
            else:
                yield Setting(name, key, node)


def _readable(axis: Axis, item: Scalar) -> str:
    """What a value is called where nobody gave it a name: the last part of a path or handle; of a
    number or truth value, which says little by itself, with the key before it."""
    text = scalar_text(item)
    if not isinstance(item.value, str):
        return f"{axis.last}-{text}".rstrip("-") if text else ""
    if "${" in text:
        return ""
    last = text.rstrip("/").rpartition("/")[2]
    return _NOT_IN_NAMES.sub("-", last).strip("-._")
