"""Plan -> the JSON of jobs and endpoints, as values with words in them.

The form is that of leptonai 0.47.1 (``api/v2/types``); ``schemas/lepton`` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalc.backends import scripts
from evalc.backends.lepton import inside, names
from evalc.backends.lepton.options import Options, merged, pruned
from evalc.emit import jsontext
from evalc.emit.quoting import Refused
from evalc.plan import Argv
from evalc.plan.model import words_of
from evalc.plan.names import ENDPOINT_URL
from evalc.words import Literal, RuntimeEnv, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalc.backends.lepton.inside import TaskScript
    from evalc.plan import EnvVar, Mount, Plan, Service, Step

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndpointObject:
    """An endpoint to be created. ``name`` is without the invocation's id, ``folder`` is where its
    files are (empty: at the top). ``script`` is the text of its command, empty where the server's
    program is called directly."""

    name: str
    folder: str
    body: Json
    script: str
    readiness_timeout: int

    @property
    def spec(self) -> Json:
        """What ``lep endpoint create -f`` takes."""
        spec: Json = self.body["spec"]
        return spec


@dataclass(frozen=True, slots=True)
class JobObject:
    """The job of a task. ``name`` is without the invocation's id; ``endpoint`` is what it talks to,
    where the bundle has that. ``options`` are those of its cell, where there is a matrix."""

    name: str
    step: Step
    body: Json
    script: TaskScript
    endpoint: EndpointObject | None
    options: Options

    @property
    def spec(self) -> Json:
        """What ``lep job create -f`` takes."""
        spec: Json = self.body["spec"]
        return spec


class Objects:
    """All jobs of a plan, and all endpoints."""

    def __init__(self, plan: Plan) -> None:
        self.endpoints: list[EndpointObject] = []
        self.jobs: list[JobObject] = []
        self._taken: set[str] = set()
        for cell in plan.cells:
            self._make(cell)

    def _make(self, plan: Plan) -> None:
        self.plan = plan
        self.options = Options.of(plan.options)
        shared = None
        if self.options.shared and plan.services:
            shared = self._endpoint(plan.services[0], plan.cell)
        for job in plan.jobs:
            for step in job.steps:
                own = shared
                if own is None and job.services:
                    own = self._endpoint(job.services[0], step.id)
                self.jobs.append(self._job(step, own))

    # Endpoints

    def _endpoint(self, service: Service, folder: str) -> EndpointObject:
        options = self.options.endpoint
        script, env = "", list[Json]()
        if inside.is_direct(service):
            assert isinstance(service.command, Argv)
            command: list[Any] = list(service.command.words)
            for word in service.command.words:
                passable(word)
        else:
            script, env = inside.endpoint_script(service)
            command = ["bash", "-c", script]
        spec = {
            **options.more,
            "auto_scaler": dict(options.auto_scaler),
            "container": {
                "command": command,
                "image": service.image,
                "ports": [{"container_port": service.port}],
            },
            "envs": _envs(
                [("PORT", str(service.port)), ("MODEL_ID", service.model_id)], service.env, env
            ),
            "mounts": [*options.mounts_with(self.options.storage), *self._mounts(service.mounts)],
            "resource_requirement": pruned(
                {
                    "affinity": _affinity(options.node_group),
                    "host_network": options.host_network,
                    "max_replicas": options.max_replicas,
                    "min_replicas": options.min_replicas,
                    # The client writes it so.
                    "resource_shape": _lower(options.shape),
                    "shared_memory_size": options.shared_memory,
                }
            ),
        }
        spec = merged({"api_tokens": [], "image_pull_secrets": []}, spec)
        start = options.slug or service.type.replace("_", "-")
        if folder:
            start = f"{start}-{names.slug(folder)}"
        name = self._name(start, scripts.digest(b"", [jsontext.dump(spec), folder], ()))
        body = {"metadata": {"name": names.of_invocation(name)}, "spec": spec}
        made = EndpointObject(name, folder, body, script, service.readiness_timeout)
        self.endpoints.append(made)
        return made

    # Jobs

    def _job(self, step: Step, endpoint: EndpointObject | None) -> JobObject:
        options = self.options.tasks
        env = _envs(_variables(step), step.env, ())
        mounts = [*options.mounts, *self._mounts((step.dataset,) if step.dataset else ())]
        described = jsontext.dump({"envs": env, "image": step.image, "mounts": mounts})
        served = b""
        if endpoint:
            container = endpoint.spec["container"], endpoint.spec["envs"]
            served = jsontext.dump(list(container)).encode()
        script = inside.task_script(
            self.plan, step, self.options, described=described, served=served
        )
        own = [
            {"name": names.INVOCATION, "value": (RuntimeEnv(names.INVOCATION),)},
            {"name": names.SUBMISSION, "value": (RuntimeEnv(names.SUBMISSION),)},
        ]
        spec = {
            **options.more,
            **pruned(
                {
                    "affinity": _affinity(options.node_group),
                    "max_failure_retry": options.max_failure_retry,
                    "max_job_failure_retry": options.max_job_failure_retry,
                    "shared_memory_size": options.shared_memory,
                }
            ),
            "completions": 1,
            "container": {"command": ["bash", "-c", script.text], "image": step.image},
            "envs": [*env, *own, *script.env],
            "image_pull_secrets": list(options.image_pull_secrets),
            "mounts": mounts,
            "parallelism": 1,
            "resource_shape": options.shape,
            "ttl_seconds_after_finished": options.ttl,
        }
        name = self._name(names.slug(step.id), script.digest)
        metadata = {
            "labels": dict(options.labels),
            "name": names.of_invocation(name),
            "visibility": options.visibility,
        }
        body = {"metadata": pruned(metadata), "spec": spec}
        return JobObject(name, step, body, script, endpoint, self.options)

    def _name(self, start: str, digest: str) -> str:
        made = names.name(start[: names.MAX_SLUG].rstrip("-"), digest, self._taken)
        self._taken.add(made)
        return made

    def _mounts(self, mounts: Iterable[Mount]) -> list[Json]:
        return [
            {
                "from": self.options.storage or "",
                "mount_path": mount.target,
                "path": mount.source,
                **({"mount_options": {"read_only": True}} if mount.read_only else {}),
            }
            for mount in mounts
        ]


def components(endpoint: EndpointObject) -> Json:
    """An endpoint in the form of ``POST /endpoints``, of workspaces that have the newer API: one
    component, with what is the whole endpoint's beside it. As leptonai's ``api/v2/translation.py``
    makes it of the older form."""
    spec = endpoint.spec
    container, resources = spec["container"], spec["resource_requirement"]
    component = {
        "name": "default",
        "image": container["image"],
        "command": container["command"],
        "ports": container["ports"],
        "autoscaling": spec["auto_scaler"],
        **resources,
        **{key: spec[key] for key in _OF_COMPONENT if key in spec},
    }
    whole = {new: spec[old] for old, new in _OF_ENDPOINT.items() if old in spec}
    return {
        "metadata": {"name": names.of_invocation(endpoint.name)},
        "spec": {"components": [component], **whole},
    }


def asks_for_endpoint(job: JobObject) -> bool:
    """Whether the address of an endpoint stands anywhere in a job."""
    return any(
        isinstance(part, RuntimeEnv) and part.name == ENDPOINT_URL
        for word in words_of(job.body)
        for part in word
    )


_OF_COMPONENT = (
    *("envs", "health", "mounts", "queue_config", "reservation_config", "scheduling_policy"),
    *("storage_attachments", "user_security_context"),
)
_OF_ENDPOINT = {
    "allow_unauthenticated_access": "allow_unauthenticated_access",
    "api_tokens": "api_tokens",
    "auth_config": "access_config",
    "image_pull_secrets": "image_pull_secrets",
    "ingress_enabled": "ingress_enabled",
    "ingress_timeout_seconds": "ingress_timeout_seconds",
    "load_balance_config": "load_balancing",
    "log": "log",
    "metrics": "metrics",
    "routing_policy": "routing_policy",
}


def _variables(step: Step) -> list[tuple[str, Any]]:
    """What every harness finds in its environment, but for what the job's script sets."""
    found: list[tuple[str, Any]] = [
        ("MODEL_URL", step.model_url),
        ("MODEL_ID", step.model_id),
        ("ENDPOINT_TYPE", step.endpoint_type),
    ]
    if step.api_key_name:
        found.append(("API_KEY_NAME", step.api_key_name))
    if step.limit_samples:
        found.append(("LIMIT_SAMPLES", step.limit_samples))
    if step.dataset:
        found.append(("NEMO_EVALUATOR_DATASET_DIR", step.dataset.target))
    return found


def _envs(
    made: Iterable[tuple[str, Any]], own: Iterable[EnvVar], more: Iterable[Json]
) -> list[Json]:
    """Variables in the platform's form; of two with one name, the user's."""
    found: dict[str, Json] = {name: {"name": name, "value": value} for name, value in made}
    for var in own:
        part = var.value[0]
        if isinstance(part, Secret):
            found[var.name] = {"name": var.name, "value_from": {"secret_name_ref": part.name}}
        else:
            text = "".join(p.text for p in var.value if isinstance(p, Literal))
            found[var.name] = {"name": var.name, "value": text}
    every = [*found.values(), *more]
    for one in every:
        passable(one.get("value", ""))
    return every


def passable(value: Any) -> None:
    """Raises :class:`~evalc.emit.quoting.Refused` for a text that no process can be given."""
    for text in (
        (value,) if isinstance(value, str) else (p.text for p in value if isinstance(p, Literal))
    ):
        if "\0" in text:
            raise Refused(text, "a NUL character can't be passed to a program")
        if len(text.encode()) >= inside.MAX_WORD:
            raise Refused(
                text, f"a program takes no more than {inside.MAX_WORD // 1024} KiB in one word"
            )


def _affinity(node_group: Any) -> Json | None:
    return {"allowed_dedicated_node_groups": [node_group]} if node_group else None


def _lower(shape: Any) -> Any:
    return shape.lower() if isinstance(shape, str) else shape
