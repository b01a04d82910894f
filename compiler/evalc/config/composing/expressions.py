"""What a text with ``${…}`` in it says: the nodes that ``template`` and ``grammar`` make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Reference:
    """``${a.b}``: the parts of the key, joined, are the key. ``text`` is how it was written."""

    parts: tuple[str | Expression, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """``${name:argument,argument}``: a resolver that is called."""

    name: tuple[str | Expression, ...]
    arguments: tuple[Expression, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Texts and expressions in a row; the result is text."""

    parts: tuple[Expression, ...]


Expression: TypeAlias = (
    "Reference | Call | Joined | str | int | float | bool | list[Expression] | "
    "dict[str | int | float | bool | None, Expression] | None"
)


class BadTemplateError(Exception):
    """The text is not in the grammar; the argument says why."""
