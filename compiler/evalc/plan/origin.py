"""Where the values of a plan were written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.source import Scalar, Sequence
from evalc.source.nodes import scalar_text, scalars, users_location, walk
from evalc.words import Literal, RuntimeEnv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Location
    from evalc.source import Mapping


class Origin:
    """The config that a plan was made of, for pointing at places in it."""

    def __init__(self, root: Mapping) -> None:
        self._root = root

    def at(self, *path: str | int) -> Location:
        """Where the key at ``path`` stands, or the nearest one above it that the user can edit."""
        return users_location(self._root, path)

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
            if isinstance(name, Scalar) and scalar_text(name) == step_id:
                return ("evaluation", "tasks", index)
        return ("evaluation", "tasks")

    def locate(self, value: object) -> Location | None:
        """Where ``value`` was written first; for a text that was not written as it is, where a text
        was written that it is part of (``lit:…``), or else the longest one that it holds. None when
        no part of it is in the config."""
        longest: tuple[str, Location] | None = None
        around: Location | None = None
        for _path, node in scalars(self._root):
            if value in (node.value, node.text):
                return node.location
            if not isinstance(value, str):
                continue
            for text in _texts(node):
                if value in text:
                    around = around or node.location
                elif text in value and len(text) > len(longest[0] if longest else ""):
                    longest = text, node.location
        return around or (longest[1] if longest else None)


def _texts(node: Scalar) -> Iterator[str]:
    parts = node.value if isinstance(node.value, tuple) else ()
    yield from (part.text for part in parts if isinstance(part, Literal))
    yield from (part.default for part in parts if isinstance(part, RuntimeEnv) and part.default)
    if isinstance(node.value, str):
        yield node.value
