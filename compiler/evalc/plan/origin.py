"""Where the values of a plan were written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import scalar_text, scalars, show_path, users_location, walk
from evalc.words import Literal, RuntimeEnv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Location
    from evalc.source import Node, Path


class Origin:
    """The config that a plan was made of, for pointing at places in it.

    ``cell`` is that of its matrix, which begins the ids of its steps; empty without one.
    """

    def __init__(self, root: Mapping, cell: str = "") -> None:
        self._root = root
        self._prefix = f"{cell}." if cell else ""

    def of_cell(self, cell: str) -> Origin:
        """The same for a plan whose steps' ids begin with the name of a cell."""
        return Origin(self._root, cell)

    def at(self, *path: str | int) -> Location:
        """Where the key at ``path`` stands, or the nearest one above it that the user can edit."""
        return users_location(self._root, path)

    def value(self, *path: str | int) -> Any:
        """The value at ``path`` as plain data; None where there is none."""
        node = walk(self._root, path)
        return None if node is None else node.plain()

    def given(self, *path: str | int) -> bool:
        """Whether there is a value at ``path`` that is neither null nor empty."""
        node = walk(self._root, path)
        return node is not None and node.plain() not in (None, "", [], {})

    def written(self, *path: str | int) -> bool:
        """Whether the user gave what is at ``path``: it is there, and not by a built-in default."""
        node = walk(self._root, path)
        return self.given(*path) and node is not None and node.source.kind != "builtin"

    def task(self, step_id: str) -> tuple[str | int, ...]:
        """The path of the task that a step was made of."""
        tasks = walk(self._root, ("evaluation", "tasks"))
        for index, task in enumerate(tasks.items if isinstance(tasks, Sequence) else ()):
            name = walk(task, ("id",)) or walk(task, ("name",))
            if isinstance(name, Scalar) and f"{self._prefix}{scalar_text(name)}" == step_id:
                return ("evaluation", "tasks", index)
        return ("evaluation", "tasks")

    def locate(self, value: object) -> Location | None:
        """Where :meth:`find` finds a value; None when it is nowhere."""
        found = self.find(value)
        return found[1] if found else None

    def find(self, value: object) -> tuple[str, Location] | None:
        """The key that ``value`` was written at first, and where, as a value or else as a key.

        For a text that was not written as it is, where a text was written that it is part of
        (``lit:…``), or else the longest one that it holds. None when no part of it is in the
        config.
        """
        longest = ""
        part: tuple[str, Location] | None = None
        around: tuple[str, Location] | None = None
        for path, node in scalars(self._root):
            if value == node.value or (value == node.text and node.value is not None):
                return show_path(path), node.location
            if not isinstance(value, str):
                continue
            for text in _texts(node):
                if value in text:
                    around = around or (show_path(path), node.location)
                elif text in value and len(text) > len(longest):
                    longest, part = text, (show_path(path), node.location)
        return self._key(value) or around or part

    def _key(self, value: object) -> tuple[str, Location] | None:
        """The block that has ``value`` as a key, and where the key is."""
        todo: list[tuple[Path, Node]] = [((), self._root)]
        while todo:
            path, node = todo.pop()
            if isinstance(node, Mapping):
                if isinstance(value, str) and value in node.keys:
                    return show_path(path), node.keys[value].location
                todo += [((*path, key), child) for key, child in node.entries.items()]
            elif isinstance(node, Sequence):
                todo += [((*path, index), child) for index, child in enumerate(node.items)]
        return None


def _texts(node: Scalar) -> Iterator[str]:
    parts = node.value if isinstance(node.value, tuple) else ()
    yield from (part.text for part in parts if isinstance(part, Literal))
    yield from (part.default for part in parts if isinstance(part, RuntimeEnv) and part.default)
    if isinstance(node.value, str):
        yield node.value
