"""What a plan may not ask of the local backend, or asks in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends import checks
from evalc.backends.local import arguments, paths
from evalc.backends.local.options import Options
from evalc.emit.quoting import show
from evalc.plan.problems import Contradiction, NoEffect, RelativePath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Problem
    from evalc.plan import Plan

_ONLY_CONTAINERS = ("docker_args", "memory_limit", "cpus")
_ONLY_SEVERAL_NODES = ("head_command", "worker_command")


def check(plan: Plan) -> Iterator[Problem]:
    """Every problem of the plan, errors and warnings."""
    options = Options.of(plan.options)
    if options.engine == "none":
        yield from _without_containers(plan)
    else:
        yield from checks.images(plan)
        yield from _arguments(plan, options)
    # A cell of a matrix is not alone; the job of all its tasks has no id yet.
    several = len(plan.jobs) > 1 or (plan.cell and any(job.id for job in plan.jobs))
    if options.jobs > 1 and any(job.services for job in plan.jobs) and several:
        yield Contradiction(
            what="tasks that run side by side can't each start a server on the same port",
            advice="use 'sharing: shared', or 'mode: sequential'",
            location=plan.origin.at("execution", "sharing"),
        )
    yield from checks.output_dir(plan)
    yield from _relative_paths(plan, options)
    yield from _clusters_keys(plan)
    yield from checks.other_backends_keys(plan)
    yield from checks.auto_export(plan)


def _arguments(plan: Plan, options: Options) -> Iterator[Problem]:
    told = set()
    for index, name in arguments.options(options.docker_args):
        if name not in arguments.OWN or index in told:
            continue
        told.add(index)
        yield Contradiction(
            what=f"the scripts can't have --{name} among the arguments of '{options.engine} run':"
            f" {arguments.OWN[name]}",
            advice="leave it out",
            location=plan.origin.at("execution", "docker_args", index),
        )


def _relative_paths(plan: Plan, options: Options) -> Iterator[Problem]:
    on_host = options.engine == "none"
    found = list(paths.of_services(plan, plan.services))
    for step in plan.steps:
        found += paths.of_step(plan, step, in_container=not on_host)
    for key, path in dict.fromkeys(found):
        text = show(path)
        # Of a mount, the path is the key.
        at = (*key, text) if plan.origin.given(*key, text) else key
        yield RelativePath(path=text, location=plan.origin.at(*at))


def _clusters_keys(plan: Plan) -> Iterator[Problem]:
    if plan.origin.given("auxiliary_deployments"):
        yield Contradiction(
            what="the local backend starts no auxiliary deployments",
            advice="start them yourself, and name their URLs in the tasks",
            location=plan.origin.at("auxiliary_deployments"),
        )
    for key in _ONLY_SEVERAL_NODES:
        if plan.origin.written("deployment", key):
            yield NoEffect(
                key=f"deployment.{key}",
                why="it is for servers that take several nodes",
                location=plan.origin.at("deployment", key),
            )


def _without_containers(plan: Plan) -> Iterator[Problem]:
    for key in _ONLY_CONTAINERS:
        if plan.origin.given("execution", key):
            yield NoEffect(
                key=f"execution.{key}",
                why="it is for containers, and 'engine' is none",
                location=plan.origin.at("execution", key),
            )
