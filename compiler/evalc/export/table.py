"""Runs beside each other: what every kind of report shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.errors import UsageError, did_you_mean
from evalc.export.comparing import compare, is_wanted
from evalc.export.model import TaskResult, TaskState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalc.backends.running import Spent
    from evalc.export.comparing import Compared
    from evalc.export.model import Key, RunResult, Score

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Cell:
    """A score of a run, None where it has none. ``compared`` is the difference to the baseline."""

    score: Score | None
    best: bool = False
    compared: Compared | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A score of all runs, a cell each."""

    key: Key
    cells: tuple[Cell, ...]

    @property
    def samples(self) -> str:
        """How many samples the scores have, for people: ``30``, from fewest to most ``20-30``, with
        ``?`` behind it where one does not tell; empty where none does."""
        counts = [cell.score.count for cell in self.cells if cell.score]
        known = sorted({count for count in counts if count is not None})
        ends = [str(count) for count in (known[:1] + known[1:][-1:])]
        return "-".join(ends) + ("?" if known and None in counts else "")


@dataclass(frozen=True, slots=True)
class Cost:
    """An attempt and what it took. ``gpu_hours`` is None where the folder does not tell."""

    job: str
    number: int
    spent: Spent
    gpu_hours: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A report's content. ``titles`` are the runs' names, all different; ``baseline`` is the index
    of the run that the others are compared with."""

    runs: tuple[RunResult, ...]
    titles: tuple[str, ...]
    rows: tuple[Row, ...]
    baseline: int | None

    def lacking(self) -> Iterator[tuple[str, TaskResult, str]]:
        """Tasks without results that count, with the run's title and why."""
        for title, run in zip(self.titles, self.runs, strict=True):
            for task in run.tasks:
                if not task.counts:
                    yield title, task, task.reason
        known = dict.fromkeys(row.key.task for row in self.rows)
        for title, run in zip(self.titles, self.runs, strict=True):
            there = {task.id for task in run.tasks}
            for task_id in known:
                if task_id not in there:
                    yield title, _absent(task_id, run), "the run has no such task"

    def notices(self) -> Iterator[tuple[str, str]]:
        """What else there is to say, with the run's title."""
        for title, run in zip(self.titles, self.runs, strict=True):
            for text in run.notices:
                yield title, text
            for task in run.tasks:
                # Why there are no results is said where the task lacks.
                for text in task.notices:
                    if text != task.reason:
                        yield title, f"{task.id}: {text}"
        notes = {
            (title, cell.compared.note): None
            for row in self.rows
            for title, cell in zip(self.titles, row.cells, strict=True)
            if cell.compared and cell.compared.first and cell.compared.second
            if cell.compared.note
        }
        yield from notes

    def costs(self) -> Iterator[tuple[str, list[Cost]]]:
        """The attempts of each run that tells of any, with its title."""
        for title, run in zip(self.titles, self.runs, strict=True):
            found = [cost for job in run.spent for cost in _costs(run, job)]
            if found:
                yield title, found


def tabulate(
    runs: Sequence[RunResult], baseline: str | None = None, wanted: Sequence[str] = ()
) -> Table:
    """Runs as a table; ``baseline`` names one of them by its id, title or model.

    Raises :class:`~evalc.errors.UsageError` when it names none, or several.
    """
    titles = _titles(runs)
    at = None if baseline is None else _baseline(runs, titles, baseline)
    scores = [run.scores() for run in runs]
    keys = [key for key in dict.fromkeys(k for s in scores for k in s) if is_wanted(key, wanted)]
    against: list[dict[Key, Compared]] = [{} for _ in runs]
    if at is not None:
        for index, run in enumerate(runs):
            if index != at:
                against[index] = {one.key: one for one in compare(runs[at], run, wanted)}
    rows = []
    for key in keys:
        found = [s.get(key) for s in scores]
        best = _best(found)
        cells = (
            Cell(score, index in best, against[index].get(key)) for index, score in enumerate(found)
        )
        rows.append(Row(key, tuple(cells)))
    return Table(tuple(runs), titles, tuple(rows), at)


def _titles(runs: Sequence[RunResult]) -> tuple[str, ...]:
    """The model of each run, or its cell of a matrix, with the run's id where several have the
    same."""
    models = [run.cell or run.model or run.name for run in runs]
    counts = Counter(models)
    titles = [
        model if counts[model] == 1 else f"{model} ({run.id})"
        for model, run in zip(models, runs, strict=True)
    ]
    again = Counter(titles)
    return tuple(
        title if again[title] == 1 else f"{title} #{number}"
        for number, title in enumerate(titles, start=1)
    )


def _baseline(runs: Sequence[RunResult], titles: Sequence[str], name: str) -> int:
    names = [
        {title, run.id, run.model, run.name, str(run.folder)}
        for title, run in zip(titles, runs, strict=True)
    ]
    found = [at for at, known in enumerate(names) if name in known]
    found = found or [at for at, run in enumerate(runs) if name and run.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"the baseline '{name}' is one of several runs",
            f"name one of {', '.join(runs[at].id for at in found)}",
        )
    known = sorted({one for each in names for one in each if one})
    raise UsageError(
        f"the baseline '{name}' is none of the runs",
        did_you_mean(name, known) or f"name one of {', '.join(titles)}",
    )


def _best(scores: Sequence[Score | None]) -> set[int]:
    """Which of several is best; none when there is nothing to be better than."""
    there = {at: one for at, one in enumerate(scores) if one is not None and one.is_number}
    if len(there) < 2:
        return set()
    told = [one for one in there.values() if one.higher is not None] or list(there.values())
    values = [one.value for one in there.values()]
    if min(values) == max(values):
        return set()
    best = max(values) if told[0].higher_is_better else min(values)
    return {at for at, one in there.items() if one.value == best}


def _absent(task_id: str, run: RunResult) -> TaskResult:
    return TaskResult(task_id, task_id, "", run.folder / task_id, TaskState.NOT_STARTED)


def _costs(run: RunResult, job: str) -> Iterator[Cost]:
    planned = run.gpus.get(job)
    for number, spent in enumerate(run.spent[job], start=1):
        seconds = spent.seconds
        gpus = spent.gpus if planned is None else planned
        hours = None if gpus is None or seconds is None else gpus * seconds / _HOUR
        yield Cost(job, number, spent, 0.0 if gpus == 0 else hours)
