"""A real Slurm cluster for tests: the fixtures ``slurm`` and ``cluster``.

Four nodes, ``n1`` to ``n4``, a controller and accounting, in a temporary folder of their own and on
a network that nothing outside the machine reaches. Each node has its own address, host name,
processes, ``/tmp`` and ``/dev/shm``, so two servers may have the same port on two nodes, and a file
in one node's ``/tmp`` is not in another's. Nodes are said to have 64 CPUs and 8 GPUs each; no
program finds a GPU there. The partition ``high`` preempts jobs of ``batch`` and requeues them.
``testbed/slurm/cluster.sh`` starts the cluster and stays; when this process ends, by Ctrl-C or
``kill -9`` too, it stops everything and removes the folder.

Containers are run by stand-ins, since Debian has neither Pyxis nor apptainer: see
``testbed/slurm/pyxis_stub.c`` and ``testbed/slurm/apptainer`` for what they honour. Whatever image
is named, its contents are those of :mod:`engines`' image.

The controller's clock can be moved forwards, which makes a walltime end at once. ``sacct``,
``squeue``, ``scontrol`` and ``sinfo`` tell its time; a job's ``date`` tells the machine's, and so
do ``sbatch --begin`` and the time stamps of files.

The cluster needs root and what ``testbed/install.sh`` installs. Where it cannot run, the tests that
use it are skipped with the reason; in CI (the variable ``CI`` is set) they fail. All tests of it
are one group of pytest-xdist's, for the reason given in :mod:`engines`.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import engines
import pytest
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NODES = ("n1", "n2", "n3", "n4")
# What the cluster is made of: command and the Debian package that has it.
_NEEDS = {
    "slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client",
    "slurmdbd": "slurmdbd", "munged": "munge", "mariadbd": "mariadb-server", "gcc": "gcc",
    "ip": "iproute2", "nsenter": "util-linux",
}  # fmt: skip
_KEEPER = Path(__file__).resolve().parent / "testbed" / "slurm" / "cluster.sh"


class Cluster:
    """A running cluster, as somebody on its login node sees it.

    ``folder`` is a folder that all nodes see under the same path, the shared file system; pytest's
    own temporary folders are shared, too. ``env`` is to be laid over the environment of whatever
    calls ``sbatch`` and the like. ``image`` is the folder that every container runs.
    """

    def __init__(self, root: Path, env: Mapping[str, str], keeper: subprocess.Popen[str]) -> None:
        self.folder = root / "share"
        self.image = root / "image"
        self.env = env
        self._root = root
        self._keeper = keeper
        self._ahead = 0
        self._lost: set[str] = set()
        self._stopped: set[str] = set()
        self._booted = dict.fromkeys(NODES, time.time())

    def __call__(
        self,
        *arguments: str | Path,
        timeout: float = 60,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end, whatever its exit code; seconds to wait for it.

        ``env`` is laid over the cluster's. Without ``cwd`` it runs in :attr:`folder`.
        """
        return subprocess.run(
            arguments,
            cwd=cwd or self.folder,
            env={**os.environ, **self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def on(
        self, node: str, *arguments: str | Path, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """As calling the cluster, but on a node: there, process ids are those that jobs see."""
        pid = (self._root / "run" / f"{node}.node").read_text().strip()
        spaces = ("--net", "--uts", "--mount", "--pid")
        return self("nsenter", "--target", pid, *spaces, *arguments, timeout=timeout)

    def submit(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        """What ``sbatch --parsable`` is given; the job's id."""
        ran = self("sbatch", "--parsable", *arguments, cwd=cwd)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def state(self, job: str) -> str:
        """The job's state: the controller's word, else that of accounting, else ``UNKNOWN``."""
        shown = self("scontrol", "--oneliner", "show", "job", job)
        found = re.search(r"\bJobState=(\w+)", shown.stdout)
        if not found:
            rows = self("sacct", "-X", "--noheader", "--parsable2", "--format=State", "-j", job)
            found = re.match(r"(\w+)", rows.stdout)
        return found[1] if found else "UNKNOWN"

    def wait(self, job: str, *states: str, seconds: float = 90) -> str:
        """Waits until the job's state is one of ``states``, and gives it.

        Fails with what Slurm and the job's log say when that has not come after ``seconds``.
        """
        end = time.monotonic() + seconds
        while (state := self.state(job)) not in states:
            if time.monotonic() > end:
                pytest.fail(f"job {job} is {state} after {seconds} s\n{self.describe(job)}")
            time.sleep(0.1)
        return state

    def describe(self, job: str) -> str:
        """What ``scontrol show job`` says, and the end of the job's log."""
        shown = self("scontrol", "show", "job", job)
        said = shown.stdout + shown.stderr
        log = re.search(r"StdOut=(.+)", said)
        if log and Path(log[1]).is_file():
            said += "".join(Path(log[1]).read_text(errors="replace").splitlines(True)[-40:])
        return said

    def queue(self) -> list[str]:
        """The ids of all jobs that are pending, running or completing."""
        listed = self("squeue", "--noheader", "--format=%A")
        assert listed.returncode == 0, listed.stderr
        return listed.stdout.split()

    def idle(self, seconds: float = 90) -> None:
        """Waits until the queue is empty."""
        end = time.monotonic() + seconds
        while queue := self.queue():
            if time.monotonic() > end:
                said = "\n".join(self.describe(job) for job in queue)
                pytest.fail(f"jobs in the queue after {seconds} s:\n{said}")
            time.sleep(0.1)

    def now(self) -> float:
        """The controller's time, in seconds since 1970."""
        return time.time() + self._ahead

    def move_clock(self, seconds: int) -> None:
        """Moves the controller's clock forwards.

        Jobs whose walltime has ended by then end with TIMEOUT within a second or two, all of them.
        The controller forgets jobs that ended more than ``MinJobAge``, 300 seconds, before.
        """
        assert seconds >= 0, "Slurm is not made for a clock that goes backwards"
        self._ahead += seconds
        # In place: who looks at the clock has the file in its memory.
        with (self._root / "clock").open("r+b") as clock:
            clock.write(struct.pack("@q", self._ahead))

    def lose_node(self, name: str) -> None:
        """A power cut: all processes of the node die, and Slurm is told that it is down.

        It would see for itself after ``SlurmdTimeout``, which must be off for the clock to move.
        Jobs of the node then have the state NODE_FAIL, or are requeued if they allow it.
        """
        self._order("lose", name)
        self._lost.add(name)
        down = self("scontrol", "update", f"nodename={name}", "state=down", "reason=lost")
        assert down.returncode == 0, down.stderr

    def restore_node(self, name: str) -> None:
        """Brings a lost node back, empty."""
        before = self._slurmd_start(name)
        # It tells its start in whole seconds.
        wait_for(lambda: time.time() - self._booted[name] > 1)
        self._order("boot", name)
        self._booted[name] = time.time()
        self._lost.remove(name)
        # The controller takes it back when it has heard of it, not because it has.
        wait_for(lambda: self._slurmd_start(name) != before)
        up = self("scontrol", "update", f"nodename={name}", "state=resume")
        assert up.returncode == 0, up.stderr

    def _slurmd_start(self, node: str) -> str:
        shown = self("scontrol", "show", "node", node)
        found = re.search(r"SlurmdStartTime=(\S+)", shown.stdout)
        assert found, shown.stdout + shown.stderr
        return found[1]

    def stop(self, daemon: str) -> None:
        """Ends ``slurmctld`` or ``slurmdbd`` in good order."""
        self._order("stop", daemon)
        self._stopped.add(daemon)

    def start(self, daemon: str) -> None:
        """Starts a stopped daemon, and waits until it answers."""
        self._order("start", daemon)
        self._stopped.remove(daemon)

    def restore(self) -> None:
        """Starts what was stopped or lost, and cancels all jobs: as it was at first, but for the
        clock."""
        for daemon in ("slurmdbd", "slurmctld"):
            if daemon in self._stopped:
                self.start(daemon)
        for name in sorted(self._lost):
            self.restore_node(name)
        end = time.monotonic() + 90
        # Again and again: a job may submit its successor at the very moment.
        while self.queue():
            assert time.monotonic() < end, f"jobs that do not end: {self.queue()}"
            self("scancel", "--user=root")
            time.sleep(0.1)
        while unfit := self._unfit():
            assert time.monotonic() < end, f"nodes that do not come back: {unfit}"
            self("scontrol", "update", f"nodename={','.join(unfit)}", "state=resume")
            time.sleep(0.1)

    def _unfit(self) -> list[str]:
        states = self("sinfo", "--noheader", "--Node", "--partition=batch", "--format=%N %T").stdout
        idle = {line.split()[0] for line in states.splitlines() if line.endswith(" idle")}
        return [name for name in NODES if name not in idle]

    def _order(self, *words: str) -> None:
        """Has the keeper do something, and waits for it."""
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(" ".join(words) + "\n")
        self._keeper.stdin.flush()
        said = []
        for line in self._keeper.stdout:
            if line == "ready\n":
                return
            said.append(line)
        pytest.fail(f"{' '.join(words)}: the cluster has ended\n{''.join(said)}")


@pytest.fixture(scope="session")
def cluster(image_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, as the last test left it. Most tests want ``slurm``."""
    with running(image_file, tmp_path_factory.getbasetemp()) as started:
        yield started


@pytest.fixture
def slurm(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with an empty queue and all its nodes and daemons."""
    yield cluster
    cluster.restore()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Puts all tests of the cluster into one group of pytest-xdist's."""
    if not isinstance(item, pytest.Function) or not item.config.pluginmanager.hasplugin("xdist"):
        return
    if "cluster" in item.fixturenames:
        item.add_marker(pytest.mark.xdist_group("slurm"))


@contextmanager
def running(image_file: Path, shared: Path, *, accounting: bool = True) -> Iterator[Cluster]:
    """A cluster for the time of the block; its nodes see the folder ``shared``, wherever it is.

    Without ``accounting`` there is no slurmdbd, and what the controller has forgotten nobody knows.
    """
    if missing := [package for command, package in _NEEDS.items() if not engines.find(command)]:
        lacks = ", ".join(missing)
        engines.cannot_run("slurm", f"lacks {lacks}; run tests/testbed/install.sh as root")
    if os.geteuid() != 0:
        engines.cannot_run("slurm", "needs root")
    root = Path(tempfile.mkdtemp(prefix="evalc-slurm-", dir=engines.ROOT))
    # Nodes run this Python and the project's files, even from a checkout in /tmp, and have homes.
    seen = {shared, Path(sys.prefix), Path(sys.base_prefix), _KEEPER.parents[3], Path.home()}
    folders = sorted(path for path in seen if path.is_dir())
    how = "slurmdbd" if accounting else "none"
    with engines.keeper("slurm", root, _KEEPER, root, image_file, how, *folders) as (process, env):
        yield Cluster(root, env, process)
