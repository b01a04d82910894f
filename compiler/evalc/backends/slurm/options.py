"""The keys of ``execution`` that only the Slurm backend knows, typed; what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalc.plan.auxiliary import model_variable, url_variable
from evalc.words import Word, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalc.plan import Plan

# What the scripts set for servers and tasks; words may refer to them like to any variable.
SCRIPT_VARIABLES = frozenset(
    ("ALL_NODE_IPS", "MASTER_IP", "NODES_PER_INSTANCE", "PROC_ID", "RESULTS_DIR")
)
# Load balancers of auxiliary deployments listen here and above, in the order of the config.
FIRST_AUXILIARY_PROXY_PORT = 5010


@dataclass(frozen=True, slots=True)
class Proxy:
    """The load balancer in front of several instances of the model's server.

    ``port`` is the TCP port that it listens on. It takes those servers for ready that answer
    ``health_status`` at ``health_path`` (None: the service's own path).
    """

    port: int
    image: Word
    health_path: str | None
    health_status: int


@dataclass(frozen=True, slots=True)
class Options:
    """``engine`` is ``pyxis``, ``apptainer`` or ``none``; ``strategy`` is ``self``, ``prequeued``
    or ``none``.

    ``walltime``, ``memory`` and ``gres`` are in Slurm's own forms, as the user wrote them.
    ``extra_flags`` are options of sbatch without their dashes, each with its value, or with None
    where it has none. ``signal_before`` is in seconds before the walltime's end. ``parallelism``
    counts the tasks of a shared job that run at a time, ``array_limit`` those of an array.
    ``gpus_visible`` is what evaluations get as NVIDIA_VISIBLE_DEVICES; None: no GPU.
    """

    engine: str
    account: str | None
    partition: str | None
    cpu_partition: str | None
    qos: str | None
    comment: str | None
    subproject: str | None
    gres: str | None
    gpus_per_node: int | None
    ntasks_per_node: int | None
    cpus_per_task: int | None
    memory: str | None
    extra_flags: tuple[tuple[str, str | None], ...]
    walltime: str
    setup: str
    strategy: str
    signal_before: int
    array: bool
    array_limit: int | None
    parallelism: int
    mount_home: bool
    proxy: Proxy
    gpus_visible: str | None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """From a plan's validated options."""
        resume = options.get("resume") or {}
        mounts = options.get("mounts") or {}
        return cls(
            engine=options.get("engine") or "pyxis",
            account=options.get("account") or None,
            partition=options.get("partition") or None,
            cpu_partition=options.get("cpu_partition") or None,
            qos=options.get("qos") or None,
            comment=options.get("comment") or None,
            subproject=options.get("subproject") or None,
            gres=options.get("gres") or None,
            gpus_per_node=options.get("gpus_per_node"),
            ntasks_per_node=options.get("ntasks_per_node"),
            cpus_per_task=options.get("cpus_per_task"),
            memory=_text(options.get("memory")),
            extra_flags=_flags(options.get("sbatch_extra_flags") or {}),
            walltime=str(options.get("walltime", "01:00:00")),
            setup=options.get("setup") or "",
            strategy=resume.get("strategy") or "self",
            signal_before=int(resume.get("signal_before", 120)),
            array=bool(options.get("array")),
            array_limit=options.get("array_limit"),
            parallelism=int(options.get("parallelism") or 1),
            mount_home=mounts.get("mount_home") is not False,
            proxy=_proxy(options.get("proxy") or {}),
            gpus_visible=_visible(options.get("evaluation_gpu_visible")),
        )


def provided_variables(plan: Plan) -> frozenset[str]:
    """The variables that a job's script sets itself, so that nobody has to give them."""
    of_services = {
        name
        for service in plan.services
        if service.env_prefix
        for name in (
            model_variable(service),
            *(url_variable(service, endpoint) for endpoint in service.endpoints),
        )
    }
    return SCRIPT_VARIABLES | of_services


def proxy_ports(plan: Plan, options: Options) -> dict[str, int]:
    """The TCP port of the load balancer of each service that has several instances, by the
    service's name. All of them listen on a job's first node."""
    ports = {}
    following = FIRST_AUXILIARY_PROXY_PORT
    for service in plan.services:
        if service.instances > 1 and not service.env_prefix:
            ports[service.name] = options.proxy.port
        elif service.instances > 1:
            ports[service.name] = following
            following += 1
    return ports


def gpu_flags(plan: Plan, options: Options) -> list[tuple[str, str]]:
    """The options of sbatch that ask for GPUs, in order, each with its value.

    The built-in ``gres`` is asked for only where a server uses GPUs and nothing else says how many,
    since a site without GPUs would refuse the job. What the user wrote is always asked for.
    """
    flags = []
    if options.gpus_per_node is not None:
        flags.append(("gpus-per-node", str(options.gpus_per_node)))
    own = plan.origin.written("execution", "gres")
    used = not flags and any(service.gpus for service in plan.services)
    if options.gres and (own or used):
        flags.append(("gres", options.gres))
    return flags


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _flags(flags: Mapping[str, Any]) -> tuple[tuple[str, str | None], ...]:
    return tuple(
        (name, None if value is True else str(value))
        for name, value in flags.items()
        if value is not None and value is not False and not name.startswith("x-")
    )


def _proxy(proxy: Mapping[str, Any]) -> Proxy:
    config = proxy.get("config") or {}
    image = proxy.get("image") or "haproxy:latest"
    return Proxy(
        port=int(config.get("haproxy_port", 5009)),
        image=image if isinstance(image, tuple) else literal(str(image)),
        health_path=config.get("health_check_path") or None,
        health_status=int(config.get("health_check_status", 200)),
    )


def _visible(value: Any) -> str | None:
    if value is True:
        return "all"
    return None if value is None or value is False or value == "" else str(value)
