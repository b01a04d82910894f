"""Editing a YAML text by the positions of its values: the rest of it stays as it was written.

A text is taken apart anew after each edit, so that positions are always those of the text at hand.
What can't be edited safely raises :class:`CannotEdit`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.errors import Source
from evalc.source import Mapping, Scalar, Sequence, parse
from evalc.source.nodes import walk

if TYPE_CHECKING:
    from evalc.source import Node, Path

_INDENT = 2
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")


class CannotEdit(Exception):
    """The text has a form that can't be edited without changing more than was asked for."""


@dataclass(frozen=True)
class Piece:
    """An entry of a mapping, cut out: the comment lines above it, its value as it was written from
    behind the colon on, further lines included, and the column that those were indented from."""

    above: tuple[str, ...]
    value: tuple[str, ...]
    column: int

    def lines(self, key: str, column: int) -> list[str]:
        """The entry under another name, indented to ``column``."""
        by = column - self.column
        first = f"{' ' * column}{key}:{self.value[0]}"
        above = [" " * column + line.strip() for line in self.above]
        return [*above, first, *(_shifted(line, by) for line in self.value[1:])]


class Text:
    """A YAML text, and where everything is in it.

    Raises :class:`~evalc.errors.ConfigError` when it is not YAML.
    """

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        root = parse(Source("migrated", text, "file"))
        self.root = root if isinstance(root, Mapping) else Mapping(root.source, 0, 0, {}, {})

    def __str__(self) -> str:
        return "\n".join(self.lines)

    # Looking

    def mapping(self, path: Path) -> Mapping | None:
        """The mapping at a path, if there is one."""
        node = walk(self.root, path)
        return node if isinstance(node, Mapping) else None

    def entry(self, path: Path) -> tuple[Scalar, Node]:
        """An entry's key and value. Raises CannotEdit when it is not there."""
        above = self.mapping(path[:-1])
        name = str(path[-1])
        if above is None or name not in above.entries:
            raise CannotEdit
        return above.keys[name], above.entries[name]

    def piece(self, path: Path) -> Piece:
        """An entry, to be put elsewhere."""
        key, value = self.entry(path)
        line, column = key.start.line, key.start.column
        if not self._stands_alone(key):
            return self._piece_of_flow(key, value)
        first = self.lines[line][key.end.column :]
        match = re.match(r"\s*:", first)
        if match is None:
            raise CannotEdit
        first = first[match.end() :]
        last = self._end(key, value)
        return Piece(
            tuple(self.lines[self._first_comment(line, column) : line]),
            (first, *self.lines[line + 1 : last + 1]),
            column,
        )

    def _piece_of_flow(self, key: Scalar, value: Node) -> Piece:
        """An entry between braces: what is on its one line."""
        if value.start.line != value.end.line or key.start.line != value.start.line:
            raise CannotEdit
        text = self.lines[value.start.line][value.start.column : value.end.column]
        return Piece((), (f" {text}" if text else "",), 0)

    # Editing

    def rename(self, path: Path, name: str) -> Text:
        """Another name for a key; its value stays."""
        key, _ = self.entry(path)
        return self._spliced(key, _key_text(name))

    def set_value(self, path: Path, text: str) -> Text:
        """Another text for a scalar value."""
        node = walk(self.root, path)
        if not isinstance(node, Scalar) or node.start.line != node.end.line or not node.text:
            raise CannotEdit
        return self._spliced(node, text)

    def add(self, path: Path, piece: Piece, before: Path = ()) -> Text:
        """A piece as the entry at ``path``, below the mappings on the way, which are made.

        What is new goes behind the last entry of what it is put into, or before the entry at
        ``before`` where that is one of them.
        """
        depth = len(path) - 1
        while depth and self.mapping(path[:depth]) is None:
            self._demand_nothing(path[:depth])
            depth -= 1
        names = [str(step) for step in path[depth:]]
        if any(not isinstance(step, str) for step in path[depth:]):
            raise CannotEdit
        above = self.mapping(path[:depth])
        assert above is not None
        if names[0] in above.entries:
            return self._filled(path[: depth + 1], names, piece)
        if above.entries:
            first = next(iter(above.keys.values()))
            if self._is_flow(above):
                raise CannotEdit
            last_key, last = list(zip(above.keys.values(), above.entries.values(), strict=True))[-1]
            at, column = self._end(last_key, last) + 1, first.start.column
            if before and before[:-1] == path[:depth] and before[-1] in above.entries:
                key = above.keys[str(before[-1])]
                if self._stands_alone(key):
                    at = self._first_comment(key.start.line, key.start.column)
            return self._with_lines(at, at, _nested(names, column, piece))
        if not depth:
            return self._with_lines(len(self.lines), len(self.lines), _nested(names, 0, piece))
        return self._filled(path[:depth], [str(path[depth - 1]), *names], piece)

    def _filled(self, path: Path, names: list[str], piece: Piece) -> Text:
        """A piece as the first of a mapping that is null or ``{}``; ``names[0]`` is its key."""
        key, value = self.entry(path)
        if isinstance(value, Mapping) and value.entries:
            raise CannotEdit
        if not self._stands_alone(key) or value.start.line != value.end.line:
            raise CannotEdit
        if isinstance(value, Scalar) and (value.value is not None or len(names) == 1):
            raise CannotEdit
        line = self.lines[key.start.line]
        written = value.end.column > value.start.column and value.start.line == key.start.line
        head = line[: value.start.column].rstrip() if written else line
        rest = line[value.end.column :] if written else ""
        below = _nested(names[1:], key.start.column + _INDENT, piece)
        return self._with_lines(key.start.line, key.start.line + 1, [head + rest, *below])

    def remove(self, path: Path, kept: list[str]) -> Text:
        """Take an entry out, with the comments above it; those within it that are not among
        ``kept`` stay, where it was."""
        key, value = self.entry(path)
        if not self._stands_alone(key):
            raise CannotEdit
        line, column = key.start.line, key.start.column
        last = self._end(key, value)
        first = self._first_comment(line, column)
        saved = list(kept)
        left = []
        for text in self.lines[first : last + 1]:
            comment = comment_of(text)
            if comment and comment in saved:
                saved.remove(comment)
            elif comment:
                left.append(" " * column + comment)
        above = self.mapping(path[:-1])
        assert above is not None
        if len(above.entries) == 1 and len(path) > 1:
            # An empty mapping is null, which means something else.
            owner, _ = self.entry(path[:-1])
            if not self._stands_alone(owner):
                raise CannotEdit
            return self._with_lines(first, last + 1, left).remove(path[:-1], left)
        return self._with_lines(first, last + 1, left)

    # Places

    def _stands_alone(self, key: Scalar) -> bool:
        """Whether an entry begins its line, so that its lines are its own."""
        return not self.lines[key.start.line][: key.start.column].strip()

    def _is_flow(self, node: Node) -> bool:
        text = self.lines[node.start.line][node.start.column :]
        return text[:1] in ("{", "[")

    def _end(self, key: Scalar, value: Node) -> int:
        """The last line of an entry, with the comments behind it that are further in than its
        key."""
        last = end = self._last_line(key, value)
        for number, line in enumerate(self.lines[last + 1 :], last + 1):
            if not line.strip():
                continue
            if not re.match(rf" {{{key.start.column + 1},}}#", line):
                break
            end = number
        return end

    def _last_line(self, key: Scalar, value: Node) -> int:
        """The last line of an entry, without blank lines and comments that follow it."""
        if isinstance(value, Mapping | Sequence) and not self._is_flow(value):
            if isinstance(value, Mapping):
                pairs = list(zip(value.keys.values(), value.entries.values(), strict=True))
                # Merged keys stand elsewhere.
                pairs = [pair for pair in pairs if pair[0].start.line >= key.start.line]
                return max((self._last_line(*pair) for pair in pairs), default=key.start.line)
            return max((self._last_line(key, item) for item in value.items), default=key.start.line)
        if isinstance(value, Scalar) and value.start.line == value.end.line and not value.text:
            return int(value.start.line if value.end.column else key.start.line)
        end = int(value.end.line)
        if value.end.column == 0 and end > value.start.line:
            end -= 1
            while end > value.start.line and not self.lines[end].strip():
                end -= 1
        return end

    def _first_comment(self, line: int, column: int) -> int:
        """Where the comments begin that stand directly above a line, as far in as it."""
        while line and re.match(rf" {{{column}}}#", self.lines[line - 1]):
            line -= 1
        return line

    def _demand_nothing(self, path: Path) -> None:
        node = walk(self.root, path)
        if node is not None and not (isinstance(node, Scalar) and node.value is None):
            raise CannotEdit

    def _spliced(self, node: Node, text: str) -> Text:
        if node.start.line != node.end.line:
            raise CannotEdit
        line = self.lines[node.start.line]
        new = line[: node.start.column] + text + line[node.end.column :]
        return self._with_lines(node.start.line, node.start.line + 1, [new])

    def _with_lines(self, first: int, end: int, lines: list[str]) -> Text:
        whole = [*self.lines[:first], *lines, *self.lines[end:]]
        if first == len(self.lines) and self.lines[-1] == "":
            # Behind the text's last line, which ends with a newline.
            whole = [*self.lines[:-1], *lines, ""]
        return Text("\n".join(whole))


def comment_of(line: str) -> str:
    """The comment of a line, with its ``#``; empty when there is none, or when a quote before it
    may mean that it is part of a text."""
    match = re.search(r"(?:^|\s)(#.*)$", line)
    if (
        match is None
        or line[: match.start()].count('"') % 2
        or line[: match.start()].count("'") % 2
    ):
        return ""
    return match[1]


def quoted(text: str) -> str:
    """A text as YAML: as it is where that is read as the same, else in double quotes."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _key_text(name: str) -> str:
    return quoted(name)


def _nested(names: list[str], column: int, piece: Piece) -> list[str]:
    """A piece under its name, the last of ``names``, below the others."""
    if not names:
        raise CannotEdit
    heads = [f"{' ' * (column + i * _INDENT)}{_key_text(n)}:" for i, n in enumerate(names[:-1])]
    return [*heads, *piece.lines(_key_text(names[-1]), column + _INDENT * len(heads))]


def _shifted(line: str, by: int) -> str:
    if not line.strip():
        return line
    if by >= 0:
        return " " * by + line
    if line[:-by].strip():
        raise CannotEdit
    return line[-by:]
