"""What has become of a job or an endpoint, from what was seen. Pure: tables of cases are its
tests."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs.journal import Told, ToldOfEndpoint
from evalc.backends.running import Sight, State

if TYPE_CHECKING:
    from evalc.backends.lepton.runs.answers import Endpoint, Job
    from evalc.backends.lepton.runs.folder import Stage

# How long after its creation the platform may not show a job yet, in seconds.
GRACE = 60
# The script's code when the time that the config gives it is over.
_TIMED_OUT = 124
# The platform's words for jobs that go on (leptonai.api.v2.types.job.LeptonJobState).
_LIVE = {
    "": (State.PENDING, "Lepton tells no state yet"),
    "Queueing": (State.PENDING, "waits for a place"),
    "Awaiting": (State.PENDING, "Lepton says Awaiting"),
    "Starting": (State.PENDING, "its container is being started"),
    "PendingRetry": (State.PENDING, "it failed, and Lepton will try it again"),
    "Restarting": (State.PENDING, "Lepton starts it again"),
    "Running": (State.RUNNING, ""),
    "Stopping": (State.RUNNING, "Lepton says Stopping"),
    "Terminating": (State.RUNNING, "Lepton says Terminating"),
    "Deleting": (State.RUNNING, "Lepton says Deleting"),
}
# And for those that don't. What has been archived ended somehow.
_OVER = frozenset(("Completed", "Failed", "Stopped", "Deleted", "Archived"))
_WAITS = frozenset(
    ("", "Starting", "Updating", "Scaling", "Migrating", "Restarting", "Not Ready", "UNK")
)


class Readiness(enum.Enum):
    """What an endpoint is good for."""

    READY = "ready"
    COMING = "coming"
    # It will not be ready by itself.
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a task's job.

    ``jobs`` are those of its name, as the platform tells them, the newest last. ``told`` is its
    journal's tale, ``stage`` what the volume tells, None where that can't be read. ``endpoint`` is
    the one that it needs, None when it needs none, or there is none; ``endpoint_told`` what the
    journal tells of it. ``to_come`` is set where a process waits for that to create the job.
    ``at_work`` says whether somebody is submitting the run now, ``trouble``
    why the last one gave up. ``now`` is in seconds since 1970.
    """

    jobs: tuple[Job, ...] = ()
    told: Told = field(default_factory=Told)
    stage: Stage | None = None
    endpoint: Endpoint | None = None
    endpoint_told: ToldOfEndpoint | None = None
    to_come: bool = False
    at_work: bool = False
    trouble: str = ""
    now: float = 0.0


def is_live(job: Job) -> bool:
    """Whether a job may still do something; of a state that nobody knows, that is assumed."""
    return job.state not in _OVER


def judge(seen: Evidence) -> Sight:
    """The one state that a task's job has, whatever number of times it was submitted."""
    told = seen.told
    if live := [job for job in seen.jobs if is_live(job)]:
        sight = _live(seen, live[-1])
    elif seen.stage is not None and seen.stage.code == 0 and not seen.to_come:
        # The script's last act; how the platform calls what came after it does not matter.
        sight = _sight(seen, State.COMPLETED)
    elif told.open:
        text = "" if seen.at_work else "its submission was interrupted; 'evalc resume' goes on"
        sight = _sight(seen, State.SUBMITTING, text)
    elif seen.to_come:
        sight = _waits(seen)
    elif told.refused:
        sight = _sight(seen, State.FAILED, f"Lepton refused it: {told.refused}")
    elif ids := _ids(seen):
        newest = next((job.state for job in seen.jobs if job.id == ids[-1]), "")
        noted = told.ends.get(ids[-1], "")
        # Of what was put away, the journal may know more.
        word = noted if noted and newest in ("", "Archived", "Deleted") else newest
        sight = _over(seen, ids[-1], word)
    else:
        sight = _not_begun(seen)
    return sight


def judge_endpoint(endpoint: Endpoint) -> tuple[Readiness, str]:
    """What an endpoint is good for, and the platform's word where that is worth a word."""
    # ``state`` of one that was stopped is Not Ready, for the sake of old clients.
    word = endpoint.phase or endpoint.state
    if word == "Ready":
        return Readiness.READY, ""
    return (Readiness.COMING if word in _WAITS else Readiness.DEAD), word


def _live(seen: Evidence, job: Job) -> Sight:
    state, reason = _LIVE.get(job.state, (State.UNKNOWN, f"Lepton says '{job.state}'"))
    if job.state == "UNK":
        reason = "Lepton says something that its client does not know"
    return _sight(seen, state, reason)


def _not_begun(seen: Evidence) -> Sight:
    if seen.told.stopped:
        return _sight(seen, State.CANCELLED, "was stopped before it was submitted")
    told = seen.endpoint_told
    if told is not None and told.failure:
        return _sight(seen, State.FAILED, f"its endpoint failed: {told.failure}")
    if not seen.at_work:
        why = f" ({seen.trouble})" if seen.trouble else ""
        text = f"it has not been submitted{why}; 'evalc resume' does it"
        return _sight(seen, State.SUBMITTING, text)
    return _sight(seen, State.SUBMITTING) if told is None else _waits(seen)


def _waits(seen: Evidence) -> Sight:
    word = (seen.endpoint.phase or seen.endpoint.state) if seen.endpoint else ""
    return _sight(seen, State.PENDING, f"waits for its endpoint{word and f' ({word})'}")


def _over(seen: Evidence, id_: str, word: str) -> Sight:
    """A job that does nothing any more, or that the platform does not show."""
    stage, told = seen.stage, seen.told
    code, why = (None, "") if stage is None else (stage.code, stage.reason)
    if code is None:
        code, why = told.exits.get(id_, (None, ""))
    if word == "Completed":
        state, reason = State.COMPLETED, ""
    elif word == "Stopped":
        state, reason = State.CANCELLED, "" if told.stopped else "it was stopped, not by evalc"
    elif code is not None:
        state = State.TIMED_OUT if code == _TIMED_OUT else State.FAILED
        reason = f"{why} (exit code {code})" if why else f"exit code {code}"
    elif word == "Failed":
        state, reason = State.FAILED, "Lepton says so; 'evalc logs --job' may tell why"
    elif told.stopped:
        state, reason = State.CANCELLED, ""
    elif word == "Deleted":
        state, reason = State.CANCELLED, f"job {id_} was deleted"
    elif _is_fresh(seen, id_) and not word:
        state, reason = State.PENDING, f"Lepton does not show job {id_} yet"
    else:
        state = State.UNKNOWN
        reason = f"Lepton does not know how job {id_} ended; " + (
            "the volume can't be read here, or tells nothing"
            if stage is None
            else "its files on the volume do not tell it"
        )
    return _sight(seen, state, reason)


def _is_fresh(seen: Evidence, id_: str) -> bool:
    at = seen.told.at
    return at is not None and seen.now - at < GRACE and id_ not in seen.told.gone


def _ids(seen: Evidence) -> list[str]:
    """All that it was called, the newest last."""
    return list(dict.fromkeys((*seen.told.ids, *(job.id for job in seen.jobs))))


def _sight(seen: Evidence, state: State, reason: str = "") -> Sight:
    stage = seen.stage
    ids = _ids(seen)
    newest = seen.jobs[-1] if seen.jobs else None
    began = stage.began if stage is not None else None
    if began is None and newest is not None and state is not State.PENDING:
        began = newest.created
    ended = None
    if state.is_end:
        ended = (stage.ended if stage is not None else None) or (newest.ended if newest else None)
    return Sight(
        state=state,
        reason=reason,
        native=tuple(ids),
        attempt=len(ids),
        began=began,
        ended=ended,
        done=stage.done if stage is not None else None,
    )
