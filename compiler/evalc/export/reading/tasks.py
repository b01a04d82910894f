"""A task's folder -> what it left there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evalc.export.model import Score, TaskResult, TaskState
from evalc.export.reading import lm_eval, results_yml
from evalc.export.reading.values import Unreadable, mapping, read_yaml, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ARTIFACTS = "artifacts"
RESULTS = "results.yml"
# How a script notes which image a registry has under the name that was run (lib/local.sh).
IMAGE_DIGEST = "image_digest"
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


@dataclass(frozen=True, slots=True)
class Step:
    """What is known of a task before its folder is looked at.

    Not ``planned``: all that is known is the folder. ``is_top``: it is the only one, and the folder
    that was named is its own.
    """

    id: str
    task: str = ""
    harness: str = ""
    model: str = ""
    image: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    own_command: bool = False
    planned: bool = True
    is_top: bool = False
    cell: str = ""


@dataclass(slots=True)
class _Left:
    """What was found in a task's artifacts."""

    scores: Sequence[Score] = ()
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, Path] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    # Why there are no scores.
    why: str = ""


def read_task(folder: Path, step: Step, why: str, digest: str) -> TaskResult:
    """What a task left. ``why`` its job is not finished and the ``digest`` of its plan may be
    empty."""
    artifacts = folder / ARTIFACTS
    left = _left(artifacts if artifacts.is_dir() else folder)
    state, reason = _state(folder / "logs", step, left, why)
    done = _word(folder / "logs/digest")
    if state is TaskState.FINISHED and digest and done and done != digest:
        state = TaskState.UNFINISHED
        reason = "its results are those of an earlier config; it has to run again"
    began, _ = _stage(folder / "logs/stage.pre-start")
    ended, _ = _stage(folder / "logs/stage.exit")
    given = _run_config(folder)
    endpoint = mapping(mapping(given.get("target")).get("api_endpoint"))
    parameters = mapping(mapping(given.get("config")).get("params"))
    image = _DIGEST.search(step.image) or _DIGEST.search(_word(folder / "logs" / IMAGE_DIGEST))
    return TaskResult(
        id=step.id,
        task=step.task or text(mapping(given.get("config")).get("type")) or step.id,
        harness=step.harness,
        folder=folder,
        state=state,
        reason=reason,
        model=text(endpoint.get("model_id")) or step.model or left.model,
        parameters={**left.parameters, **step.parameters, **parameters},
        image=step.image,
        image_digest=image[1] if image else "",
        began=began,
        ended=ended,
        scores=tuple(left.scores),
        samples=left.samples,
        notices=tuple(left.notices),
        cell=step.cell,
    )


def _left(artifacts: Path) -> _Left:
    left = _Left()
    own, samples = lm_eval.files(artifacts) if artifacts.is_dir() else (None, [])
    found: lm_eval.Found | None = None
    if own is not None:
        try:
            found = lm_eval.read(own, samples)
        except Unreadable as error:
            left.why = f"{own.relative_to(artifacts)} {error}"
            left.notices.append(left.why)
    if found is not None:
        left.scores, left.model = found.scores, found.model
        left.parameters, left.samples = found.parameters, found.samples
    if (artifacts / RESULTS).exists():
        try:
            scores, content, said = results_yml.read(artifacts / RESULTS)
        except Unreadable as error:
            line = f"{RESULTS} {error}"
            left.notices.append(line)
            left.why = line
            # A file that lies beside it may be of an earlier attempt.
            left.scores = ()
        else:
            left.scores = _completed(scores, found.scores if found else ())
            left.notices += said
            _from_content(left, content)
    left.notices += [
        f"{one.part}: '{one.metric}' ('{one.score}') is {one.value}"
        for one in left.scores
        if not one.is_number
    ]
    return left


def _from_content(left: _Left, content: Mapping[str, Any]) -> None:
    """Model and parameters, where results.yml repeats them."""
    endpoint = mapping(mapping(content.get("target")).get("api_endpoint"))
    left.model = text(endpoint.get("model_id")) or left.model
    left.parameters = mapping(mapping(content.get("config")).get("params")) or left.parameters


def _completed(scores: Sequence[Score], others: Sequence[Score]) -> list[Score]:
    """Scores with what lm-eval's own file adds to them: counts, errors, which way is better."""
    known: dict[tuple[str, str, str], Score] = {}
    by_metric: dict[tuple[str, str], list[Score]] = {}
    for one in others:
        # As nemo-evaluator's containers call lm-eval's "exact_match,strict-match".
        joined = f"{one.metric}__{one.score}"
        known[one.part, one.metric, one.score] = known[one.part, joined, joined] = one
        by_metric.setdefault((one.part, one.metric), []).append(one)
    found = []
    for one in scores:
        alike = by_metric.get((one.part, one.metric), [])
        other = known.get((one.part, one.metric, one.score))
        other = other or (alike[0] if len(alike) == 1 else None)
        found.append(one if other is None else _with(one, other))
    return found


def _with(one: Score, other: Score) -> Score:
    return replace(
        one,
        stderr=other.stderr if one.stderr is None else one.stderr,
        count=other.count if one.count is None else one.count,
        higher=other.higher if one.higher is None else one.higher,
        sampled=other.sampled,
    )


def _state(logs: Path, step: Step, left: _Left, why: str) -> tuple[TaskState, str]:
    _, ended = _stage(logs / "stage.exit")
    if ended:
        code, _, reason = ended.partition(" ")
        if code != "0":
            return TaskState.FAILED, f"exit code {code}" + (f": {reason}" if reason else "")
    elif (logs / "stage.pre-start").exists():
        return TaskState.UNFINISHED, why or "it has begun and not ended: it runs, or was killed"
    elif step.planned and not left.scores and not left.why:
        return TaskState.NOT_STARTED, why
    if left.scores:
        return TaskState.FINISHED, ""
    nothing = f"no {RESULTS}, and none of lm-eval's own files"
    return TaskState.NO_RESULTS, left.why or nothing


def _stage(path: Path) -> tuple[float | None, str]:
    """The time in a stage file, and what stands behind it."""
    line = _word(path)
    time, _, rest = line.partition(" ")
    try:
        return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp(), rest.strip()
    except ValueError:
        return None, rest.strip()


def _word(path: Path) -> str:
    """The first line of a small file; empty where there is none."""
    try:
        with path.open("rb") as file:
            return text(file.read(2000).decode(errors="replace").partition("\n")[0])
    except OSError:
        return ""


def _run_config(folder: Path) -> dict[str, Any]:
    """What the harness was given: the file as it was filled in, or as it was compiled."""
    for path in (folder / "logs/run_config.yml", folder / "run_config.yml"):
        if path.is_file():
            try:
                return mapping(read_yaml(path))
            except Unreadable:
                continue
    return {}
