"""Real container engines for tests: the fixtures ``docker``, ``podman`` and ``engine``.

Each is an :class:`Engine` that lives for the session: a docker daemon, or a podman storage, in a
temporary folder of its own, with the image ``evalc-test:1`` in it. Nothing of the machine's own
engines is seen or touched, no network is used. ``testbed/engine.sh`` starts it and stays; when this
process ends, by Ctrl-C or ``kill -9`` too, it stops everything and removes the folder.

The image holds bash, the usual commands, this Python, and two stand-ins: ``nemo-evaluator``, which
keeps a harness's contract without evaluating anything, and ``model-server``, which answers without
a model. See ``testbed/nemo_evaluator.py`` and ``testbed/model_server.py`` for what they can do; the
fixture ``stand_ins`` has them for the host itself. Use ``--network host``, ports of the fixture
``free_port``, and remove the containers you make.

An engine needs root and what ``testbed/install.sh`` installs. Where it cannot run, the tests that
use it are skipped with the reason; in CI (the variable ``CI`` is set) they fail.

With pytest-xdist, run ``pytest -n N --dist loadgroup``: all tests of one engine are marked as one
group here, so each engine starts in one worker, and the two work side by side. Where the grouping
does not take effect (another ``--dist``; pytest 9.2 with pytest-xdist 3.8, its issue 1386), all is
as right but slower: each worker then starts engines of its own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

IMAGE = "evalc-test:1"
# Where the engines have their folders. On disk, and short: containerd allows a socket's path 104
# characters, and waits 15 seconds before it says so.
ROOT = "/var/tmp"
_TESTBED = Path(__file__).resolve().parent / "testbed"
NEEDS = {"docker": "dockerd", "podman": "podman"}


@dataclass(frozen=True)
class Engine:
    """A running container engine.

    ``name`` is its command, ``docker`` or ``podman``. ``env`` is to be laid over the environment of
    a script, so that the plain command in it finds this engine; it has a ``PATH``, this process's
    own with one folder before it. ``folder`` is the engine's own, and goes with it. ``image`` is the
    image that every engine of the tests holds.
    """

    name: str
    env: Mapping[str, str]
    folder: Path
    image: str = IMAGE

    def __call__(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs the engine's command to its end, whatever its exit code; seconds to wait for it."""
        return subprocess.run(
            [self.name, *arguments],
            # Where podman's conmon sees a container run out of memory, it leaves a file `oom`.
            cwd=self.folder,
            env={**os.environ, **self.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def containers(self) -> list[str]:
        """The names of all containers, running or not."""
        listed = self("ps", "--all", "--format", "{{.Names}}")
        assert listed.returncode == 0, listed.stderr
        return sorted(listed.stdout.split())


@pytest.fixture(scope="session")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The image as a tar file, as ``docker import`` reads it."""
    file = tmp_path_factory.mktemp("image") / "image.tar"
    subprocess.run([sys.executable, _TESTBED / "image.py", file], check=True)
    yield file
    file.unlink()  # pytest would keep it, for three sessions, and it is large


@pytest.fixture(scope="session")
def docker(image_file: Path) -> Iterator[Engine]:
    """A private docker daemon; it accepts ``--gpus`` and gives none."""
    with running("docker", image_file) as engine:
        yield engine


@pytest.fixture(scope="session")
def podman(image_file: Path) -> Iterator[Engine]:
    """podman as root, with a private storage."""
    with running("podman", image_file) as engine:
        yield engine


@pytest.fixture(scope="session", params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn: the test runs once on docker and once on podman."""
    # Looked up by name, so that only the one that this turn needs is started.
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Engine)
    return found


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to put into ``PATH`` where the host itself, without an engine, is to have the
    stand-ins ``nemo-evaluator`` and ``model-server``."""
    folder = tmp_path_factory.mktemp("stand-ins")
    for command in ("nemo-evaluator", "model-server"):
        script = _TESTBED / f"{command.replace('-', '_')}.py"
        file = folder / command
        # With this Python, which has PyYAML; exec, so that signals reach it.
        file.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(script))} "$@"\n'
        )
        file.chmod(0o755)
    return folder


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a TCP port of 127.0.0.1 that nothing listens on at the moment."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port: int = server.getsockname()[1]
        return port

    return find


def pytest_itemcollected(item: pytest.Item) -> None:
    """Puts all tests of an engine into one group of pytest-xdist's."""
    if not isinstance(item, pytest.Function) or not item.config.pluginmanager.hasplugin("xdist"):
        return
    callspec = getattr(item, "callspec", None)  # a test without parameters has none
    chosen = callspec.params.get("engine") if callspec else None
    names = {*item.fixturenames, str(chosen)}
    for name in sorted(names & NEEDS.keys()):
        item.add_marker(pytest.mark.xdist_group(name))


def find(command: str) -> str | None:
    """Where ``command`` is; a plain user's PATH may lack the folder of daemons."""
    return shutil.which(command, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@contextmanager
def running(name: str, image_file: Path) -> Iterator[Engine]:
    """An engine for the time of the block."""
    if find(NEEDS[name]) is None:
        cannot_run(name, "is not installed; run tests/testbed/install.sh as root")
    if os.geteuid() != 0:
        cannot_run(name, "needs root")
    folder = Path(tempfile.mkdtemp(prefix=f"evalc-{name}-", dir=ROOT))
    with keeper(name, folder, _TESTBED / "engine.sh", name, folder, image_file) as (_, env):
        yield Engine(name, env, folder)


@contextmanager
def keeper(
    name: str, folder: Path, *command: str | Path
) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A process that keeps something running for the time of the block, and ends with this one.

    It prints the environment that leads there, one NAME=VALUE a line, then "ready", and stops all
    when its standard input ends; leaving the block closes that and waits. ``folder / "bin"`` comes
    first in the environment's PATH.
    """
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is not for it: it stops when this process is done
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            if line == "ready\n":
                break
            said.append(line.rstrip("\n"))
        else:
            cannot_run(name, "does not start: " + "\n".join(said))
        env = dict(line.split("=", 1) for line in said)
        yield process, {**env, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def cannot_run(name: str, why: str) -> NoReturn:
    """Fails the test in CI, skips it elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"{name} {why}", pytrace=False)
    pytest.skip(f"{name} {why}")
