"""What two bundles mean differently: a pure function of their facts.

The order is that in which a reviewer asks: is it the compiler, what runs, what does it cost, what
does it need, and then how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalc.bundle.diff.change import MISSING, Change, Of
from evalc.bundle.diff.facts import OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evalc.bundle.diff.facts import Facts, Part

# Keys of execution that stand in each job's resources or retries too, by their name there.
_SAID_OF_JOBS = {
    "walltime": "walltime",
    "max_walltime": "total",
    "gpus_per_node": "gpus_per_node",
    "gres": "gpus_per_node",
    "resume.attempts": "attempts",
    "resume.failed": "failed",
    "resume.out_of_memory": "out_of_memory",
    "resume.idle": "idle",
}
# What says how much a job takes comes first, in this order.
_RESOURCES = ("nodes", "gpus_per_node", "gpus", "cpus", "memory", "walltime", "total", "attempts")
# Of tasks and servers: what is another thing, rather than the same one with other settings.
_FIRST = ("image", "model_id", "model_url", "harness", "task", "type", "command", "limit_samples")


def meaning(old: Facts, new: Facts) -> tuple[Change, ...]:
    """The changes from ``old`` to ``new``, most important first."""
    both = frozenset(old.servers) & frozenset(new.servers)
    own = {key for facts in (old, new) for job in facts.jobs.values() for key in job[OWN]}
    jobs = tuple(_parts(Of.JOB, _told(old, both, own), _told(new, both, own), first=_RESOURCES))
    return (
        *_value(Of.BUNDLE, "compiler", old.compiler, new.compiler),
        *(
            c
            for key in old.bundle
            for c in _value(Of.BUNDLE, key, old.bundle[key], new.bundle[key])
        ),
        *_came_and_went(Of.TASK, "task", old.tasks, new.tasks),
        *_came_and_went(Of.SERVER, "server", old.servers, new.servers),
        *_jobs_came_and_went(old, new),
        *jobs,
        *_value(Of.BUNDLE, "gpu_hours", old.gpu_hours, new.gpu_hours),
        *_needs(old, new),
        *_parts(Of.SERVER, old.servers, new.servers, first=_FIRST),
        *_parts(Of.TASK, old.tasks, new.tasks, first=_FIRST),
        *_execution(old.execution, new.execution, jobs, own),
        *_order(old.order, new.order),
    )


def _value(of: Of, what: str, before: Any, after: Any) -> Iterator[Change]:
    if not _same(before, after):
        yield Change(of, what, before, after)


def _same(before: Any, after: Any) -> bool:
    """Equality as JSON has it: true is not 1, and 1.0 is."""
    return before == after and isinstance(before, bool) == isinstance(after, bool)


def _came_and_went(
    of: Of, what: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    for name in new:
        if name not in old:
            yield Change(of, what, after=name)
    for name in old:
        if name not in new:
            yield Change(of, what, before=name)


def _jobs_came_and_went(old: Facts, new: Facts) -> Iterator[Change]:
    """A job of one task comes and goes with its task, and is not told of again."""
    for change in _came_and_went(Of.JOB, "job", old.jobs, new.jobs):
        name = change.after if change.kind == "added" else change.before
        if (name in old.tasks) == (name in new.tasks):
            yield change


def _told(facts: Facts, servers: frozenset[str], own: set[str]) -> dict[str, Part]:
    """Jobs, of whose servers only those are kept that are told of nowhere else. Those keys of
    execution that are a job's ``own`` in one of the bundles are told of each job, if they are not
    among its resources."""
    return {
        name: {
            **{what: value for what, value in job.items() if what != OWN},
            "servers": [server for server in job["servers"] if server in servers],
            **{
                key: job[OWN].get(key, facts.execution.get(key, MISSING))
                for key in sorted(own)
                if key not in _SAID_OF_JOBS
            },
        }
        for name, job in facts.jobs.items()
    }


def _needs(old: Facts, new: Facts) -> Iterator[Change]:
    """Secrets and variables first. An image is told of here only where no part that both bundles
    have is what it belongs to."""
    told = {
        part["image"]
        for olds, news in ((old.servers, new.servers), (old.tasks, new.tasks))
        for name in olds.keys() & news.keys()
        for part in (olds[name], news[name])
        if olds[name]["image"] != news[name]["image"]
    }
    for what in ("secret", "variable", "tool", "image"):
        before, after = old.needs[what], new.needs[what]
        skip = told if what == "image" else set()
        yield from (Change(Of.BUNDLE, what, after=x) for x in sorted(after - before - skip))
        yield from (Change(Of.BUNDLE, what, before=x) for x in sorted(before - after - skip))


def _parts(
    of: Of, old: Mapping[str, Part], new: Mapping[str, Part], *, first: tuple[str, ...]
) -> Iterator[Change]:
    """What differs in the jobs, tasks or servers that both have: one change for all of them that
    differ in the same way."""
    common = [name for name in new if name in old]
    groups: dict[tuple[str, str], tuple[Any, Any, list[str]]] = {}
    for name in common:
        for what, before, after in _attributes(old[name], new[name]):
            key = (what, repr((before, after)))
            groups.setdefault(key, (before, after, []))[2].append(name)
    rank = {what: number for number, what in enumerate(first)}
    for (what, _), (before, after, names) in sorted(
        groups.items(), key=lambda group: rank.get(group[0][0], len(rank))
    ):
        yield Change(of, what, before, after, tuple(names), len(common))


def _attributes(old: Part, new: Part) -> Iterator[tuple[str, Any, Any]]:
    for what in _union(old, new):
        before, after = old.get(what, MISSING), new.get(what, MISSING)
        if not _same(before, after):
            yield what, before, after


def _execution(old: Part, new: Part, jobs: tuple[Change, ...], own: set[str]) -> Iterator[Change]:
    told = {change.what for change in jobs}
    for what, before, after in _attributes(old, new):
        if _SAID_OF_JOBS.get(what) not in told and what not in own:
            of = Of.BUNDLE if what.startswith("export.") else Of.EXECUTION
            yield Change(of, what, before, after)


def _order(old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Change]:
    before, after = [x for x in old if x in new], [x for x in new if x in old]
    if before != after:
        yield Change(Of.BUNDLE, "order", before, after)


def _union(old: Iterable[str], new: Iterable[str]) -> Iterator[str]:
    """The names of both, in the order of the newer one; those that are gone last."""
    new = list(new)
    yield from new
    yield from (name for name in old if name not in new)
