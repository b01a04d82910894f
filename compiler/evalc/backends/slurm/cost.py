"""What a run costs at worst, in GPU hours."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.plan import Job

_HOUR = 3600


def attempts(job: Job) -> int:
    """How many links the chain of a job can have: those that are allowed, as long as there is
    walltime left for them."""
    each, total = job.resources.walltime, job.retry.total
    if each is None or total is None:
        return job.retry.attempts
    return min(job.retry.attempts, ceil(total / each))


def seconds(job: Job) -> int | None:
    """How long all attempts of a job may run together; None where nothing limits them."""
    each, total = job.resources.walltime, job.retry.total
    if each is None:
        return total
    longest = each * job.retry.attempts
    return longest if total is None else min(longest, total)


def gpu_hours(job: Job) -> float | None:
    """The worst case: nodes x GPUs x walltime x attempts; None where nothing limits it."""
    gpus = job.resources.nodes * (job.resources.gpus_per_node or 0)
    longest = seconds(job)
    if not gpus:
        return 0
    return None if longest is None else round(gpus * longest / _HOUR, 2)


def total(jobs: Sequence[Job]) -> float | None:
    """The worst case of several jobs."""
    found = 0.0
    for job in jobs:
        hours = gpu_hours(job)
        if hours is None:
            return None
        found += hours
    return round(found, 2)


def text(hours: float | None) -> str:
    """GPU hours for people."""
    return "unlimited" if hours is None else f"{hours:g}"


def hours_text(seconds: int) -> str:
    """A time in hours, for people."""
    return f"{seconds / _HOUR:g} h"


def reckoning(jobs: Sequence[Job]) -> str:
    """How the worst case comes about, for people; jobs that ask for the same are counted."""
    alike: dict[str, int] = {}
    for job in jobs:
        asked = _asked(job)
        alike[asked] = alike.get(asked, 0) + 1
    counted = [f"{n} job{'s' if n != 1 else ''} x {asked}" for asked, n in alike.items()]
    return f"{', '.join(counted)} (all attempts together)"


def _asked(job: Job) -> str:
    longest = seconds(job)
    nodes = f"{job.resources.nodes} node{'s' if job.resources.nodes != 1 else ''}"
    gpus = f"{job.resources.gpus_per_node or 0} GPUs"
    time = "no limit of time" if longest is None else hours_text(longest)
    return f"{nodes} x {gpus} x {time}"
