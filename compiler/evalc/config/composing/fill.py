"""The last step of composing: a tree with its references filled in."""

from __future__ import annotations

import copy

from evalc.config.composing.commands import insertable
from evalc.config.composing.found import FailedError, Found, Site, as_node
from evalc.config.composing.interpolation import MAX_CHAIN, Resolver, is_reference
from evalc.config.composing.problems import ReferenceCycle
from evalc.errors import ConfigError
from evalc.source import Mapping, Node, Path, Scalar, Sequence
from evalc.source.loader import MAX_NODES, TooLarge
from evalc.source.nodes import StandIn, show_path


def fill_references(resolver: Resolver) -> Mapping:
    """The resolver's tree without references; what has none in it is shared with that tree.

    Where a reference was, ``previous`` is the text with it. Where one stands for nothing is a
    stand-in, and the resolver's ``problems`` say why. Raises :class:`~evalc.errors.ConfigError`
    when references make the tree too large.
    """
    root = _Filler(resolver).fill(resolver.root, (), ())
    assert isinstance(root, Mapping)
    return root


def filled(resolver: Resolver, node: Node, path: Path) -> Node:
    """One part of the resolver's tree, without references.

    Raises :class:`~evalc.errors.ConfigError` with every reference that stands for nothing.
    """
    new = _Filler(resolver).fill(node, path, path)
    if resolver.problems:
        raise ConfigError(dict.fromkeys(resolver.problems))
    return new


class _Filler:
    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        # The references to mappings and lists that are being expanded, to notice circles.
        self._open: list[Path] = []
        self._circular: set[Path] = set()
        self._expanded = 0

    def fill(self, node: Node, real: Path, shown: Path) -> Node:
        """A node with its references filled in; the node itself when there are none.

        ``real`` is where it stands, which its own relative references count from. ``shown`` is
        where the result goes, which decides whether it is a command. They are the same object
        but for what a reference brings in.
        """
        if real is not shown:
            self._count(node)
        if isinstance(node, Mapping):
            return self._mapping(node, real, shown)
        if isinstance(node, Sequence):
            return self._sequence(node, real, shown)
        assert isinstance(node, Scalar)
        try:
            return self._scalar(node, real, shown)
        except FailedError as error:
            self.resolver.report(error.problem)
            return StandIn.of(node)

    def _mapping(self, node: Mapping, real: Path, shown: Path) -> Mapping:
        here = real is shown
        changes: dict[str, Node] = {}
        for key, child in node.entries.items():
            if here and _is_plain(child):
                continue
            at = (*real, key)
            new = self.fill(child, at, at if here else (*shown, key))
            if new is not child:
                changes[key] = new
        if not changes:
            return node
        changed = copy.copy(node)
        changed.entries = {**node.entries, **changes}
        return changed

    def _sequence(self, node: Sequence, real: Path, shown: Path) -> Sequence:
        here = real is shown
        changes: dict[int, Node] = {}
        for index, child in enumerate(node.items):
            if here and _is_plain(child):
                continue
            at = (*real, index)
            new = self.fill(child, at, at if here else (*shown, index))
            if new is not child:
                changes[index] = new
        if not changes:
            return node
        changed = copy.copy(node)
        changed.items = [changes.get(index, item) for index, item in enumerate(node.items)]
        return changed

    def _scalar(self, node: Scalar, real: Path, shown: Path) -> Node:
        command = self.resolver.command_keys(shown)
        if not is_reference(node):
            # A text that a reference brings in as part of a list or mapping is a command only if
            # it was written under a command's name.
            if command and _name(real) != _name(shown):
                insertable(Found(node.value, real), self.resolver.command_keys, Site(node, real))
            return node
        found = self.resolver.scalar(node, real, command=command)
        if isinstance(found.value, Mapping | Sequence | list | dict):
            self._enter(node, real)
            new = self._made(found, node, shown)
            self._open.pop()
        else:
            new = self._made(found, node, shown)
        new.previous = node
        return new

    def _enter(self, node: Scalar, path: Path) -> None:
        """Note that a reference is being expanded, and refuse to go round in circles."""
        if path in self._circular:
            raise FailedError(None)
        if path in self._open:
            circle = self._open[self._open.index(path) :]
            self._circular.update(circle)
            cycle = tuple(show_path(step) for step in (*circle, path))
            raise FailedError(ReferenceCycle(cycle=cycle, location=node.location))
        if len(self._open) >= MAX_CHAIN:
            what = f"references follow each other more than {MAX_CHAIN} times"
            raise FailedError(TooLarge(what=what, location=node.location))
        self._open.append(path)

    def _made(self, found: Found, node: Scalar, shown: Path) -> Node:
        """A new node for what a reference stands for."""
        if isinstance(found.value, Mapping | Sequence):
            assert found.path is not None
            made = copy.copy(self.fill(found.value, found.path, shown))
            # It stands where the reference does, as a scalar would; what is in it, where it was
            # written.
            made.source, made.start, made.end = node.source, node.start, node.end
            return made
        if isinstance(found.value, list):
            items = [self._item(item, node, (*shown, i)) for i, item in enumerate(found.value)]
            return Sequence(node.source, node.start, node.end, items)
        if isinstance(found.value, dict):
            made = as_node(found, node)
            assert isinstance(made, Mapping)
            for key, item in found.value.items():
                made.entries[key] = self._item(item, node, (*shown, key))
            return made
        return as_node(found, node)

    def _item(self, found: Found, node: Scalar, shown: Path) -> Node:
        """An item of a list or mapping that an expression made."""
        if isinstance(found.value, str | tuple) and self.resolver.command_keys(shown):
            insertable(found, self.resolver.command_keys, Site(node, shown))
        return self._made(found, node, shown)

    def _count(self, node: Node) -> None:
        self._expanded += 1
        if self._expanded > MAX_NODES:
            what = f"references expand this to more than {MAX_NODES:,} values"
            raise ConfigError([TooLarge(what=what, location=node.location)])


def _is_plain(node: Node) -> bool:
    return type(node) is Scalar and (type(node.value) is not str or "${" not in node.value)


def _name(path: Path) -> str | None:
    """The last name in a path, past the indices of lists."""
    return next((step for step in reversed(path) if isinstance(step, str)), None)
