"""What an exporter is. A third party's package provides one through the entry point group
``evalc.exporters``: the name of the entry is what ``evalc export --dest`` and the block under
``export`` in a config say, and it loads a class (or any callable without arguments) that gives an
object with the attributes of :class:`Exporter`. Ours use nothing that is not in here and in
:mod:`evalc.export.model`.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evalc.errors import EvalcError
from evalc.export.comparing import is_wanted, name_of
from evalc.export.reading import lm_eval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evalc.export.model import Key, RunResult, Score, TaskResult

# Files of a task's artifacts that are exported when only the required ones are wanted, beside
# lm-eval's own results.
REQUIRED = ("results.yml", "eval_factory_metrics.json", "omni-info.json")
# Caches of responses are nobody's results, and larger than all the rest.
_NEVER = frozenset(("cache", "response_stats_cache"))


class Status(enum.Enum):
    """What became of a task at a destination; its value is what people see."""

    EXPORTED = "exported"
    UPDATED = "updated"
    # The same is there already.
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task, or of a whole run when ``task`` is empty; ``text`` says where it is,
    or why it failed."""

    run: str
    task: str
    status: Status
    text: str = ""


class BadSettings(EvalcError):
    """A setting of an exporter is missing, unknown or wrong."""

    exit_code = 2

    def __init__(self, destination: str, what: str, hint: str = "") -> None:
        self.destination = destination
        self.what = what
        self.hint = hint
        super().__init__(f"export.{destination}: {what}")


class MissingClient(EvalcError):
    """The library that speaks to a destination is not installed."""

    exit_code = 2

    def __init__(self, destination: str, library: str, extra: str) -> None:
        self.destination = destination
        self.library = library
        self.hint = f"pip install 'evalc[{extra}]'"
        super().__init__(f"exporting to {destination} needs the Python package '{library}'")


class DestinationDown(EvalcError):
    """A destination does not answer, or refuses everything: nothing more is tried there."""

    exit_code = 4

    def __init__(self, destination: str, why: str) -> None:
        self.destination = destination
        self.why = why
        super().__init__(f"{destination}: {why}")


class Exporter(Protocol):
    """Sends results to one kind of destination. Stateless.

    ``keys`` are its settings by name, each with a value of the kind that it takes: its default, or
    an empty one where there is none.
    """

    name: str
    description: str
    keys: Mapping[str, Any]

    def export(self, runs: Sequence[RunResult], settings: Mapping[str, Any]) -> Iterator[Outcome]:
        """Sends the finished tasks of runs, saying of each what became of it as it goes.

        ``settings`` has a value for every key; what is None was not given. Sending the same again
        must add nothing there. Raises :class:`BadSettings`, :class:`MissingClient`, and
        :class:`DestinationDown`, after which the rest counts as failed.
        """


# What every one of ours takes, with the peer's names.
COMMON: Mapping[str, Any] = {
    "copy_logs": False,
    "copy_artifacts": True,
    "only_required": True,
    "log_metrics": [],
    "job_dirs": [],
}


def finished(
    runs: Sequence[RunResult], settings: Mapping[str, Any]
) -> Iterator[tuple[RunResult, TaskResult, list[tuple[Key, Score]]]]:
    """The tasks that have results, with those of their scores that are wanted."""
    for run in runs:
        for task in run.tasks:
            scores = [(k, s) for k, s in task.keyed() if is_wanted(k, settings["log_metrics"])]
            if task.counts and scores:
                yield run, task, scores


def metric_names(scores: Iterable[tuple[Key, Score]]) -> dict[str, Score]:
    """Scores by what they are called where names have no parts: ``part/metric/score`` without what
    is said twice; all different."""
    named: dict[str, Score] = {}
    for key, score in scores:
        name = name_of(key)
        if name in named:
            # Short names may meet, as a group's and a task's; whole ones don't.
            kind = "group" if key.group else "task"
            name = f"{kind}/{key.task}/{key.part}/{key.metric}/{key.score}"
        named[name] = score
    return named


def numbers(named: Mapping[str, Score]) -> dict[str, float]:
    """The numbers of scores, each by its name: the value, and what is known of ``…_stderr`` and
    ``…_samples``."""
    found: dict[str, float] = {}
    for name, score in named.items():
        found[name] = score.value
        if score.stderr is not None:
            found[f"{name}_stderr"] = score.stderr
        if score.count is not None:
            found[f"{name}_samples"] = score.count
    return found


def digest_of(task: TaskResult, scores: Iterable[tuple[Key, Score]], settings: object) -> str:
    """What tells whether the same was exported before, with the same settings."""
    content = [
        [list(key), repr(score.value), repr(score.stderr), score.count] for key, score in scores
    ]
    about = [task.model, dict(task.parameters), task.image, task.ended, settings]
    text = json.dumps([content, about], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def files_of(task: TaskResult, settings: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The files of a task that are to be exported, each with its path there."""
    if settings["copy_artifacts"]:
        artifacts = task.folder / "artifacts"
        base = artifacts if artifacts.is_dir() else task.folder
        if settings["only_required"]:
            for name in REQUIRED:
                if (base / name).is_file():
                    yield base / name, f"artifacts/{name}"
            if own := lm_eval.files(base)[0]:
                yield own, f"artifacts/{own.relative_to(base).as_posix()}"
        else:
            yield from _below(base, "artifacts")
    if settings["copy_logs"]:
        yield from _below(task.folder / "logs", "logs")


def _below(folder: Path, name: str) -> Iterator[tuple[Path, str]]:
    for here, below, files in os.walk(folder):
        below[:] = sorted(one for one in below if one not in _NEVER)
        for file in sorted(files):
            path = Path(here, file)
            if path.is_file() and not path.is_symlink():
                yield path, f"{name}/{path.relative_to(folder).as_posix()}"


def one_line(error: BaseException, length: int = 300) -> str:
    """What a library says of a failure, in one line, short enough to be read."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= length else f"{text[:length]}…"
