"""Programs that stand in for those that a bundle calls, and write down how they were called.

``docker`` and ``podman`` start nothing: a server they would have run stays until it is stopped, an
evaluation leaves a ``results.yml`` where the container would have. ``nemo-evaluator`` and ``python3``
do the same without a container, and ``curl`` finds everything ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PROGRAM = """#!{python} -IS
import json, os, signal, sys

name, *args = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
options = {{}}
for option, value in zip(args, args[1:]):
    options.setdefault(option, []).append(value)
mounts = dict(reversed(v.removesuffix(":ro").rsplit(":", 1)) for v in options.get("--volume", []))
given = dict(v.split("=", 1) for v in options.get("--env", []) if "=" in v)
inside = given.get("RUN_CONFIG", "")
run_config, results = os.environ.get("RUN_CONFIG"), os.environ.get("RESULTS_DIR")
is_engine, is_server = name in ("docker", "podman"), "serve.py" in "".join(args)
if is_engine:
    run_config = inside.replace("/evalc/task", mounts.get("/evalc/task", ""))
    results = mounts.get("/results")
    is_server = args[0] == "run" and not results
call = {{"name": name, "args": args, "env": dict(os.environ), "server": bool(is_server)}}
if run_config and not is_server and name != "curl":
    with open(run_config, encoding="utf-8", newline="") as file:
        call["run_config"] = file.read()
if name == "curl":
    # As many answer as have been started.
    calls = [json.loads(line) for line in open({log!r})]
    call["ready"] = sum(c.get("ready", False) for c in calls) < sum(c["server"] for c in calls)
    print("200" if call["ready"] else "000", end="")
with open({log!r}, "a") as file:
    file.write(json.dumps(call) + "\\n")
if is_server:
    signal.pause()
if is_engine and args[0] == "kill":
    sys.exit(1)  # it can't: the script has to do it
if results and name != "curl":
    with open(os.path.join(results, "results.yml"), "w") as file:
        file.write("results: {{}}\\n")
"""
NAMES = ("docker", "podman", "curl", "nemo-evaluator", "python3")


@dataclass(frozen=True)
class Call:
    """One call of a stand-in: the words after its name, its environment, the run_config it read."""

    name: str
    args: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    run_config: str | None = None

    @property
    def is_evaluation(self) -> bool:
        """Whether it evaluates, in a container or not."""
        if self.name in ("docker", "podman"):
            return self.args[0] == "run" and self.run_config is not None
        return self.name in ("nemo-evaluator", "python3") and self.run_config is not None

    @property
    def is_server(self) -> bool:
        """Whether it serves the model."""
        if self.name in ("docker", "podman"):
            return self.args[0] == "run" and self.run_config is None
        return self.name == "python3" and self.run_config is None

    def variable(self, name: str) -> str | None:
        """The value of a variable where the program runs: in the container, if there is one."""
        if self.name not in ("docker", "podman"):
            return self.env.get(name)
        options = [v for o, v in zip(self.args, self.args[1:], strict=False) if o == "--env"]
        if name in options:
            return self.env.get(name)
        values = [v.partition("=")[2] for v in options if v.startswith(f"{name}=")]
        return values[-1] if values else None


@dataclass(frozen=True)
class Run:
    """What a script did: its exit code and output, and every call of a stand-in."""

    code: int
    said: str
    calls: tuple[Call, ...]

    @property
    def evaluations(self) -> Iterator[Call]:
        return (call for call in self.calls if call.is_evaluation)

    @property
    def servers(self) -> Iterator[Call]:
        return (call for call in self.calls if call.is_server)


def make_relative_paths(bundle: Path, work: Path, env: Mapping[str, str]) -> list[Path]:
    """In ``work``, the folders that the scripts look for where they are started; all that are new."""
    plan = json.loads((bundle / "plan.json").read_text())
    steps = [step for job in plan["jobs"] for step in job["steps"]]
    for owner in (*plan["services"], *steps):
        for mount in (*owner.get("mounts", ()), owner.get("dataset")):
            source = mount["source"] if mount else "/"
            parts = [source] if isinstance(source, str) else source["parts"]
            texts = [
                p if isinstance(p, str) else env.get(p["env"], p.get("default")) for p in parts
            ]
            path = "".join(texts)
            if isinstance(parts[0], str) and not path.startswith("/"):
                (work / path).mkdir(parents=True, exist_ok=True)
    return sorted(work.rglob("*"), reverse=True)


def run(bundle: Path, scratch: Path, env: Mapping[str, str], *arguments: str) -> Run:
    """Run a bundle's ``run_all.sh`` in the folder ``scratch``, which must be new."""
    scratch.mkdir()
    programs, log = scratch / "bin", scratch / "calls.jsonl"
    programs.mkdir()
    log.touch()
    for name in NAMES:
        (programs / name).write_text(PROGRAM.format(python=sys.executable, log=str(log)))
        (programs / name).chmod(0o755)
    work = scratch / "work"
    work.mkdir()
    made = make_relative_paths(bundle, work, env)
    with subprocess.Popen(
        ["bash", bundle / "run_all.sh", *arguments],
        cwd=work,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(work),
            "LC_ALL": "C.UTF-8",
            **env,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="surrogateescape",
    ) as process:
        try:
            said, _ = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.terminate()  # it stops all that it started
            raise
    # What is in one of them now, a script has put there: that is for the test to see.
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()
    calls = []
    for line in log.read_text().splitlines():
        call = json.loads(line)
        calls.append(Call(call["name"], tuple(call["args"]), call["env"], call.get("run_config")))
    return Run(process.returncode, said, tuple(calls))
