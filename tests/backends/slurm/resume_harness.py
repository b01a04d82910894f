"""Runs the library that decides about resuming, in plain bash, with stand-ins for Slurm's commands.

A :class:`Chain` is a bundle of one task in a folder: the libraries, the task's own folder, and a folder
of ``sacct``, ``scontrol``, ``squeue``, ``scancel`` and ``sbatch`` that write down how they were called and
then do what the test says. No cluster is asked; no script of the compiler's is run.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LIBRARY = Path(__file__).resolve().parents[3] / "templates" / "lib"
COMMANDS = ("sacct", "scontrol", "squeue", "scancel", "sbatch")
# Seconds that a script may take on a loaded machine; a link that waits for ever is a failure.
PATIENCE = 60.0
DIGEST = "d1"

# What a script of the compiler's does before its first decision.
_PRELUDE = """\
set -euo pipefail
_bundle_dir={bundle} _home={bundle}/alpha
. "$_bundle_dir/lib/{library}"
_logs=$_home/logs _script=sbatch_alpha.sh _tasks=(alpha:d1)
_max_attempts=5
trap evalc_give_turn_back EXIT
"""


class Chain:
    """See the module. ``constants`` replaces readonly times of the library (seconds), by name."""

    def __init__(self, folder: Path, **constants: float) -> None:
        self.folder = folder
        self.bundle = folder / "bundle"
        self.home = self.bundle / "alpha"
        self.logs = self.home / "logs"
        self.secrets = self.bundle / ".secrets.sbatch_alpha.sh"
        self.bin = folder / "bin"
        self.logs.mkdir(parents=True)
        (self.home / "artifacts").mkdir()
        self.bin.mkdir()
        shutil.copytree(LIBRARY, self.bundle / "lib")
        for name, seconds in constants.items():
            files = (self.bundle / "lib").glob("*.sh")
            (library,) = [file for file in files if f" {name}=" in file.read_text()]
            before, _, after = library.read_text().partition(f" {name}=")
            library.write_text(f"{before} {name}={seconds}{after.lstrip('0123456789')}")
        for command in COMMANDS:
            self.answers(command, "exit 1")

    def answers(self, command: str, script: str) -> None:
        """Lets a command of Slurm's do what this bash script says, with its arguments."""
        calls = shlex.quote(str(self.folder / f"{command}.calls"))
        path = self.bin / command
        path.write_text(f'#!/bin/bash\nprintf "%s\\n" "$*" >>{calls}\n{script}\n')
        path.chmod(0o755)

    def controller(self, states: Mapping[str, str]) -> None:
        """Lets ``scontrol show job`` know these jobs, and no others."""
        known = "".join(
            f"*' {job}') echo 'JobId={job} JobName=x UserId=u(1) JobState={state} Reason=None' ;;\n"
            for job, state in states.items()
        )
        self.answers("scontrol", f'case " $*" in\n{known}*) exit 1 ;;\nesac')

    def calls(self, command: str) -> list[str]:
        """The arguments of each call of a command, so far."""
        path = self.folder / f"{command}.calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def journal(self) -> Path:
        return self.logs / "journal"

    def write(self, *lines: str) -> None:
        """Makes these lines, each with a time before it, the journal."""
        text = "".join(f"2026-01-01T00:00:00Z {line}\n" for line in lines)
        self.journal.write_text(text)

    def lines(self) -> list[str]:
        """The journal, without its times."""
        return [line.partition(" ")[2] for line in self.journal.read_text().splitlines()]

    def events(self, name: str) -> list[str]:
        """What the journal's lines of one kind tell."""
        found = (line.partition(" ") for line in self.lines())
        return [rest for event, _, rest in found if event == name]

    def finish(self) -> None:
        """Makes the task finished."""
        (self.logs / "stage.exit").write_text("2026-01-01T00:00:00Z 0\n")
        (self.logs / "digest").write_text(f"{DIGEST}\n")
        (self.home / "artifacts" / "results.yml").write_text("results: {}\n")

    def cache(self, size: int) -> None:
        """Gives the harness's cache of responses this many bytes."""
        folder = self.home / "artifacts" / "cache"
        folder.mkdir(exist_ok=True)
        (folder / "responses").write_bytes(b"x" * size)
        # That it is this config's.
        (self.logs / "digest").write_text(f"{DIGEST}\n")

    def bash(
        self,
        script: str,
        *,
        job: str = "5",
        restart: int | None = None,
        env: Mapping[str, str] | None = None,
        options: Iterable[str] = (),
        library: str = "resume.sh",
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script of bash that has the library, or one that builds on it, as this job."""
        prelude = _PRELUDE.format(bundle=shlex.quote(str(self.bundle)), library=library)
        return subprocess.run(
            ["bash", *options, "-c", prelude + script],
            env=self.environment(job, restart, env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )

    def environment(
        self, job: str, restart: int | None, env: Mapping[str, str] | None
    ) -> dict[str, str]:
        """What Slurm gives a job, as far as the library looks at it."""
        found = {
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "SLURM_JOB_ID": job,
            "SLURMD_NODENAME": "n1",
        }
        if restart is not None:
            found["SLURM_RESTART_COUNT"] = str(restart)
        return {**found, **(env or {})}

    def attempt(
        self,
        then: str = "echo working",
        *,
        job: str = "5",
        after: str = "",
        restart: int | None = None,
        settings: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a link: what it decides, and, should it work, what ``then`` does."""
        return self.bash(
            f"{settings}\n_after={after}\nevalc_attempt\n{then}", job=job, restart=restart, env=env
        )
