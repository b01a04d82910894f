"""What an expression stands for, while references are being followed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TypeAlias

from evalc.config.composing.problems import NeedsValueNow
from evalc.errors import Location, Problem
from evalc.source import Mapping, Node, Path, Scalar, Sequence, Value

# No variable of bash's has a name like this.
_DOTTED = re.compile(r"\$\{\.*\w+(\.\w+)+\}|\$\{\.\w+\}")

Content: TypeAlias = "Value | Mapping | Sequence | list[Found] | dict[str, Found]"


@dataclass(frozen=True, slots=True)
class Found:
    """What an expression stands for.

    A mapping or list of the tree is there as its node, with references still in it; ``path`` is
    where it stands. A value that stands in the tree has its path, and its node if it was found
    there as it is. ``written`` says that the value is part of the expression itself.
    """

    value: Content
    path: Path | None = None
    node: Scalar | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """A text with an expression in it, where it stands in the tree, and the expression's text.

    ``command`` says that the text is a bash command.
    """

    node: Scalar
    path: Path
    text: str = ""
    command: bool = False

    @property
    def for_bash(self) -> str:
        """The expression as it would have to be written for bash to read it; empty where the text
        is no command, and for what only a config has."""
        if not self.command or not self.text or _DOTTED.fullmatch(self.text):
            return ""
        return f"\\{self.text}"

    def within(self, text: str) -> Site:
        """The place of one expression of the text."""
        return replace(self, text=text)

    @property
    def location(self) -> Location:
        """Where the expression was written; the whole text when in doubt."""
        node = self.node
        for number in range(node.start.line, node.end.line + 1) if self.text else ():
            first = node.start.column if number == node.start.line else 0
            column = self._column(node.source.line(number + 1), first)
            if column >= 0:
                end = column + len(self.text) + 1
                return Location(node.source, number + 1, column + 1, number + 1, end)
        return node.location

    def _column(self, line: str, first: int) -> int:
        """Where the expression is in a line of its source, -1 when it is not."""
        start = self.node.start
        quoted = self.node.source.line(start.line + 1)[start.column : start.column + 1] == '"'
        column = line.find(self.text, first)
        while column > 0:
            before = line[:column]
            slashes = len(before) - len(before.rstrip("\\"))
            # After an odd number of them it is text. YAML's double quotes take two for one.
            if (slashes // 2 if quoted else slashes) % 2 == 0:
                break
            column = line.find(self.text, column + 1)
        return column


class FailedError(Exception):
    """An expression stands for nothing. ``problem`` is None when it was reported before."""

    def __init__(self, problem: Problem | None) -> None:
        self.problem = problem
        super().__init__()


def known(found: Found, use: str, site: Site) -> object:
    """The value as Python data, references inside it as text.

    Raises :class:`FailedError` when a part is known only at run time; ``use`` says what it was
    needed for now ("the name of a key").
    """
    value = found.value
    if isinstance(value, list):
        return [known(item, use, site) for item in value]
    if isinstance(value, dict):
        return {key: known(item, use, site) for key, item in value.items()}
    if isinstance(value, Mapping):
        return {key: known(_content(node), use, site) for key, node in value.entries.items()}
    if isinstance(value, Sequence):
        return [known(_content(node), use, site) for node in value.items]
    if isinstance(value, tuple):
        raise FailedError(NeedsValueNow(use=use, location=site.location))
    return value


def text_of(found: Found, use: str, site: Site) -> str:
    """The value as part of a text, in OmegaConf's writing: that of Python (``None``, ``True``).

    Raises :class:`FailedError` as :func:`known` does.
    """
    return str(known(found, use, site))


def as_node(found: Found, at: Scalar) -> Node:
    """A node for what was found, as if written where ``at`` was."""
    value = found.value
    if isinstance(value, Mapping | Sequence):
        return value
    if isinstance(value, list):
        return Sequence(at.source, at.start, at.end, [as_node(item, at) for item in value])
    if isinstance(value, dict):
        entries = {key: as_node(item, at) for key, item in value.items()}
        keys = {key: _scalar(key, key, at) for key in entries}
        return Mapping(at.source, at.start, at.end, entries, keys)
    if found.node is not None:
        # 1.10 stays as it is written where it is referred to.
        return _scalar(value, found.node.text, at)
    return _scalar(value, at.text if isinstance(value, tuple) else str(value), at)


def _scalar(value: Value, text: str, at: Scalar) -> Scalar:
    return Scalar(at.source, at.start, at.end, value, text, plain_style=at.plain_style)


def _content(node: Node) -> Found:
    if isinstance(node, Scalar):
        return Found(node.value)
    assert isinstance(node, Mapping | Sequence)
    return Found(node)
