"""Two runs, score by score."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalc.export import significance
from evalc.export.reading import samples
from evalc.export.reading.values import Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.export.model import Key, RunResult, Score
    from evalc.export.significance import Difference

# A difference that noise makes less often than this is called one.
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Compared:
    """A score of two runs, None where a run has none that is a number.

    ``difference`` is None where nothing tells how much of it is noise. ``note`` says what stood in
    the way of a better test, or why a score lacks.
    """

    key: Key
    first: Score | None
    second: Score | None
    difference: Difference | None = None
    note: str = ""

    @property
    def change(self) -> float | None:
        """The second minus the first."""
        if self.first is None or self.second is None:
            return None
        return self.second.value - self.first.value

    @property
    def higher_is_better(self) -> bool:
        """What one of the two was told, else what the metric's name says."""
        there = [one for one in (self.first, self.second) if one is not None]
        told = [one for one in there if one.higher is not None] or there
        return told[0].higher_is_better if told else True

    @property
    def gain(self) -> float | None:
        """By how much the second is better, negative where it is worse."""
        change = self.change
        return change if change is None or self.higher_is_better else -change

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``same`` (no difference that noise would not make), or
        ``unknown``."""
        if self.gain is None or self.difference is None:
            return "unknown"
        if self.difference.p >= SIGNIFICANT or self.gain == 0:
            return "same"
        return "better" if self.gain > 0 else "worse"


def compare(first: RunResult, second: RunResult, wanted: Sequence[str] = ()) -> list[Compared]:
    """All scores of either run, in the order of the first.

    ``wanted`` picks metrics, see :func:`is_wanted`.
    """
    one, other = first.scores(), second.scores()
    keys = [key for key in dict.fromkeys((*one, *other)) if is_wanted(key, wanted)]
    return [_compared(key, one.get(key), other.get(key), first, second) for key in keys]


def is_wanted(key: Key, wanted: Sequence[str]) -> bool:
    """Whether one of the words is in the score's name, which is ``task/part/metric/score``; without
    words, all are."""
    name = name_of(key).lower()
    return not wanted or any(word.lower() in name for word in wanted)


def name_of(key: Key) -> str:
    """A score's name for people, without what says the same twice."""
    # A task with its harness's name before it is the same.
    same = {key.task, key.task.rpartition(".")[2], ""}
    parts = [key.task, *([] if key.part in same else [key.part]), key.metric]
    if key.score not in {key.metric, "none", ""}:
        parts.append(key.score)
    return "/".join(parts)


def _compared(
    key: Key, one: Score | None, other: Score | None, first: RunResult, second: RunResult
) -> Compared:
    for score, run in ((one, first), (other, second)):
        if score is None:
            return Compared(key, one, other, note=_lacks(run, key))
    assert one is not None
    assert other is not None
    if not one.is_number or not other.is_number:
        which = first if not one.is_number else second
        kept = (one if one.is_number else None, other if other.is_number else None)
        return Compared(key, *kept, note=f"of {which.id} it is no number")
    paired, why = _paired(key, (one, other), (first, second))
    if paired is not None:
        return Compared(key, one, other, paired)
    return Compared(key, one, other, _unpaired(one, other), why)


def _lacks(run: RunResult, key: Key) -> str:
    """Why a run has no such score."""
    for task in run.tasks:
        if task.id == key.task and not task.counts:
            return f"{run.id}: {task.state.value}" + (f", {task.reason}" if task.reason else "")
    return f"{run.id} has no such score"


def _paired(
    key: Key, scores: tuple[Score, Score], runs: tuple[RunResult, RunResult]
) -> tuple[Difference | None, str]:
    """The difference over the same questions, or why there is none."""
    files = []
    for run, score in zip(runs, scores, strict=True):
        task = next(task for task in run.tasks if task.id == key.task)
        path = task.samples.get(key.part)
        if key.group or path is None or score.sampled is None:
            return None, ""
        files.append((path, score.sampled))
    found = []
    for (path, words), run, score in zip(files, runs, scores, strict=True):
        try:
            read = samples.read(path, *words)
        except Unreadable as error:
            return None, f"not paired: {path.name} of {run.id} {error}"
        # What is no mean of its answers, such as BLEU, can't be tested by them.
        if not math.isclose(read.mean, score.value, rel_tol=1e-6, abs_tol=1e-6):
            return None, f"not paired: the score of {run.id} is not the mean of its answers"
        found.append(read)
    pairs = samples.pairs(*found)
    if pairs is None:
        return None, "not paired: they were asked different questions"
    return significance.of_pairs(pairs), ""


def _unpaired(one: Score, other: Score) -> Difference | None:
    right = [significance.right_of(s.value, s.stderr, s.count) for s in (one, other)]
    if right[0] is not None and right[1] is not None and one.count and other.count:
        return significance.of_shares((right[0], right[1]), (one.count, other.count))
    if one.stderr is not None and other.stderr is not None:
        return significance.of_values((one.value, other.value), (one.stderr, other.stderr))
    return None


class Held(enum.Enum):
    """What a gate found of a score; its value is what people see."""

    HELD = "held"
    FELL = "FELL"
    MISSING = "MISSING"
    # It was not there before, so nothing can have fallen.
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Gated:
    """A score at the gate. ``p`` is Holm's, of not having fallen by more than allowed; None where
    no noise is known, and the values were taken as they are."""

    compared: Compared
    held: Held
    p: float | None = None


def gate(compared: Sequence[Compared], max_drop: float, confidence: float) -> list[Gated]:
    """Which scores have really fallen from the first run to the second.

    One has when its true value has got worse by more than ``max_drop``, in its own unit, with this
    confidence, which is that of all scores together: where nothing got worse by more, the chance
    that any is said to have is at most ``1 - confidence`` (Holm's correction). Where no noise is
    known, one has when the values say so.
    """
    limit = -max_drop
    ps = {
        at: _p_of_falling(one.difference, one, max_drop)
        for at, one in enumerate(compared)
        if one.gain is not None and one.difference is not None
    }
    adjusted = dict(zip(ps, significance.holm(list(ps.values())), strict=True))
    found = []
    for at, one in enumerate(compared):
        if one.first is None:
            found.append(Gated(one, Held.NEW))
        elif one.gain is None:
            found.append(Gated(one, Held.MISSING))
        else:
            p = adjusted.get(at)
            # Beyond what adding and taking away of decimal fractions leaves.
            fell = one.gain < limit - 1e-12 if p is None else p <= 1 - confidence
            found.append(Gated(one, Held.FELL if fell else Held.HELD, p))
    return found


def _p_of_falling(difference: Difference, one: Compared, max_drop: float) -> float:
    if one.higher_is_better:
        return difference.p_below(-max_drop)
    turned = replace(difference, centre=-difference.centre)
    return turned.p_below(-max_drop)
