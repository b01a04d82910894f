"""Runs on the loopback server: through evalc's own interface in this process, and by its commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from backends.lepton.lab import VOLUME, compiled
from waiting import wait_for

from evalc.backends.lepton.runs import LeptonRuns, keeping
from evalc.backends.lepton.runs.folder import RunFolder
from evalc.backends.running import Job, Run, State
from evalc.bundle import write
from evalc.bundle.read import read
from evalc.emit import yamltext
from evalc.runner.database.tracking import new_id
from evalc.runner.transport import LocalHost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lepton import Lepton

    from evalc.backends.running import Sight, Stopped

_OVER = (State.COMPLETED, State.FAILED, State.CANCELLED, State.TIMED_OUT)


class Desk:
    """One run, submitted by this process."""

    def __init__(self, lepton: Lepton, folder: Path) -> None:
        self.lepton = lepton
        self.folder = folder
        self.said: list[str] = []
        # Volumes outlive a test.
        self.invocation = new_id()
        self._runs = LeptonRuns()
        self._host = LocalHost()

    def compile(self, values: Mapping[str, Any]) -> None:
        """Makes the run's folder of a config."""
        place = self.folder / f"2026-01-02-03-04-05-{self.invocation}"
        write(compiled(self.folder, values), place, force=False)
        bundle = read(place)
        jobs = tuple(Job(job.id, job.steps) for job in bundle.jobs)
        self.run = Run(self.invocation, str(place), bundle.options, jobs, 0.0)

    @property
    def place(self) -> RunFolder:
        return RunFolder(self.run)

    def submit(self, *jobs: str, again: bool = False) -> dict[str, Sight]:
        found = self._runs.submit(
            self._host, self.run, jobs, again=again, env={}, said=self.said.append
        )
        return dict(found)

    def sights(self) -> Mapping[str, Sight]:
        return self._runs.poll(self._host, [self.run])[self.invocation]

    def states(self) -> list[State]:
        return [sight.state for sight in self.sights().values()]

    def ends(self) -> list[State]:
        """Waits until all is over; the states."""
        wait_for(lambda: all(state in _OVER for state in self.states()))
        return self.states()

    def stop(self, *jobs: str) -> Sequence[Stopped]:
        return self._runs.cancel(self._host, self.run, jobs)

    def log(self, what: str, job: str = "alpha", *, tail: int = 0, follow: bool = False) -> bytes:
        told = self._runs.told(self._host, self.run, job, what, tail=tail, follow=follow)
        return b"".join(told)

    def keeper(self) -> int | None:
        return keeping.keeper_of(self.place)

    def kill_keeper(self) -> None:
        """As ``kill -9`` does."""
        pid = self.keeper()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.keeper() is None)

    def close(self) -> None:
        """Leaves no process."""
        with suppress(AttributeError, ValueError):
            if self.keeper() is not None:
                self.kill_keeper()


class Terminal:
    """evalc's commands, with a database of their own."""

    def __init__(self, lepton: Lepton, folder: Path) -> None:
        self.lepton = lepton
        self.folder = folder
        self.env = {
            **os.environ,
            **lepton.env,
            "EVALC_HOME": str(folder / "state"),
            "EVALC_POLL_SECONDS": "0.3",
            "EVALC_SETTLE_SECONDS": "5",
            "EVALC_LEPTON_RESULTS": str(lepton.volume(VOLUME, "/runs")),
            "COLUMNS": "200",
        }

    def config(self, values: Mapping[str, Any]) -> None:
        """Writes ``suite.yaml``."""
        (self.folder / "suite.yaml").write_text(yamltext.dump(dict(values)))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "evalc", *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=90)
        assert "evalc itself failed" not in err, err
        assert code in (None, process.returncode), f"{process.returncode}: {out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self("ls", "runs", "--json").stdout)
        return found

    def jobs(self, id_: str) -> list[dict[str, Any]]:
        """What ``evalc status`` tells of the run's jobs."""
        told = self("status", "--json", id_, code=None)
        assert told.stdout, told.stderr
        return [job for run in json.loads(told.stdout) for job in run["jobs"]]

    def close(self) -> None:
        """Leaves no process, and nothing that runs."""
        for run in self.runs():
            self("kill", run["invocation"], code=None)
