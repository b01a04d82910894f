"""Results as rows of a table: one a score, the same columns wherever rows go."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.export.model import Key, RunResult, Score, TaskResult

# Each with the kind of its values; any may be None.
COLUMNS: dict[str, type] = {
    "run": str,
    "task": str,
    "part": str,
    "group": bool,
    "metric": str,
    "score": str,
    "value": float,
    "stderr": float,
    "samples": int,
    "higher_is_better": bool,
    "model": str,
    "parameters": str,
    "harness": str,
    "image": str,
    "image_digest": str,
    "bundle_digest": str,
    "run_name": str,
    "backend": str,
    "began": str,
    "ended": str,
}
# What tells rows apart: there is one of each at a destination.
KEY = ("run", "task", "part", "group", "metric", "score")

Row = dict[str, Any]


def rows_of(run: RunResult, task: TaskResult, scores: Sequence[tuple[Key, Score]]) -> list[Row]:
    """The rows of a task, sorted by their keys."""
    about = {
        "model": task.model or None,
        "parameters": json.dumps(dict(task.parameters), ensure_ascii=False, default=str),
        "harness": task.harness or None,
        "image": task.image or None,
        "image_digest": task.image_digest or None,
        "bundle_digest": run.bundle_digest or None,
        "run_name": run.name,
        "backend": run.backend or None,
        "began": _time(task.began),
        "ended": _time(task.ended),
    }
    found = [
        {
            "run": run.id,
            **key._asdict(),
            "value": score.value,
            "stderr": score.stderr,
            "samples": score.count,
            "higher_is_better": score.higher,
            **about,
        }
        for key, score in scores
    ]
    return sorted(found, key=sort_key)


def sort_key(row: Row) -> tuple[str, ...]:
    """By which rows are sorted, also those that were read from text."""
    return tuple(as_text(row.get(name)) for name in KEY)


def as_text(value: Any) -> str:
    """A cell where cells are text: numbers as Python writes them, so that none loses a digit."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def as_json(row: Row) -> Row:
    """A row as JSON has it: NaN and the infinite ones are the texts ``nan``, ``inf``, ``-inf``."""
    return {
        name: repr(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
