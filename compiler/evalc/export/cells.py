"""The cells of a matrix in a run's results, each as a run of its own: models beside each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalc.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from evalc.export.model import RunResult


def by_cell(run: RunResult) -> list[RunResult]:
    """A run for each cell, whose tasks are called as in the config; the run itself without a
    matrix."""
    cells = dict.fromkeys(task.cell for task in run.tasks)
    if not any(cells):
        return [run]
    found: list[RunResult] = []
    for cell in cells:
        mine = [job for job, of in run.cells.items() if of == cell]
        found.append(
            replace(
                run,
                id=f"{run.id}:{cell}",
                cell=cell,
                tasks=tuple(
                    replace(task, id=task.id.removeprefix(f"{cell}."))
                    for task in run.tasks
                    if task.cell == cell
                ),
                spent={job: run.spent[job] for job in mine if job in run.spent},
                # What is to be said of the whole is said once.
                notices=() if found else run.notices,
            )
        )
    return found


def only(run: RunResult, cell: str) -> RunResult:
    """The cell of that name, as a run. Raises :class:`~evalc.errors.UsageError`."""
    cells = {one.cell: one for one in by_cell(run) if one.cell}
    if cell not in cells:
        hint = did_you_mean(cell, cells) or f"it has: {', '.join(cells) or 'no matrix'}"
        raise UsageError(f"the run {run.id} has no cell '{cell}'", hint)
    return cells[cell]
