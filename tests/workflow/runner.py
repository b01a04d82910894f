"""A stand-in for GitHub's runner, which can't be had here.

It does what the runner does with a composite action's steps
(https://docs.github.com/actions/reference/workflows-and-actions/metadata-syntax): evaluates the
expressions of ``env`` and ``outputs``, runs each ``run`` with bash in the same way, one after the
other, and reads the files that steps write for it. Of expressions it knows references and ``||``. It
has no ``if``, no other shells, and no annotations: these are in what the steps said.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
# What the runner starts bash with.
_BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
_STEP_KEYS = {"name", "id", "shell", "env", "run"}


@dataclass
class Ran:
    """What became of an action: the exit code of the step that failed, or 0."""

    code: int
    said: str
    outputs: dict[str, str]
    summary: str


@dataclass
class Runner:
    """Runs the action in ``action`` for the repository in ``workspace``; ``temp`` is its own.

    ``done`` names steps that need no doing: what they leave is in ``temp`` and ``environment``.
    """

    action: Path
    workspace: Path
    temp: Path
    environment: dict[str, str]
    done: frozenset[str] = frozenset()
    said: str = ""
    steps: dict[str, Any] = field(default_factory=dict)

    def run(self, inputs: dict[str, str], event: dict[str, Any]) -> Ran:
        """Run every step, until one fails."""
        metadata = yaml.safe_load((self.action / "action.yml").read_text())
        assert metadata["runs"]["using"] == "composite"
        assert inputs.keys() <= metadata["inputs"].keys()
        given = {
            name: inputs.get(name, it.get("default")) for name, it in metadata["inputs"].items()
        }
        context = {"inputs": given, "github": {"event": event}, "steps": self.steps}
        summary, code = self._file("summary"), 0
        for step in metadata["runs"]["steps"]:
            code = 0 if step["name"] in self.done else self._step(step, context)
            if code:
                break
        outputs = {
            name: self._evaluated(it["value"], context) for name, it in metadata["outputs"].items()
        }
        return Ran(code, self.said, outputs, summary.read_text())

    def _step(self, step: dict[str, Any], context: dict[str, Any]) -> int:
        assert step.keys() <= _STEP_KEYS
        assert step["shell"] == "bash"
        # An expression in there would make code of whatever it stands for.
        assert not _EXPRESSION.search(step["run"])
        script = self.temp / "step.sh"
        script.write_text(step["run"])
        output, path = self._file("output"), self._file("path")
        done = subprocess.run(
            [*_BASH, script],
            cwd=self.workspace,
            env={
                **self.environment,
                **{name: self._evaluated(text, context) for name, text in step["env"].items()},
                "GITHUB_ACTION_PATH": str(self.action),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_PATH": str(path),
                "GITHUB_STEP_SUMMARY": str(self._file("summary")),
                "GITHUB_WORKSPACE": str(self.workspace),
                "RUNNER_TEMP": str(self.temp),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        self.said += done.stdout
        lines = (line.partition("=") for line in output.read_text().splitlines())
        if "id" in step:
            self.steps[step["id"]] = {"outputs": {name: value for name, _, value in lines}}
        for line in path.read_text().splitlines():
            self.environment["PATH"] = f"{line}{os.pathsep}{self.environment['PATH']}"
        path.unlink()
        output.unlink()
        return done.returncode

    def _file(self, name: str) -> Path:
        path = self.temp / f"runner-{name}"
        path.touch()
        return path

    def _evaluated(self, text: str, context: dict[str, Any]) -> str:
        return _EXPRESSION.sub(lambda match: _value(match[1], context), text)


def _value(expression: str, context: dict[str, Any]) -> str:
    """The first alternative that is not empty; a reference to nothing is empty."""
    for reference in expression.split("||"):
        value: Any = context
        for name in reference.strip().split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value:
            return str(value)
    return ""
