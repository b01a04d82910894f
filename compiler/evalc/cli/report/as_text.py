"""Problems for people, in the manner of rustc.

The lines of a snippet are laid out in terminal columns, not characters: a tab takes four, a wide
East Asian character two, a combining one none. Characters that would not be seen, or that would
steer the terminal, are shown as escapes.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

import click

from evalc.cli.report.places import name_of, place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalc.cli.output import Page
    from evalc.errors import Location, Problem, Source

_TAB = "    "
_CUT = "..."
_COLOURS = {"error": "bright_red", "warning": "bright_yellow"}
# What ends a line in YAML, and so what the parser counts (https://yaml.org/spec/1.1/#b-char).
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def render_all(problems: Iterable[Problem], page: Page) -> str:
    """Every problem, a blank line between two; empty when there is none."""
    return "\n\n".join(render(problem, page) for problem in problems)


def render(problem: Problem, page: Page) -> str:
    """One problem, without a line end: what, where, the source line and what to do."""
    paint = _Paint(page, _COLOURS.get(problem.severity, "bright_red"))
    head = paint.severity(f"{problem.severity}[{problem.code}]")
    lines = [f"{head}{paint.bold(': ' + visible(problem.message))}"]
    at = problem.location
    number = str(at.line) if at else ""
    margin = " " * len(number)
    label = visible(problem.label)
    if at:
        lines.append(f"{margin}{paint.frame('-->')} {visible(place(at))}")
    bar = f"{margin} {paint.frame('|')}"
    has_snippet = at is not None and bool(at.source.text) and not problem.sensitive
    if at and has_snippet:
        shown, indent, carets = _snippet(at, page, page.width - len(number) - 3)
        mark = " " * indent + paint.severity(" ".join(filter(None, ("^" * carets, label))))
        lines += [bar, f"{paint.frame(f'{number} |')} {shown}".rstrip(), f"{bar} {mark}"]
    notes = [] if has_snippet or not label else [_note("note", label, margin, paint)]
    if problem.help:
        notes.append(_note("help", problem.help, margin, paint))
    if notes and has_snippet:
        lines.append(bar)
    return "\n".join(lines + notes)


def summary(problems: Iterable[Problem], configs: int) -> str:
    """The last line: ``2 errors, 1 warning in 3 files``, or ``3 configs are fine``."""
    problems = list(problems)
    if not problems:
        return f"{configs} configs are fine" if configs != 1 else "1 config is fine"
    severities = [problem.severity for problem in problems]
    counts = [
        count(severities.count(severity), severity)
        for severity in ("error", "warning")
        if severity in severities
    ]
    places = {name_of(problem.location.source) if problem.location else "" for problem in problems}
    return f"{', '.join(counts)} in {count(len(places), 'file')}"


def count(number: int, noun: str) -> str:
    """``1 file``, ``1,200 files``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def visible(text: str) -> str:
    """``text`` with every character that is not printable as an escape."""
    return text if text.isprintable() else "".join(map(_visible_character, text))


class _Paint:
    """Colours a piece of text, or leaves it as it is."""

    def __init__(self, page: Page, severity_colour: str) -> None:
        self._colour = page.colour
        self._severity_colour = severity_colour

    def severity(self, text: str) -> str:
        return self._style(text, self._severity_colour)

    def frame(self, text: str) -> str:
        return self._style(text, "bright_blue")

    def bold(self, text: str) -> str:
        return self._style(text, None)

    def _style(self, text: str, colour: str | None) -> str:
        return click.style(text, fg=colour, bold=True) if self._colour else text


def _note(kind: str, text: str, margin: str, paint: _Paint) -> str:
    head = f"{margin} {paint.frame('=')} {paint.bold(kind + ':')} "
    continued = "\n" + margin + " " * (len(kind) + 5)
    return head + continued.join(visible(line) for line in text.splitlines())


def _snippet(at: Location, page: Page, room: int) -> tuple[str, int, int]:
    """The source line, cut to ``room`` columns; the column of the first caret; their number."""
    line = _line(at.source, at.line)
    cells = [_cell(character, ascii_only=page.ascii) for character in line]
    edges = list(accumulate((_columns(cell) for cell in cells), initial=0))
    start = min(at.column - 1, len(cells))
    # The caret run of a span over several lines ends where its first line does.
    end = at.end_column - 1 if at.end_line == at.line else len(line.rstrip())
    end = max(start, min(end, len(cells)))
    first, last = _window(edges, start, end, room)
    before = _CUT if first > 0 else ""
    after = _CUT if last < len(cells) else ""
    shown = before + "".join(cells[first:last]) + after
    indent = len(before) + edges[start] - edges[first]
    return shown, indent, max(1, edges[min(end, last)] - edges[start])


def _window(edges: list[int], start: int, end: int, room: int) -> tuple[int, int]:
    """The part of a line that is shown, as indexes into its cells: all of it, or about the span."""
    total = edges[-1]
    if total <= room:
        return 0, len(edges) - 1
    room -= 2 * len(_CUT)
    spare = max(0, room - (edges[end] - edges[start]))
    left = max(0, min(edges[start] - spare // 2, total - room))
    first = min(bisect_left(edges, left), start)
    last = bisect_right(edges, edges[first] + room) - 1
    return first, last


@lru_cache(maxsize=4)
def _lines(source: Source) -> list[str]:
    return _LINE_END.split(source.text)


def _line(source: Source, number: int) -> str:
    lines = _lines(source)
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _cell(character: str, *, ascii_only: bool) -> str:
    """How one character of a source line is shown."""
    if character == "\t":
        return _TAB
    if ascii_only and not character.isascii():
        return _escape(character)
    return _visible_character(character)


def _visible_character(character: str) -> str:
    return character if character.isprintable() else _escape(character)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _columns(cell: str) -> int:
    """How many terminal columns a cell takes."""
    if cell.isascii():
        return len(cell)
    if unicodedata.category(cell) in {"Mn", "Me"} or "\u1160" <= cell <= "\u11ff":
        # Combining marks, and the second and third parts of a Hangul syllable.
        return 0
    return 2 if unicodedata.east_asian_width(cell) in {"W", "F"} else 1
