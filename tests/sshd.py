"""A real ssh server for tests: the fixtures ``sshd`` and ``login_node``.

It listens on a port of 127.0.0.1, and only its own key logs in, as the user who runs the tests.
Laid over the environment, ``env`` makes plain ``ssh testhost`` lead there: there comes a script
before ``ssh`` in ``PATH``, which gives it a configuration of the tests' own. Shared connections of
evalc's live in the same folder. ``testhost-dash`` and the like are the same host with another login
shell: bash, dash, zsh, tcsh, fish. In sessions there ``HOME`` is :attr:`Sshd.home`, which starts empty
and is shared by all tests of the process.

``testbed/sshd/sshd.sh`` starts the server and stays; when this process ends, by Ctrl-C or
``kill -9`` too, it ends server and connections and removes the folder. It needs what
``testbed/install.sh`` installs, and no root. Where it cannot run, tests are skipped with the reason;
in CI (the variable ``CI`` is set) they fail.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import engines
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clusters import Cluster

HOST = "testhost"
_KEEPER = Path(__file__).resolve().parent / "testbed" / "sshd" / "sshd.sh"
_NEEDS = {"sshd": "openssh-server", "ssh": "openssh-client", "pgrep": "procps"}


class Sshd:
    """A running ssh server.

    ``env`` is to be laid over the environment of what calls ``ssh``, ``port`` is where it listens.
    ``home`` is the home folder of its sessions; ``key`` is the private key that logs in,
    ``stranger`` one that does not.
    """

    def __init__(
        self, root: Path, port: int, env: Mapping[str, str], keeper: subprocess.Popen[str]
    ) -> None:
        self.env = env
        self.port = port
        self.home = root / "home"
        self.key = root / "key"
        self.stranger = root / "stranger"
        self._root = root
        self._keeper = keeper
        self._runs = True

    @property
    def logins(self) -> int:
        """How many connections have logged in so far."""
        return (self._root / "log").read_text(errors="replace").count("\nAccepted publickey")

    def stop(self) -> None:
        """Takes no more connections; those that are there go on."""
        self._order("stop")
        self._runs = False

    def start(self) -> None:
        """Takes connections again."""
        self._order("start")
        self._runs = True

    def kill_connections(self) -> None:
        """Breaks all connections at once, as a lost network does; commands there may go on."""
        self._order("cut")

    @contextmanager
    def other_host_key(self) -> Iterator[None]:
        """For the time of the block, the server has not the key that is known of it."""
        files = [self._root / name for name in ("host", "host.pub")]
        known = [(file, file.read_bytes()) for file in files]
        self.stop()
        self._order("rekey")
        self.start()
        self.kill_connections()
        try:
            yield
        finally:
            self.stop()
            for file, data in known:
                file.write_bytes(data)
            self.start()

    def restore(self) -> None:
        """Starts it if it was stopped, breaks all connections and empties its home."""
        if not self._runs:
            self.start()
        self.kill_connections()
        subprocess.run(["rm", "-rf", "--", self.home], check=True)
        self.home.mkdir()

    def _order(self, word: str) -> None:
        """Has the keeper do something, and waits for it."""
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(f"{word}\n")
        self._keeper.stdin.flush()
        said = []
        for line in self._keeper.stdout:
            if line == "ready\n":
                return
            said.append(line)
        pytest.fail(f"{word}: the ssh server's keeper has ended\n{''.join(said)}")


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """An ssh server, as the last test left it."""
    with running({}) as started:
        yield started


@pytest.fixture(scope="session")
def login_node(cluster: Cluster) -> Iterator[Sshd]:
    """An ssh server whose sessions are on the test cluster's login node."""
    with running(cluster.env) as started:
        yield started


@contextmanager
def running(variables: Mapping[str, str]) -> Iterator[Sshd]:
    """An ssh server for the time of the block, with these variables in its sessions."""
    if missing := [package for command, package in _NEEDS.items() if not engines.find(command)]:
        lacks = ", ".join(missing)
        engines.cannot_run("sshd", f"lacks {lacks}; run tests/testbed/install.sh as root")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    root = Path(tempfile.mkdtemp(prefix="evalc-sshd-", dir=engines.ROOT))
    given = [f"{name}={value}" for name, value in variables.items()]
    with engines.keeper("sshd", root, _KEEPER, root, str(port), *given) as (process, env):
        yield Sshd(root, port, env, process)
