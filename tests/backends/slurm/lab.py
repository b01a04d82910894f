"""Compiles small configs for Slurm and runs their scripts on the tests' cluster.

A :class:`Lab` belongs to one test. Bundles lie on the cluster's shared file system; servers and
harnesses are the stand-ins of the tests' image, on the host with engine ``none``.
"""

from __future__ import annotations

import re
import shlex
import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waiting import wait_for

from evalc.bundle import write
from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does
from evalc.emit import yamltext

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from subprocess import CompletedProcess

    from clusters import Cluster

# A harness of the catalogue; which one does not matter, the stand-in plays them all.
HARNESS_TASK = "lm-evaluation-harness.ifeval"
MODEL = "stand-in"


@dataclass(frozen=True)
class Event:
    """A line of a journal."""

    name: str
    fields: Mapping[str, str]
    reason: str = ""

    def __getitem__(self, key: str) -> str:
        return self.fields.get(key, "")


class Bundle:
    """A compiled bundle on the shared file system."""

    def __init__(self, cluster: Cluster, folder: Path, env: Mapping[str, str]) -> None:
        self.cluster = cluster
        self.folder = folder
        self.env = env

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def text(self, *parts: str) -> str:
        """A file's text; empty when it is not there."""
        path = self.path(*parts)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def run(
        self, script: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> CompletedProcess[str]:
        """``bash script arguments`` as somebody on the login node; ``env`` is laid over the lab's."""
        return self.cluster(
            "bash", self.path(script), *arguments, env={**self.env, **(env or {})}, cwd=self.folder
        )

    def submit(self, *arguments: str) -> CompletedProcess[str]:
        """``submit_all.sh``, which must say that all went well."""
        ran = self.run("submit_all.sh", *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran

    def sbatch(
        self, task: str = "alpha", *options: str, env: Mapping[str, str] | None = None
    ) -> str:
        """``cd <task> && sbatch sbatch_<task>.sh`` by hand; the job's id."""
        ran = self.cluster(
            "sbatch",
            "--parsable",
            *options,
            f"sbatch_{task}.sh",
            cwd=self.path(task),
            env={**self.env, **(env or {})},
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def journal(self, task: str = "alpha") -> list[Event]:
        """What a job's journal tells; ``task`` is empty for that of a shared job."""
        found = []
        for line in self.text(task, "logs", "journal").splitlines():
            _, _, said = line.partition(" ")
            said, _, reason = said.partition(" reason=")
            name, *pairs = said.split(" ")
            fields = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            found.append(Event(name, fields, reason))
        return found

    def events(self, name: str, task: str = "alpha") -> list[Event]:
        """The lines of one kind."""
        return [event for event in self.journal(task) if event.name == name]

    def says(self, name: str, task: str = "alpha", *, times: int = 1) -> list[Event]:
        """Waits until a journal has a line of this kind, or ``times`` of them."""
        try:
            wait_for(lambda: len(self.events(name, task)) >= times)
        except AssertionError:
            raise AssertionError(self.everything(task)) from None
        return self.events(name, task)

    def ends(self, task: str = "alpha") -> Event:
        """Waits until a chain has ended: its ``done`` or ``stop``, with nothing left in the queue."""
        try:
            wait_for(lambda: self.events("done", task) or self.events("stop", task))
        except AssertionError:
            raise AssertionError(self.everything(task)) from None
        self.cluster.idle()
        return [event for event in self.journal(task) if event.name in ("done", "stop")][-1]

    def ran(self, task: str = "alpha") -> list[str]:
        """The attempts that a task of :meth:`Lab.task` has run in, as ``JOB.RESTART``."""
        return self.text(task, "ran").split()

    def runs(self, task: str = "alpha", *, times: int = 1) -> str:
        """Waits until that task runs, for the so-many-th time; the id of the job that it runs in."""
        try:
            wait_for(lambda: len(self.ran(task)) >= times)
        except AssertionError:
            raise AssertionError(self.everything(task)) from None
        return self.ran(task)[-1].partition(".")[0]

    def release(self, task: str = "alpha") -> None:
        """Lets a task of :meth:`Lab.task` come to its end, in this attempt or a later one."""
        self.path(task, "go").touch()

    def asked(self, task: str = "alpha") -> int:
        """How many requests the model's server has answered, in the last two attempts."""
        logs = ("server_model_stdout.log", "server_model_stdout.log.1")
        return sum(self.text(task, "logs", log).count('"POST ') for log in logs)

    def log(self, job: str, task: str = "alpha") -> str:
        """What a job's script said."""
        return self.text(task, f"slurm-{job}.log")

    def exit(self, task: str = "alpha") -> tuple[int | None, str]:
        """The exit code and the reason that a task's ``stage.exit`` tells; None before its end."""
        words = self.text(task, "logs", "stage.exit").split(maxsplit=2)
        return (int(words[1]), " ".join(words[2:]).strip()) if len(words) > 1 else (None, "")

    def everything(self, task: str = "alpha") -> str:
        """What there is to read when a test fails."""
        logs = sorted(self.path(task).glob("slurm-*.log")) + sorted(self.path(task).glob("logs/*"))
        said = [self.cluster("squeue").stdout]
        for log in logs:
            if log.is_file():
                tail = log.read_text(errors="replace").splitlines()[-40:]
                said.append(f"--- {log.relative_to(self.folder)}\n" + "\n".join(tail))
        return "\n".join(said)


class Lab:
    """See the module."""

    def __init__(self, cluster: Cluster, folder: Path, stand_ins: Path, engine: str) -> None:
        self.cluster = cluster
        self.folder = folder
        self.engine = engine
        self.env = {"PATH": f"{stand_ins}:{cluster.env['PATH']}"}

    def command(self, text: str, **keys: Any) -> dict[str, Any]:
        """A task ``alpha`` with a command of its own."""
        image = {} if self.engine == "none" else {"container": "evalc-test:1"}
        return {"name": "alpha", "command": text, **image, **keys}

    def task(self, then: str = "", **keys: Any) -> dict[str, Any]:
        """A task ``alpha`` that runs until it is released, and then does what the text says.

        It notes in which attempts it ran (:meth:`Bundle.ran`), and ``twice`` should two run at a
        time. What it notes lies outside its artifacts: it is no progress.
        """
        text = """
            exec 9>>../lock
            flock --nonblock 9 || echo twice >>../ran
            echo "$SLURM_JOB_ID.$((SLURM_RESTART_COUNT))" >>../ran
            until [ -e ../go ]; do sleep 0.1; done
        """
        return self.command(f"{textwrap.dedent(text)}{then}", **keys)

    def stand_in(self, name: str, text: str) -> None:
        """A script of ``sh`` in the place of a command, in the jobs that are submitted from now on.

        ``$real`` is the command itself, ``$here`` a folder for files of the script's own.
        """
        folder = self.folder / "stand-ins"
        folder.mkdir(parents=True, exist_ok=True)
        real = shutil.which(name, path=self.env["PATH"])
        file = folder / name
        file.write_text(f"#!/bin/sh\nreal={real} here={quoted(folder)}\n{textwrap.dedent(text)}")
        file.chmod(0o755)
        if not self.env["PATH"].startswith(f"{folder}:"):
            self.env["PATH"] = f"{folder}:{self.env['PATH']}"

    def time_out(self, job: str) -> None:
        """Lets the ten minutes pass that a job of the lab's has."""
        self.cluster.move_clock(11 * 60)
        self.cluster.wait(job, "TIMEOUT")

    def harness(
        self, *, limit: int = 3, extra: Mapping[str, Any] | None = None, **keys: Any
    ) -> dict[str, Any]:
        """A task ``alpha`` of the stand-in for a harness."""
        params = {"limit_samples": limit, **({"extra": dict(extra)} if extra else {})}
        image = {} if self.engine == "none" else {"container": "evalc-test:1"}
        settings = {"config": {"params": params}}
        return {
            "name": HARNESS_TASK, "id": "alpha", **image, "nemo_evaluator_config": settings, **keys
        }  # fmt: skip

    def server(self, *arguments: str, port: int = 8000, **keys: Any) -> dict[str, Any]:
        """A deployment of the stand-in for a model server."""
        image = {} if self.engine == "none" else {"image": "evalc-test:1"}
        command = ["model-server", "--host", "0.0.0.0", "--port", "${deployment.port}", *arguments]
        return {
            "type": "generic", "command": command, "served_model_name": MODEL, "port": port,
            "gpus": "none", **image, **keys,
        }  # fmt: skip

    def bundle(
        self,
        *tasks: Mapping[str, Any],
        deployment: Mapping[str, Any] | None = None,
        name: str = "suite",
        **config: Any,
    ) -> Bundle:
        """Compiles a config of these tasks. ``execution`` is laid over the lab's."""
        execution = {
            "type": "slurm",
            "engine": self.engine,
            "output_dir": "/results",
            "walltime": "00:10:00",
            "endpoint_readiness_timeout": 60,
            **config.pop("execution", {}),
        }
        whole: dict[str, Any] = {
            "execution": execution, "evaluation": {"tasks": list(tasks)}, **config,
        }  # fmt: skip
        if deployment is not None:
            whole["deployment"] = dict(deployment)
        elif "target" not in whole:
            endpoint = {"url": "http://127.0.0.1:9/v1/chat/completions", "model_id": MODEL}
            whole["target"] = {"api_endpoint": endpoint}
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{name}.yaml"
        file.write_text(yamltext.dump(whole), encoding="utf-8")
        out = self.folder / name
        write(compile(Request(file)).bundle, out, force=True)
        return Bundle(self.cluster, out, self.env)


def node_of(said: str) -> str:
    """The node that a job's log names first."""
    found = re.search(r"\bn[1-4]\b", said)
    assert found, said
    return found[0]


def quoted(path: Path) -> str:
    """A path as one word of bash."""
    return shlex.quote(str(path))
