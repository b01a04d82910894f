"""Jobs as a table that fits a terminal, however narrow and low that is."""

from __future__ import annotations

import textwrap
import time
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

from evalc.cli.report import runs as shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.backends.running import Sight
    from evalc.runner.database import Invocation, JobRow

_GAP = 2
# What goes first where the width does not suffice for all; the others never go.
_DISPENSABLE = tuple(map(shown.HEADINGS.index, ("NODE", "ATTEMPT", "ELAPSED", "SAMPLES", "REASON")))
_JOB, _STATE, _REASON = map(shown.HEADINGS.index, ("JOB", "STATE", "REASON"))
# To how many characters these may shrink before another column goes.
_LEAST = {_JOB: 12, _REASON: 20}
# The headings, a summary of two lines, and the line that the cursor is in.
_AROUND = 4
# A reason may have so many lines, where there is room.
_MOST_LINES = 3


def table(lines: Sequence[tuple[Invocation, JobRow, Sight]], width: int, height: int) -> Group:
    """Jobs, and how many there are in which state, in so many columns and lines of a terminal.

    Of more jobs than there is room for, those that are over are counted only.
    """
    summary = shown.summary(sight.state for _, _, sight in lines)
    room = max(3, height - _AROUND)
    if len(lines) > room:
        chosen = [line for line in lines if not line[2].state.is_end][:room]
        summary += f"; {len(lines) - len(chosen)} not shown"
        lines = chosen
    now = time.time()
    rows = [shown.row(*line, now) for line in lines]
    fitting = fit([shown.HEADINGS, *rows], width)
    made = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    for number, its in fitting.items():
        made.add_column(shown.HEADINGS[number], no_wrap=True, min_width=its, max_width=its)
    most = min(_MOST_LINES, room // max(1, len(lines)))
    for (_, _, sight), row in zip(lines, rows, strict=True):
        cells = {number: Text(row[number]) for number in fitting}
        cells[_JOB] = Text(_end_of(row[_JOB], fitting[_JOB]))
        cells[_STATE].stylize(shown.STYLES.get(sight.state, shown.FAILED_STYLE))
        if _REASON in fitting:
            words = textwrap.wrap(row[_REASON], fitting[_REASON], max_lines=most, placeholder="…")
            cells[_REASON] = Text("\n".join(words))
        made.add_row(*cells.values())
    return Group(made, Text(summary, style="dim"))


def fit(rows: Sequence[Sequence[str]], width: int) -> dict[int, int]:
    """Which columns of rows, the headings first, are shown, and how wide.

    Those that say nothing go first. ID, JOB and STATE always stay; with less than they need, JOB is
    what there is room for.
    """
    natural = {
        number: max(map(cell_len, column))
        for number, column in enumerate(zip(*rows, strict=True))
        if number not in _DISPENSABLE or any(column[1:])
    }
    least = {number: min(its, _LEAST.get(number, its)) for number, its in natural.items()}
    for number in _DISPENSABLE:
        if _whole(least) <= width:
            break
        least.pop(number, None)
    for number in (_JOB, _REASON):
        if number in least:
            left = width - _whole(least)
            least[number] = max(1, min(natural[number], least[number] + left))
    return least


def _whole(widths: dict[int, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _end_of(name: str, width: int) -> str:
    """A name, cut at its beginning: what tells tasks apart comes last."""
    if cell_len(name) <= width:
        return name
    while name and cell_len(name) > width - 1:
        name = name[1:]
    return f"…{name}"
