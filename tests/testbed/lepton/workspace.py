"""The state of a workspace: jobs, endpoints, secrets, and how they change with time."""

from __future__ import annotations

import fnmatch
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from testbed.lepton.containers import Container
from testbed.lepton.ingress import Ingress

if TYPE_CHECKING:
    from pathlib import Path

NODE_GROUP = "test-group"
NODE_GROUP_ID = "ng-0123456789abcdef"
NODE = "node-1"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_TICK = 0.02
_ENDED = frozenset(("Completed", "Failed", "Stopped"))


class Rejected(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass
class Settings:
    """What tests may choose. Times are in seconds.

    ``never_ready`` and ``errors`` are patterns of names: of endpoints that stay Starting, and of
    such that end in Error. ``lag`` is how old a job must be to be listed.
    """

    new_api: bool = False
    secure_defaults: bool = False
    queue: float = 0.1
    start: float = 0.1
    restart: float = 0.3
    grace: float = 1.0
    archive: float = 86400.0
    page: int = 500
    lag: float = 0.0
    never_ready: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Replica:
    """One process of a job or an endpoint. It and its log stay when the process has ended."""

    id: str
    container: Container
    began: float


class Workload:
    """What jobs and endpoints share: a specification, an owner's metadata, replicas."""

    def __init__(self, world: Workspace, id_: str, body: dict[str, Any]) -> None:
        self.world = world
        self.id = id_
        self.body = body
        self.created = world.now()
        self.changed = self.created
        self.state = ""
        self.replicas: list[Replica] = []
        self.events: list[dict[str, Any]] = []
        self._killed_at: float | None = None

    @property
    def current(self) -> Replica | None:
        return self.replicas[-1] if self.replicas else None

    def to(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.changed = self.world.now()
            self.event("Normal", state)

    def event(self, kind: str, reason: str) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.world.now()))
        self.events.append(
            {
                "type": kind,
                "reason": reason,
                "regarding": {"name": self.id},
                "count": 1,
                "last_observed_time": when,
            }
        )

    def since(self) -> float:
        """Seconds in this state."""
        return self.world.now() - self.changed

    def exit_code(self) -> int | None:
        """Of the current process; None while it runs, or when there is none."""
        return self.current.container.exit_code() if self.current else None

    def launch(self, spec: dict[str, Any], env: dict[str, str], *, network: bool) -> None:
        """Starts a process; the specification's image is not looked at."""
        number = "".join(secrets.choice(_LETTERS) for _ in range(5))
        replica = f"{self.id}-{number}"
        for one in spec.get("envs") or []:
            reference = (one.get("value_from") or {}).get("secret_name_ref")
            env[one["name"]] = self.world.secrets[reference] if reference else one.get("value", "")
        mounts = [
            (
                self.world.volume(mount["from"], mount.get("path") or "/"),
                mount["mount_path"],
                bool((mount.get("mount_options") or {}).get("read_only")),
            )
            for mount in spec.get("mounts") or []
        ]
        container = Container(
            self.world.folder / "roots" / replica,
            (spec.get("container") or {}).get("command") or ["true"],
            {"PATH": self.world.path, "HOME": "/root", "LANG": "C.UTF-8"} | env,
            mounts,
            network=network,
        )
        self._killed_at = None
        self.replicas.append(Replica(replica, container, time.time()))

    def end(self) -> bool:
        """Has the process end, with a grace period; whether it has."""
        if self.current is None or self.exit_code() is not None:
            return True
        if self._killed_at is None:
            self.current.container.terminate()
            self._killed_at = time.time() + self.world.settings.grace
        elif time.time() > self._killed_at:
            self.current.container.kill()
        return False

    def kill(self) -> None:
        for replica in self.replicas:
            replica.container.kill()


class Job(Workload):
    """A job. ``archived`` is when it left those that are alive."""

    def __init__(self, world: Workspace, id_: str, body: dict[str, Any]) -> None:
        super().__init__(world, id_, body)
        self.retries = 0
        self.completed: float | None = None
        self.archived: float | None = None
        self.history: list[dict[str, Any]] = []
        self.to("Queueing")

    def advance(self) -> None:
        settings = self.world.settings
        if self.archived is not None:
            return
        if self.state == "Queueing" and self.since() >= settings.queue:
            self.to("Starting")
        elif self.state in ("Starting", "Restarting") and self.since() >= settings.start:
            self.launch(self.body["spec"], self._env(), network=False)
            self.to("Running")
        elif self.state == "Running" and (code := self.exit_code()) is not None:
            self._exited(code)
        elif self.state == "PendingRetry" and self.since() >= settings.restart:
            self.to("Restarting")
        elif self.state == "Stopping" and self.end():
            self._over("Stopped")
        elif self.state == "Deleting" and self.end():
            self._over("Deleted")
            self.archived = self.world.now()
        elif self.state in _ENDED:
            ttl = self.body["spec"].get("ttl_seconds_after_finished")
            if ttl is not None and self.since() >= ttl:
                self.archived = self.world.now()

    def stop(self) -> None:
        if self.state not in _ENDED and self.state != "Deleting":
            self.to("Stopping")

    def start(self) -> None:
        if self.state in _ENDED:
            self.completed = None
            self.to("Queueing")

    def delete(self) -> None:
        self.to("Deleting")

    def counts(self) -> dict[str, Any]:
        """The status, without the history."""
        return {
            "job_name": self.id,
            "state": self.state,
            "ready": int(self.state == "Running"),
            "active": int(self.state in ("Starting", "Running", "Restarting", "Stopping")),
            "failed": int(self.state == "Failed"),
            "succeeded": int(self.state == "Completed"),
            "creation_time": int(self.created),
            **({} if self.completed is None else {"completion_time": int(self.completed)}),
        }

    def _exited(self, code: int) -> None:
        self.event("Normal" if code == 0 else "Warning", f"ExitCode{code}")
        if code == 0:
            self._over("Completed")
        elif self.retries < (self.body["spec"].get("max_failure_retry") or 0):
            self.retries += 1
            self.history.append(self.counts() | {"state": "Failed"})
            self.to("PendingRetry")
        else:
            self._over("Failed")

    def _over(self, state: str) -> None:
        self.completed = self.world.now()
        self.to(state)

    def _env(self) -> dict[str, str]:
        return {"LEPTON_JOB_NAME": self.id, "LEPTON_WORKSPACE_ID": self.world.id}


class Endpoint(Workload):
    """An endpoint, kept in the form of ``/deployments``."""

    def __init__(self, world: Workspace, id_: str, body: dict[str, Any]) -> None:
        super().__init__(world, id_, body)
        self.gone = False
        self.terminations: list[dict[str, Any]] = []
        self.ingress = Ingress(self)
        self.to("Starting")

    @property
    def port(self) -> int:
        ports = (self.body["spec"].get("container") or {}).get("ports") or []
        port: int = ports[0]["container_port"] if ports else 8080
        return port

    @property
    def tokens(self) -> list[str]:
        """What opens it; anybody may come in when there is none."""
        found = []
        for token in self.body["spec"].get("api_tokens") or []:
            reference = (token.get("value_from") or {}).get("token_name_ref")
            found.append(self.world.secrets[reference] if reference else token["value"])
        return found

    def advance(self) -> None:
        settings = self.world.settings
        if self.state == "Deleting":
            if self.end():
                self.ingress.close()
                self.gone = True
        elif self.state == "Stopping":
            if self.end():
                self.to("Stopped")
        elif self.state in ("Stopped", "Error"):
            pass
        elif _like(self.id, settings.errors):
            self.to("Error")
        elif self.current is None or self._killed_at is not None:
            if self.end() and self.since() >= settings.start:
                self.launch(self.body["spec"], self._env(), network=True)
        elif (code := self.exit_code()) is not None:
            self._restart(code)
        elif self.state != "Ready" and not _like(self.id, settings.never_ready) and self._open():
            self.to("Ready")

    def scale(self) -> None:
        """Does what ``min_replicas`` says: nothing of it is to run, or one."""
        wanted = (self.body["spec"].get("resource_requirement") or {}).get("min_replicas", 1)
        if wanted == 0:
            self.to("Stopping")
        elif self.state in ("Stopped", "Stopping"):
            self.to("Starting")
            self.restart()

    def restart(self) -> None:
        """Starts the process anew."""
        self.end()
        self.to("Starting")

    def delete(self) -> None:
        self.to("Deleting")

    def _restart(self, code: int) -> None:
        """A process has ended by itself: after a while the next one starts."""
        if self.state != "Not Ready":
            assert self.current is not None
            self.terminations.append(
                {
                    "started_at": int(self.current.began),
                    "finished_at": int(time.time()),
                    "exit_code": code,
                    "reason": "Completed" if code == 0 else "Error",
                    "message": "",
                }
            )
            self.event("Warning", "BackOff")
            self.to("Not Ready")
        elif self.since() >= self.world.settings.restart:
            self.launch(self.body["spec"], self._env(), network=True)

    def _open(self) -> bool:
        assert self.current is not None
        try:
            self.current.container.connect(self.port, 1).close()
        except OSError:
            return False
        return True

    def _env(self) -> dict[str, str]:
        return {"LEPTON_DEPLOYMENT_NAME": self.id, "LEPTON_WORKSPACE_ID": self.world.id}


class Workspace:
    """All of it. Every method that changes or reads is called with ``lock`` held."""

    def __init__(self, folder: Path, id_: str, path: str) -> None:
        self.folder = folder
        self.id = id_
        self.path = path
        self.lock = threading.RLock()
        self.settings = Settings()
        self.secrets: dict[str, str] = {}
        self.jobs: list[Job] = []
        self.endpoints: dict[str, Endpoint] = {}
        self.ahead = 0.0
        self._over = False
        self._clock = threading.Thread(target=self._run, daemon=True)
        self._clock.start()

    def now(self) -> float:
        """Seconds since 1970, and what tests have added."""
        return time.time() + self.ahead

    def volume(self, origin: str, path: str) -> Path:
        """The folder that stands for a path of a volume, ``node-nfs:NAME`` for instance."""
        name = re.sub(r"[^A-Za-z0-9._-]", "_", origin)
        folder = self.folder / "volumes" / name / path.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def create_job(self, body: dict[str, Any]) -> Job:
        spec = body.setdefault("spec", {})
        metadata = body.get("metadata") or {}
        name = metadata.get("name") or metadata.get("id")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,35}", name):
            raise Rejected(400, f"invalid job name {name!r}")
        if not spec.get("resource_shape"):
            raise Rejected(400, "resource_shape is required")
        if (spec.get("parallelism") or 1) > 1 or (spec.get("completions") or 1) > 1:
            raise Rejected(400, "this stand-in has one worker")
        self._check_secrets(spec)
        mark = "".join(secrets.choice(_LETTERS) for _ in range(4))
        job = Job(self, f"{name}-{mark}", body)
        self.jobs.append(job)
        return job

    def create_endpoint(self, body: dict[str, Any]) -> Endpoint:
        spec = body.setdefault("spec", {})
        metadata = body.get("metadata") or {}
        name = metadata.get("name") or metadata.get("id")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,35}", name):
            raise Rejected(400, f"invalid name {name!r}")
        if name in self.endpoints:
            raise Rejected(409, f"{name} exists already")
        if not (spec.get("container") or {}).get("image"):
            raise Rejected(400, "container.image is required")
        self._check_secrets(spec)
        if self.settings.secure_defaults and not spec.get("allow_unauthenticated_access"):
            spec["api_tokens"] = spec.get("api_tokens") or [{"value": secrets.token_hex(16)}]
        endpoint = Endpoint(self, name, body)
        self.endpoints[name] = endpoint
        return endpoint

    def job(self, id_: str, mode: str) -> Job:
        for job in self.jobs:
            if job.id == id_ and _in_mode(job, mode):
                return job
        raise Rejected(404, f"job {id_} not found")

    def listed(self, mode: str) -> list[Job]:
        """The newest first."""
        eldest = self.now() - self.settings.lag
        return [j for j in reversed(self.jobs) if _in_mode(j, mode) and j.created <= eldest]

    def endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise Rejected(404, f"{name} not found")
        return self.endpoints[name]

    def reset(self) -> None:
        """As it was at first, but for the volumes."""
        with self.lock:
            for workload in self._workloads():
                workload.kill()
            for endpoint in self.endpoints.values():
                endpoint.ingress.close()
            self.jobs.clear()
            self.endpoints.clear()
            self.secrets.clear()
            self.settings = Settings()
            self.ahead = 0.0

    def close(self) -> None:
        self._over = True
        self._clock.join()
        self.reset()

    def _check_secrets(self, spec: dict[str, Any]) -> None:
        wanted = {
            (one.get("value_from") or {}).get(key)
            for entry, key in (("envs", "secret_name_ref"), ("api_tokens", "token_name_ref"))
            for one in spec.get(entry) or []
        }
        if missing := sorted(str(name) for name in wanted - {None, *self.secrets}):
            raise Rejected(400, f"no such secret: {', '.join(missing)}")

    def _workloads(self) -> list[Job | Endpoint]:
        return [*self.jobs, *self.endpoints.values()]

    def _run(self) -> None:
        while not self._over:
            time.sleep(_TICK)
            with self.lock:
                for workload in self._workloads():
                    workload.advance()
                for name in [name for name, one in self.endpoints.items() if one.gone]:
                    del self.endpoints[name]
                oldest = self.now() - self.settings.archive
                self.jobs = [job for job in self.jobs if (job.archived or self.now()) >= oldest]


def _in_mode(job: Job, mode: str) -> bool:
    archived = job.archived is not None
    return {"alive_only": not archived, "archive_only": archived}.get(mode, True)


def _like(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
