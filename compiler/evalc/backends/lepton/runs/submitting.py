"""Creates the endpoints and jobs of a run, each once, whatever interrupts it and however often.

The platform does not keep names of jobs apart, and has no key by which it would know a request
again. So what is about to be created is noted first, under a name that nothing else has, and after
a request whose answer never came, the name is looked for before the next one is sent.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from evalc.backends.lepton.runs import journal
from evalc.backends.lepton.runs.endpoints import remove
from evalc.backends.lepton.runs.judge import Readiness, is_live, judge_endpoint
from evalc.backends.lepton.runs.known import jobs_of
from evalc.backends.lepton.runs.platform import Absent, Refused, Unsure
from evalc.backends.lepton.runs.settling import SETTLE_ANSWERED, settle
from evalc.backends.running import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from evalc.backends.lepton.runs.answers import Job
    from evalc.backends.lepton.runs.folder import EndpointPlan, JobPlan, RunFolder
    from evalc.backends.lepton.runs.platform import Platform

_TRIES = 4
_ENDING = frozenset(("Stopping", "Terminating", "Deleting"))
# How long after its creation the platform may not show an endpoint yet, in seconds.
_GRACE = 60.0


class Work:
    """What is to be created of a run, by one process at a time: whoever has the folder's lock.

    ``jobs`` are the ids of those that are to be created. ``said`` gets what was done, in words.
    """

    def __init__(
        self,
        platform: Platform,
        folder: RunFolder,
        jobs: Iterable[str],
        environ: Mapping[str, str],
        said: Callable[[str], None],
    ) -> None:
        self.platform = platform
        self.folder = folder
        self.left = [job for id_, job in folder.jobs.items() if id_ in set(jobs)]
        self._environ = environ
        self._said = said
        self._began = time.time()
        self._settle = settle()
        self._created: set[str] = set()

    def step(self) -> None:
        """Creates what can be created now; :attr:`left` is what has to wait.

        Raises :class:`~evalc.backends.running.Unreachable`, after which it can be called again.
        """
        named = jobs_of(self.platform, self.folder)
        for job in self.folder.jobs.values():
            self._stop_twins(job, named.get(job.name, []))
        for job in [job for job in self.left if not job.endpoint]:
            self._submit(job, named.get(job.name, []), self._url_of_running(job))
        for name in dict.fromkeys(job.endpoint for job in self.left):
            endpoint = self.folder.endpoints[name]
            url = self._url(endpoint)
            if url is not None:
                for job in [job for job in self.left if job.endpoint == name]:
                    self._submit(job, named.get(job.name, []), url)

    def _url_of_running(self, job: JobPlan) -> str:
        """Of the endpoint that the config names; empty where there is none."""
        if not job.deployment:
            return ""
        found = self.platform.endpoint(job.deployment)
        if found is None:
            self._refuse(job, f"there is no endpoint '{job.deployment}' in the workspace")
            return ""
        readiness, word = judge_endpoint(found)
        if readiness is not Readiness.READY:
            self._refuse(job, f"the endpoint '{job.deployment}' is {word}, not Ready")
        elif not found.url:
            self._refuse(job, f"the endpoint '{job.deployment}' has no URL")
        return found.url.rstrip("/")

    def _url(self, endpoint: EndpointPlan) -> str | None:
        """Where a run's own endpoint is; None when it is waited for, or was given up."""
        found = self.platform.endpoint(endpoint.name)
        told = self.folder.told_of(endpoint)
        since = max(told.since or self._began, self._began)
        if found is None:
            if endpoint.name not in self._created:
                self._create(endpoint)
            elif time.time() - since > _GRACE:
                self._give_up(endpoint, "it was removed, not by evalc")
            return None
        readiness, word = judge_endpoint(found)
        if readiness is Readiness.READY and found.url:
            self._created.add(endpoint.name)
            if told.event != "ready":
                self._note(endpoint, "ready")
                self._said(f"endpoint {endpoint.name} is ready")
            return found.url.rstrip("/")
        if readiness is Readiness.DEAD and endpoint.name not in self._created:
            # Left by an earlier time; when it is gone, a new one takes its place.
            remove(self.platform, self.folder, endpoint)
        elif readiness is Readiness.DEAD:
            self._give_up(endpoint, f"Lepton says {word}")
        elif time.time() - since > endpoint.timeout:
            word = word or "Ready, without a URL"
            self._give_up(
                endpoint, f"it was not ready in {endpoint.timeout:g} s (Lepton says {word})"
            )
        else:
            self._created.add(endpoint.name)
        return None

    def _create(self, endpoint: EndpointPlan) -> None:
        try:
            body = self.folder.body(endpoint.folder, "endpoint.json", self._environ)
        except ValueError as error:
            self._give_up(endpoint, str(error))
            return
        self._note(endpoint, "creating", at=str(int(time.time())))
        try:
            self.platform.create_endpoint(body)
        except Refused as error:
            # Names of endpoints are unique: what was created and not answered is there.
            if self.platform.endpoint(endpoint.name) is None:
                self._give_up(endpoint, str(error))
                return
        except Unsure:
            return  # the next step looks for it
        self._created.add(endpoint.name)
        self._note(endpoint, "created")
        self._said(f"created endpoint {endpoint.name}")

    def _give_up(self, endpoint: EndpointPlan, reason: str) -> None:
        """Its jobs are not created, and it must not cost anything more."""
        self._note(endpoint, "failed", reason)
        self._said(f"endpoint {endpoint.name} failed: {reason}")
        self.left = [job for job in self.left if job.endpoint != endpoint.name]
        remove(self.platform, self.folder, endpoint)

    def _submit(self, job: JobPlan, found: Sequence[Job], url: str) -> None:
        if job not in self.left:
            return
        told = self.folder.told(job)
        if self._is_there(job, found, told):
            self.left.remove(job)
            return
        submission = str(told.submissions + 1)
        values = {**self._environ, "EVALC_SUBMISSION": submission, "ENDPOINT_URL": url}
        try:
            body = self.folder.body(job.folder, "job.json", values)
            self._create_job(job, body, submission)
        except (ValueError, Refused) as error:
            self._refuse(job, str(error))
        else:
            self.left.remove(job)

    def _is_there(self, job: JobPlan, found: Sequence[Job], told: journal.Told) -> bool:
        """Whether a job is there already; one that was on its way when somebody was killed is
        waited for."""
        if live := [one for one in found if is_live(one)]:
            # Beside one that is known, another one is its twin, and on its way out.
            if not any(one.id in told.ids for one in live):
                self._adopt(job, found)
            return True
        return told.open and self._look_for(job, (told.at or 0.0) + self._settle)

    def _create_job(self, job: JobPlan, body: Mapping[str, Any], submission: str) -> None:
        """Creates a job once. Raises Refused, and Unreachable when nobody knows."""
        path = self.folder.journal_of(job.folder)
        now = str(int(time.time()))
        journal.add(path, "submitting", name=job.name, n=submission, at=now)
        for _ in range(_TRIES):
            try:
                id_ = self.platform.create_job(body)
            except Unsure as error:
                wait = SETTLE_ANSWERED if error.answered else self._settle
                if self._look_for(job, time.time() + wait):
                    return
                if not error.answered:
                    raise Unreachable(self.platform.name, str(error)) from None
            else:
                journal.add(path, "submitted", job=id_, name=job.name, n=submission)
                self._said(f"created job {id_}")
                return
        raise Unreachable(self.platform.name, f"it does not create job {job.name}")

    def _look_for(self, job: JobPlan, until: float) -> bool:
        """Looks, up to this time, for a job that may have been created; whether it was."""
        while True:
            named = jobs_of(self.platform, self.folder)
            if self._adopt(job, named.get(job.name, [])):
                return True
            if time.time() > until:
                return False
            time.sleep(1)

    def _adopt(self, job: JobPlan, found: Sequence[Job]) -> bool:
        """Notes a job that is there and that no journal knows; whether there is one."""
        told = self.folder.told(job)
        unknown = [one for one in found if one.id not in told.ids]
        if not unknown:
            return False
        path = self.folder.journal_of(job.folder)
        # Of several, the oldest; the others are its twins.
        journal.add(path, "submitted", job=unknown[0].id, name=job.name, n=str(told.submissions))
        self._said(f"found job {unknown[0].id}")
        return True

    def _stop_twins(self, job: JobPlan, found: Sequence[Job]) -> None:
        """Leaves one job where a request that was given up was served after all: one that a journal
        knows, or the oldest."""
        live = [one for one in found if is_live(one) and one.state not in _ENDING]
        if len(live) < 2:
            return
        ids = self.folder.told(job).ids
        kept = next((one for one in live if one.id in ids), live[0])
        for twin in live:
            if twin is not kept:
                with suppress(Absent):
                    self.platform.stop_job(twin.id)
                self._said(f"stopped job {twin.id}: job {kept.id} does the same")

    def _refuse(self, job: JobPlan, reason: str) -> None:
        journal.add(self.folder.journal_of(job.folder), "refused", reason, name=job.name)
        self._said(f"{job.id}: {reason}")
        self.left.remove(job)

    def _note(self, endpoint: EndpointPlan, event: str, reason: str = "", **keys: str) -> None:
        path = self.folder.journal_of(endpoint.folder)
        journal.add(path, "endpoint", reason, name=endpoint.name, event=event, **keys)


def wanted(
    folder: RunFolder, named: Mapping[str, Sequence[Job]], jobs: Sequence[str], *, again: bool
) -> list[str]:
    """The jobs that are to be created: of ``jobs`` (all when it is empty), and those that are still
    to come of what was asked for before."""
    found = []
    for id_, job in folder.jobs.items():
        told = folder.told(job)
        ours = named.get(job.name, [])
        chosen = not jobs or id_ in jobs
        if any(is_live(one) for one in ours) or _is_finished(folder, job, ours):
            continue
        if told.open or not was_tried(folder, job, ours) or (again and chosen):
            found.append(id_)
    return found


def was_tried(folder: RunFolder, job: JobPlan, ours: Sequence[Job]) -> bool:
    """Whether a job was created, refused or stopped, or its endpoint failed."""
    told = folder.told(job)
    failure = job.endpoint and folder.told_of(folder.endpoints[job.endpoint]).failure
    return bool(told.ids or ours or told.refused or told.stopped or failure)


def _is_finished(folder: RunFolder, job: JobPlan, ours: Sequence[Job]) -> bool:
    stage = folder.stage(job)
    return (
        (stage is not None and stage.code == 0)
        or any(one.state == "Completed" for one in ours)
        or "Completed" in folder.told(job).ends.values()
    )
