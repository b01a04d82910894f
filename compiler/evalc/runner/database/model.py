"""What the database holds, as data. Times are seconds since 1970."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalc.backends.running import Job, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalc.backends.running import Sight, State


class Submission(enum.Enum):
    """How far a submission has come. The first two may be left by a crash; the last two stay."""

    # Recorded, so that it can be found again; of the host nothing is known yet.
    INTENDED = "intended"
    # The run's folder is whole on its host; some jobs may have been started.
    UPLOADED = "uploaded"
    SUBMITTED = "submitted"
    # Nothing of it runs, nor will.
    ABANDONED = "abandoned"

    @property
    def is_end(self) -> bool:
        """Whether nobody needs to go on with it."""
        return self in {Submission.SUBMITTED, Submission.ABANDONED}


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job, and what was last seen of it.

    ``number`` counts from 1 and is what people call it by. ``seen`` is when its backend last told
    its state, None before the first time.
    """

    number: int
    id: str
    steps: tuple[str, ...]
    sight: Sight
    seen: float | None


@dataclass(frozen=True, slots=True)
class Invocation:
    """A bundle that is being submitted, or was.

    ``digest`` is the SHA-256 of its ``manifest.json``, ``bundle`` the folder that it was submitted
    from, ``machine`` the name of the machine where that was done. Jobs run there when ``hostname``
    is None. ``folder`` is the run's folder on the host, ``options`` are those of ``plan.json``,
    ``edited`` tells that files of the bundle had been changed by hand.
    """

    id: str
    name: str
    backend: str
    compiler: str
    digest: str
    bundle: str
    machine: str
    hostname: str | None
    username: str | None
    ssh_key: str | None
    folder: str
    options: Mapping[str, Any]
    edited: bool
    created: float
    submission: Submission
    jobs: tuple[JobRow, ...]

    @property
    def place(self) -> tuple[str | None, ...]:
        """Where it is: the same for all that can be asked for at once. Of those without a host,
        the machine where they were submitted, which is not always this one."""
        machine = self.machine if self.hostname is None else None
        return self.hostname, self.username, self.ssh_key, machine

    @property
    def run(self) -> Run:
        """What its backend is told of it."""
        jobs = tuple(Job(job.id, job.steps) for job in self.jobs)
        return Run(self.id, self.folder, self.options, jobs, self.created)


@dataclass(frozen=True, slots=True)
class Found:
    """What an id stands for: an invocation, or one job of it."""

    invocation: Invocation
    job: JobRow | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a job: the id that the backend's own tools know it by, and its last state seen."""

    job: str
    native: str
    first_seen: float
    state: State


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a run, or to one job of it."""

    at: float
    job: str | None
    what: str
    text: str
