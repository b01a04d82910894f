"""Runs are stopped, and what that did is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.running import Unreachable
from evalc.errors import EvalcError
from evalc.runner.reaching import HostLost, host_of, runs_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.backends.running import Stopped
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
    database.record_many(sights)
    return stopped
