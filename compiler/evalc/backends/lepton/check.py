"""What a plan may not ask of Lepton, or asks in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalc.backends import checks
from evalc.backends.lepton import inside, names
from evalc.backends.lepton.options import Options
from evalc.backends.lepton.problems import LosesResults, ScalesToZero
from evalc.backends.lepton.specs import Objects, asks_for_endpoint
from evalc.backends.lepton.validate import faults
from evalc.emit.quoting import Refused
from evalc.plan.images import is_file
from evalc.plan.names import ENDPOINT_URL
from evalc.plan.problems import BadEnvName, CannotCarry, Contradiction, NoEffect, NotGiven
from evalc.words import Literal, RuntimeEnv, literal_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evalc.errors import Location, Problem
    from evalc.plan import Mount, Plan
    from evalc.words import Word

    Path = tuple[str | int, ...]

_TASKS: Path = ("execution", "lepton_platform", "tasks")
_DEFAULTS: Path = ("execution", "lepton_platform", "deployment", "platform_defaults")
_ENDPOINT: Path = ("deployment", "lepton_config")
_TARGET: Path = ("target", "api_endpoint")
# What a job's script sets itself.
OWN_VARIABLES = frozenset(("FILES_DIR", "RESULTS_DIR", "RUN_CONFIG"))
_ONLY_SEVERAL_NODES = ("head_command", "worker_command")
# Keys that older configs have, and that mean nothing.
_IDLE: tuple[tuple[Path, str], ...] = (
    ((*_TASKS, "api_tokens"), "a job has no tokens; those of an endpoint stand under deployment"),
    ((*_DEFAULTS, "enable_rdma"), "the platform's client has no such setting"),
)


def check(plan: Plan) -> Iterator[Problem]:
    """Every problem of the plan, errors and warnings."""
    found = _Check(plan)
    yield from checks.images(plan)
    yield from found.images()
    yield from found.storage()
    yield from found.mounts()
    yield from found.target()
    yield from found.deployment()
    yield from found.replicas()
    yield from found.tokens()
    yield from found.variables()
    yield from found.labels()
    yield from found.idle_keys()
    yield from checks.output_dir(plan)
    yield from found.auto_export()
    yield from found.objects()


class _Check:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.options = Options.of(plan.options)

    def at(self, *path: str | int) -> Location:
        return self.plan.origin.at(*path)

    def images(self) -> Iterator[Problem]:
        """Of files, which clusters can run."""
        every = [step.image for step in self.plan.steps]
        every += [service.image for service in self.plan.services]
        for image in dict.fromkeys(every):
            text = literal_text(image) if image else None
            if text is not None and is_file(text):
                yield Contradiction(
                    what="Lepton takes an image from a registry, and not from a file",
                    advice="name a registry",
                    location=self.plan.origin.locate(text) or self.at(),
                )

    def auto_export(self) -> Iterator[Problem]:
        if (self.plan.options.get("auto_export") or {}).get("destinations"):
            yield NoEffect(
                key="execution.auto_export",
                why="results are on the platform's volume; 'evalc export' does it after "
                "'evalc fetch'",
                location=self.at("execution", "auto_export"),
            )

    # The volume

    def storage(self) -> Iterator[Problem]:
        tasks = ("execution", "evaluation_tasks")
        own = self.plan.options.get("evaluation_tasks") or {}
        if own.get("use_shared_storage") is False:
            yield LosesResults(location=self.at(*tasks, "use_shared_storage"))
            return
        paths = [mount["mount_path"] for mount in self.options.tasks.mounts]
        if not paths:
            yield NotGiven(
                key=_key((*_TASKS, "mounts")),
                because="results are kept on the first of them",
                location=self.at(*_TASKS, "mounts"),
            )
            return
        index = self._mount_of(_start(self.options.tasks.results))
        if index is None:
            yield Contradiction(
                what="'results_dir' is below none of the mounts: what is written there is lost",
                advice=f"take a folder below {_start(paths[0])}",
                location=self.at(*tasks, "results_dir"),
            )
        elif (self.options.tasks.mounts[index].get("mount_options") or {}).get("read_only"):
            yield Contradiction(
                what=f"results can't be written to {_start(paths[index])}, which is read-only",
                advice="name a folder of another mount by 'results_dir', or leave out 'read_only'",
                location=self.at(*_TASKS, "mounts", index, "mount_options", "read_only"),
            )

    def _mount_of(self, folder: str) -> int | None:
        """Which of the tasks' mounts a folder is on, of several the deepest."""
        found = [
            (len(path), -index)
            for index, mount in enumerate(self.options.tasks.mounts)
            if _is_below(folder, path := names.normal(_start(mount["mount_path"])))
        ]
        return -max(found)[1] if found else None

    def mounts(self) -> Iterator[Problem]:
        taken: set[str] = set()
        for path, mounts in ((_TASKS, self.options.tasks.mounts), (_ENDPOINT, self._own_mounts())):
            taken.clear()
            for index, mount in enumerate(mounts):
                where = (*path, "mounts", index)
                yield from self._mount(where, mount, taken)
        of_tasks = {names.normal(_start(m["mount_path"])) for m in self.options.tasks.mounts}
        for step in self.plan.steps:
            if step.dataset:
                where = (*self.plan.origin.task(step.id), "dataset_dir")
                yield from self._path_of_volume(step.dataset, where, "name a folder of the volume")
                fault = names.mount_path_fault(step.dataset.target)
                if fault:
                    yield self._bad_target(
                        step.dataset.target, fault, (*where[:-1], "dataset_mount_path")
                    )
                if names.normal(step.dataset.target) in of_tasks:
                    yield self._two(step.dataset.target, (*where[:-1], "dataset_mount_path"))
        for service in self.plan.services:
            for own in service.mounts:
                key = "checkpoint_path" if own.target == "/checkpoint" else "cache_path"
                advice = "name a folder of the volume, or a model of the hub by 'hf_model_handle'"
                yield from self._path_of_volume(own, ("deployment", key), advice)
                if names.normal(own.target) in taken:
                    yield self._two(own.target, ("deployment", key))

    def _own_mounts(self) -> tuple[dict[str, Any], ...]:
        return self.options.endpoint.mounts if self.plan.services else ()

    def _mount(self, where: Path, mount: Mapping[str, Any], taken: set[str]) -> Iterator[Problem]:
        volume = mount.get("from") or self.options.storage
        if volume is None:
            yield self._no_volume((*where, "from"))
        elif isinstance(volume, str) and (fault := names.volume_fault(volume)):
            yield Contradiction(
                what=f"{volume!r} can't be a volume: {fault}", location=self.at(*where, "from")
            )
        target = mount["mount_path"]
        if not isinstance(target, str):
            return
        fault = names.mount_path_fault(target)
        if fault:
            yield self._bad_target(target, fault, (*where, "mount_path"))
        if names.normal(target) in taken:
            yield self._two(target, (*where, "mount_path"))
        taken.add(names.normal(target))

    def _two(self, target: str, where: Path) -> Problem:
        return Contradiction(
            what=f"two volumes would be mounted at {target!r}", location=self.at(*where)
        )

    def _bad_target(self, target: str, fault: str, where: Path) -> Problem:
        return Contradiction(
            what=f"nothing can be mounted at {target!r}: {fault}", location=self.at(*where)
        )

    def _path_of_volume(self, mount: Mount, where: Path, advice: str) -> Iterator[Problem]:
        if self.options.storage is None:
            yield self._no_volume(where)
        first = mount.source[0]
        if isinstance(first, Literal) and not first.text.startswith("/"):
            yield Contradiction(
                what=f"'{where[-1]}' is mounted from a volume, where paths begin with '/'",
                advice=advice,
                location=self.at(*where),
            )

    def _no_volume(self, where: Path) -> Problem:
        return NotGiven(
            key=_key((*_TASKS, "mounts")),
            because=f"'{where[-1]}' needs a volume, and none is named",
            location=self.at(*where),
        )

    # Endpoints

    def target(self) -> Iterator[Problem]:
        name = self.options.deployment
        if name is None:
            return
        at = self.at(*_TARGET, "deployment_name")
        fault = names.deployment_fault(name)
        if fault:
            yield Contradiction(what=f"{name!r} can't name an endpoint: {fault}", location=at)
        if self.plan.services:
            yield Contradiction(
                what="a deployment serves the model, and 'deployment_name' another one",
                advice="keep one of the two",
                location=at,
            )
        elif self.plan.origin.given(*_TARGET, "url"):
            yield Contradiction(
                what="the URL of 'deployment_name' is looked up, and 'url' is another",
                advice="keep one of the two",
                location=at,
            )

    def deployment(self) -> Iterator[Problem]:
        if self.plan.origin.given("auxiliary_deployments"):
            yield Contradiction(
                what="the Lepton backend starts no auxiliary deployments",
                advice="create an endpoint for each yourself, and name their URLs in the tasks",
                location=self.at("auxiliary_deployments"),
            )
        if not self.plan.services:
            if self.plan.origin.written(*_ENDPOINT):
                why = "nothing is deployed"
                yield NoEffect(key=_key(_ENDPOINT), why=why, location=self.at(*_ENDPOINT))
            return
        if self.options.endpoint.shape is None:
            yield NotGiven(
                key=_key((*_ENDPOINT, "resource_shape")),
                because="it decides what machine the server gets",
                location=self.at(*_ENDPOINT, "resource_shape"),
            )
        if self.plan.services[0].type == "vllm_ray":
            yield Contradiction(
                what="a replica of an endpoint is one machine, and vllm_ray is for several",
                advice="take the type vllm, and a shape with enough GPUs",
                location=self.at("deployment", "type"),
            )
        for key in (*_ONLY_SEVERAL_NODES, "gpus"):
            if self.plan.origin.written("deployment", key):
                several = key in _ONLY_SEVERAL_NODES
                yield NoEffect(
                    key=f"deployment.{key}",
                    why="it is for servers that take several nodes"
                    if several
                    else "the shape of the machine decides (lepton_config.resource_shape)",
                    location=self.at("deployment", key),
                )

    def replicas(self) -> Iterator[Problem]:
        if not self.plan.services:
            return
        endpoint = self.options.endpoint
        if endpoint.min_replicas > endpoint.max_replicas:
            yield Contradiction(
                what=f"there can't be {endpoint.min_replicas} replicas at least and "
                f"{endpoint.max_replicas} at most",
                location=self.at(*_ENDPOINT, "max_replicas"),
            )
        down = (*_ENDPOINT, "auto_scaler", "scale_down")
        own = self.plan.options.get("lepton_config") or {}
        if ((own.get("auto_scaler") or {}).get("scale_down") or {}).get("scale_from_zero"):
            yield Contradiction(
                what="Lepton can't scale an endpoint up from zero",
                advice="leave it out, and keep 'min_replicas' at 1 or more",
                location=self.at(*down, "scale_from_zero"),
            )
        idle = endpoint.auto_scaler["scale_down"].get("no_traffic_timeout")
        if endpoint.min_replicas == 0:
            key = (*_ENDPOINT, "min_replicas")
            yield ScalesToZero(how=str(key[-1]), location=self.at(*key))
        elif idle:
            key = (*down, "no_traffic_timeout")
            yield ScalesToZero(how=str(key[-1]), location=self.at(*key))

    def tokens(self) -> Iterator[Problem]:
        """Values of secrets that files would hold."""
        own = self.plan.options.get("lepton_config") or {}
        places: list[Path] = [
            ("api_tokens", index, "value")
            for index, token in enumerate(own.get("api_tokens") or ())
            if token.get("value") is not None
        ]
        if own.get("api_token"):
            places.append(("api_token",))
        for place in places:
            why = (
                "files of the run would hold the token; name one of the workspace: "
                "api_tokens: [{value_from: {token_name_ref: NAME}}]"
            )
            yield CannotCarry(why=why, location=self.at(*_ENDPOINT, *place))
        for index, token in enumerate(own.get("api_tokens") or ()):
            if token.get("value") is None and not token.get("value_from"):
                yield NotGiven(
                    key=f"{_key((*_ENDPOINT, 'api_tokens'))}[{index}].value_from.token_name_ref",
                    because="it names the token",
                    location=self.at(*_ENDPOINT, "api_tokens", index),
                )

    # Names

    def variables(self) -> Iterator[Problem]:
        owners: list[tuple[Path, list[str]]] = [
            (("deployment",), [var.name for var in service.env]) for service in self.plan.services
        ]
        owners += [
            (self.plan.origin.task(step.id), [var.name for var in step.env])
            for step in self.plan.steps
        ]
        seen: set[Path] = set()
        for block, variables in owners:
            for name in variables:
                why = ""
                if name in names.RESERVED_VARIABLES:
                    why = "Lepton sets it itself"
                elif name in OWN_VARIABLES:
                    why = "the job's script gives it a value of its own"
                path = self._variable(name, block)
                if why and path not in seen:
                    seen.add(path)
                    yield BadEnvName(name=name, why=why, location=self.at(*path))

    def _variable(self, name: str, block: Path) -> Path:
        """The path of a variable of ``block``."""
        blocks: list[Path] = [
            (*block, "env_vars"),
            ("evaluation", "env_vars"),
            (*_TASKS, "env_vars"),
            ("env_vars",),
        ]
        found = (path for path in blocks if self.plan.origin.given(*path, name))
        return (*next(found, blocks[0]), name)

    def labels(self) -> Iterator[Problem]:
        for key in self.options.tasks.labels:
            fault = names.label_fault(key)
            if fault:
                at = self.at(*_TASKS, "labels", key)
                yield Contradiction(what=f"{key!r} can't name a label: {fault}", location=at)

    def idle_keys(self) -> Iterator[Problem]:
        for path, why in _IDLE:
            if self.plan.origin.written(*path):
                yield NoEffect(key=_key(path), why=why, location=self.at(*path))

    # What comes out

    def objects(self) -> Iterator[Problem]:
        """What the platform's client would not take, or no process could be given."""
        try:
            made = Objects(self.plan)
        except Refused as refused:
            key, at = self.plan.origin.find(refused.value) or ("", self.plan.origin.at())
            yield CannotCarry(why=refused.why, key=key, location=at)
            return
        for job in made.jobs:
            talks = job.endpoint or self.options.deployment
            if not talks and asks_for_endpoint(job):
                yield Contradiction(
                    what=f"{ENDPOINT_URL} stands for the address of an endpoint, and there is none",
                    advice="take a variable of another name",
                    location=self.plan.origin.locate((RuntimeEnv(ENDPOINT_URL),))
                    or self.at(*self.plan.origin.task(job.step.id)),
                )
            if len(job.script.text.encode()) >= inside.MAX_WORD:
                path = self.plan.origin.task(job.step.id)
                yield CannotCarry(why=_TOO_LONG, location=self.at(*path, "files"))
        if any(len(one.script.encode()) >= inside.MAX_WORD for one in made.endpoints):
            yield CannotCarry(why=_TOO_LONG, location=self.at("deployment", "files"))
        for kind, bodies, blocks in (
            ("job", [job.body for job in made.jobs], (_TASKS, ("execution", "evaluation_tasks"))),
            ("deployment", [one.body for one in made.endpoints], (_ENDPOINT, _DEFAULTS)),
        ):
            for fault in faults(kind, bodies):
                where = next(
                    (b for b in blocks if self.plan.origin.given(*b, *fault.path[1:2])), blocks[0]
                )
                yield Contradiction(
                    what=f"the platform's client does not take {_key(fault.path)}: {fault.what}",
                    location=self.at(*where, *fault.path[1:]),
                )


_TOO_LONG = (
    "a job carries its files in its command, which holds at most "
    f"{inside.MAX_WORD // 1024} KiB; put what is larger on a mount"
)


def _key(path: Path) -> str:
    return ".".join(str(step) for step in path)


def _is_below(folder: str, path: str) -> bool:
    return bool(folder) and f"{names.normal(folder)}/".startswith(f"{path.rstrip('/')}/")


def _start(path: str | Word | None) -> str:
    """The part of a path that is known, up to the first that is not."""
    if path is None or isinstance(path, str):
        return path or ""
    first = path[0]
    return first.text if isinstance(first, Literal) else ""
