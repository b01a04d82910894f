"""A matrix -> its cells: the product of the axes, less what is excluded, with what is included."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from evalc.config.matrix import EXCLUDE, INCLUDE, NAME
from evalc.config.matrix.problems import DuplicateCell, IdleMatrix
from evalc.config.matrix.values import Axis, Reading, Setting, Value
from evalc.errors import ConfigError, did_you_mean, first_line
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import scalar_text

if TYPE_CHECKING:
    from collections.abc import Collection

    from evalc.errors import Location, Problem
    from evalc.source import Node

# More is a mistake, or several configs; GitHub has 256.
MAX_CELLS = 1000


@dataclass(slots=True)
class Cell:
    """One config of a matrix: its name, its value on each axis, and the keys that it sets, in the
    order in which they are set. ``at`` is where the most of it was written."""

    name: str
    at: Location
    values: dict[str, Value]
    settings: list[Setting] = field(default_factory=list)


def cells_of(block: Node, tops: Collection[str]) -> tuple[list[Cell], list[Problem]]:
    """The cells of the block ``matrix``, and warnings. See :class:`Reading` for ``tops``.

    Raises :class:`~evalc.errors.ConfigError` with all that is wrong with the block.
    """
    making = _Making(tops)
    cells = making.cells(block)
    errors = [problem for problem in making.problems if problem.severity == "error"]
    if errors:
        raise ConfigError(making.problems)
    return cells, making.problems


class _Making(Reading):
    def cells(self, block: Node) -> list[Cell]:
        if not isinstance(block, Mapping):
            self.bad(block.location, "'matrix' must be a mapping of axes to lists of values")
            return []
        axes = {axis.name: axis for axis in self.axes(block)}
        count = 1
        for axis in axes.values():
            count *= max(1, len(axis.values))
        if count > MAX_CELLS:
            what = f"the matrix has {count} cells, and may have {MAX_CELLS}"
            self.bad(block.location, what, "make several configs of it")
            return []
        # With no axis, the product has one cell, in which nothing is set.
        every = product(*(axis.values for axis in axes.values())) if axes else ()
        cells = [_crossed(dict(zip(axes, values, strict=True))) for values in every]
        for entry in self._entries(block, EXCLUDE):
            cells = self._excluded(entry, axes, cells)
        made = list(cells)
        for entry in self._entries(block, INCLUDE):
            cells += self._included(entry, axes, made)
        self._check(block, cells)
        return cells

    def _entries(self, block: Mapping, key: str) -> list[Mapping]:
        node = block.entries.get(key)
        if node is None or (isinstance(node, Scalar) and node.value is None):
            return []
        advice = "write '- axis: value' lines, an item for each"
        if not isinstance(node, Sequence):
            self.bad(node.location, f"'{key}' must be a list of mappings", advice)
            return []
        for item in node.items:
            if not isinstance(item, Mapping) or not item.entries:
                self.bad(item.location, f"an item of '{key}' must be a mapping", advice)
        return [item for item in node.items if isinstance(item, Mapping) and item.entries]

    def _excluded(self, entry: Mapping, axes: dict[str, Axis], cells: list[Cell]) -> list[Cell]:
        meant: dict[str, Value] = {}
        for name, node in entry.entries.items():
            if name not in axes:
                hint = did_you_mean(name, axes) or f"axes: {', '.join(axes) or 'none'}"
                at = entry.keys[name].location
                self.bad(at, f"'exclude' names cells by their axes, and '{name}' is none", hint)
                return cells
            value = axes[name].value(node)
            if value is None:
                self._no_value(axes[name], node)
                return cells
            meant[name] = value
        left = [cell for cell in cells if not _has(cell, meant)]
        if len(left) == len(cells):
            what = "this item of 'exclude' matches no cell"
            at = first_line(entry.location)
            self.problems.append(IdleMatrix(what=what, advice="remove it", location=at))
        return left

    def _no_value(self, axis: Axis, node: Node) -> None:
        known = [value.name for value in axis.values]
        text = scalar_text(node) if isinstance(node, Scalar) else ""
        what = f"the axis '{axis.name}' has no value {text!r}" if text else "this is no value"
        hint = did_you_mean(text, known) if text else ""
        self.bad(node.location, what, hint or f"values: {', '.join(known)}")

    def _included(self, entry: Mapping, axes: dict[str, Axis], made: list[Cell]) -> list[Cell]:
        """Cells of its own that an item of ``include`` makes; where it matches some of those that
        are ``made``, it adds to them instead."""
        before = len(self.problems)
        meant, is_new = self._meant(entry, axes)
        settings = list(self.settings(entry, but=(NAME, *axes)))
        name = ""
        node = entry.entries.get(NAME)
        if node is not None and self.is_name(node):
            assert isinstance(node, Scalar)
            name = scalar_text(node)
        if len(self.problems) > before:
            return []
        # What is named and says nothing of the axes is beside them.
        own = is_new or (name and not meant)
        matched = [] if own else [cell for cell in made if _has(cell, meant)]
        at = first_line(entry.location)
        if matched and name and len(meant) < len(axes):
            what = (
                "an item of 'include' that has a name is one cell, and this one may match several"
            )
            self.bad(at, what, "give a value on each axis, or leave 'name' out")
        elif matched:
            for cell in matched:
                cell.settings += settings
                cell.name = name or cell.name
        elif not name and not meant:
            self.bad(at, "a cell of its own needs a name", "add 'name: …'")
        else:
            cell = _crossed({axis: meant[axis] for axis in axes if axis in meant}, at)
            cell.settings += settings
            cell.name = name or cell.name
            return [cell]
        return []

    def _meant(self, entry: Mapping, axes: dict[str, Axis]) -> tuple[dict[str, Value], bool]:
        """An included item's values on the axes, and whether one of them is not among the axis's
        own."""
        meant: dict[str, Value] = {}
        is_new = False
        for name, node in entry.entries.items():
            if name not in axes:
                continue
            axis = axes[name]
            value = axis.value(node)
            if value is None:
                is_new = True
                # A name alone does not say what to set.
                sets = not axis.is_path and any(one.settings for one in axis.values)
                if sets and isinstance(node, Scalar):
                    self._no_value(axis, node)
                    continue
                value = self.value(axis, node)
            if value is not None:
                meant[name] = value
        return meant, is_new

    def _check(self, block: Mapping, cells: list[Cell]) -> None:
        if any(problem.severity == "error" for problem in self.problems):
            return
        if not cells:
            self.bad(
                first_line(block.location), "the matrix has no cell", "remove it, or add values"
            )
        taken: dict[str, Cell] = {}
        for cell in cells:
            first = taken.setdefault(cell.name.casefold(), cell)
            if first is not cell:
                twice = DuplicateCell(name=cell.name, first=first.at, location=cell.at)
                self.problems.append(twice)


def _crossed(values: dict[str, Value], at: Location | None = None) -> Cell:
    """The cell of one value on each axis."""
    name = "_".join(value.name for value in values.values())
    settings = [setting for value in values.values() for setting in value.settings]
    return Cell(name, at or [value.at for value in values.values()][-1], values, settings)


def _has(cell: Cell, meant: dict[str, Value]) -> bool:
    return all(cell.values.get(name) is value for name, value in meant.items())
