"""A stand-in for the API of NVIDIA DGX Cloud Lepton, on a port of 127.0.0.1. For tests alone.

    python -m testbed.lepton.server FOLDER PATH

It speaks what ``leptonai`` 0.47 and ``lep`` speak to a workspace: jobs, endpoints of both families
(``/deployments`` and ``/endpoints``), logs, secrets, node groups, shapes. Jobs and endpoints really
run, as processes of this machine in a root of their own (see ``container.sh``), with PATH as theirs;
volumes are folders below FOLDER. What the service does is inferred from its client, whose models
and routes these are; what nobody outside can know is decided in the plainest way.

What it lacks: images and registries, more than one replica, GPUs and quotas, queues and preemption,
autoscaling, storage_attachments, users and roles, TLS, metrics, whatever ``lep`` does beyond jobs,
endpoints, logs and secrets.

It prints the environment that leads there, one NAME=VALUE a line, then "ready". It then obeys JSON
objects that it reads, one a line, and answers each with one: see ``Orders``. When standard input
ends, all that runs is ended, and FOLDER is removed.
"""

# ruff: noqa: T201 - a program prints

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from testbed.lepton import api, forms
from testbed.lepton.containers import Log
from testbed.lepton.faults import Fault, Faults
from testbed.lepton.workspace import Rejected, Workspace

WORKSPACE = "testspace"
TOKEN = "test-token-0"
_PREFIX = f"/api/v2/workspaces/{WORKSPACE}"


@dataclass
class Request:
    """A request that came: its time, path without a query, and the code that it was answered with;
    0 when it was not."""

    at: float
    method: str
    path: str
    query: str
    code: int = 0


class Server(ThreadingHTTPServer):
    """See the module."""

    daemon_threads = True

    def __init__(self, world: Workspace) -> None:
        self.world = world
        self.faults = Faults()
        self.requests: list[Request] = []
        # How many more requests each token opens the door for; None: any number.
        self.tokens: dict[str, int | None] = {TOKEN: None}
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)

    def admit(self, token: str) -> bool:
        with self.lock:
            left = self.tokens.get(token, 0)
            if left is None:
                return True
            self.tokens[token] = max(0, left - 1)
            return left > 0


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_GET  # noqa: N815 - a name that http.server looks for
    do_PATCH = do_GET  # noqa: N815 - the same
    do_PUT = do_GET  # noqa: N815 - the same
    do_DELETE = do_GET  # noqa: N815 - the same

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Says nothing: requests are kept."""

    def _handle(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(time.time(), self.command, url.path.removeprefix(_PREFIX), url.query)
        with self.server.lock:
            self.server.requests.append(request)
        self._request = request
        fault = self.server.faults.next(request.method, request.path)
        if fault is not None and fault.kind == "status":
            wait = [] if fault.retry_after is None else [("Retry-After", str(fault.retry_after))]
            self._reply(fault.code, {"code": "Fault", "message": "as the test wants it"}, *wait)
            return
        if fault is not None and fault.kind == "slow":
            time.sleep(fault.seconds)
        code, answer = self._answer(url.path, dict(parse_qsl(url.query)), body)
        if fault is not None and fault.kind == "lost":
            time.sleep(fault.seconds)
            self.close_connection = True
        elif isinstance(answer, Log):
            self._stream(answer)
        else:
            self._reply(code, answer, half=fault is not None and fault.kind == "broken")

    def _answer(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        given = self.headers.get("Authorization", "")
        if not given.startswith("Bearer ") or not self.server.admit(given[7:]):
            return 401, {"code": "Unauthorized", "message": "the token is not valid"}
        if not path.startswith(_PREFIX):
            return 404, {"code": "NotFound", "message": "no such workspace"}
        path = path.removeprefix(_PREFIX)
        try:
            data = json.loads(body) if body else {}
            code = 201 if self.command == "POST" else 200
            return code, api.answer(self.server.world, self.command, path, query, data)
        except Rejected as error:
            return error.code, {"code": "Rejected", "message": error.message}
        except ValueError as error:
            return 400, {"code": "BadRequest", "message": str(error)}

    def _reply(self, code: int, answer: Any, *headers: tuple[str, str], half: bool = False) -> None:
        data = json.dumps(answer).encode()
        data = data[: len(data) // 2] if half else data
        self._request.code = code
        with suppress(ConnectionError):
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    def _stream(self, log: Log) -> None:
        """In chunks, for as long as the process runs."""
        self._request.code = 200
        with suppress(ConnectionError):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in log.follow():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")


class Orders:
    """What tests say to the server; each method is an order, its arguments the object's."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._world = server.world

    def set(self, **settings: Any) -> None:
        """Changes :class:`~testbed.lepton.workspace.Settings`."""
        for name, value in settings.items():
            assert hasattr(self._world.settings, name), name
            setattr(self._world.settings, name, value)

    def secrets(self, **values: str) -> None:
        """Adds secrets of the workspace."""
        self._world.secrets |= values

    def fault(self, **fault: Any) -> None:
        """Adds a :class:`~testbed.lepton.faults.Fault`."""
        self._server.faults.add(Fault(**fault))

    def no_faults(self) -> None:
        """Takes back those that have not happened."""
        self._server.faults.clear()

    def token(self, name: str, left: int | None) -> None:
        """Lets a token open the door for so many more requests, null for any number."""
        with self._server.lock:
            self._server.tokens[name] = left

    def advance(self, seconds: float) -> None:
        """Moves the server's clock forwards."""
        self._world.ahead += seconds

    def requests(self) -> list[dict[str, Any]]:
        """All requests since the beginning or the last ``reset``."""
        with self._server.lock:
            return [asdict(request) for request in self._server.requests]

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, the oldest first, those that are archived, too."""
        return [forms.job(one) for one in self._world.jobs]

    def endpoints(self) -> list[dict[str, Any]]:
        """All endpoints, in the form of ``/deployments``."""
        return [forms.deployment(one) for one in self._world.endpoints.values()]

    def volume(self, origin: str, path: str) -> str:
        """The folder that stands for a path of a volume."""
        return str(self._world.volume(origin, path))

    def reset(self) -> None:
        """Ends all, and forgets all but the volumes."""
        self._world.reset()
        self._server.faults.clear()
        with self._server.lock:
            self._server.requests.clear()
            self._server.tokens = {TOKEN: None}


def main() -> None:
    """See the module."""
    folder, path = Path(sys.argv[1]), sys.argv[2]
    # What is said of a connection that a client broke must not stand among the answers.
    with (folder / "server.log").open("wb") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    world = Workspace(folder, WORKSPACE, path)
    server = Server(world)
    orders = Orders(server)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    cache = folder / "cache"
    cache.mkdir()
    # Younger than a day, so that lep does not ask the package index for a newer release.
    (cache / "latest_version_check").write_text(str(time.time()))
    for name, value in {
        "LEPTON_WORKSPACE_ID": WORKSPACE,
        "LEPTON_WORKSPACE_TOKEN": TOKEN,
        "LEPTON_WORKSPACE_URL": f"http://127.0.0.1:{server.server_address[1]}{_PREFIX}",
        "LEPTON_CACHE_DIR": cache,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        print(f"{name}={value}")
    print("ready", flush=True)
    try:
        for line in sys.stdin:
            order = json.loads(line)
            with world.lock:
                told = getattr(orders, order.pop("do"))(**order)
            print(json.dumps(told), flush=True)
    finally:
        world.close()
        server.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
