"""The commands that the local scripts run: servers and evaluations, by engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.scripts import (
    RESULTS,
    by_option,
    export,
    hidden,
    host_path,
    is_itself,
    service_variables,
    step_variables,
)
from evalc.emit.commands import Assign, Raw, is_open, join
from evalc.emit.quoting import Refused
from evalc.plan import Argv
from evalc.words import Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.backends.local.options import Options
    from evalc.backends.scripts import Variable
    from evalc.emit.commands import CommandLines, Item
    from evalc.plan import EnvVar, Job, Mount, Service, Step

# Where a container finds what the bundle holds.
_TASK = "/evalc/task"
_SERVICE = "/evalc/service"
_LIB = "/evalc/lib"


def evaluate(step: Step, job: Job, options: Options, *, filled: bool) -> list[CommandLines]:
    """What a task's ``evaluate`` function does; ``filled`` when run_config.yml is completed at run
    time, and so is another file."""
    on_host = options.engine == "none"
    variables = step_variables(
        step,
        results=Raw('"$_artifacts"') if on_host else RESULTS,
        task=Raw('"$_task_dir"') if on_host else _TASK,
        filled=filled,
        in_container=not on_host,
    )
    if on_host:
        return [
            *export(variables, step.env),
            [["cd", Raw('"$_artifacts"')]],
            [["exec", "bash", Raw('"$_bundle_dir/lib/step.sh"'), Raw('"$_task_dir"')]],
        ]
    assert step.image is not None
    mounts = (*step.mounts, *((step.dataset,) if step.dataset else ()))
    limits: list[Item] = []
    if job.resources.memory:
        limits += ["--memory", job.resources.memory]
    if job.resources.cpus:
        limits += ["--cpus", f"{job.resources.cpus:g}"]
    run: CommandLines = [
        ["exec", options.engine, "run", "--name", Raw('"${_container[client]}"')],
        *_shape(options),
        limits,
        *by_option(options.docker_args),
        ["--volume", join(Raw('"$_artifacts"'), f":{RESULTS}")],
        ["--volume", join(Raw('"$_task_dir"'), f":{_TASK}:ro")],
        ["--volume", join(Raw('"$_bundle_dir"'), f"/lib:{_LIB}:ro")],
        *_volumes(mounts),
        *_container_env(variables, step.env),
        [step.image],
        ["bash", f"{_LIB}/step.sh", _TASK],
    ]
    return [*_host_values(step.env), run]


def serve(service: Service, options: Options) -> list[CommandLines]:
    """What a service's ``serve_…`` function does."""
    folder = Raw(f'"$_bundle_dir"/services/{service.name}')
    if options.engine == "none":
        return [
            *export(service_variables(service, folder), service.env),
            [["exec"], *_server(service, Raw('"$_bundle_dir/lib/serve.sh"'), folder)],
        ]
    assert service.image is not None
    own = not is_direct(service)
    run: CommandLines = [
        ["exec", options.engine, "run", "--name", Raw('"$1"')],
        ["--entrypoint", ""],
        *_shape(options),
        _gpus(service, options),
        *by_option(options.docker_args),
        ["--volume", join(folder, f":{_SERVICE}:ro")] if own or service.files else [],
        ["--volume", join(Raw('"$_bundle_dir"'), f"/lib:{_LIB}:ro")] if own else [],
        *_volumes(service.mounts),
        *_container_env(service_variables(service, _SERVICE), service.env),
        [service.image],
        *_server(service, f"{_LIB}/serve.sh", _SERVICE),
    ]
    return [*_host_values(service.env), run]


def is_direct(service: Service) -> bool:
    """Whether the server's program is called without a shell in between."""
    return isinstance(service.command, Argv) and not service.pre_cmd.strip()


def _server(service: Service, script: Item, folder: Item) -> CommandLines:
    if is_direct(service):
        assert isinstance(service.command, Argv)
        return by_option(service.command.words)
    return [["bash", script, folder]]


def _shape(options: Options) -> CommandLines:
    network: list[Item] = [] if options.own_network else ["--network", "host"]
    memory: list[Item] = ["--shm-size", options.shm_size] if options.shm_size else []
    return [[*network, *memory]]


def _gpus(service: Service, options: Options) -> list[Item]:
    if not service.gpus:
        return []
    if options.engine == "docker":
        return ["--gpus", service.gpus]
    # podman takes devices by the names of the Container Device Interface.
    if service.gpus == "all":
        return ["--device", "nvidia.com/gpu=all"]
    devices = range(int(service.gpus))
    return [word for n in devices for word in ("--device", f"nvidia.com/gpu={n}")]


def _volumes(mounts: Sequence[Mount]) -> CommandLines:
    for part in (part for mount in mounts for part in mount.source):
        if isinstance(part, Literal) and ":" in part.text:
            raise Refused(part.text, "docker and podman can't mount a path with ':' in it")
    return [
        ["--volume", join(host_path(m.source), f":{m.target}{':ro' * m.read_only}")] for m in mounts
    ]


def _container_env(env: Sequence[Variable], own: Sequence[EnvVar]) -> CommandLines:
    """Literals are visible; for the rest the engine is told the name and takes the value from its
    own environment, so that no value is on a command line."""
    lines: CommandLines = [["--env", join(f"{name}=", value)] for name, value in env]
    lines += [
        ["--env", var.name] if is_open(var.value) else ["--env", join(f"{var.name}=", var.value)]
        for var in own
    ]
    return lines


def _host_values(env: Sequence[EnvVar]) -> list[CommandLines]:
    """An export of what containers are given by name, where the name or value differs."""
    made: list[Item] = [
        Assign(var.name, var.value) for var in env if is_open(var.value) and not is_itself(var)
    ]
    return hidden([["export", *made]], env) if made else []
