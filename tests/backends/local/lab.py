"""Compiles small configs for one engine, runs their scripts, and sees what they leave behind.

A :class:`Lab` belongs to one test and one engine (``none``, ``docker`` or ``podman``). Everything
that it starts carries the variable ``LAB_ID`` in its environment, so that what a script has
left behind is found whoever its parent is by then.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from waiting import PATIENCE, wait_for

from evalc.bundle import write
from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engines import Engine

# A harness of the catalogue; which one does not matter, the stand-in plays them all.
HARNESS_TASK = "lm-evaluation-harness.ifeval"
MODEL = "stand-in"
# The engines that tests of containers run on, and which of them share a worker of pytest-xdist.
BOXES = (
    pytest.param("docker", marks=pytest.mark.xdist_group("docker")),
    pytest.param("podman", marks=pytest.mark.xdist_group("podman")),
)
# For tests of what does not depend on the engine, and of what only containers have.
on_the_host = pytest.mark.parametrize("lab", ["none"], indirect=True)
in_containers = pytest.mark.parametrize("lab", BOXES, indirect=True)
# For tests of what run_all.sh does with shared servers, and run.sh with its own: both on the host,
# and one on each engine, since scripts and engines do not depend on each other.
SCRIPTS = ("run_all.sh", "alpha/run.sh")
by_each_script = pytest.mark.parametrize(
    ("lab", "script"),
    [
        ("none", "run_all.sh"),
        ("none", "alpha/run.sh"),
        pytest.param("docker", "run_all.sh", marks=pytest.mark.xdist_group("docker")),
        pytest.param("podman", "alpha/run.sh", marks=pytest.mark.xdist_group("podman")),
    ],
    indirect=["lab"],
)


TESTBED = Path(__file__).resolve().parents[2] / "testbed"
_MARK = "LAB_ID"


def listens(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def contents(path: Path) -> bytes:
    """A file of /proc; empty when its process has just ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def stand_ins(folder: Path) -> Path:
    """A folder for PATH with the programs that the tests' image has, for the host."""
    folder.mkdir()
    for name, script in (
        ("nemo-evaluator", "nemo_evaluator.py"),
        ("model-server", "model_server.py"),
    ):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{TESTBED / script}" "$@"\n')
        program.chmod(0o755)
    return folder


@dataclass(frozen=True)
class Stage:
    """A stage file: when (as text), and for ``exit`` the code and why."""

    time: str
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a script ended: exit code, what it said (standard error, then output), seconds."""

    code: int
    said: str
    seconds: float

    @property
    def raw(self) -> list[str]:
        """What bash itself has said, where the scripts have words of their own."""
        return re.findall(r"^\S+\.sh: line [0-9]+: .*", self.said, re.MULTILINE)


class Running:
    """A script at work, the leader of a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.begun = time.monotonic()

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def says(self, text: str) -> None:
        """Waits until it has said ``text``."""
        wait_for(lambda: text in self.said or self.process.poll() is not None)
        assert text in self.said, self.said

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Sends a signal to the script alone, or to its process group, as a terminal does."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def ends(self, seconds: float = PATIENCE) -> Outcome:
        """Waits for its end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"still at work after {seconds} s:\n{self.said}") from None
        return Outcome(code, self.said, time.monotonic() - self.begun)


class Bundle:
    """A compiled bundle in a folder."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder

    def start(
        self,
        script: str = "run_all.sh",
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        options: tuple[str, ...] = (),
    ) -> Running:
        """Starts ``bash [options] script arguments``; ``env`` is laid over the lab's."""
        path = script if cwd else str(self.folder / script)
        return self.lab.start(["bash", *options, path, *arguments], env=env, cwd=cwd)

    def run(self, script: str = "run_all.sh", *arguments: str, **how: Any) -> Outcome:
        """The same, to its end."""
        return self.start(script, *arguments, **how).ends()

    def path(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    def text(self, *parts: str) -> str:
        """A file's text; empty when it is not there."""
        path = self.path(*parts)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def stages(self, task: str = "alpha") -> dict[str, Stage]:
        """The stage files of a task, by name."""
        found = {}
        for path in self.path(task, "logs").glob("stage.*"):
            when, *rest = path.read_text().rstrip("\n").split(" ", 2)
            rest = [word.strip() for word in rest]
            code = int(rest[0]) if rest else None
            found[path.name.removeprefix("stage.")] = Stage(when, code, *rest[1:])
        return found

    def exit(self, task: str = "alpha") -> tuple[int | None, str]:
        """The exit code and the reason that a task's ``stage.exit`` tells; None before its end."""
        stage = self.stages(task).get("exit")
        return (stage.code, stage.reason) if stage else (None, "")

    def env(self, task: str = "alpha", name: str = "env") -> dict[str, str]:
        """The environment that a task has left in ``artifacts`` by ``env -0``."""
        text = self.path(task, "artifacts", name).read_bytes().decode(errors="surrogateescape")
        return dict(pair.split("=", 1) for pair in text.split("\0") if pair)

    def copy(self, target: Path) -> Bundle:
        """The same bundle elsewhere."""
        shutil.copytree(self.folder, target, symlinks=True)
        return Bundle(self.lab, target)


@dataclass
class Lab:
    """One test's place. ``model_url`` is a model that answers, outside of every bundle.

    ``shared`` is a folder that tasks and servers see under the same path, mounted where there are
    containers.
    """

    engine: str
    box: Engine | None
    folder: Path
    port: int
    model_url: str
    path: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    _started: list[Running] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = self.folder / "shared"
        self.shared.mkdir()

    # Configs

    def harness(self, name: str = "alpha", **keys: Any) -> dict[str, Any]:
        """A task whose harness is called by the container contract; ``params`` are its own."""
        params = {"limit_samples": 1, **keys.pop("params", {})}
        settings = {"config": {"params": params}}
        return self._task(
            {"name": HARNESS_TASK, "id": name, "nemo_evaluator_config": settings, **keys}
        )

    def command(self, text: str, name: str = "alpha", **keys: Any) -> dict[str, Any]:
        """A task with a command of the user's."""
        return self._task({"name": name, "command": text, **keys})

    def _task(self, task: dict[str, Any]) -> dict[str, Any]:
        return {"container": self.box.image, **task} if self.box else task

    def server(self, options: str = "", **keys: Any) -> dict[str, Any]:
        """A deployment: the stand-in of a model server with these options, on the lab's port."""
        deployment = {
            "type": "generic",
            "served_model_name": MODEL,
            "port": self.port,
            "command": f'exec model-server --port "$PORT" {options}',
            "pre_cmd": f'echo started >>"{self.shared}/starts"',
            "gpus": "none",
            **keys,
        }
        return {"image": self.box.image, **deployment} if self.box else deployment

    def starts(self) -> int:
        """How often a server has been started."""
        file = self.shared / "starts"
        return len(file.read_text().split()) if file.exists() else 0

    def bundle(
        self,
        *tasks: dict[str, Any],
        name: str = "suite",
        out: Path | None = None,
        deployment: dict[str, Any] | None = None,
        execution: dict[str, Any] | None = None,
        **blocks: Any,
    ) -> Bundle:
        """Compiles a config with these tasks and writes the bundle, over an older one too."""
        mounts = {str(self.shared): str(self.shared)}
        both = {"mounts": {"deployment": mounts, "evaluation": mounts}} if self.box else {}
        # Processes in containers are found by the same mark.
        if self.box:
            blocks["env_vars"] = {_MARK: f"host:{_MARK}", **blocks.get("env_vars", {})}
        endpoint = {"url": self.model_url, "model_id": MODEL}
        config: dict[str, Any] = {
            "defaults": [
                {"execution": "local"},
                {"deployment": "generic" if deployment else "none"},
                "_self_",
            ],
            "execution": {"engine": self.engine, **both, **(execution or {})},
            "evaluation": {"tasks": list(tasks), **blocks.pop("evaluation", {})},
            **blocks,
        }
        if deployment:
            config["deployment"] = deployment
            config["execution"].setdefault("endpoint_readiness_timeout", 30)
        else:
            target = blocks.get("target", {}).get("api_endpoint", {})
            config["target"] = {"api_endpoint": {**endpoint, **target}}
        file = self.folder / f"{name}.yaml"
        file.write_text(json.dumps(config))
        out = out or self.folder / name
        write(compile(Request(file)).bundle, out, force=True)
        return Bundle(self, out)

    # Scripts

    @property
    def environment(self) -> dict[str, str]:
        """What a script finds in its environment: the test's mark, and the way to the engine."""
        return {
            "HOME": str(self.folder),
            "PATH": self.path,
            **(self.box.env if self.box else {}),
            _MARK: self.id,
        }

    def start(
        self,
        command: list[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Running:
        """Starts a program in a session of its own; what it says goes to a file."""
        log = self.folder / f"said.{len(self._started)}"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                env={**self.environment, **(env or {})},
                cwd=cwd or self.folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        running = Running(process, log)
        self._started.append(running)
        return running

    # What is left

    def processes(self) -> dict[int, str]:
        """The processes that this test's scripts have started and that still run."""
        mark = f"{_MARK}={self.id}".encode()
        folders = [f for f in Path("/proc").glob("[0-9]*") if mark in contents(f / "environ")]
        lines = {int(f.name): contents(f / "cmdline").replace(b"\0", b" ") for f in folders}
        return {pid: line.decode(errors="replace") for pid, line in lines.items()}

    def find(self, part: str) -> int:
        """Waits for a process of this test with ``part`` in its command line; its id."""

        def found() -> int | None:
            return next((pid for pid, line in self.processes().items() if part in line), None)

        pid: int = wait_for(found)
        return pid

    def containers(self) -> list[str]:
        """The names of the engine's containers, running or not."""
        return self.box.containers() if self.box else []

    def nothing_is_left(self) -> None:
        """Asserts that no process and no container is left, and that the port is free."""
        # A script's last 'sleep' may outlive it by a moment.
        end = time.monotonic() + 5
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.05)
        assert left == {}
        assert self.containers() == []
        assert not listens(self.port)

    def clear(self) -> None:
        """Ends what a failed test has left."""
        for running in self._started:
            if running.process.poll() is None:
                os.killpg(running.process.pid, signal.SIGKILL)
                running.process.wait()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.box and (left := self.containers()):
            self.box("rm", "--force", *left)
