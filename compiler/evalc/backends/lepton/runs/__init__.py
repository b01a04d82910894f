"""How bundles for Lepton are submitted, followed and stopped: through the platform's own client.

The run's folder is on this machine. What is created is noted there first, in the journals that
``submit_all.sh`` keeps, too; what the platform tells, :mod:`judge` weighs against them and against
the stage files on the volume, where that can be read here.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs import ending, keeping, lock
from evalc.backends.lepton.runs.asking import note_failures
from evalc.backends.lepton.runs.diagnosis import inquiry
from evalc.backends.lepton.runs.folder import RunFolder
from evalc.backends.lepton.runs.gathering import gather
from evalc.backends.lepton.runs.judge import Evidence, judge
from evalc.backends.lepton.runs.known import jobs_of
from evalc.backends.lepton.runs.platform import check_client, connect
from evalc.backends.lepton.runs.reading import told
from evalc.backends.lepton.runs.settling import settle
from evalc.backends.lepton.runs.submitting import Work, wanted
from evalc.backends.running import Sight, State, Stopped, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from evalc.backends.base import Needs
    from evalc.backends.lepton.runs.answers import Job
    from evalc.backends.lepton.runs.platform import Platform
    from evalc.backends.running import Elsewhere, Host, Inquiry, Run


# Seconds that another process may be at work in a run's folder.
_PATIENCE = 5.0


class LeptonRuns:
    """See :class:`evalc.backends.running.Runs`. Raises
    :class:`~evalc.backends.lepton.runs.platform.ClientMissing`."""

    where = "DGX Cloud Lepton"

    def __init__(self) -> None:
        check_client()

    def ready(self) -> None:
        """See there. Raises :class:`~evalc.backends.lepton.runs.platform.NotLoggedIn`, say."""
        connect()

    def checks(self, bundle: Path, needs: Needs) -> Inquiry:
        """What can be asked of the workspace; see there."""
        return inquiry(bundle, needs)

    def secrets_files(self, run: Run, secrets: Mapping[str, str]) -> Mapping[str, bytes]:
        """None: the platform keeps secrets itself, and jobs name them."""
        del run, secrets
        return {}

    def submit(
        self, host: Host, run: Run, jobs: Sequence[str], *, again: bool,
        env: Mapping[str, str], said: Callable[[str], None],
    ) -> Mapping[str, Sight]:  # fmt: skip
        """See there. Where an endpoint has to be waited for, and removed in the end, a process of
        its own goes on with that; see :mod:`keeping`."""
        folder = _folder(host, run)
        environ = {**os.environ, **env}
        platform = connect()
        if unset := folder.unset(environ):
            seen = _judged(platform, folder, run)
            named = jobs_of(platform, folder)
            sight = Sight(State.FAILED, f"not set in the environment: {', '.join(unset)}")
            # What is there, or another process is going to create, is no worse for it.
            lost = {*wanted(folder, named, jobs, again=again)} - {*keeping.to_come(folder)}
            return {job: sight if job in lost else seen[job] for job in seen}
        ending.end_keeper(folder)
        path = _take_lock(host, folder)
        try:
            folder.note_invocation()
            named = jobs_of(platform, folder)
            work = Work(platform, folder, wanted(folder, named, jobs, again=again), environ, said)
            left: list[str] = []
            try:
                work.step()
                left = [job.id for job in work.left]
            finally:
                # After a failure, what was created must not be left alone, and nothing be added.
                if left or keeping.has_endpoints(folder):
                    keeping.start(folder, left, environ)
            seen = _judged(platform, folder, run)
        finally:
            lock.free(path)
        return {job: sight for job, sight in seen.items() if not jobs or job in jobs}

    def poll(self, host: Host, runs: Sequence[Run]) -> Mapping[str, Mapping[str, Sight]]:
        """See there; a request or two a run. An endpoint that no job needs any more, and nobody is
        at work with, is removed: each hour of it costs."""
        del host
        platform = connect()
        found: dict[str, Mapping[str, Sight]] = {}
        for run in runs:
            try:
                folder = RunFolder(run)
            except ValueError as error:
                reason = f"its folder can't be read: {error}"
                found[run.invocation] = {job.id: Sight(State.UNKNOWN, reason) for job in run.jobs}
                continue
            sights = _judged(platform, folder, run)
            over = all(sight.state.is_end for sight in sights.values())
            if over:
                ending.end_keeper(folder)
            _tidy(platform, folder)
            found[run.invocation] = _held_open(folder, sights) if over else sights
        return found

    def cancel(self, host: Host, run: Run, jobs: Sequence[str]) -> Sequence[Stopped]:
        """See there."""
        folder = _folder(host, run)
        platform = connect()
        ending.end_keeper(folder)
        path = _take_lock(host, folder)
        try:
            stopped, others = ending.stop(platform, folder, jobs)
            if others or keeping.has_endpoints(folder):
                keeping.start(folder, others, os.environ)
        finally:
            lock.free(path)
        return stopped

    def logs(self, run: Run, job: str, what: str) -> Sequence[str]:
        """None: they are on the platform, see :meth:`told`."""
        del run, job, what
        return ()

    def told(
        self, host: Host, run: Run, job: str, what: str, *, tail: int, follow: bool
    ) -> Iterator[bytes]:
        """See there."""
        yield from told(connect(), _folder(host, run), job, what, tail=tail, follow=follow)

    def elsewhere(self, host: Host, run: Run) -> Elsewhere:
        """See there."""
        return gather(_folder(host, run))


def _folder(host: Host, run: Run) -> RunFolder:
    try:
        return RunFolder(run)
    except ValueError as error:
        raise Unreachable(host.name, f"{run.folder} can't be read: {error}") from None


def _take_lock(host: Host, folder: RunFolder) -> Path:
    path = folder.logs / keeping.LOCK
    end = time.monotonic() + _PATIENCE
    try:
        # Who only removes an endpoint has it for a moment.
        while (other := lock.take(path)) is not None and time.monotonic() < end:
            time.sleep(0.2)
    except OSError as error:
        raise Unreachable(host.name, f"{path} can't be written: {error.strerror}") from None
    if other is not None:
        raise Unreachable(host.name, f"process {other} is at work in {folder.path}: end it first")
    return path


def _judged(platform: Platform, folder: RunFolder, run: Run) -> dict[str, Sight]:
    # Before the platform is asked: who ends in between has created what is then seen.
    at_work = lock.holder(folder.logs / keeping.LOCK) is not None
    named = jobs_of(platform, folder)
    note_failures(platform, folder, named)
    endpoints = {
        name: platform.endpoint(name)
        for name, plan in folder.endpoints.items()
        if folder.told_of(plan).may_exist
    }
    trouble = keeping.trouble(folder)
    to_come = keeping.to_come(folder)
    sights = {}
    for job in run.jobs:
        plan = folder.jobs[job.id]
        own = folder.endpoints.get(plan.endpoint)
        jobs: Sequence[Job] = named.get(plan.name, ())
        sights[job.id] = judge(
            Evidence(
                jobs=tuple(jobs),
                told=folder.told(plan),
                stage=folder.stage(plan),
                endpoint=endpoints.get(plan.endpoint),
                endpoint_told=folder.told_of(own) if own is not None else None,
                to_come=job.id in to_come,
                at_work=at_work,
                trouble=trouble,
                now=time.time(),
            )
        )
    return sights


def _held_open(folder: RunFolder, sights: Mapping[str, Sight]) -> Mapping[str, Sight]:
    """A run whose jobs have ended, as it is told: nobody asks again for one that is over, so it is
    not before its endpoints are gone. Where another process removes them, that may be ended."""
    left = {
        id_
        for one in folder.endpoints.values()
        if folder.told_of(one).may_exist
        for id_ in one.jobs[-1:]
    }
    return {
        id_: replace(
            sight,
            state=State.RUNNING,
            reason=f"it has ended ({sight.state.value}); its endpoint is still to be removed",
            ended=None,
        )
        if id_ in left
        else sight
        for id_, sight in sights.items()
    }


def _tidy(platform: Platform, folder: RunFolder) -> None:
    """Removes endpoints that nobody needs, unless somebody is at work here who will.

    One that may still come, somebody has to wait for.
    """
    if not keeping.has_endpoints(folder):
        return
    path = folder.logs / keeping.LOCK
    try:
        if lock.take(path) is not None:
            return
    except OSError:
        return  # the folder can't be written: nobody can note what was done
    since = time.time() - settle()
    try:
        named = jobs_of(platform, folder)
        ending.remove_unneeded(platform, folder, named)
        if any(folder.told_of(one).may_come(since) for one in folder.endpoints.values()):
            keeping.start(folder, (), os.environ)
    finally:
        lock.free(path)
