"""A table of runs for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.export.comparing import name_of
from evalc.export.report import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evalc.export.table import Cell, Table

_GREEN, _RED, _BOLD, _END = "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"
_COLOURS = {"better": _GREEN, "worse": _RED}


def render(table: Table, width: int, *, colour: bool) -> str:
    """The table in lines of ``width`` columns, as far as names allow: runs that have no room
    beside the others follow below."""
    parts: list[str] = []
    first = 0
    while first < len(table.runs) or not parts:
        last = _fitting(table, first, width)
        parts.append(_scores(table, first, last, colour=colour))
        first = last
    if table.baseline is not None:
        parts += _differences(table, colour=colour)
    lacking = [
        (title, task.id, task.state.value, reason) for title, task, reason in table.lacking()
    ]
    if lacking:
        parts.append("missing:\n" + _columns(("  " + a, *rest) for a, *rest in lacking))
    notices = [f"  {title}: {text}" for title, text in table.notices()]
    if notices:
        parts.append("to know:\n" + "\n".join(notices))
    for title, costs in table.costs():
        rows = [
            (
                f"  {cost.job}",
                f"attempt {cost.number}",
                cost.spent.native,
                words.duration(cost.spent.seconds),
                f"{words.hours(cost.gpu_hours)} GPU h",
                cost.spent.how,
            )
            for cost in costs
        ]
        parts.append(f"cost of {title}: {words.total(costs)} GPU hours\n{_columns(rows)}")
    return "\n\n".join(parts)


def _fitting(table: Table, first: int, width: int) -> int:
    """How many runs have room beside the names, from ``first`` on: one at least."""
    used = max([words.width(name_of(row.key)) for row in table.rows] or [5]) + 9
    last = first
    while last < len(table.runs):
        cells = [words.width(_cell(row.cells[last])) for row in table.rows]
        used += 2 + max([words.width(table.titles[last]), *cells])
        if used > width and last > first:
            break
        last += 1
    return last


def _scores(table: Table, first: int, last: int, *, colour: bool) -> str:
    head = ["SCORE", "SAMPLES", *table.titles[first:last]]
    rows = [head]
    for row in table.rows:
        count = row.samples
        rows.append([name_of(row.key), count, *map(_cell, row.cells[first:last])])

    def style(row: int, column: int, text: str) -> str:
        if row == 0:
            return f"{_BOLD}{text}{_END}"
        best = column > 1 and table.rows[row - 1].cells[first + column - 2].best
        return f"{_GREEN}{text}{_END}" if best else text

    return _columns(rows, style if colour else None)


def _cell(cell: Cell) -> str:
    return words.score(cell.score) + (" *" if cell.best else "")


def _differences(table: Table, *, colour: bool) -> list[str]:
    """What differs from the baseline, a part for each run."""
    assert table.baseline is not None
    parts = []
    for index, title in enumerate(table.titles):
        if index == table.baseline:
            continue
        lines = []
        for row in table.rows:
            compared = row.cells[index].compared
            if compared is not None and compared.change is not None:
                text = words.difference(compared)
                tint = _COLOURS.get(compared.verdict) if colour else None
                shown = f"{tint}{text}{_END}" if tint else text
                lines.append((f"  {name_of(row.key)}", shown))
        if lines:
            against = table.titles[table.baseline]
            parts.append(f"{title} against {against} (95 % interval):\n{_columns(lines)}")
    return parts


def _columns(
    rows: Iterable[Sequence[str]], style: Callable[[int, int, str], str] | None = None
) -> str:
    """Rows of cells as lines; ``style`` colours a cell, with the spaces behind it."""
    found = [list(row) for row in rows]
    widths = [max(map(words.width, column)) for column in zip(*found, strict=True)]
    lines = []
    for at, row in enumerate(found):
        cells = [
            cell + " " * (width - words.width(cell))
            for cell, width in zip(row, widths, strict=True)
        ]
        cells[-1] = row[-1]
        if style:
            cells = [style(at, column, cell) for column, cell in enumerate(cells)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
