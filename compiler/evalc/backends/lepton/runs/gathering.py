"""Where the results of a run are: on a volume, which this machine may have, too; else, as far as
they are small, in the jobs' logs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs.folder import STORAGE
from evalc.backends.lepton.runs.inlog import last_left
from evalc.backends.lepton.runs.judge import is_live
from evalc.backends.lepton.runs.known import jobs_of
from evalc.backends.lepton.runs.platform import connect
from evalc.backends.lepton.runs.reading import as_it_is, past
from evalc.backends.running import Elsewhere, Unreachable
from evalc.errors import EvalcError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from evalc.backends.lepton.runs.answers import Job
    from evalc.backends.lepton.runs.folder import JobPlan, RunFolder
    from evalc.backends.lepton.runs.inlog import Left
    from evalc.backends.lepton.runs.platform import Platform

# Where what a log told is kept, in a job's folder: it is no part of the bundle.
_TOLD = "told"
# And the log itself.
_LOG = "logs/job.log"
# How far from a log's end results are looked for, in lines; they are less than a hundred.
_LINES = 5000


def gather(folder: RunFolder) -> Elsewhere:
    """The tasks' folders on the volume, and which of them can't be reached from here.

    Of the latter, what the platform has is brought into the run's folder: the job's log, and what
    that tells of results.
    """
    places, missing, unread = [], [], []
    for job in folder.jobs.values():
        place = folder.stored(job)
        if place is not None and place.is_dir():
            places.append((str(place), job.folder))
        else:
            unread.append(job)
    told: dict[str, Left | None] = {}
    if unread:
        # What there is is fetched all the same.
        try:
            told.update(_bring(folder, unread))
        except (Unreachable, EvalcError, OSError) as error:
            missing.append(f"the jobs' logs: {error}")
    for job in unread:
        left = told.get(job.id)
        missing.append(_where(folder, job, left))
        if left is not None:
            places.append((str(_place(folder, job)), job.folder))
    return Elsewhere(tuple(places), tuple(missing))


def _where(folder: RunFolder, job: JobPlan, left: Left | None) -> str:
    """What of a job is not here, and where it is, in words."""
    log = (folder.path / job.folder / _LOG).is_file()
    if not log and not folder.told(job).ids:
        return f"{job.id}: there is nothing, since no job of it is known"
    has_results = left is not None and len(left.files) > 1
    what = "all else" if has_results else "its results"
    place = folder.stored(job)
    if not job.results:
        text = f"{job.id}: it had no volume to keep {what} on"
    elif place is not None:
        # That may be no volume, but a folder of this machine's that has the same name.
        text = f"{job.id}: there is nothing in {place}"
    else:
        text = (
            f"{job.id}: {what} {'is' if has_results else 'are'} in {job.results} on the volume, as "
            f"the job sees it ({STORAGE} names the folder here that has the volume's results)"
        )
    if log:
        text += f"; {job.folder}/{_LOG} is the job's log"
    if has_results:
        text += ", from which its results were taken"
    if left is not None and left.over:
        text += f" ({', '.join(left.over)}: too large for it)"
    return text


def _bring(folder: RunFolder, jobs: Sequence[JobPlan]) -> Iterator[tuple[str, Left | None]]:
    """Writes logs, and what they tell, into the run's folder; gives the latter, by job."""
    platform = connect()
    named = jobs_of(platform, folder)
    for job in jobs:
        yield job.id, _bring_one(platform, folder, job, named)


def _bring_one(
    platform: Platform, folder: RunFolder, job: JobPlan, named: Mapping[str, Sequence[Job]]
) -> Left | None:
    ours = named.get(job.name, ())
    ids = list(dict.fromkeys((*folder.told(job).ids, *(one.id for one in ours))))
    left = None
    if ids:
        log = as_it_is(platform, ids[-1])
        if log:
            _write(folder.path / job.folder / _LOG, log)
        # While it runs, what an earlier attempt left may be what it sets aside.
        if not any(map(is_live, ours)):
            left = last_left(log, job.id, job.digest) or _earlier(platform, job, ids)
    place = _place(folder, job)
    if left is None:
        shutil.rmtree(place, ignore_errors=True)
        return None
    for path in ("logs", "artifacts"):
        for old in (place / path).glob("*"):
            if f"{path}/{old.name}" not in left.files:
                old.unlink()
    for path, data in left.files.items():
        _write(place / path, data)
    return left


def _earlier(platform: Platform, job: JobPlan, ids: Sequence[str]) -> Left | None:
    """What other attempts left: of the same job any, of the jobs before it one that finished. How
    those failed tells nothing of the last one."""
    for id_ in reversed(ids):
        left = last_left(past(platform, id_, _LINES), job.id, job.digest)
        if left is not None and (id_ == ids[-1] or left.finished):
            return left
    return None


def _place(folder: RunFolder, job: JobPlan) -> Path:
    return folder.path / job.folder / _TOLD


def _write(path: Path, data: bytes) -> None:
    # Else it would be fetched again though nothing is new.
    if not path.is_file() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
