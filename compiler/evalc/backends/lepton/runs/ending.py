"""Stops jobs, and removes endpoints that no job needs any more: they cost GPU hours."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs import journal, lock
from evalc.backends.lepton.runs.endpoints import remove
from evalc.backends.lepton.runs.judge import is_live
from evalc.backends.lepton.runs.keeping import LOCK, keeper_of
from evalc.backends.lepton.runs.known import jobs_of
from evalc.backends.lepton.runs.platform import Absent
from evalc.backends.lepton.runs.settling import settle
from evalc.backends.lepton.runs.submitting import was_tried
from evalc.backends.running import Stopped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalc.backends.lepton.runs.answers import Job
    from evalc.backends.lepton.runs.folder import JobPlan, RunFolder
    from evalc.backends.lepton.runs.platform import Platform

# Seconds that stopped jobs have to end; a harness may take longer to save its work, and ends then.
_PATIENCE = 20.0


def remove_unneeded(
    platform: Platform,
    folder: RunFolder,
    named: Mapping[str, Sequence[Job]],
    to_come: Sequence[str] = (),
) -> list[str]:
    """Removes the run's endpoints of which no job runs or waits; their names.

    ``to_come`` are the ids of jobs that are about to be created. Who calls it has the folder's
    lock. Raises :class:`~evalc.backends.running.Unreachable`.
    """
    removed = []
    for endpoint in folder.endpoints.values():
        told = folder.told_of(endpoint)
        needed = any(
            id_ in to_come or any(map(is_live, named.get(folder.jobs[id_].name, [])))
            for id_ in endpoint.jobs
        )
        if needed or not told.may_exist:
            continue
        if remove(platform, folder, endpoint):
            removed.append(endpoint.name)
    return removed


def stop(
    platform: Platform, folder: RunFolder, jobs: Sequence[str]
) -> tuple[list[Stopped], list[str]]:
    """Stops jobs for good, and removes what they alone needed.

    Gives what was done, and the ids of jobs that were to come and still are: somebody has to go on
    with those. Who calls it has the folder's lock.
    """
    chosen = [job for id_, job in folder.jobs.items() if not jobs or id_ in jobs]
    named = _settled(platform, folder, chosen)
    what: dict[str, list[str]] = {job.id: [] for job in chosen}
    for job in chosen:
        live = [one for one in named.get(job.name, []) if is_live(one)]
        for one in live:
            with suppress(Absent):
                platform.stop_job(one.id)
            journal.add(folder.journal_of(job.folder), "stopped", job=one.id)
            what[job.id].append(f"stopped job {one.id}, which was {one.state}")
        if not live and (folder.told(job).open or not was_tried(folder, job, ())):
            journal.add(folder.journal_of(job.folder), "stopped", name=job.name)
            what[job.id].append("it had not been submitted, and will not be")
    left = _wait(platform, folder, chosen)
    others = [
        id_
        for id_, job in folder.jobs.items()
        if id_ not in what and not was_tried(folder, job, named.get(job.name, ()))
    ]
    # Jobs that are ending need it no more: what they have is in their caches.
    names = {job.name for job in chosen}
    still = {name: ours for name, ours in named.items() if name not in names}
    removed = remove_unneeded(platform, folder, still, others)
    for job in chosen:
        what[job.id] += [f"removed endpoint {job.endpoint}"] * (job.endpoint in removed)
        what[job.id] += [f"job {one.id} is {one.state} still" for one in left.get(job.name, [])]
    return [Stopped(job.id, not left.get(job.name), tuple(what[job.id])) for job in chosen], others


def end_keeper(folder: RunFolder) -> None:
    """Ends the process that goes on with a run by itself, if there is one: it can be ended
    anywhere."""
    if (pid := keeper_of(folder)) is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 10
    while lock.holder(folder.logs / LOCK) == pid and time.monotonic() < end:
        time.sleep(0.05)


def _settled(
    platform: Platform, folder: RunFolder, chosen: Sequence[JobPlan]
) -> Mapping[str, Sequence[Job]]:
    """The run's jobs by name, when none of these can still come: who asked for it was killed."""
    while True:
        named = jobs_of(platform, folder)
        since = time.time() - settle()
        if not any(
            folder.told(job).may_come(since) and not any(map(is_live, named.get(job.name, [])))
            for job in chosen
        ):
            return named
        time.sleep(0.5)


def _wait(
    platform: Platform, folder: RunFolder, chosen: Sequence[JobPlan]
) -> Mapping[str, Sequence[Job]]:
    """Waits until these jobs have ended; those that have not, by name."""
    names = {job.name for job in chosen}
    end = time.monotonic() + _PATIENCE
    while True:
        named = jobs_of(platform, folder)
        left = {
            name: live
            for name, ours in named.items()
            if name in names and (live := [one for one in ours if is_live(one)])
        }
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.5)
