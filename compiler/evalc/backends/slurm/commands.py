"""The commands that a job runs: servers, load balancers and evaluations, by engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.exporting import CALL
from evalc.backends.scripts import (
    RESULTS,
    by_option,
    export,
    service_variables,
    step_variables,
)
from evalc.emit.commands import Raw, join
from evalc.plan import Argv
from evalc.words import Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.backends.scripts import Variable
    from evalc.backends.slurm.options import Options
    from evalc.emit.commands import CommandLines, Item
    from evalc.plan import EnvVar, Mount, Service, Step
    from evalc.words import Word

# The bundle's folders are at the same place in a container as outside.
_TASK = Raw('"$_task_dir"')
_LIB = Raw('"$_bundle_dir/lib"')
_STEP = Raw('"$_bundle_dir/lib/step.sh"')
_SERVE = Raw('"$_bundle_dir/lib/serve.sh"')


def evaluate(step: Step, options: Options, *, filled: bool) -> list[CommandLines]:
    """What a task's ``evaluate`` function does; ``filled`` when run_config.yml is completed at run
    time, and so is another file."""
    contained = options.engine != "none"
    results: Item = RESULTS if contained else Raw('"$_artifacts"')
    variables = step_variables(
        step, results=results, task=_TASK, filled=filled, in_container=contained
    )
    if options.gpus_visible:
        variables.append(("NVIDIA_VISIBLE_DEVICES", options.gpus_visible))
    run = _srun(f"evaluate.{step.id}", 1, 1, Raw('"$_node"'))
    if not contained:
        return [
            *export(variables, step.env),
            [["cd", Raw('"$_artifacts"')]],
            [*run, ["bash", _STEP, _TASK]],
        ]
    assert step.image is not None
    mounts = (*step.mounts, *((step.dataset,) if step.dataset else ()))
    own: list[Item] = [
        join(Raw('"$_artifacts"'), f":{RESULTS}"),
        Raw('"$_task_dir:$_task_dir:ro"'),
        Raw('"$_bundle_dir/lib:$_bundle_dir/lib:ro"'),
    ]
    return [
        *export(variables, step.env),
        [["evalc_mount", *own], *_mounted(mounts)],
        [
            *run,
            *_container(step.image, options, _names(variables, step.env), gpus=False),
            ["bash", _STEP, _TASK],
        ],
    ]


def serve(service: Service, options: Options) -> list[CommandLines]:
    """What a service's ``serve_…`` function does, for each instance; ``$1`` are its nodes."""
    folder = Raw(f'"$_bundle_dir/services/{service.name}"')
    variables = service_variables(service, folder)
    nodes = service.nodes // service.instances
    tasks = service.tasks // service.instances
    run = _srun(f"serve.{service.name}", nodes, tasks, Raw('"$1"'))
    own = not is_direct(service)
    command = _server(service, folder)
    if options.engine == "none":
        return [*export(variables, service.env), [*run, *command]]
    assert service.image is not None
    mounts: list[Item] = []
    if own or service.files:
        at = f"$_bundle_dir/services/{service.name}"
        mounts.append(Raw(f'"{at}:{at}:ro"'))
    if own:
        mounts.append(Raw('"$_bundle_dir/lib:$_bundle_dir/lib:ro"'))
    names = [*_names(variables, service.env), "ALL_NODE_IPS", "MASTER_IP", "NODES_PER_INSTANCE"]
    image = _container(service.image, options, names, gpus=bool(service.gpus))
    seen: CommandLines = [["evalc_mount", *mounts], *_mounted(service.mounts)]
    if not mounts and not service.mounts:
        seen = [[Raw("_mounts=")]]
    return [*export(variables, service.env), seen, [*run, *image, *command]]


def balance(options: Options) -> list[CommandLines]:
    """What a load balancer's function does; ``$1`` is its configuration."""
    run = _srun("balance", 1, 1, Raw('"$_node"'))
    command: CommandLines = [["haproxy", "-f", Raw('"$1"')]]
    if options.engine == "none":
        return [[*run, *command]]
    image = _container(options.proxy.image, options, [], gpus=False)
    return [[["evalc_mount", Raw('"$1:$1:ro"')]], [*run, *image, *command]]


def call_contained(image: Word, options: Options, names: Sequence[str]) -> CommandLines:
    """evalc, called in the container that exports results."""
    return [
        ["exec", "srun", "--job-name=export", "--overlap", "--export=ALL"],
        ["--nodes=1", "--ntasks=1"],
        *_container(image, options, names, gpus=False, folder=Raw('"$_bundle_dir"')),
        [*CALL],
    ]


def seen(mounts: Sequence[Mount]) -> CommandLines:
    """What that container sees: the bundle, and these."""
    return [["evalc_mount", Raw('"$_bundle_dir:$_bundle_dir"')], *_mounted(mounts)]


def is_direct(service: Service) -> bool:
    """Whether the server's program is called without a shell in between."""
    return (
        isinstance(service.command, Argv)
        and not service.pre_cmd.strip()
        and service.nodes == service.instances
        and service.tasks == service.instances
    )


def _server(service: Service, folder: Item) -> CommandLines:
    if is_direct(service):
        assert isinstance(service.command, Argv)
        return by_option(service.command.words)
    return [["bash", _SERVE, folder]]


def _srun(name: str, nodes: int, tasks: int, where: Item) -> CommandLines:
    """``--overlap``: a job's steps share its CPUs and GPUs; ``--export``: whatever sbatch said."""
    several = ["--kill-on-bad-exit=1", "--label"] if tasks > 1 else []
    return [
        ["exec", "srun", f"--job-name={name}", "--overlap", "--export=ALL"],
        [f"--nodes={nodes}", f"--ntasks={tasks}", join("--nodelist=", where), *several],
    ]


def _container(
    image: Word, options: Options, names: Sequence[str], *, gpus: bool, folder: Item | None = None
) -> CommandLines:
    """``folder`` is where the command starts, as the container sees it."""
    if options.engine == "apptainer":
        return [
            ["apptainer", "exec", "--writable-tmpfs", *(["--nv"] if gpus else [])],
            [*([] if options.mount_home else ["--no-home"])],
            ["--pwd", folder] if folder else [],
            [Raw('${_mounts:+--bind "$_mounts"}')],
            [_apptainer_image(image)],
        ]
    home = "--container-mount-home" if options.mount_home else "--no-container-mount-home"
    # Without it, a variable that the image sets itself would win.
    env = ",".join(sorted(set(names)))
    return [
        [join("--container-image=", _pyxis_image(image))],
        [Raw('${_mounts:+--container-mounts="$_mounts"}'), home],
        [join("--container-workdir=", folder)] if folder else [],
        [f"--container-env={env}"] if env else [],
    ]


def _pyxis_image(image: Word) -> Word:
    """Enroot separates a registry from an image by ``#`` (``nvcr.io#nvidia/pytorch:25.01``), and
    takes a name without one for Docker Hub's."""
    first = image[0]
    if not isinstance(first, Literal):
        return image
    host, slash, rest = first.text.partition("/")
    named = slash and host and host != "." and (host == "localhost" or "." in host or ":" in host)
    if not named or "#" in first.text or "://" in first.text:
        return image
    return (Literal(f"{host}#{rest}"), *image[1:])


def _apptainer_image(image: Word) -> Word:
    """A file stays a file; any other name is one of a registry's, which apptainer must be told."""
    first = image[0]
    text = first.text if isinstance(first, Literal) else "/"
    if "://" in text or text.startswith(("/", "./")) or text.endswith(".sif"):
        return image
    return (Literal("docker://"), *image)


def _mounted(mounts: Sequence[Mount]) -> CommandLines:
    return [[join(m.source, f":{m.target}{':ro' * m.read_only}")] for m in mounts]


def _names(variables: Sequence[Variable], env: Sequence[EnvVar]) -> list[str]:
    return [*(name for name, _ in variables), *(var.name for var in env)]
