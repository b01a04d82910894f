"""The keys that only the Lepton backend knows, typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalc.words import Word

# What `lep job create` takes where nobody says.
_THREE_DAYS = 259_200
# Keys of the blocks that stand in the JSON under the same name.
_OF_JOBS = (
    "log",
    "metrics",
    "queue_config",
    "reservation_config",
    "storage_attachments",
    "user_security_context",
)
_OF_ENDPOINTS = (
    *_OF_JOBS,
    "allow_unauthenticated_access",
    "api_tokens",
    "auth_config",
    "health",
    "image_pull_secrets",
    "ingress_enabled",
    "ingress_timeout_seconds",
    "load_balance_config",
    "routing_policy",
    "scheduling_policy",
)


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks' jobs.

    ``timeout`` and ``ttl`` are in seconds, ``shared_memory`` is in MiB. ``results`` is the folder
    of the volume, as a job sees it, in which results are kept; None: they end with the job.
    ``mounts`` and ``more`` are JSON of the platform's, in which a text may be a word.
    """

    shape: str
    timeout: int | None
    ttl: int
    results: str | Word | None
    shared_memory: int | None
    max_failure_retry: int | None
    max_job_failure_retry: int | None
    visibility: str | None
    node_group: str | None
    mounts: tuple[dict[str, Any], ...]
    image_pull_secrets: tuple[Any, ...]
    labels: Mapping[str, str | Word]
    more: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The model's endpoints, where there are any.

    ``slug`` begins their names. ``auto_scaler`` and ``more`` are JSON of the platform's.
    """

    slug: str | None
    shape: str | None
    min_replicas: int
    max_replicas: int
    shared_memory: int | None
    host_network: bool | None
    node_group: str | None
    auto_scaler: Mapping[str, Any]
    mounts: tuple[dict[str, Any], ...]
    more: Mapping[str, Any]

    def mounts_with(self, storage: Any) -> list[dict[str, Any]]:
        """The mounts, those that name no volume with ``storage``."""
        return [{"from": storage or "", **mount} for mount in self.mounts]


@dataclass(frozen=True, slots=True)
class Options:
    """``deployment`` is the name of an endpoint that runs already. ``shared``: the tasks have one
    endpoint."""

    shared: bool
    deployment: str | None
    tasks: Tasks
    endpoint: Endpoint

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """From a plan's validated options."""
        platform = options.get("lepton_platform") or {}
        return cls(
            shared=options.get("sharing") == "shared",
            deployment=options.get("deployment_name") or None,
            tasks=_tasks(options.get("evaluation_tasks") or {}, platform.get("tasks") or {}),
            endpoint=_endpoint(
                options.get("lepton_config") or {}, platform.get("deployment") or {}
            ),
        )

    @property
    def storage(self) -> Any:
        """The volume of mounts that do not name one; None without any."""
        every = (*self.tasks.mounts, *self.endpoint.mounts)
        return next((mount["from"] for mount in every if mount.get("from")), None)


def _tasks(own: Mapping[str, Any], platform: Mapping[str, Any]) -> Tasks:
    mounts = tuple(pruned(mount) for mount in platform.get("mounts") or ())
    results = own.get("results_dir") or (mounts[0]["mount_path"] if mounts else None)
    ttl = own.get("ttl_seconds_after_finished")
    return Tasks(
        shape=own.get("resource_shape") or "cpu.small",
        timeout=own.get("timeout"),
        ttl=_THREE_DAYS if ttl is None else ttl,
        results=results if own.get("use_shared_storage") is not False else None,
        shared_memory=own.get("shared_memory_size"),
        max_failure_retry=own.get("max_failure_retry"),
        max_job_failure_retry=own.get("max_job_failure_retry"),
        visibility=own.get("visibility"),
        node_group=platform.get("node_group") or None,
        mounts=mounts,
        image_pull_secrets=tuple(platform.get("image_pull_secrets") or ()),
        labels={
            name: text if isinstance(text, tuple) else str(text)
            for name, text in (platform.get("labels") or {}).items()
        },
        more=_chosen(platform, _OF_JOBS),
    )


def _endpoint(own: Mapping[str, Any], platform: Mapping[str, Any]) -> Endpoint:
    defaults = platform.get("platform_defaults") or {}
    low = own.get("min_replicas")
    low = 1 if low is None else low
    more = merged(_chosen(defaults, _OF_ENDPOINTS), _chosen(own, _OF_ENDPOINTS))
    # Without it, `lep` and the platform scale an idle endpoint to zero, and it never comes back.
    scale: dict[str, Any] = {"scale_down": {"no_traffic_timeout": 0}}
    given: dict[str, Any] = pruned(own.get("auto_scaler") or {})
    auto_scaler = merged(scale, given)
    auto_scaler["scale_down"].pop("scale_from_zero", None)
    return Endpoint(
        slug=own.get("endpoint_name") or None,
        shape=own.get("resource_shape") or None,
        min_replicas=low,
        max_replicas=own.get("max_replicas") or max(low, 1),
        shared_memory=own.get("shared_memory_size"),
        host_network=own.get("host_network"),
        node_group=platform.get("node_group") or None,
        auto_scaler=auto_scaler,
        mounts=tuple(pruned(mount) for mount in own.get("mounts") or ()),
        more=more,
    )


def _chosen(block: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    chosen: dict[str, Any] = pruned({name: block[name] for name in names if name in block})
    return chosen


def pruned(value: Any) -> Any:
    """Without nulls, without what is empty because of that, and without the user's own ``x-`` keys:
    the platform's client sends none of these."""
    if isinstance(value, dict):
        items = {k: pruned(v) for k, v in value.items() if not k.startswith("x-")}
        return {key: item for key, item in items.items() if item is not None and item != {}}
    if isinstance(value, list):
        return [pruned(item) for item in value]
    return value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``base``: mappings deeply, everything else replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = merged(old, value)  # noqa: PLW2901 - the same, with what was below it
        result[key] = value
    return result
