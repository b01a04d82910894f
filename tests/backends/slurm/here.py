"""The cluster's login node as a host of the runner's."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from evalc.backends.running import Host, Job, Ran, Run, Sight, Stopped
from evalc.backends.slurm.runs import SlurmRuns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backends.slurm.lab import Bundle


class Here(Host):
    """Runs scripts as somebody on the login node; ``calls`` counts the round trips."""

    name = "here"

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.calls = 0

    def bash(
        self,
        script: str,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        said: Callable[[str], None] | None = None,
    ) -> Ran:
        self.calls += 1
        ran = subprocess.run(
            ["bash", "-c", script, "evalc", *arguments],
            input=stdin,
            env={**os.environ, **self.env, **(env or {})},
            capture_output=True,
            timeout=timeout or 120,
            check=False,
        )
        err = ran.stderr.decode(errors="surrogateescape")
        for line in err.splitlines() if said else ():
            assert said is not None
            said(line)
        return Ran(ran.returncode, ran.stdout.decode(errors="surrogateescape"), err)


class Submission:
    """A bundle of the lab's as a run, with its jobs ``tasks``; ``shared``: one job of all."""

    def __init__(
        self, bundle: Bundle, *tasks: str, shared: bool = False, **options: object
    ) -> None:
        ids = tasks or ("alpha",)
        jobs = (Job("suite", ids),) if shared else tuple(Job(id_, (id_,)) for id_ in ids)
        resume = {"strategy": "self", "attempts": 10}
        self.bundle = bundle
        self.host = Here({**bundle.cluster.env, **bundle.env})
        self.run = Run(
            "run", str(bundle.folder), {"resume": resume, **options}, jobs, bundle.cluster.now()
        )
        self.runs = SlurmRuns()
        self.said: list[str] = []

    def submit(self, *jobs: str, again: bool = False) -> Mapping[str, Sight]:
        return self.runs.submit(
            self.host, self.run, jobs, again=again, env={}, said=self.said.append
        )

    def poll(self) -> Mapping[str, Sight]:
        return self.runs.poll(self.host, [self.run])["run"]

    def sight(self, job: str = "alpha") -> Sight:
        return self.poll()[job]

    def cancel(self, *jobs: str) -> dict[str, Stopped]:
        stopped = self.runs.cancel(self.host, self.run, jobs)
        return {one.job: one for one in stopped}

    def bring(self, secrets: Mapping[str, str]) -> None:
        """What a runner does with the secrets before it submits."""
        for name, data in self.runs.secrets_files(self.run, secrets).items():
            path = self.bundle.path(name)
            path.touch(mode=0o600)
            path.write_bytes(data)

    def secrets(self) -> dict[str, bytes]:
        """The files with secrets that are there."""
        return {path.name: path.read_bytes() for path in self.bundle.folder.glob(".secrets.*")}
