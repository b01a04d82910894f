"""Runs are stopped, and what that did is recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalc.backends.running import State, Unreachable
from evalc.errors import EvalcError
from evalc.runner.reaching import HostLost, host_of, runs_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalc.backends.running import Sight, Stopped
    from evalc.runner.database import Database, Invocation


class BeingSubmitted(EvalcError):
    """Another evalc is at work on a submission: what it starts next would not be stopped."""

    exit_code = 1

    def __init__(self, invocation: str) -> None:
        self.invocation = invocation
        self.hint = "stop that one first, or try again when it is done"
        super().__init__(f"another evalc is submitting {invocation} right now")


def stop(database: Database, invocation: Invocation, jobs: Sequence[str]) -> Sequence[Stopped]:
    """Stops jobs of a run, all of them when none is named; what was really done.

    Raises :class:`~evalc.runner.reaching.HostLost`, and :class:`BeingSubmitted`.
    """
    runs = runs_for(invocation.backend)
    if not invocation.submission.is_end and not database.claim(invocation.id):
        raise BeingSubmitted(invocation.id)
    database.note(invocation.id, "kill", " ".join(jobs))
    try:
        host = host_of(invocation)
        stopped = runs.cancel(host, invocation.run, jobs)
        sights = runs.poll(host, [invocation.run])
    except Unreachable as error:
        raise HostLost(invocation.id, error) from None
    for one in stopped:
        database.note(invocation.id, "killed", "; ".join(one.what), one.job)
    database.record(invocation.id, _closed(invocation, sights[invocation.id], stopped))
    return stopped


def _closed(
    invocation: Invocation, sights: Mapping[str, Sight], stopped: Sequence[Stopped]
) -> Mapping[str, Sight]:
    """What was seen after that. A job of which nothing can go on, and whose end nobody will ever
    tell, is over: else it would be asked about for ever."""
    over = {one.job for one in stopped if one.done}
    closed = {
        job.id: replace(
            job.sight,
            state=State.CANCELLED,
            reason=f"nothing of it is left (evalc kill); {sights[job.id].reason}",
        )
        for job in invocation.jobs
        if job.id in over and sights[job.id].state is State.UNKNOWN
    }
    return {**sights, **closed}
