"""The jobs of a run that the platform knows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs.answers import Job, by_name
from evalc.backends.lepton.runs.judge import GRACE
from evalc.backends.lepton.runs.platform import Absent

if TYPE_CHECKING:
    from evalc.backends.lepton.runs.folder import JobPlan, RunFolder
    from evalc.backends.lepton.runs.platform import Platform


def jobs_of(platform: Platform, folder: RunFolder) -> dict[str, list[Job]]:
    """Them all, by name, the newest last.

    A list may be older than what was just created. So a job that a journal has and the list has not
    is asked for by its id; one that was created a moment ago is there even if nobody knows that id
    yet, with an empty state: its endpoint must stay, and it must not be created again.

    Raises :class:`~evalc.backends.running.Unreachable`.
    """
    named = by_name(platform.jobs(folder.invocation))
    for plan in folder.jobs.values():
        ours = named.get(plan.name, [])
        job = _unlisted(platform, folder, plan, {one.id for one in ours})
        if job is not None:
            named[plan.name] = [*ours, job]
    return named


def _unlisted(platform: Platform, folder: RunFolder, plan: JobPlan, listed: set[str]) -> Job | None:
    told = folder.told(plan)
    if not told.ids or told.since is None or time.time() - told.since > GRACE:
        return None
    id_ = told.ids[-1]
    if id_ in listed or id_ in told.gone:
        return None
    try:
        return platform.job(id_)
    except Absent:
        stage = folder.stage(plan)
        is_over = told.stopped or (stage is not None and stage.code is not None)
        return None if is_over else Job(id_, plan.name, "")
