"""How jobs failed, where the volume can't be read: they say it at the end of their logs.

That is asked once a job, and noted in its journal.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs import journal
from evalc.backends.lepton.runs.folder import read_stage
from evalc.backends.lepton.runs.inlog import STAGE, last_left
from evalc.backends.lepton.runs.reading import past
from evalc.backends.running import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalc.backends.lepton.runs.answers import Job
    from evalc.backends.lepton.runs.folder import JobPlan, RunFolder
    from evalc.backends.lepton.runs.platform import Platform

# How far from a log's end that is looked for, in lines: what says it is a few.
_LINES = 200
# How long after a job's end its log may not be there yet, in seconds.
_LATE = 120.0


def note_failures(
    platform: Platform, folder: RunFolder, named: Mapping[str, Sequence[Job]]
) -> None:
    """Adds to the journals with which exit codes the newest jobs failed, as far as they say so."""
    # A reason more is worth no failure, and no waiting for each of many jobs.
    with suppress(Unreachable, OSError):
        for plan in folder.jobs.values():
            ours = named.get(plan.name, ())
            if not ours or ours[-1].state != "Failed" or folder.stage(plan) is not None:
                continue
            if ours[-1].id not in folder.told(plan).exits:
                _note(platform, folder, plan, ours[-1])


def _note(platform: Platform, folder: RunFolder, plan: JobPlan, job: Job) -> None:
    left = last_left(past(platform, job.id, _LINES), plan.id, plan.digest)
    stage = read_stage(left.files[STAGE].decode(errors="replace")) if left is not None else None
    code = stage.code if stage is not None else None
    if code is None and job.ended is not None and time.time() - job.ended < _LATE:
        return
    # It said nothing: that is noted, too, and not asked again.
    exit_ = "unknown" if code is None else str(code)
    reason = stage.reason if stage is not None else ""
    path = folder.journal_of(plan.folder)
    journal.add(path, "ended", reason, job=job.id, state=job.state, exit=exit_)
