"""The routes: what a request does to the workspace, and what it is answered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from testbed.lepton import forms
from testbed.lepton import workspace as ws
from testbed.lepton.workspace import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testbed.lepton.containers import Log
    from testbed.lepton.workspace import Replica, Workload, Workspace

    Query = Mapping[str, str]
    Route = Callable[[Workspace, Query, Any, str, str], Any]

_ALL = "alive_and_archive"


def answer(world: Workspace, method: str, path: str, query: Query, body: Any) -> Any:
    """What a request is answered: JSON, or a log that is to be streamed.

    Raises :class:`~testbed.lepton.workspace.Rejected`.
    """
    with world.lock:
        for verb, pattern, route in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and verb == method:
                first, second = (*found.groups(), "", "")[:2]
                return route(world, query, body, first, second)
    raise Rejected(404, f"no such route: {method} {path}")


def _post_job(world: Workspace, _query: Query, body: Any, _1: str, _2: str) -> Any:
    return forms.job(world.create_job(body))


def _get_jobs(world: Workspace, query: Query, _body: Any, _1: str, _2: str) -> Any:
    found = [
        one
        for one in world.listed(query.get("job_query_mode", "alive_only"))
        if query.get("q", "") in one.id and query.get("status", one.state) == one.state
    ]
    size = min(int(query.get("page_size", world.settings.page)), world.settings.page)
    begin = (int(query.get("page", 1)) - 1) * size
    return {"jobs": [forms.job(one) for one in found[begin : begin + size]], "total": len(found)}


def _get_job(world: Workspace, query: Query, _body: Any, id_: str, _2: str) -> Any:
    return forms.job(world.job(id_, query.get("job_query_mode", "alive_only")))


def _patch_job(world: Workspace, _query: Query, body: Any, id_: str, _2: str) -> Any:
    job = world.job(id_, "alive_only")
    stopped = (body.get("spec") or {}).get("stopped")
    if stopped is True:
        job.stop()
    elif stopped is False:
        job.start()
    return forms.job(job)


def _delete_job(world: Workspace, query: Query, _body: Any, id_: str, _2: str) -> Any:
    world.job(id_, query.get("job_query_mode", "alive_only")).delete()
    return {}


def _job_events(world: Workspace, _query: Query, _body: Any, id_: str, _2: str) -> Any:
    return world.job(id_, _ALL).events


def _job_replicas(world: Workspace, query: Query, _body: Any, id_: str, _2: str) -> Any:
    return _replicas(world.job(id_, query.get("job_query_mode", _ALL)))


def _job_log(world: Workspace, _query: Query, _body: Any, id_: str, replica: str) -> Any:
    return _live_log(world.job(id_, "alive_only"), replica)


def _post_deployment(world: Workspace, _query: Query, body: Any, _1: str, _2: str) -> Any:
    _family(world, new=False)
    return forms.deployment(world.create_endpoint(body))


def _post_endpoint(world: Workspace, _query: Query, body: Any, _1: str, _2: str) -> Any:
    _family(world, new=True)
    return forms.endpoint(world.create_endpoint(forms.from_endpoint(body)))


def _get_endpoints(world: Workspace, _query: Query, _body: Any, family: str, _2: str) -> Any:
    return [_form(family)(one) for one in world.endpoints.values()]


def _get_endpoint(world: Workspace, _query: Query, _body: Any, family: str, name: str) -> Any:
    _family(world, new=family == "endpoints")
    return _form(family)(world.endpoint(name))


def _patch_endpoint(world: Workspace, query: Query, body: Any, family: str, name: str) -> Any:
    one = world.endpoint(name)
    change = forms.from_endpoint(body) if family == "endpoints" else body
    if query.get("dryrun") != "true":
        _merge(one.body["spec"], change.get("spec") or {})
        one.scale()
    return _form(family)(one)


def _delete_endpoint(world: Workspace, _query: Query, _body: Any, family: str, name: str) -> Any:
    _family(world, new=family == "endpoints")
    world.endpoint(name).delete()
    return {}


def _restart_endpoint(world: Workspace, _query: Query, _body: Any, family: str, name: str) -> Any:
    one = world.endpoint(name)
    one.restart()
    return _form(family)(one)


def _endpoint_replicas(world: Workspace, _query: Query, _body: Any, _1: str, name: str) -> Any:
    return _replicas(world.endpoint(name))


def _endpoint_events(world: Workspace, _query: Query, _body: Any, _1: str, name: str) -> Any:
    return world.endpoint(name).events


def _readiness(world: Workspace, _query: Query, _body: Any, name: str, _2: str) -> Any:
    one = world.endpoint(name)
    reason = "Ready" if one.state == "Ready" else "InProgress"
    issue = {"reason": reason, "message": one.state, "creationTimestamp": ""}
    return {replica.id: [issue] for replica in one.replicas[-1:]}


def _termination(world: Workspace, _query: Query, _body: Any, name: str, _2: str) -> Any:
    one = world.endpoint(name)
    return {one.replicas[-1].id: one.terminations} if one.terminations else {}


def _endpoint_log(world: Workspace, _query: Query, _body: Any, name: str, replica: str) -> Any:
    return _live_log(world.endpoint(name), replica)


def _history(world: Workspace, query: Query, _body: Any, _1: str, _2: str) -> Any:
    """The form of Loki: of each replica a stream, whose values are times and lines."""
    found: Workload
    if "job" in query:
        found = world.job(query["job"], query.get("job_query_mode", _ALL))
    else:
        found = world.endpoint(query["endpoint" if world.settings.new_api else "deployment"])
    begin, end = int(query.get("start", 0)), int(query.get("end", 1 << 63))
    lines = [
        (when, line, replica)
        for replica in found.replicas
        if query.get("replica", replica.id) == replica.id
        for when, line in replica.container.log.lines
        if begin <= when < end and query.get("q", "").encode() in line
    ]
    lines.sort(key=lambda line: line[0], reverse=query.get("direction", "backward") == "backward")
    streams: dict[str, list[list[str]]] = {}
    for when, line, replica in lines[: min(int(query.get("limit", 5000)), 5000)]:
        streams.setdefault(replica.id, []).append([str(when), line.decode("utf-8", "replace")])
    result = [{"stream": {"replica": id_}, "values": values} for id_, values in streams.items()]
    return {"status": "success", "data": {"resultType": "streams", "result": result}}


def _about(world: Workspace, _query: Query, _body: Any, _1: str, _2: str) -> Any:
    return forms.about(world)


def _login(world: Workspace, _query: Query, _body: Any, _1: str, _2: str) -> Any:
    return {"display_name": world.id}


def _nothing(_world: Workspace, _query: Query, _body: Any, _1: str, _2: str) -> Any:
    return []


def _node_groups(_world: Workspace, _query: Query, _body: Any, _1: str, _2: str) -> Any:
    return [forms.node_group()]


def _node_group(_world: Workspace, _query: Query, _body: Any, name: str, _2: str) -> Any:
    if name != ws.NODE_GROUP_ID:
        raise Rejected(404, f"node group {name} not found")
    return forms.node_group()


def _nodes(_world: Workspace, _query: Query, _body: Any, _1: str, _2: str) -> Any:
    return [forms.node()]


def _shapes(_world: Workspace, _query: Query, _body: Any, _1: str, _2: str) -> Any:
    return [forms.shape(name) for name in forms.SHAPES]


def _get_secrets(world: Workspace, _query: Query, _body: Any, _1: str, _2: str) -> Any:
    return [{"name": name, "owner": "tests"} for name in world.secrets]


def _post_secrets(world: Workspace, _query: Query, body: Any, _1: str, _2: str) -> Any:
    world.secrets.update({one["name"]: one["value"] for one in body})
    return {}


def _delete_secret(world: Workspace, _query: Query, _body: Any, name: str, _2: str) -> Any:
    if world.secrets.pop(name, None) is None:
        raise Rejected(404, f"no such secret: {name}")
    return {}


_ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("POST", "/jobs", _post_job),
    ("GET", "/jobs", _get_jobs),
    ("GET", "/jobs/([^/]+)", _get_job),
    ("PATCH", "/jobs/([^/]+)", _patch_job),
    ("DELETE", "/jobs/([^/]+)", _delete_job),
    ("GET", "/jobs/([^/]+)/events", _job_events),
    ("GET", "/jobs/([^/]+)/replicas", _job_replicas),
    ("GET", "/jobs/([^/]+)/replicas/([^/]+)/log", _job_log),
    ("POST", "/deployments", _post_deployment),
    ("POST", "/endpoints", _post_endpoint),
    ("GET", "/(deployments|endpoints)", _get_endpoints),
    ("GET", "/(deployments|endpoints)/([^/]+)", _get_endpoint),
    ("PATCH", "/(deployments|endpoints)/([^/]+)", _patch_endpoint),
    ("DELETE", "/(deployments|endpoints)/([^/]+)", _delete_endpoint),
    ("PUT", "/(deployments|endpoints)/([^/]+)/restart", _restart_endpoint),
    ("GET", "/(deployments|endpoints)/([^/]+)/replicas", _endpoint_replicas),
    ("GET", "/(deployments|endpoints)/([^/]+)/events", _endpoint_events),
    ("GET", "/deployments/([^/]+)/readiness", _readiness),
    ("GET", "/deployments/([^/]+)/termination", _termination),
    ("GET", "/(?:deployments|endpoints)/([^/]+)/replicas/([^/]+)/log", _endpoint_log),
    ("GET", "/logs", _history),
    ("GET", "/workspace", _about),
    ("GET", "", _login),
    ("GET", "/tokens", _nothing),
    ("GET", "/templates/(?:public|private)", _nothing),
    ("GET", "/dedicated-node-groups", _node_groups),
    ("GET", "/dedicated-node-groups/([^/]+)", _node_group),
    ("GET", "/dedicated-node-groups/([^/]+)/nodes", _nodes),
    ("GET", "/shapes", _shapes),
    ("GET", "/usersecrets", _get_secrets),
    ("POST", "/usersecrets", _post_secrets),
    ("DELETE", "/usersecrets/([^/]+)", _delete_secret),
)


def _replicas(one: Workload) -> list[dict[str, Any]]:
    """Those that run, or ran last."""
    return [forms.replica(replica) for replica in one.replicas[-1:]]


def _live_log(one: Workload, id_: str) -> Log:
    found: list[Replica] = [replica for replica in one.replicas if replica.id == id_]
    if not found:
        raise Rejected(404, f"no such replica: {id_}")
    return found[0].container.log


def _form(family: str) -> Callable[[Any], dict[str, Any]]:
    return forms.endpoint if family == "endpoints" else forms.deployment


def _family(world: Workspace, *, new: bool) -> None:
    """Endpoints of a workspace belong to one family: the other does not know them."""
    if new != world.settings.new_api:
        raise Rejected(404 if new else 400, "this workspace has the other API for endpoints")


def _merge(into: dict[str, Any], change: Mapping[str, Any]) -> None:
    """JSON Merge Patch (RFC 7386), in place."""
    for key, value in change.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
