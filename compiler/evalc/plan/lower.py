"""Config -> plan.

Takes the composed, validated and normalised config, so it reads values without checking their types
again; what it does check is what no schema can say: names, references, and keys that are right by
themselves and wrong together. Every problem is collected before any is raised.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from evalc import catalog
from evalc.errors import Problem, did_you_mean
from evalc.plan import auxiliary
from evalc.plan.env import name_fault
from evalc.plan.files import bundled_files
from evalc.plan.gpus import gpus_in_gres
from evalc.plan.model import (
    EnvVar,
    Export,
    Job,
    Mount,
    Plan,
    Resources,
    Retry,
    Service,
    Shell,
    Step,
)
from evalc.plan.names import ENDPOINT_URL, MAX_NAME, NAME
from evalc.plan.origin import Origin
from evalc.plan.pinning import pinned
from evalc.plan.problems import (
    AmbiguousTask,
    BadEnvName,
    BadTaskName,
    BadUrl,
    Contradiction,
    DuplicateTask,
    NoEffect,
    NotGiven,
    SecretOutsideEnv,
    UnknownSelection,
    UnknownTask,
)
from evalc.plan.reading import Reader
from evalc.plan.services import ServiceReader
from evalc.plan.walltime import parse_walltime
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import MARK, StandIn, scalar_text, scalars
from evalc.words import Literal, RuntimeEnv, Secret, Word, literal, literal_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Location
    from evalc.source import Path

# What a bundle holds at its top, beside the tasks.
RESERVED_IDS = frozenset(
    (
        "lib",
        "logs",
        "services",
        "endpoint.components.json",
        "endpoint.json",
        "endpoint.sh",
        "endpoint.spec.json",
        "lepton.json",
        "export.sh",
        "export_install.sh",
        "manifest.json",
        "plan.json",
        "config.yaml",
        "readme.md",
        "run_all.sh",
        "run_all.sequential.sh",
        "sbatch_all.sh",
        "sbatch_array.sh",
        "sbatch_export.sh",
        "setup.sh",
        "submit_all.sh",
    )
)
# Keys of execution whose meaning stands in the whole plan: see evalc.plan.airgap.
_AIRGAP = ("image_mirror", "offline")
# Keys of execution that the plan has places of its own for.
_ELSEWHERE = frozenset(
    ("type", "output_dir", "memory_limit", "cpus", "sharing", "pin_images", *_AIRGAP)
)
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY", re.IGNORECASE
)
# Sent by task type to the endpoint that serves it, where the deployment has none of that name.
_SERVED_BY = {"vlm": "chat", "completions_logprob": "completions"}
# Where servers that speak OpenAI's protocol have what a task asks for.
_USUAL_PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embedding": "/v1/embeddings",
}
_NOT_IN_URLS = re.compile(r"[\s\x00-\x1f\x7f]")
_BY_NAME = "an endpoint of the type lepton is found by it"
# Of a task of whose name this is said, nothing else can be known.
_OF_IDENTITY = (AmbiguousTask, BadTaskName, DuplicateTask, UnknownTask)
_SETTINGS = "nemo_evaluator_config"
# Where a container of the contract has its artifacts.
_RESULTS = "/results"
# Where copies of results go where the config does not say; the same as of 'evalc export'.
_EXPORTED = "./exported-results"
# The load balancer's port where the config does not say.
_PROXY_PORT = 5009


def lower(root: Mapping, *, name: str, base: str, selected: tuple[str, ...]) -> Lowered:
    """The plan of a config.

    ``base`` is the folder of the primary config, for files named on the command line; ``selected``
    are the tasks that ``-t`` picks (all, when empty). A config with stand-ins for what is wrong in
    it is lowered as well as it can be.
    """
    lowering = _Lowering(root, name, base)
    plan = lowering.plan(selected)
    if lowering.flag("execution", "pin_images"):
        plan, unpinned = pinned(plan)
        lowering.problems += unpinned
    if any(lowering.node("execution", key) for key in _AIRGAP):
        from evalc.plan.airgap import for_airgap  # noqa: PLC0415 - most clusters have a network

        # After the digests: a mirror has the same by other names.
        plan = for_airgap(plan, lowering)
    # What several parts of the plan read (the top-level env_vars) is reported once.
    return Lowered(plan, tuple(dict.fromkeys(lowering.problems)), tuple(lowering.left_out))


class Lowered:
    """A plan, and what is wrong or worth a warning.

    With an error among the ``problems``, the plan is no more than a means to find others:
    ``left_out`` are steps whose task is not known, or has another's name.
    """

    def __init__(
        self, plan: Plan, problems: tuple[Problem, ...], left_out: tuple[Step, ...]
    ) -> None:
        self.plan = plan
        self.problems = problems
        self.left_out = left_out


class _Lowering(Reader):
    def __init__(self, root: Mapping, name: str, base: str) -> None:
        super().__init__(root, base, [])
        self.name = name
        # What all tasks have in common is read once.
        self.common_env = self._common_env()
        common = self.mapping("evaluation", _SETTINGS)
        self.common_settings = _without_free_keys(common.plain()) if common else {}
        if self.is_unknown("evaluation", _SETTINGS):
            self.common_settings = {"target": MARK}
        self.evaluation_mounts = tuple(self.mounts("evaluation"))
        # What tells every step where its auxiliary services are; known when those are.
        self.told: tuple[EnvVar, ...] = ()
        self.left_out: list[Step] = []

    # The plan

    def plan(self, selected: tuple[str, ...]) -> Plan:
        self._secrets_outside_env()
        services = ServiceReader(self.root, self.base, self.problems).services()
        chosen = self._select(list(self._steps(services)), selected)
        left_out = set(map(id, self.left_out))
        steps = [step for step in chosen if id(step) not in left_out]
        resources, retry = self._resources(services), self._retry()
        if self._shares(services):
            jobs: tuple[Job, ...] = (Job(self.name, tuple(steps), services, resources, retry),)
        else:
            jobs = tuple(Job(step.id, (step,), services, resources, retry) for step in steps)
        execution = self.mapping("execution")
        return Plan(
            name=self.name,
            backend=self.backend,
            output_dir=self.word("execution", "output_dir") or literal("results"),
            jobs=jobs,
            options={
                **{
                    key: value
                    for key, value in (execution.plain() if execution else {}).items()
                    if key not in _ELSEWHERE and not key.startswith("x-")
                },
                **(self._of_lepton() if self.on_lepton else {}),
            },
            origin=Origin(self.root),
            export=self._export(),
        )

    def _export(self) -> Export | None:
        """None where no destination is named, and on Lepton, where nothing could do it."""
        destinations = self.node("execution", "auto_export", "destinations")
        if self.on_lepton or not isinstance(destinations, Sequence) or not destinations.items:
            return None
        return Export(
            output_dir=self.word("export", "local", "output_dir") or literal(_EXPORTED),
            copy_logs=self._switch("export", "local", "copy_logs", default=False),
            copy_artifacts=self._switch("export", "local", "copy_artifacts", default=True),
            only_required=self._switch("export", "local", "only_required", default=True),
            env=tuple(self.env(("export", "env_vars"))),
        )

    def _switch(self, *path: str, default: bool) -> bool:
        """A boolean, or the default."""
        return self.flag(*path) if self.text(*path) else default

    def _of_lepton(self) -> dict[str, Any]:
        """What the Lepton backend alone reads, and stands elsewhere than under ``execution``."""
        endpoint = self.mapping("deployment", "lepton_config")
        return {
            "sharing": self.text("execution", "sharing") or "per_task",
            "lepton_config": _without_free_keys(endpoint.plain()) if endpoint else {},
            # Where it lacks it has been asked for, and is there as far as the backend knows.
            "deployment_name": self.text("target", "api_endpoint", "deployment_name")
            or (MARK if self._is_looked_up() else ""),
        }

    def _common_env(self) -> list[EnvVar]:
        """The variables that all tasks have; later blocks win."""
        top, evaluation = ("env_vars",), ("evaluation", "env_vars")
        if not self.on_lepton:
            return self.env(top, evaluation, bare_is_host=True)
        platform = self.env(top, ("execution", "lepton_platform", "tasks", "env_vars"))
        found = {var.name: var for var in platform}
        found.update((var.name, var) for var in self.env(evaluation, bare_is_host=True))
        return list(found.values())

    def _shares(self, services: tuple[Service, ...]) -> bool:
        """Whether all steps are one job."""
        sharing = self.text("execution", "sharing")
        if self.on_cluster:
            return sharing == "shared"
        if self.on_lepton:
            # What is shared there is an endpoint, which is no part of a job.
            return False
        return bool(services) and sharing != "per_task"

    def _resources(self, services: tuple[Service, ...]) -> Resources:
        return Resources(
            nodes=max(1, sum(service.nodes for service in services)),
            cpus=cast("float | None", self.number("execution", "cpus")),
            memory=self.text("execution", "memory_limit") or None,
            gpus=services[0].gpus if services else None,
            walltime=self._walltime(),
            gpus_per_node=self._gpus_per_node(services),
        )

    def _walltime(self) -> int | None:
        if self.on_lepton:
            timeout = self.number("execution", "evaluation_tasks", "timeout")
            return None if timeout is None else int(timeout)
        return self._time("execution", "walltime") if self.on_cluster else None

    def _gpus_per_node(self, services: tuple[Service, ...]) -> int | None:
        if not self.on_cluster:
            return None
        given = self.number("execution", "gpus_per_node")
        gres = self.text("execution", "gres")
        if given is not None or not gres:
            return None if given is None else int(given)
        node = self.node("execution", "gres")
        is_default = node is not None and node.source.kind == "builtin"
        if is_default and not any(service.gpus for service in services):
            return None
        return gpus_in_gres(gres)

    def _retry(self) -> Retry:
        if self.on_lepton:
            again = self.count("execution", "evaluation_tasks", "max_failure_retry", default=0)
            return Retry(attempts=1 + again, failed=again)
        if not self.on_cluster:
            return Retry()
        total = self._time("execution", "max_walltime")
        if self.text("execution", "resume", "strategy") in ("", "none"):
            return Retry(total=total)
        return Retry(
            attempts=self.count("execution", "resume", "attempts"),
            failed=self.count("execution", "resume", "failed", default=0),
            out_of_memory=self.count("execution", "resume", "out_of_memory", default=0),
            idle=self.count("execution", "resume", "idle", default=0),
            total=total,
        )

    def _time(self, *path: str | int) -> int | None:
        """A time limit of Slurm's, in seconds; None for no limit."""
        text = self.text(*path)
        try:
            return parse_walltime(text) if text else None
        except ValueError as error:
            at = self.value_at(*path)
            self.problems.append(Contradiction(what=str(error), location=at))
            return None

    def _secrets_outside_env(self) -> None:
        for path, node in scalars(self.root):
            if not isinstance(node.value, tuple) or _is_variable(path):
                continue
            for part in node.value:
                if isinstance(part, RuntimeEnv) and _SECRET_NAME.search(part.name):
                    self.problems.append(SecretOutsideEnv(name=part.name, location=node.location))
                elif isinstance(part, RuntimeEnv) and name_fault(part.name):
                    fault = BadEnvName(
                        name=part.name, why=name_fault(part.name), location=node.location
                    )
                    self.problems.append(fault)

    # Steps

    def _steps(self, services: tuple[Service, ...]) -> Iterator[Step]:
        self.told = auxiliary.variables(services)
        tasks = self.node("evaluation", "tasks")
        items = tasks.items if isinstance(tasks, Sequence) else []
        taken: dict[str, Location] = {}
        for index, item in enumerate(items):
            if isinstance(item, Mapping):
                before = len(self.problems)
                step = self._step(("evaluation", "tasks", index), item, services)
                key = step.id.casefold()
                where = (item.get("id") or item.get("name") or item).location
                if key in taken:
                    twice = DuplicateTask(name=step.id, first=taken[key], location=where)
                    self.problems.append(twice)
                taken.setdefault(key, where)
                if any(isinstance(p, _OF_IDENTITY) for p in self.problems[before:]):
                    self.left_out.append(step)
                yield step

    def _step(self, path: Path, item: Mapping, services: tuple[Service, ...]) -> Step:
        name = _text(item, "name")
        step_id = _text(item, "id") or name
        self._check_id(step_id, (item.get("id") or item.get("name") or item).location)
        command = _text(item, "command")
        found = None if command.strip() else self._find(path, name)
        settings = auxiliary.resolved(self._settings(item), services)
        endpoint_type = (
            _text(item, "endpoint_type")
            or _api_endpoint(settings).get("type")
            or (found.endpoint_types[0] if found and found.endpoint_types else "chat")
        )
        url, model = self._target(settings, endpoint_type, services)
        key_name = self._key_name(settings)
        self._check_results(path)
        params = _block(settings, "config", "params")
        limit = params.get("limit_samples")
        return Step(
            id=step_id,
            task=found.name if found else name,
            harness=found.harness.name if found else None,
            image=self._image(path, found),
            command=Shell(command) if command.strip() else None,
            pre_cmd=_text(item, "pre_cmd") or self.text("evaluation", "pre_cmd"),
            post_cmd=_text(item, "post_cmd") or self.text("evaluation", "post_cmd"),
            endpoint_type=endpoint_type,
            model_url=url,
            model_id=model,
            api_key_name=key_name,
            limit_samples=None if limit is None else str(limit),
            run_config=self._run_config(
                settings,
                found.name if found else name,
                endpoint_type,
                url=url,
                model=model,
                key_name=key_name,
            ),
            dataset=self._dataset(path),
            env=self._step_env(path, key_name),
            mounts=self.evaluation_mounts,
            files=bundled_files(item.get("files"), self.base, self.problems),
        )

    def _check_id(self, step_id: str, at: Location) -> None:
        why = ""
        if not step_id:
            return  # the schema asks for a name
        if not NAME.fullmatch(step_id):
            why = "only letters, digits, '.', '_' and '-' go into one, and a letter or digit first"
        elif len(step_id) > MAX_NAME:
            why = f"it is longer than {MAX_NAME} characters"
        elif step_id.casefold() in RESERVED_IDS:
            why = "a bundle has something of that name"
        if why:
            self.problems.append(BadTaskName(name=step_id, why=why, location=at))

    def _find(self, path: Path, name: str) -> catalog.Task | None:
        try:
            return catalog.load().find(name)
        except catalog.AmbiguousTask as error:
            at = self.value_at(*path, "name")
            self.problems.append(AmbiguousTask(task=name, choices=error.choices, location=at))
        except catalog.UnknownTask as error:
            # A container of the user's may hold tasks that the catalogue has never heard of.
            if name and not self.word(*path, "container"):
                at = self.value_at(*path, "name")
                harness = name.partition(".")[0] if "." in name else ""
                known = [h.image for h in catalog.load().harnesses if h.name == harness]
                unknown = UnknownTask(
                    task=name,
                    suggestions=error.suggestions,
                    image="".join(known),
                    location=at,
                )
                self.problems.append(unknown)
        return None

    def _image(self, path: Path, found: catalog.Task | None) -> Word | None:
        if self.text("execution", "engine") == "none":
            return None
        return self.word(*path, "container") or (literal(found.image) if found else None)

    def _settings(self, item: Mapping) -> dict[str, Any]:
        own = item.get(_SETTINGS)
        if isinstance(own, StandIn):
            return {**self.common_settings, "target": MARK}
        if not isinstance(own, Mapping):
            return self.common_settings
        return _merged(self.common_settings, _without_free_keys(own.plain()))

    def _target(
        self, settings: dict[str, Any], endpoint_type: str, services: tuple[Service, ...]
    ) -> tuple[Word, Word]:
        own = _api_endpoint(settings)
        url = _as_word(own.get("url"))
        model = _as_word(own.get("model_id"))
        self._check_url(url or self.word("target", "api_endpoint", "url"))
        # An auxiliary deployment is not what is evaluated.
        if not services or services[0].env_prefix:
            if self.on_lepton and self._is_looked_up():
                self.need("target", "api_endpoint", "deployment_name", because=_BY_NAME)
                url = url or self._looked_up(endpoint_type)
            if self._may_be_told_elsewhere(settings):
                return url or literal(MARK), model or literal(MARK)
            because = "there is no deployment, so the endpoint's address is"
            endpoint = ("target", "api_endpoint")
            url = url or self.need(*endpoint, "url", because=f"{because} needed")
            model = model or self.need(*endpoint, "model_id", because="no deployment names a model")
            return url, model
        service = services[0]
        url = url or self.word("target", "api_endpoint", "url")
        if url is None:
            path = service.endpoints.get(endpoint_type) or service.endpoints.get(
                _SERVED_BY.get(endpoint_type, "")
            )
            if path is None and self.is_unknown("deployment", "endpoints"):
                path = MARK
            if path is None:
                key = f"deployment.endpoints.{endpoint_type}"
                missing = NotGiven(
                    key=key,
                    because="a task of that endpoint type needs its URL path",
                    location=self.at("deployment", "endpoints"),
                )
                self.problems.append(missing)
                path = ""
            if self.on_lepton:
                url = (RuntimeEnv(ENDPOINT_URL), Literal(path))
            else:
                url = literal(f"http://127.0.0.1:{self._front_port(service)}{path}")
        return url, model or service.model_id

    def _check_url(self, url: Word | None) -> None:
        """Refuse what no client could ask: the server would be blamed, hours later."""
        texts = [part.text for part in url or () if isinstance(part, Literal)]
        if any(_NOT_IN_URLS.search(text) for text in texts):
            # It was written once, for all tasks or in one.
            at = Origin(self.root).locate(texts[0] if len(url or ()) == 1 else url)
            at = at or self.value_at("target", "api_endpoint", "url")
            self.problems.append(BadUrl(location=at))

    def _may_be_told_elsewhere(self, settings: dict[str, Any]) -> bool:
        """Whether a stand-in may be where the endpoint is given, or served."""
        return self.is_unknown("deployment", "type") or MARK in (
            settings.get("target"),
            _block(settings, "target").get("api_endpoint"),
        )

    def _is_looked_up(self) -> bool:
        """Whether the endpoint is one of the platform's, which is found by its name."""
        target = ("target", "api_endpoint")
        return self.text(*target, "type") == "lepton" or bool(self.text(*target, "deployment_name"))

    def _looked_up(self, endpoint_type: str) -> Word:
        """The URL of an endpoint that runs already, whose address is known at submit time."""
        path = _USUAL_PATHS.get(_SERVED_BY.get(endpoint_type, endpoint_type))
        if path is None:
            because = f"where an endpoint has '{endpoint_type}' is not known"
            self.missing("target", "api_endpoint", "url", because=because)
        return (RuntimeEnv(ENDPOINT_URL), Literal(path or ""))

    def _front_port(self, service: Service) -> int:
        """The port at which steps find the model: the load balancer's, where there is one."""
        if service.instances == 1:
            return service.port
        proxy = ("execution", "proxy", "config", "haproxy_port")
        return self.count(*proxy, default=_PROXY_PORT)

    def _key_name(self, settings: dict[str, Any]) -> str | None:
        own = _api_endpoint(settings)
        name = own.get("api_key_name") or self.text("target", "api_endpoint", "api_key_name")
        if not name:
            return None
        fault = name_fault(str(name))
        if fault:
            at = self.at("target", "api_endpoint", "api_key_name")
            self.problems.append(BadEnvName(name=str(name), why=fault, location=at))
        return str(name)

    def _run_config(
        self,
        settings: dict[str, Any],
        task: str,
        endpoint_type: str,
        *,
        url: Word,
        model: Word,
        key_name: str | None,
    ) -> dict[str, Any]:
        """What the harness is given: the user's settings over what follows from the config."""
        config: dict[str, Any] = {"output_dir": _RESULTS, "type": task}
        if self.on_lepton or self.text("execution", "engine") == "none":
            config["output_dir"] = (RuntimeEnv("RESULTS_DIR"),)
            settings = _on_the_host(settings)
        endpoint: dict[str, Any] = {
            "url": _known(url),
            "model_id": _known(model),
            "type": endpoint_type,
        }
        if key_name:
            endpoint["api_key_name"] = key_name
        made = {"config": config, "target": {"api_endpoint": endpoint}}
        merged = _merged(made, settings, null_gives_way=True)
        if isinstance(merged["config"], dict):
            merged["config"]["output_dir"] = config["output_dir"]
        return merged

    def _check_results(self, path: Path) -> None:
        """Warn of a folder of the user's for results, which would be lost with the container."""
        for block in (path, ("evaluation",)):
            key = (*block, _SETTINGS, "config", "output_dir")
            if self.word(*key) not in (None, literal("/results")):
                why = "results are kept where evalc looks for them ('execution.output_dir')"
                shown = ".".join(str(step) for step in key)
                self.problems.append(NoEffect(key=shown, why=why, location=self.at(*key)))

    def _dataset(self, path: Path) -> Mount | None:
        source = self.word(*path, "dataset_dir")
        if source is None:
            return None
        if self.text("execution", "engine") == "none" and self.word(*path, "dataset_mount_path"):
            why = "without a container nothing is mounted; the data set is used where it is"
            warning = NoEffect(
                key="dataset_mount_path", why=why, location=self.at(*path, "dataset_mount_path")
            )
            self.problems.append(warning)
        return Mount(source, self.text(*path, "dataset_mount_path") or "/datasets", read_only=True)

    def _step_env(self, path: Path, key_name: str | None) -> tuple[EnvVar, ...]:
        own = self.env((*path, "env_vars"), bare_is_host=True)
        found = {var.name: var for var in (*self.common_env, *own)}
        given = frozenset(found)
        for var in self.told:
            if var.name in given:
                at = self._env_at(path, var.name)
                why = "it tells tasks where an auxiliary deployment is"
                self.problems.append(BadEnvName(name=var.name, why=why, location=at))
            found[var.name] = var
        if key_name and key_name not in found:
            scope = "runtime" if self.on_lepton else "host"
            found[key_name] = EnvVar(key_name, (Secret(key_name, scope),))
        return tuple(found.values())

    def _env_at(self, path: Path, name: str) -> Location:
        blocks: tuple[Path, ...] = ((*path, "env_vars"), ("evaluation", "env_vars"), ("env_vars",))
        block = next((b for b in blocks if self.node(*b, name)), blocks[0])
        return self.at(*block, name)

    def _select(self, steps: list[Step], selected: tuple[str, ...]) -> list[Step]:
        if not selected:
            if not steps and not self._has_unknown_tasks():
                at = self.at("evaluation", "tasks")
                because = "there is nothing to evaluate"
                self.problems.append(NotGiven(key="evaluation.tasks", because=because, location=at))
            return steps
        names = {name for step in steps for name in _names(step)}
        for name in selected:
            if name not in names and not self._has_unknown_tasks():
                hint = did_you_mean(name, names)
                self.problems.append(UnknownSelection(name=name, suggestion=hint))
        return [step for step in steps if not _names(step).isdisjoint(selected)]

    def _has_unknown_tasks(self) -> bool:
        """Whether a stand-in may be any task."""
        tasks = self.node("evaluation", "tasks")
        items = tasks.items if isinstance(tasks, Sequence) else []
        return self.is_unknown("evaluation", "tasks") or any(
            self.is_unknown("evaluation", "tasks", index, key)
            for index in range(len(items))
            for key in ("id", "name")
        )


def _is_variable(path: Path) -> bool:
    """Whether a value stands in a block of environment variables, and not in some setting that a
    harness calls so."""
    return len(path) > 1 and path[-2] == "env_vars" and _SETTINGS not in path


def _names(step: Step) -> set[str]:
    """What ``-t`` may call a task: its folder's name, its own, and that with its harness."""
    return {step.id, step.task, *([f"{step.harness}.{step.task}"] if step.harness else ())}


def _api_endpoint(settings: dict[str, Any]) -> dict[str, Any]:
    return _block(settings, "target", "api_endpoint")


def _block(settings: dict[str, Any], *path: str) -> dict[str, Any]:
    """A mapping of the settings; an empty one where there is none."""
    found: Any = settings
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _text(item: Mapping, key: str) -> str:
    node = item.entries.get(key)
    return scalar_text(node) if isinstance(node, Scalar) and node.value is not None else ""


def _as_word(value: Any) -> Word | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, tuple) else literal(str(value))


def _known(word: Word) -> str | Word:
    text = literal_text(word)
    return word if text is None else text


def _on_the_host(value: Any) -> Any:
    """Settings for a harness that runs in no container: paths below ``/results``, where a container
    has its artifacts, are below the folder that they are in."""
    if isinstance(value, dict):
        return {key: _on_the_host(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_the_host(item) for item in value]
    if isinstance(value, str) and (value == _RESULTS or value.startswith(f"{_RESULTS}/")):
        rest = value[len(_RESULTS) :]
        return (RuntimeEnv("RESULTS_DIR"), *([Literal(rest)] if rest else []))
    return value


def _without_free_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_free_keys(v) for k, v in value.items() if not k.startswith("x-")}
    return value


def _merged(
    base: dict[str, Any], over: dict[str, Any], *, null_gives_way: bool = False
) -> dict[str, Any]:
    """``over`` on top of ``base``: mappings deeply, everything else replaced; with
    ``null_gives_way`` not by null."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = _merged(old, value, null_gives_way=null_gives_way)
        elif value is not None or not null_gives_way or old is None:
            result[key] = value
    return result
