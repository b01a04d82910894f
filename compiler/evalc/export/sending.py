"""Runs to destinations: each by itself, so that what fails at one is not lost at the others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalc.errors import EvalcError
from evalc.export.destinations import registry, settings
from evalc.export.destinations.base import Outcome, Status, one_line
from evalc.export.reading import read_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from evalc.export.destinations.base import Exporter
    from evalc.export.model import RunResult


@dataclass(frozen=True, slots=True)
class Failure:
    """A destination that could not be used; ``undone`` are tasks that did not get there."""

    destination: str
    error: EvalcError
    undone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs that go to a destination with the same settings."""

    exporter: Exporter
    settings: Mapping[str, Any]
    runs: tuple[RunResult, ...]

    @property
    def needs(self) -> tuple[bool, bool]:
        """Whether logs, and whether all artifacts, have to be here."""
        whole = self.settings.get("copy_artifacts") and not self.settings.get("only_required")
        return bool(self.settings.get("copy_logs")), bool(whole)


class Crashed(EvalcError):
    """An exporter failed in a way that it should not: a fault of its own, or of its library."""

    exit_code = 3


def batches(
    name: str,
    runs: Sequence[RunResult],
    file: Path | None,
    overrides: Sequence[tuple[str, str, Any]],
) -> list[Batch]:
    """The runs by what their configs, a file and the command line say of a destination, of which
    the later win. Raises as the settings do."""
    exporter = registry.get(name)
    above: list[dict[str, Any]] = [] if file is None else [settings.block_of_file(file, name)]
    for destination, key, value in overrides:
        if destination == name:
            above.append({key: value})
    found: list[tuple[dict[str, Any], list[RunResult]]] = []
    for run in runs:
        own = settings.block_of(settings.config_of_run(run.folder, name), name)
        complete = settings.complete(exporter, [own, *above])
        for known, others in found:
            if known == complete:
                others.append(run)
                break
        else:
            found.append((complete, [run]))
    made = []
    for complete, together in found:
        there = {run.folder.resolve() for run in together}
        more = [Path(one) for one in complete.get("job_dirs") or ()]
        together += [read_run(path) for path in more if path.resolve() not in there]
        made.append(Batch(exporter, complete, tuple(together)))
    return made


def send(batch: Batch, said: Callable[[Outcome], None]) -> Failure | None:
    """Sends a batch, saying what becomes of each task; why not all of it was tried, if so."""
    wanted = {(run.id, task.id): None for run in batch.runs for task in run.tasks if task.counts}
    try:
        outcomes = iter(batch.exporter.export(batch.runs, batch.settings))
    except Exception as caught:  # noqa: BLE001 - as below
        return _failure(batch, caught, wanted)
    while True:
        try:
            outcome = next(outcomes, None)
        except Exception as caught:  # noqa: BLE001 - a library's fault is its destination's alone
            return _failure(batch, caught, wanted)
        if outcome is None:
            break
        wanted.pop((outcome.run, outcome.task), None)
        said(outcome)
    for run, task in wanted:
        said(Outcome(run, task, Status.SKIPPED, "it has no score that is wanted"))
    return None


def _failure(batch: Batch, caught: Exception, undone: Iterable[tuple[str, str]]) -> Failure:
    name = batch.exporter.name
    if not isinstance(caught, EvalcError):
        caught = Crashed(f"{name}: {type(caught).__name__}: {one_line(caught)}")
    return Failure(name, caught, tuple(f"{run}.{task}" for run, task in undone))


def unfinished(runs: Sequence[RunResult]) -> Iterator[tuple[str, str]]:
    """Tasks that have nothing to export, with why."""
    for run in runs:
        for task in run.tasks:
            if not task.counts:
                reason = f": {task.reason}" if task.reason else ""
                yield f"{run.id}.{task.id}", f"{task.state.value}{reason}"
