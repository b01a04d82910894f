"""Results for programs.

What the objects hold is said in ``docs/reference.md``. What is no number in JSON (NaN) is null.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalc.export.comparing import Compared, Gated
    from evalc.export.model import Key, RunResult, Score, TaskResult
    from evalc.export.table import Cost, Table


def table_object(table: Table) -> dict[str, Any]:
    """A whole report."""
    return {
        "schema_version": 1,
        "baseline": None if table.baseline is None else table.runs[table.baseline].id,
        "runs": [
            {"title": title, **run_object(run)}
            for title, run in zip(table.titles, table.runs, strict=True)
        ],
        "scores": [
            {
                **key_object(row.key),
                "runs": [
                    {
                        "run": run.id,
                        **score_object(cell.score),
                        "best": cell.best,
                        "difference": cell.compared and compared_object(cell.compared),
                    }
                    for run, cell in zip(table.runs, row.cells, strict=True)
                    if cell.score is not None
                ],
            }
            for row in table.rows
        ],
        "missing": [
            {"run": title, "task": task.id, "state": task.state.value, "reason": reason}
            for title, task, reason in table.lacking()
        ],
        "notices": [{"run": title, "text": text} for title, text in table.notices()],
        "costs": [
            {"run": title, "attempts": [_cost_object(cost) for cost in costs]}
            for title, costs in table.costs()
        ],
    }


def run_object(run: RunResult) -> dict[str, Any]:
    """A run, with its tasks and without their scores."""
    return {
        "run": run.id,
        "name": run.name,
        "model": run.model,
        "folder": str(run.folder),
        "backend": run.backend,
        "compiler": run.compiler,
        "bundle_digest": run.bundle_digest,
        "tasks": [_task_object(task) for task in run.tasks],
    }


def _task_object(task: TaskResult) -> dict[str, Any]:
    return {
        "task": task.id,
        "harness": task.harness,
        "harness_task": task.task,
        "state": task.state.value,
        "reason": task.reason,
        "model": task.model,
        "parameters": dict(task.parameters),
        "image": task.image,
        "image_digest": task.image_digest,
        "began": task.began,
        "ended": task.ended,
        "notices": list(task.notices),
    }


def key_object(key: Key) -> dict[str, Any]:
    """What a score is called."""
    return {
        "task": key.task,
        "part": key.part,
        "group": key.group,
        "metric": key.metric,
        "score": key.score,
    }


def score_object(score: Score | None) -> dict[str, Any]:
    """A score's numbers, null where there are none."""
    if score is None:
        return {"value": None, "stderr": None, "samples": None, "higher_is_better": None}
    return {
        "value": finite(score.value),
        "stderr": score.stderr,
        "samples": score.count,
        "higher_is_better": score.higher,
    }


def compared_object(one: Compared) -> dict[str, Any]:
    """A difference: ``change`` is the second score minus the first."""
    found = one.difference
    return {
        "change": one.change,
        "verdict": one.verdict,
        "p": found and found.p,
        "interval_95": found and list(found.interval()),
        "test": found and found.method.value,
        "note": one.note,
    }


def gated_object(one: Gated) -> dict[str, Any]:
    """A score at a gate: ``p`` is corrected for the number of scores."""
    return {
        **key_object(one.compared.key),
        "first": score_object(one.compared.first),
        "second": score_object(one.compared.second),
        "held": one.held.value.lower(),
        "gate_p": one.p,
        **compared_object(one.compared),
    }


def _cost_object(cost: Cost) -> dict[str, Any]:
    return {
        "job": cost.job,
        "attempt": cost.number,
        "native_id": cost.spent.native,
        "began": cost.spent.began,
        "seconds": cost.spent.seconds,
        "gpu_hours": cost.gpu_hours,
        "end": cost.spent.how,
    }


def finite(number: float) -> float | None:
    """The number, or None where JSON has none for it."""
    return number if math.isfinite(number) else None
