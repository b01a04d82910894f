"""What a plan may not ask of Slurm, or asks in vain."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalc.backends import checks
from evalc.backends.slurm.check_export import export_container
from evalc.backends.slurm.directives import job_name
from evalc.backends.slurm.options import SCRIPT_VARIABLES, Options, proxy_ports
from evalc.emit.quoting import Refused, sbatch_value
from evalc.errors import did_you_mean
from evalc.plan.commands import unreadable_texts
from evalc.plan.problems import BadEnvName, CannotCarry, Contradiction, NoEffect
from evalc.plan.walltime import format_walltime
from evalc.words import Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Location, Problem
    from evalc.plan import Mount, Plan, Service
    from evalc.words import Word

    Path = tuple[str | int, ...]

# Slurm's own MaxArraySize, where a site did not change it.
MAX_ARRAY = 1000
# What slurmctld takes of a job's name, comment and the like, in bytes.
MAX_TEXT = 1024
_MAX_PORT = 65535
_FLAG = re.compile(r"[a-z][a-z0-9-]*")
_URL_PATH = re.compile(r"/[A-Za-z0-9._~%/?&=+:@,-]*")
# Options of sbatch that the scripts set, and the keys of 'execution' that they come from.
_OWN_FLAGS = {
    "account": "account",
    "array": "array",
    "comment": "comment",
    "cpus-per-task": "cpus_per_task",
    "gpus-per-node": "gpus_per_node",
    "gres": "gres",
    "mem": "memory",
    "nodes": "nodes",
    "ntasks-per-node": "ntasks_per_node",
    "partition": "partition",
    "qos": "qos",
    "time": "walltime",
    "job-name": "subproject",
    "signal": "resume.signal_before",
    "dependency": "resume.strategy",
    "kill-on-invalid-dep": "resume.strategy",
    "requeue": "resume.strategy",
    "no-requeue": "resume.strategy",
    "output": "output_dir",
    "error": "output_dir",
    "chdir": "output_dir",
    "open-mode": "",
    "ntasks": "",
    "export": "",
    "export-file": "",
    "parsable": "",
    "wrap": "",
    "wait": "",
    "test-only": "",
    "input": "",
    "clusters": "",
    "help": "",
    "usage": "",
    "version": "",
}
# Those of sbatch's own options that begin like one of these.
_LIKE_OWN = frozenset(("gpus",))
# Variables that change what srun and sbatch do.
_OF_SLURM = ("SLURM_", "SRUN_", "SBATCH_")
# Keys that only mean something to containers.
_ONLY_CONTAINERS: tuple[Path, ...] = (
    ("mounts", "deployment"),
    ("mounts", "evaluation"),
    ("mounts", "auxiliary"),
    ("mounts", "mount_home"),
    ("proxy", "image"),
    ("evaluation_gpu_visible",),
)


def check(plan: Plan) -> Iterator[Problem]:
    """Every problem of the plan, errors and warnings."""
    found = _Check(plan)
    if found.options.engine == "none":
        yield from found.without_containers()
    else:
        yield from checks.images(plan)
        yield from found.mounts()
    yield from found.output_dir()
    yield from found.directives()
    yield from found.extra_flags()
    yield from found.topology()
    yield from found.ports()
    yield from found.health_paths()
    yield from found.times()
    yield from found.arrays()
    yield from found.variables()
    yield from unreadable_texts([found.options.setup], plan.origin)
    yield from checks.other_backends_keys(plan)
    yield from checks.auto_export(plan)
    yield from export_container(plan, found.options)


def _block(service: Service) -> Path:
    """The path of the config's block that a service was made of."""
    return ("auxiliary_deployments", service.name) if service.env_prefix else ("deployment",)


class _Check:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.options = Options.of(plan.options)

    def at(self, *path: str | int) -> Location:
        return self.plan.origin.at("execution", *path)

    def written(self, *path: str | int) -> bool:
        return self.plan.origin.written("execution", *path)

    def idle(self, *path: str, why: str) -> NoEffect:
        """A warning that a key of ``execution`` does nothing."""
        return NoEffect(key=_key(("execution", *path)), why=why, location=self.at(*path))

    # Where things are

    def output_dir(self) -> Iterator[Problem]:
        if _is_relative(self.plan.output_dir):
            yield Contradiction(
                what="'output_dir' is relative, and every node has a folder of its own to start in",
                advice="begin it with '/', or with a variable such as ${oc.env:HOME}",
                location=self.at("output_dir"),
            )
        text = "".join(part.text for part in self.plan.output_dir if isinstance(part, Literal))
        if "%" in text or "\\" in text or not text.isprintable():
            why = r"Slurm takes '%' and '\' in the path of a job's log for patterns"
            if not text.isprintable():
                why = "a path with a line break or another control character"
            yield CannotCarry(why=why, location=self.at("output_dir"))
        elif self.options.engine != "none" and ("," in text or ":" in text):
            why = f"{self.options.engine} can't mount a path with ',' or ':'"
            yield CannotCarry(why=why, location=self.at("output_dir"))

    def mounts(self) -> Iterator[Problem]:
        found: dict[Mount, None] = {}
        for service in self.plan.services:
            found.update(dict.fromkeys(service.mounts))
        for step in self.plan.steps:
            found.update(dict.fromkeys(step.mounts))
            if step.dataset:
                found[step.dataset] = None
        for mount in found:
            yield from self._mount(mount)
        names = {service.name for service in self.plan.services if service.env_prefix}
        given = (self.plan.options.get("mounts") or {}).get("auxiliary") or {}
        for name in given:
            if name not in names and not name.startswith("x-"):
                yield Contradiction(
                    what=f"there is no auxiliary deployment '{name}'",
                    advice=did_you_mean(name, sorted(names)),
                    location=self.at("mounts", "auxiliary", name),
                )

    def _mount(self, mount: Mount) -> Iterator[Problem]:
        text = "".join(part.text for part in mount.source if isinstance(part, Literal))
        at = self._mount_at(mount)
        if _is_relative(mount.source):
            yield Contradiction(
                what=f"'{text}' is relative, and nodes do not know to what",
                advice="begin it with '/'",
                location=at,
            )
        for value in (text, mount.target):
            if "," in value or ":" in value or not value.isprintable():
                why = (
                    f"{self.options.engine} can't mount a path with ',', ':' or a control character"
                )
                yield CannotCarry(why=why, location=at)
                return

    def _mount_at(self, mount: Mount) -> Location:
        """Where a mount was written: a key of ``mounts``, or a value elsewhere."""
        first = next((part.text for part in mount.source if isinstance(part, Literal)), None)
        if first is None:
            return self.plan.origin.locate(mount.source) or self.at("mounts")
        kinds: list[Path] = [("deployment",), ("evaluation",)]
        kinds += [("auxiliary", s.name) for s in self.plan.services if s.env_prefix]
        for kind in kinds:
            if self.plan.origin.given("execution", "mounts", *kind, first):
                return self.at("mounts", *kind, first)
        return self.plan.origin.locate(first) or self.at("mounts")

    def without_containers(self) -> Iterator[Problem]:
        for key in _ONLY_CONTAINERS:
            steps = tuple(str(step) for step in key)
            if self.written(*steps):
                yield self.idle(*steps, why="it is for containers, and 'engine' is none")
        for step in self.plan.steps:
            if step.dataset and _is_relative(step.dataset.source):
                path = (*self.plan.origin.task(step.id), "dataset_dir")
                yield Contradiction(
                    what="'dataset_dir' is relative, and nodes do not know to what",
                    advice="begin it with '/'",
                    location=self.plan.origin.at(*path),
                )

    # What stands in '#SBATCH' lines

    def directives(self) -> Iterator[Problem]:
        values: list[tuple[Path, str | None]] = [(("comment",), self.options.comment)]
        values += [(("sbatch_extra_flags", name), v) for name, v in self.options.extra_flags]
        for path, value in values:
            try:
                sbatch_value(value or "")
            except Refused as refused:
                yield CannotCarry(why=refused.why, location=self.at(*path))
        names = [job_name(self.options, self.plan, job.id) for job in self.plan.jobs]
        sized = {
            "account": self.options.account,
            "partition": self.options.partition,
            "qos": self.options.qos,
            "comment": self.options.comment,
            # A name of the config's own file is never that long.
            "subproject": max(names, key=len),
        }
        for key, value in sized.items():
            if len((value or "").encode()) > MAX_TEXT:
                what = "names of jobs" if key == "subproject" else f"'{key}'"
                why = f"Slurm takes {what} of at most {MAX_TEXT} bytes"
                yield CannotCarry(why=why, location=self.at(key))

    def extra_flags(self) -> Iterator[Problem]:
        for name in self.plan.options.get("sbatch_extra_flags") or {}:
            at = self.at("sbatch_extra_flags", name)
            if name.startswith("x-"):
                continue
            if not _FLAG.fullmatch(name):
                plain = name.lstrip("-").lower().replace("_", "-")
                yield Contradiction(
                    what=f"{name!r} can't be an option of sbatch",
                    advice=f"did you mean '{plain}'?" if _FLAG.fullmatch(plain) else "",
                    location=at,
                )
            elif name in _OWN_FLAGS:
                key = _OWN_FLAGS[name]
                yield Contradiction(
                    what=f"the scripts set --{name} themselves",
                    advice=f"use 'execution.{key}'" if key else "leave it out",
                    location=at,
                )
            elif name not in _LIKE_OWN and (meant := _meant(name)):
                yield Contradiction(
                    what=f"sbatch takes --{name} for --{meant}, which the scripts set themselves",
                    location=at,
                )

    # Servers

    def topology(self) -> Iterator[Problem]:
        if all(service.env_prefix for service in self.plan.services):
            for key in (("nodes",), ("num_instances",), ("deployment", "n_tasks")):
                if self.written(*key):
                    yield self.idle(*key, why="it is for a deployment, and there is none")
        for service in self.plan.services:
            yield from self._division(service)
            for side in ("head_command", "worker_command"):
                path = (*_block(service), side)
                if service.nodes <= service.instances and self.plan.origin.written(*path):
                    yield NoEffect(
                        key=_key(path),
                        why="each server takes one node",
                        location=self.plan.origin.at(*path),
                    )

    def _division(self, service: Service) -> Iterator[Problem]:
        auxiliary = bool(service.env_prefix)
        block: Path = _block(service) if auxiliary else ("execution",)
        nodes = (*block, "num_nodes" if auxiliary else "nodes")
        instances = (*block, "num_instances")
        tasks = (*block, *(("n_tasks",) if auxiliary else ("deployment", "n_tasks")))
        at = self.plan.origin.at
        if service.nodes % service.instances:
            yield Contradiction(
                what=f"{_count(service.nodes, 'node')} can't be divided among "
                f"{_count(service.instances, 'instance')} of '{service.name}'",
                advice=f"make {_key(nodes)} a multiple of {service.instances}",
                location=at(*instances),
            )
        elif service.tasks % service.instances:
            yield Contradiction(
                what=f"{_count(service.tasks, 'task')} can't be divided among "
                f"{_count(service.instances, 'instance')} of '{service.name}'",
                advice=f"make it a multiple of {service.instances}",
                location=at(*tasks),
            )
        elif service.tasks < service.nodes:
            yield Contradiction(
                what=f"'{service.name}' has {_count(service.nodes, 'node')} and only "
                f"{_count(service.tasks, 'task')} to start on them",
                advice=f"give each node one: {service.nodes} or more",
                location=at(*tasks),
            )

    def ports(self) -> Iterator[Problem]:
        """On a job's first node, the model's first server and every load balancer listen."""
        proxies = proxy_ports(self.plan, self.options)
        taken: dict[int, str] = {}
        for service in self.plan.services:
            if not service.env_prefix:
                taken[service.port] = f"the server '{service.name}'"
        for service in self.plan.services:
            port = proxies.get(service.name)
            if port is None:
                continue
            at = self._port_at(service)
            if port in taken:
                yield Contradiction(
                    what=f"{taken[port]} and the load balancer of '{service.name}' would both "
                    f"listen on port {port} of a job's first node",
                    advice="give one of them another port",
                    location=at,
                )
            elif port > _MAX_PORT:
                what = f"the load balancer of '{service.name}' would need port {port}"
                yield Contradiction(what=what, location=at)
            taken.setdefault(port, f"the load balancer of '{service.name}'")

    def health_paths(self) -> Iterator[Problem]:
        """What curl asks for, and haproxy reads in a way of its own."""
        paths = [(s.health_path, (*_block(s), "endpoints", "health")) for s in self.plan.services]
        own = self.options.proxy.health_path
        if own:
            paths.append((own, ("execution", "proxy", "config", "health_check_path")))
        for text, path in paths:
            if not _URL_PATH.fullmatch(text):
                yield Contradiction(
                    what=f"{text!r} is no path of a URL",
                    advice="it begins with '/' and has no spaces, quotes or '#'",
                    location=self.plan.origin.at(*path),
                )

    def _port_at(self, service: Service) -> Location:
        """Where a load balancer's port can be changed, or else the one that it meets."""
        if self.written("proxy", "config", "haproxy_port"):
            return self.at("proxy", "config", "haproxy_port")
        if self.plan.origin.written("deployment", "port"):
            return self.plan.origin.at("deployment", "port")
        return self.plan.origin.at(*_block(service), "num_instances")

    # How long, and how often

    def times(self) -> Iterator[Problem]:
        job = self.plan.jobs[0]
        walltime, total = job.resources.walltime, job.retry.total
        if total is not None and (walltime is None or walltime > total):
            key = "max_walltime" if self.written("max_walltime") else "walltime"
            yield Contradiction(
                what=f"one attempt may take {format_walltime(walltime)}, and all together only "
                f"{format_walltime(total)}",
                advice="lower 'walltime', or raise 'max_walltime'",
                location=self.at(key),
            )
        own = self.written("resume", "signal_before")
        if own and walltime is not None and self.options.signal_before >= walltime:
            yield Contradiction(
                what=f"a job of {walltime} s can't be told {self.options.signal_before} s before "
                "its end",
                advice="lower 'resume.signal_before'; 0 tells it nothing",
                location=self.at("resume", "signal_before"),
            )

    def arrays(self) -> Iterator[Problem]:
        options = self.options
        shared = any(len(job.steps) > 1 for job in self.plan.jobs)
        if options.array and self.plan.cell:
            yield Contradiction(
                what="all jobs of an array ask for the same, and the cells of a matrix may not",
                advice="leave it out",
                location=self.at("array"),
            )
        elif options.array and self.plan.services:
            yield Contradiction(
                what="a job array is for tasks that need no server of their own",
                advice="leave it out, or evaluate an endpoint under 'target'",
                location=self.at("array"),
            )
        elif options.array and shared:
            yield Contradiction(
                what="'sharing: shared' makes one job of all tasks, and an array a job of each",
                advice="keep one of the two",
                location=self.at("array"),
            )
        elif options.array and options.strategy == "prequeued":
            yield Contradiction(
                what="the links of a chain can't be queued beforehand for a job array",
                advice="leave 'array' out, or take another 'resume.strategy'",
                location=self.at("array"),
            )
        elif options.array and len(self.plan.jobs) > MAX_ARRAY:
            yield Contradiction(
                what=f"a job array holds {MAX_ARRAY} tasks, and there are {len(self.plan.jobs)}",
                advice="leave it out, or pick tasks with -t",
                location=self.at("array"),
            )
        if not options.array and options.array_limit is not None:
            yield self.idle("array_limit", why="'array' is false")
        if options.parallelism > 1 and not shared and self.written("parallelism"):
            yield self.idle("parallelism", why="no job has more than one task")

    # Variables

    def variables(self) -> Iterator[Problem]:
        """Names that the scripts give values of their own."""
        owners: list[tuple[Path, frozenset[str]]] = []
        for service in self.plan.services:
            names = frozenset(var.name for var in service.env)
            owners.append((_block(service), names))
        for step in self.plan.steps:
            names = frozenset(var.name for var in step.env)
            owners.append((self.plan.origin.task(step.id), names))
        seen: set[tuple[str, Path]] = set()
        for block, names in owners:
            for name in sorted(names):
                own = name in SCRIPT_VARIABLES
                if not own and not name.startswith(_OF_SLURM):
                    continue
                path = self._variable(name, block)
                if (name, path) not in seen:
                    seen.add((name, path))
                    why = "the scripts give it a value of their own" if own else "it is Slurm's"
                    at = self.plan.origin.at(*path)
                    yield BadEnvName(name=name, why=why, location=at)

    def _variable(self, name: str, block: Path) -> Path:
        """The path of the block in which a variable of ``block`` was written."""
        for path in ((*block, "env_vars"), ("evaluation", "env_vars"), ("env_vars",)):
            if self.plan.origin.given(*path, name):
                return (*path, name)
        return (*block, "env_vars")


def _meant(flag: str) -> str:
    """The option of the scripts' own that ``flag`` abbreviates; empty without one."""
    return next((own for own in _OWN_FLAGS if own.startswith(flag)), "")


def _key(path: Path) -> str:
    return ".".join(str(step) for step in path)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _is_relative(path: Word) -> bool:
    first = path[0]
    return isinstance(first, Literal) and not first.text.startswith("/")
