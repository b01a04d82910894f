"""Layers put on top of each other, as OmegaConf merges them.

Mappings are merged key by key, a list replaces a list, ``???`` replaces nothing. A key keeps the
place in which it first came. A reference to a mapping or list is replaced by a copy of it when
another layer gives the same key.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar

from evalc.config.composing.interpolation import Resolver, is_missing, is_reference
from evalc.config.composing.problems import MergeConflict
from evalc.source import Mapping, Node, Path, Scalar, Sequence
from evalc.source.nodes import show_path

if TYPE_CHECKING:
    from evalc.errors import Problem

_Container = TypeVar("_Container", Mapping, Sequence)


class Layers:
    """A tree that layers are merged into, one after the other.

    Hydra merges in place, the layers' own mappings included, and that shows when a file comes
    twice: what was merged into its mappings in between stays. ``current`` does the same here,
    where merging makes new nodes.
    """

    def __init__(self, root: Mapping) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self._became: dict[int, Node] = {}

    def add(self, layer: Mapping) -> None:
        """Merge a layer on top. Conflicts go to ``problems``."""
        self.root = shallow(self.root)
        self.problems += merge(self.root, self.root, layer, (), self._became)

    def current(self, node: Node) -> Node:
        """What a node of an earlier layer, or what is in it, has become by merging."""
        while id(node) in self._became:
            node = self._became[id(node)]
        if not isinstance(node, Mapping):
            return node
        entries = {key: self.current(child) for key, child in node.entries.items()}
        if all(entries[key] is child for key, child in node.entries.items()):
            return node
        twin = shallow(node)
        twin.entries = entries
        return twin


def merge(
    root: Mapping,
    into: Mapping,
    layer: Mapping,
    path: Path,
    became: dict[int, Node] | None = None,
) -> list[Problem]:
    """Merge ``layer`` into the mapping ``into``, which stands at ``path`` below ``root``.

    Of what is there, only ``into`` itself is changed: below it, changed mappings and lists are new
    ones, whose ``previous`` is the old one; ``became`` notes them by the old one's id. Gives the
    problems.
    """
    became = {} if became is None else became
    problems: list[Problem] = []
    for key, new in layer.entries.items():
        here = (*path, key)
        old = into.entries.get(key)
        if old is None:
            put(into, key, new, layer.keys[key])
            continue
        if old is new:
            continue
        if isinstance(old, Scalar) and is_reference(old):
            old = _dereferenced(root, into, key, old, here)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            own = changed(old, new)
            became[id(old)] = own
            put(into, key, own, layer.keys[key])
            problems += merge(root, own, new, here, became)
        elif isinstance(old, Sequence) and isinstance(new, Sequence):
            became[id(old)] = replaced = changed(old, new)
            replaced.items = new.items
            put(into, key, replaced, layer.keys[key])
        elif isinstance(old, Mapping | Sequence) and isinstance(new, Mapping | Sequence):
            problems.append(conflict(old, new, here))
        elif not is_missing(new):
            replace_entry(into, key, new, layer.keys[key])
    return problems


def changed(old: _Container, new: _Container) -> _Container:
    """A copy of ``old`` to merge ``new`` into: it stands where ``new`` does, ``old`` is history."""
    own = shallow(old)
    own.source, own.start, own.end, own.previous = new.source, new.start, new.end, old
    return own


def put(into: Mapping, key: str, node: Node, key_node: Scalar) -> None:
    """Give a mapping a key, or another value for it."""
    into.entries[key] = node
    into.keys[key] = key_node


def replace_entry(into: Mapping, key: str, new: Node, key_node: Scalar) -> None:
    """Replace the value of a key; the new node remembers the old one."""
    put(into, key, following(new, into.entries[key]), key_node)


def following(new: Node, old: Node) -> Node:
    """``new``, as what came after ``old``."""
    node = copy.copy(new)
    node.previous = old
    return node


def shallow(node: _Container) -> _Container:
    """A node whose entries or items can be changed without changing the original's."""
    twin = copy.copy(node)
    if isinstance(twin, Mapping):
        twin.entries = dict(twin.entries)
        twin.keys = dict(twin.keys)
    else:
        twin.items = list(twin.items)
    return twin


def copied(node: Node) -> Node:
    """A node that can be changed at any depth. Scalars, which nobody changes, are shared."""
    if isinstance(node, Scalar):
        return node
    if isinstance(node, Mapping):
        mapping = shallow(node)
        mapping.entries = {key: copied(child) for key, child in node.entries.items()}
        return mapping
    assert isinstance(node, Sequence)
    sequence = shallow(node)
    sequence.items = [copied(child) for child in node.items]
    return sequence


def conflict(old: Node, new: Node, path: Path) -> MergeConflict:
    """The problem that a list and a mapping can't be merged."""
    return MergeConflict(
        key=show_path(path),
        kind=_kind(new),
        other=_kind(old),
        other_location=old.location,
        location=new.location,
    )


def _kind(node: Node) -> str:
    return "mapping" if isinstance(node, Mapping) else "list"


def _dereferenced(root: Mapping, into: Mapping, key: str, old: Scalar, path: Path) -> Node:
    """The entry of a mapping, in which a reference to a mapping or list becomes a copy of it."""
    found = Resolver(root, lambda _: False).container(old, path)
    if found is None:
        return old
    assert isinstance(found.value, Mapping | Sequence)
    into.entries[key] = following(copied(found.value), old)
    return into.entries[key]
