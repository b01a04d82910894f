"""Runs and their jobs, as rows of text and as JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from evalc.backends.running import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evalc.backends.running import Sight
    from evalc.runner.database import Invocation, JobRow

HEADINGS = ("ID", "JOB", "STATE", "ATTEMPT", "ELAPSED", "SAMPLES", "NODE", "REASON")
STYLES = {
    State.COMPLETED: "green",
    State.RUNNING: "cyan",
    State.PENDING: "yellow",
    State.SUBMITTING: "yellow",
    State.UNKNOWN: "magenta",
    State.CANCELLED: "dim",
}
FAILED_STYLE = "red"
# How a set of jobs has ended, as an exit code.
COMPLETED, FAILED, NOT_OVER = 0, 1, 4


def row(invocation: Invocation, job: JobRow, sight: Sight, now: float) -> tuple[str, ...]:
    """A job as the cells of a table under :data:`HEADINGS`."""
    attempt = f"{sight.attempt}/{sight.attempts}" if sight.attempts else str(sight.attempt or "")
    total = "" if sight.total is None else f"/{sight.total}"
    return (
        f"{invocation.id}.{job.number}",
        job.id,
        sight.state.value,
        attempt,
        elapsed(sight, now),
        "" if sight.done is None else f"{sight.done}{total}",
        sight.node,
        one_line(sight.reason),
    )


def elapsed(sight: Sight, now: float) -> str:
    """How long a job has been at work, from its first attempt on; as Slurm writes it."""
    if sight.began is None:
        return ""
    until = sight.ended if sight.ended is not None else now
    if sight.ended is None and sight.state.is_end:
        return ""
    return duration(until - sight.began)


def duration(seconds: float) -> str:
    """``[days-]hours:minutes:seconds``."""
    minutes, left = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}-' if days else ''}{hours:02}:{minutes:02}:{left:02}"


def one_line(text: str) -> str:
    """Text from elsewhere, in one line and with nothing that would move a cursor."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text.strip()


def job_object(invocation: Invocation, job: JobRow, sight: Sight) -> dict[str, Any]:
    """A job as JSON. Times are seconds since 1970."""
    return {
        "id": f"{invocation.id}.{job.number}",
        "job": job.id,
        "tasks": list(job.steps),
        "state": sight.state.value,
        "reason": sight.reason,
        "native_ids": list(sight.native),
        "attempt": sight.attempt,
        "attempts": sight.attempts,
        "began": sight.began,
        "ended": sight.ended,
        "node": sight.node,
        "samples_done": sight.done,
        "samples": sight.total,
        "seen": job.seen,
    }


def invocation_object(invocation: Invocation, sights: Sequence[Sight]) -> dict[str, Any]:
    """A run and its jobs as JSON."""
    return {
        "invocation": invocation.id,
        "name": invocation.name,
        "backend": invocation.backend,
        "host": invocation.hostname,
        "folder": invocation.folder,
        "bundle": invocation.bundle,
        "bundle_digest": invocation.digest,
        "edited": invocation.edited,
        "submitted": invocation.created,
        "submission": invocation.submission.value,
        "jobs": [
            job_object(invocation, job, sight)
            for job, sight in zip(invocation.jobs, sights, strict=True)
        ],
    }


def verdict(states: Iterable[State]) -> int:
    """The exit code that tells what became of jobs: all completed, one failed, or not over."""
    states = list(states)
    if any(not state.is_end for state in states):
        return NOT_OVER
    return COMPLETED if all(state is State.COMPLETED for state in states) else FAILED


def summary(states: Iterable[State]) -> str:
    """How many jobs are in which state: ``2 running, 1 completed``."""
    counts: dict[State, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{counts[state]} {state.value}" for state in State if state in counts)


def ago(then: float, now: float | None = None) -> str:
    """How long ago something was, roughly: ``5 min ago``."""
    seconds = max(0, (time.time() if now is None else now) - then)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"
