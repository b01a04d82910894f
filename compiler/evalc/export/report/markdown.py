"""A table of runs as GitHub's Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalc.export.comparing import name_of
from evalc.export.report import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalc.export.table import Cell, Table

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#+!|~&-]")


def render(table: Table) -> str:
    """The table; the best of a row is bold."""
    parts = ["# Evaluation results", _grid(*_scores(table))]
    if table.baseline is not None:
        parts += _differences(table)
    lacking = [
        (_plain(title), _plain(task.id), task.state.value, _plain(reason))
        for title, task, reason in table.lacking()
    ]
    if lacking:
        parts += ["## Missing", _grid(("Run", "Task", "State", "Why"), lacking)]
    notices = [f"- {_plain(title)}: {_plain(text)}" for title, text in table.notices()]
    if notices:
        parts += ["## To know", "\n".join(notices)]
    parts += _costs(table)
    rows = [
        (_plain(title), f"`{run.id}`", _plain(run.name), f"`{run.bundle_digest[:12]}`")
        for title, run in zip(table.titles, table.runs, strict=True)
    ]
    parts += ["## Runs", _grid(("Run", "Id", "Name", "Bundle"), rows)]
    return "\n\n".join(parts)


def _scores(table: Table) -> tuple[list[str], list[list[str]]]:
    head = ["Score", "Samples", *map(_plain, table.titles)]
    rows = [
        [
            _plain(name_of(row.key)),
            row.samples,
            *map(_cell, row.cells),
        ]
        for row in table.rows
    ]
    return head, rows


def _cell(cell: Cell) -> str:
    text = _plain(words.score(cell.score))
    return f"**{text}**" if cell.best else text


def _differences(table: Table) -> Iterator[str]:
    assert table.baseline is not None
    for index, title in enumerate(table.titles):
        rows = [
            (_plain(name_of(row.key)), _plain(words.difference(cell.compared)))
            for row in table.rows
            if (cell := row.cells[index]).compared and cell.compared.change is not None
        ]
        if rows:
            yield f"## {_plain(title)} against {_plain(table.titles[table.baseline])}"
            yield _grid(("Score", "Difference, 95 % interval, test"), rows)


def _costs(table: Table) -> Iterator[str]:
    rows = []
    for title, costs in table.costs():
        rows += [
            (
                _plain(title),
                _plain(cost.job),
                str(cost.number),
                words.duration(cost.spent.seconds),
                words.hours(cost.gpu_hours),
                _plain(cost.spent.how),
            )
            for cost in costs
        ]
        rows.append((_plain(title), "all", "", "", f"**{words.total(costs)}**", ""))
    if rows:
        yield "## Cost"
        yield _grid(("Run", "Job", "Attempt", "Time", "GPU hours", "End"), rows)


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing but text."""
    return _SPECIAL.sub(lambda found: "\\" + found[0], text)
