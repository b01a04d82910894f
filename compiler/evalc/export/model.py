"""Results as data. Times are seconds since 1970."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from evalc.backends.running import Spent

# The last words of metrics of which less is better, as lm-eval's registry has them.
_LOWER = frozenset(("perplexity", "byte", "ter", "brier", "wer", "cer", "loss"))
_WORDS = re.compile(r"[a-z]+")


class Key(NamedTuple):
    """What a score is called within a run; the same in two runs means the same thing measured.

    ``task`` is evalc's (the folder's name). ``part`` is what the harness calls the task, or the
    group, whose path has ``/`` between its levels; ``group`` tells which of the two.
    """

    task: str
    part: str
    group: bool
    metric: str
    score: str


@dataclass(frozen=True, slots=True)
class Score:
    """One number that a harness gave.

    ``value`` may be NaN or infinite: the harness said so. ``stderr`` is the standard error of the
    value, ``count`` how many samples are behind it, each None where nobody told. ``higher`` tells
    whether more is better, None where nobody told. ``sampled`` are the metric and the filter that
    lm-eval's files with samples know it by, None where lm-eval has no such score.
    """

    part: str
    metric: str
    score: str
    value: float
    group: bool = False
    stderr: float | None = None
    count: int | None = None
    higher: bool | None = None
    sampled: tuple[str, str] | None = None

    @property
    def is_number(self) -> bool:
        """Whether it can be compared."""
        return math.isfinite(self.value)

    @property
    def higher_is_better(self) -> bool:
        """What was told, else what the metric's name says; more is better of most."""
        if self.higher is not None:
            return self.higher
        words = _WORDS.findall(self.metric.lower())
        return not words or words[-1] not in _LOWER


class TaskState(enum.Enum):
    """What has become of a task, as its folder tells."""

    FINISHED = "finished"
    FAILED = "failed"
    # It has begun and not ended: it runs, or was killed.
    UNFINISHED = "unfinished"
    NOT_STARTED = "not started"
    # It ended well, and left nothing that could be read.
    NO_RESULTS = "no results"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task of a run and what it left.

    ``id`` is its folder's name, ``task`` and ``harness`` are the config's words. ``parameters`` are
    those that the harness was given (``config.params`` of its ``run_config.yml``), ``image`` is the
    container's, ``image_digest`` its ``sha256:…`` where the name has one or the engine told it.
    ``reason`` says why it is not finished. ``notices`` are what could not be read or is not as it
    should be, a line each.
    ``samples`` are files with a line for each question, by what the harness calls the task.
    ``cell`` is that of the run's matrix, which begins the id; empty without one.
    """

    id: str
    task: str
    harness: str
    folder: Path
    state: TaskState
    reason: str = ""
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    image: str = ""
    image_digest: str = ""
    began: float | None = None
    ended: float | None = None
    scores: tuple[Score, ...] = ()
    samples: Mapping[str, Path] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    cell: str = ""

    @property
    def counts(self) -> bool:
        """Whether its scores are those of a whole evaluation."""
        return self.state is TaskState.FINISHED

    def keyed(self) -> Iterator[tuple[Key, Score]]:
        """Its scores by their keys."""
        for one in self.scores:
            yield Key(self.id, one.part, one.group, one.metric, one.score), one


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run and its tasks.

    ``id`` is the invocation's, or one made from the bundle and the folder where nobody submitted
    it. ``bundle_digest`` is the SHA-256 of its ``manifest.json``, empty where there is none.
    ``spent`` are the attempts that its folder tells of, by job; ``gpus`` how many GPUs each job
    holds, where the plan says that. ``notices`` are about the run as a whole. ``cells`` has the
    cell of each job, where there is a matrix; ``cell`` is set where this is one cell of a run.
    """

    id: str
    name: str
    folder: Path
    backend: str = ""
    compiler: str = ""
    bundle_digest: str = ""
    tasks: tuple[TaskResult, ...] = ()
    spent: Mapping[str, tuple[Spent, ...]] = field(default_factory=dict)
    gpus: Mapping[str, int | None] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    cells: Mapping[str, str] = field(default_factory=dict)
    cell: str = ""

    @property
    def model(self) -> str:
        """The models that were evaluated, most often one."""
        return ", ".join(dict.fromkeys(task.model for task in self.tasks if task.model))

    def scores(self) -> dict[Key, Score]:
        """The scores of finished tasks, by their keys."""
        return {key: one for task in self.tasks if task.counts for key, one in task.keyed()}
