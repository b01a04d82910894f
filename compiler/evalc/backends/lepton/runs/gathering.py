"""Where the results of a run are: on a volume, which this machine may have, too; else, as far as
they are small, in the jobs' logs."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs.folder import STORAGE
from evalc.backends.lepton.runs.inlog import last_left
from evalc.backends.lepton.runs.judge import is_live
from evalc.backends.lepton.runs.platform import by_name, connect
from evalc.backends.lepton.runs.reading import as_it_is, past
from evalc.backends.running import Elsewhere, Unreachable
from evalc.errors import EvalcError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from evalc.backends.lepton.runs.folder import JobPlan, RunFolder
    from evalc.backends.lepton.runs.inlog import Left
    from evalc.backends.lepton.runs.platform import Job, Platform

# Where what a log told is kept, in a job's folder: it is no part of the bundle.
_TOLD = "told"
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
        with suppress(Unreachable, EvalcError, OSError):
            told.update(_bring(folder, unread))
    for job in unread:
        left = told.get(job.id)
        missing.append(_where(job, left, folder.stored(job)))
        if left is not None:
            places.append((str(_place(folder, job)), job.folder))
    return Elsewhere(tuple(places), tuple(missing))


def _where(job: JobPlan, left: Left | None, place: Path | None) -> str:
    log = f"{job.folder}/logs/job.log is the job's log"
    if left is not None and len(left.files) > 1:
        log += ", from which its results were taken"
    elif left is not None:
        log += ", which tells how it ended and holds no results"
    if left is not None and left.over:
        log += f" ({', '.join(left.over)}: too large for it)"
    if not job.results:
        return f"{job.id}: it had no volume to keep results on; {log}"
    if place is not None:
        # That may be no volume, but a folder of this machine's that has the same name.
        return f"{job.id}: there is nothing in {place}; {log}"
    what = "all else is" if left is not None and len(left.files) > 1 else "its results are"
    return (
        f"{job.id}: {what} in {job.results} on the volume, as the job sees it ({STORAGE} "
        f"names the folder here that has the volume's results); {log}"
    )


def _bring(folder: RunFolder, jobs: Sequence[JobPlan]) -> Iterator[tuple[str, Left | None]]:
    """Writes logs, and what they tell, into the run's folder; gives the latter, by job."""
    platform = connect()
    named = by_name(platform.jobs(folder.invocation))
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
            _write(folder.path / job.folder / "logs" / "job.log", log)
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
