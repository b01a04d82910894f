"""Relative paths of the host: they count from the folder in which a script is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evalc.words import Literal, Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalc.plan import Mount, Plan, Service, Step

_SERVERS = ("execution", "mounts", "deployment")
_TASKS = ("execution", "mounts", "evaluation")


class Relative(NamedTuple):
    """A relative path, and the path of the key that has it, or that it is a key of."""

    key: tuple[str | int, ...]
    path: Word


def of_step(plan: Plan, step: Step, *, in_container: bool) -> Iterator[Relative]:
    """What a task finds by a relative path; only containers have mounts."""
    for mount in step.mounts if in_container else ():
        if is_relative(mount.source):
            yield Relative(_TASKS, mount.source)
    if step.dataset and is_relative(step.dataset.source):
        yield Relative((*plan.origin.task(step.id), "dataset_dir"), step.dataset.source)


def of_services(plan: Plan, services: Iterable[Service]) -> Iterator[Relative]:
    """The same for servers."""
    for service in services:
        for mount in service.mounts:
            if is_relative(mount.source):
                yield Relative(_key_of(plan, mount), mount.source)


def is_relative(path: Word) -> bool:
    """Whether a path is known to be relative."""
    return isinstance(path[0], Literal) and not path[0].text.startswith("/")


def _key_of(plan: Plan, mount: Mount) -> tuple[str, ...]:
    part = mount.source[0]
    if isinstance(part, Literal) and plan.origin.given(*_SERVERS, part.text):
        return _SERVERS
    return ("deployment", "checkpoint_path" if mount.target == "/checkpoint" else "cache_path")
