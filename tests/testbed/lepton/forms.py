"""Jobs and endpoints as the API tells them. The forms are those of leptonai 0.47's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.lepton import workspace as ws

if TYPE_CHECKING:
    from testbed.lepton.workspace import Endpoint, Job, Replica, Workload, Workspace

SHAPES = ("cpu.small", "cpu.large", "gpu.h100-sxm", "gpu.8xh100-sxm")
# What differs between the two families for endpoints: of a component and of the endpoint itself,
# the name in /endpoints and in /deployments.
_COMPONENT = {
    "envs": "envs",
    "mounts": "mounts",
    "storage_attachments": "storage_attachments",
    "autoscaling": "auto_scaler",
    "scheduling_policy": "scheduling_policy",
    "queue_config": "queue_config",
    "reservation_config": "reservation_config",
    "health": "health",
    "user_security_context": "user_security_context",
}
_RESOURCES = (
    "resource_shape", "min_replicas", "max_replicas", "shared_memory_size", "affinity",
    "host_network",
)  # fmt: skip
_ENDPOINT = {
    "ingress_enabled": "ingress_enabled",
    "ingress_timeout_seconds": "ingress_timeout_seconds",
    "allow_unauthenticated_access": "allow_unauthenticated_access",
    "access_config": "auth_config",
    "api_tokens": "api_tokens",
    "routing_policy": "routing_policy",
    "load_balancing": "load_balance_config",
    "log": "log",
    "metrics": "metrics",
    "image_pull_secrets": "image_pull_secrets",
}


def job(one: Job) -> dict[str, Any]:
    return {
        "metadata": _metadata(one),
        "spec": one.body["spec"],
        "status": {**one.counts(), "job_history": one.history},
    }


def deployment(one: Endpoint) -> dict[str, Any]:
    """An endpoint of ``/deployments``: ``state`` keeps old clients' words, ``phase`` its own."""
    stopped = one.state in ("Stopping", "Stopped")
    return {
        "metadata": _metadata(one),
        "spec": one.body["spec"],
        "status": {
            "state": "Not Ready" if stopped else one.state,
            "phase": one.state,
            "endpoint": {
                "internal_endpoint": f"http://{one.id}.internal:{one.port}",
                "external_endpoint": one.ingress.url,
            },
        },
    }


def endpoint(one: Endpoint) -> dict[str, Any]:
    """An endpoint of ``/endpoints``."""
    spec = one.body["spec"]
    resources = spec.get("resource_requirement") or {}
    component = {
        "name": "default",
        **(spec.get("container") or {}),
        **{key: resources[key] for key in _RESOURCES if key in resources},
        **{new: spec[old] for new, old in _COMPONENT.items() if old in spec},
    }
    return {
        "metadata": {
            "name": one.id,
            "created_at": int(one.created * 1000),
            "lepton_metadata": {"owner": "tests", "created_by": "tests"},
            **({"deleted_at": int(one.changed * 1000)} if one.state == "Deleting" else {}),
        },
        "spec": {
            "components": [component],
            **{new: spec[old] for new, old in _ENDPOINT.items() if old in spec},
        },
        "status": {
            "state": one.state.replace(" ", ""),
            "external_url": one.ingress.url,
            "ready_replicas": int(one.state == "Ready"),
        },
    }


def from_endpoint(body: dict[str, Any]) -> dict[str, Any]:
    """What was sent to ``/endpoints``, in the form of ``/deployments``."""
    spec = body.get("spec") or {}
    (component,) = spec.get("components") or [{}]
    kept: dict[str, Any] = {
        "container": {
            key: component[key] for key in ("image", "command", "ports") if key in component
        },
        "resource_requirement": {key: component[key] for key in _RESOURCES if key in component},
    }
    kept |= {old: component[new] for new, old in _COMPONENT.items() if new in component}
    kept |= {old: spec[new] for new, old in _ENDPOINT.items() if new in spec}
    return {"metadata": {"name": (body.get("metadata") or {}).get("name")}, "spec": kept}


def replica(one: Replica) -> dict[str, Any]:
    return {
        "id": one.id,
        "metadata": {"id": one.id, "name": one.id, "created_at": int(one.began * 1000)},
        "status": {"node": {"id": ws.NODE, "name": ws.NODE}, "domains": []},
    }


def node_group() -> dict[str, Any]:
    return {
        "metadata": {"id": ws.NODE_GROUP_ID, "name": ws.NODE_GROUP},
        "spec": {
            "desired_nodes": 1,
            "volumes": [{"from": "nfs", "name": "shared", "size_in_gb": 100}],
        },
        "status": {"ready_nodes": 1},
    }


def node() -> dict[str, Any]:
    return {
        "metadata": {"id": ws.NODE, "name": ws.NODE},
        "spec": {"dedicated_node_group": ws.NODE_GROUP_ID, "unschedulable": False},
        "status": {"status": ["Ready"]},
    }


def shape(name: str) -> dict[str, Any]:
    return {"metadata": {"id": name, "name": name}, "spec": {"name": name, "cpu": 2.0}}


def about(world: Workspace) -> dict[str, Any]:
    nothing = {"cpu": 0.0, "memory": 0, "accelerator_num": 0.0}
    return {
        "build_time": "2026-01-01T00:00:00Z",
        "git_commit": "stand-in",
        "workspace_name": world.id,
        "workspace_tier": "test",
        "workspace_state": "normal",
        "supported_shapes": {name: {"cpu": 2.0} for name in SHAPES},
        "workspace_disk_usage_bytes": 0,
        "workloads": {
            "num_deployments": len(world.endpoints),
            "num_jobs": len(world.jobs),
            "num_pods": 0,
            "num_secrets": len(world.secrets),
            "num_image_pull_secrets": 0,
        },
        "resource_quota": {"limit": nothing, "used": nothing},
        "features": {
            "enable_new_deployment_api": world.settings.new_api,
            "enable_secure_endpoint_defaults": world.settings.secure_defaults,
        },
    }


def _metadata(one: Workload) -> dict[str, Any]:
    given = one.body.get("metadata") or {}
    name = given.get("name") or given.get("id")
    kept = {key: given[key] for key in ("labels", "visibility") if key in given}
    return {
        "id": one.id,
        "name": name,
        "created_at": int(one.created * 1000),
        "created_by": "tests",
        "owner": "tests",
        **kept,
    }
