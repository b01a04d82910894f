"""A loopback server that speaks the API of DGX Cloud Lepton: the fixtures ``lepton_server`` and
``lepton``.

It is a stand-in; ``testbed/lepton/server.py`` says what it lacks. Laid over the environment, ``env``
leads the ``leptonai`` package, the command ``lep`` and evalc there. Jobs and endpoints really run,
each in a root of its own: they find this machine's files, this Python with what is installed in it,
the stand-ins ``nemo-evaluator`` and ``model-server`` in their PATH, and the mounts that they asked
for; what they write elsewhere than in a mount goes with them. A volume is a folder,
:meth:`Lepton.volume`. An endpoint has a network of its own, and answers at a loopback URL when it
listens on all addresses.

``testbed/lepton/server.py`` runs as a process of its own; when this one ends, by Ctrl-C or
``kill -9`` too, it ends all jobs and endpoints and removes its folder. It needs root. Where it cannot
run, tests are skipped with the reason; in CI (the variable ``CI`` is set) they fail.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engines
import pytest
from waiting import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

TOKEN = "test-token-0"
_TESTS = Path(__file__).resolve().parent
_NEEDS = {"unshare": "util-linux", "ip": "iproute2", "mount": "mount"}


class Lepton:
    """A running server.

    ``env`` is to be laid over the environment of what is to use it; ``url`` is the workspace's.
    """

    def __init__(self, env: Mapping[str, str], process: subprocess.Popen[str]) -> None:
        self.env = {name: value for name, value in env.items() if name != "PATH"}
        self.url = env["LEPTON_WORKSPACE_URL"]
        self._process = process

    def set(self, **settings: Any) -> None:
        """Changes ``Settings`` of ``testbed/lepton/workspace.py``."""
        self._order("set", **settings)

    def secrets(self, **values: str) -> None:
        """Adds secrets of the workspace."""
        self._order("secrets", **values)

    def fault(self, kind: str, method: str = ".*", path: str = ".*", **more: Any) -> None:
        """Has the next requests that match go wrong: see ``testbed/lepton/faults.py``."""
        self._order("fault", kind=kind, method=method, path=path, **more)

    def no_faults(self) -> None:
        """Takes back those that have not happened."""
        self._order("no_faults")

    def token(self, name: str = TOKEN, left: int | None = None) -> None:
        """Lets a token open the door for so many more requests, None for any number."""
        self._order("token", name=name, left=left)

    def move_clock(self, seconds: float) -> None:
        """Moves the server's clock forwards: what has ended passes its TTL, say."""
        self._order("advance", seconds=seconds)

    def requests(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """What was asked in this test: those with this method, whose path begins so."""
        return [
            request
            for request in self._order("requests")
            if method in ("", request["method"]) and request["path"].startswith(path)
        ]

    def jobs(self, name: str = "") -> list[dict[str, Any]]:
        """All jobs whose name begins so, the oldest first, as the API tells them."""
        return [job for job in self._order("jobs") if job["metadata"]["name"].startswith(name)]

    def endpoints(self) -> list[dict[str, Any]]:
        """All endpoints, in the form of ``/deployments``."""
        found: list[dict[str, Any]] = self._order("endpoints")
        return found

    def states(self) -> list[str]:
        """The states of all jobs, the oldest first."""
        return [job["status"]["state"] for job in self.jobs()]

    def wait(self, *states: str) -> None:
        """Waits until each job is in one of these states."""
        wait_for(lambda: all(state in states for state in self.states()))

    def volume(self, origin: str, path: str = "/") -> Path:
        """The folder that stands for a path of a volume, ``node-nfs:NAME`` for instance."""
        return Path(self._order("volume", origin=origin, path=path))

    def reset(self) -> None:
        """Ends all jobs and endpoints, and forgets all but the volumes."""
        self._order("reset")

    def _order(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.startswith(("{", "[", "null", '"')):
            pytest.fail(f"{do}: the server has ended, or said: {line}")
        return json.loads(line)


@pytest.fixture(scope="session")
def lepton_server(stand_ins: Path) -> Iterator[Lepton]:
    """The server, as the last test left it."""
    with running(stand_ins) as started:
        yield started


@pytest.fixture
def lepton(lepton_server: Lepton) -> Iterator[Lepton]:
    """The server, with nothing on it."""
    yield lepton_server
    lepton_server.reset()


@contextmanager
def running(*programs: Path) -> Iterator[Lepton]:
    """A server for the time of the block, with these folders first in its containers' PATH."""
    if missing := [package for command, package in _NEEDS.items() if not engines.find(command)]:
        lacks = ", ".join(missing)
        engines.cannot_run("lepton", f"lacks {lacks}; run tests/testbed/install.sh as root")
    if os.geteuid() != 0:
        engines.cannot_run("lepton", "needs root")
    root = Path(tempfile.mkdtemp(prefix="evalc-lepton-", dir=engines.ROOT))
    folders = (*programs, Path(sys.executable).parent, *os.environ["PATH"].split(os.pathsep))
    path = os.pathsep.join(map(str, folders))
    command = [sys.executable, "-m", "testbed.lepton.server", str(root), path]
    with engines.keeper("lepton", root, "env", f"PYTHONPATH={_TESTS}", *command) as (process, env):
        yield Lepton(env, process)
