"""Where the results of a run are: on a volume, which this machine may have, too."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs.folder import STORAGE
from evalc.backends.lepton.runs.platform import connect
from evalc.backends.lepton.runs.reading import told
from evalc.backends.running import Elsewhere, Unreachable
from evalc.errors import EvalcError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.backends.lepton.runs.folder import JobPlan, RunFolder


def gather(folder: RunFolder) -> Elsewhere:
    """The tasks' folders on the volume, and which of them can't be reached from here.

    Of the latter, what the platform has is brought into the run's folder: the job's log.
    """
    places, missing, unread = [], [], []
    for job in folder.jobs.values():
        place = folder.stored(job)
        if place is not None and place.is_dir():
            places.append((str(place), job.folder))
        elif place is not None:
            missing.append(f"{job.id}: there is nothing in {place}")
        else:
            unread.append(job)
            missing.append(_where(job))
    if unread:
        # What there is is fetched all the same.
        with suppress(Unreachable, EvalcError, OSError):
            _keep_logs(folder, unread)
    return Elsewhere(tuple(places), tuple(missing))


def _where(job: JobPlan) -> str:
    log = f"{job.folder}/logs/job.log is the job's log"
    if not job.results:
        return f"{job.id}: it had no volume to keep results on; {log}"
    return (
        f"{job.id}: its results are in {job.results} on the volume, as the job sees it ({STORAGE} "
        f"names the folder here that has the volume's results); {log}"
    )


def _keep_logs(folder: RunFolder, jobs: Sequence[JobPlan]) -> None:
    platform = connect()
    for job in jobs:
        data = b"".join(told(platform, folder, job.id, "job", tail=0, follow=False))
        path = folder.path / job.folder / "logs" / "job.log"
        # Else it would be fetched again though nothing is new.
        if data and (not path.is_file() or path.read_bytes() != data):
            path.write_bytes(data)
