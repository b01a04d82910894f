"""Compiles small configs for Lepton, submits them to the loopback server, and sees what comes of it."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalc.bundle import write
from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does
from evalc.emit import yamltext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lepton import Lepton

    from evalc.bundle import Bundle

TASK = "lm-evaluation-harness.ifeval"
VOLUME = "node-nfs:evaluations"
SERVER: dict[str, Any] = {
    "type": "generic",
    "image": "servers/stand-in:1",
    "served_model_name": "stand-in",
    "command": ["model-server", "--host", "0.0.0.0", "--port", "${deployment.port}"],
    "lepton_config": {
        "resource_shape": "gpu.small",
        "api_tokens": [{"value_from": {"token_name_ref": "DOOR"}}],
    },
}
TARGET = {"api_endpoint": {"api_key_name": "DOOR"}}


def config(
    *tasks: str | Mapping[str, Any],
    execution: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A config with a volume; ``params`` are the harness's."""
    mounts = [{"from": VOLUME, "path": "/runs", "mount_path": "/workspace"}]
    made = [
        {"id": task, "name": TASK} if isinstance(task, str) else dict(task)
        for task in tasks or ("alpha",)
    ]
    settings = {"config": {"params": dict(params or {"limit_samples": 2})}}
    return {
        "execution": {
            "type": "lepton",
            "lepton_platform": {"tasks": {"mounts": mounts}},
            **(execution or {}),
        },
        "evaluation": {"nemo_evaluator_config": settings, "tasks": made},
        **more,
    }


def compiled(folder: Path, values: Mapping[str, Any], name: str = "lab") -> Bundle:
    """The bundle of a config."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yamltext.dump(dict(values)))
    return compile(Request(folder / f"{name}.yaml")).bundle


@dataclass
class Ran:
    """What submit_all.sh did."""

    code: int
    said: str


@dataclass
class Lab:
    """A bundle beside a server."""

    lepton: Lepton
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def compile(self, values: Mapping[str, Any]) -> None:
        """Compile a config into :attr:`bundle`."""
        write(compiled(self.folder, values), self.bundle, force=True)

    def environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("LEPTON_")}
        pace = {
            "EVALC_POLL_SECONDS": "0.1",
            "EVALC_RETRY_SECONDS": "0.1",
            "EVALC_SETTLE_SECONDS": "2",
        }
        return {**own, **pace, **self.lepton.env, **self.env}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", self.bundle / "submit_all.sh", *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def submit(self, *arguments: str, code: int | None = 0) -> Ran:
        """Run submit_all.sh to its end."""
        with self.start(*arguments) as process:
            try:
                said, _ = process.communicate(timeout=90)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said, _ = process.communicate()
                raise AssertionError(f"it goes on and on\n{said}") from None
        assert code in (None, process.returncode), f"{process.returncode}\n{said}"
        return Ran(process.returncode, said)

    @property
    def invocation(self) -> str:
        return (self.bundle / "logs/invocation").read_text().strip()

    def results(self, task: str = "alpha") -> Path:
        """The task's folder on the volume."""
        return self.lepton.volume(VOLUME, "/runs") / self.invocation / task

    def stage(self, task: str = "alpha") -> str:
        """How a task ended: the exit code, and the reason."""
        return (self.results(task) / "logs/stage.exit").read_text().partition(" ")[2].strip()

    def journal(self, task: str = "alpha") -> list[str]:
        """The events of a task's journal, without their times."""
        path = self.bundle / task / "logs/journal"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.partition(" ")[2] for line in lines]

    def events(self, task: str = "alpha") -> list[str]:
        """The events' names alone; of an endpoint, what happened to it."""
        found = []
        for line in self.journal(task):
            words = line.split()
            fields = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            found.append(f"endpoint {fields['event']}" if words[0] == "endpoint" else words[0])
        return found

    def no_endpoint(self) -> None:
        """Endpoints have been removed: what is left of one is going."""
        left = [one["status"]["state"] for one in self.lepton.endpoints()]
        assert set(left) <= {"Deleting"}, left

    def created(self) -> Sequence[str]:
        """The names of the jobs that the server has."""
        return [job["metadata"]["name"] for job in self.lepton.jobs()]
