"""Runs are stopped, and what that did is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.running import Unreachable
from evalc.runner.reaching import HostLost, host_of, runs_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.backends.running import Stopped
    from evalc.runner.database import Database, Invocation


def stop(database: Database, invocation: Invocation, jobs: Sequence[str]) -> Sequence[Stopped]:
    """Stops jobs of a run, all of them when none is named; what was really done.

    Raises :class:`~evalc.runner.reaching.HostLost`.
    """
    runs, host = runs_for(invocation.backend), host_of(invocation)
    database.note(invocation.id, "kill", " ".join(jobs))
    try:
        stopped = runs.cancel(host, invocation.run, jobs)
        sights = runs.poll(host, [invocation.run])
    except Unreachable as error:
        raise HostLost(invocation.id, error) from None
    for one in stopped:
        database.note(invocation.id, "killed", "; ".join(one.what), one.job)
    database.record_many(sights)
    return stopped
