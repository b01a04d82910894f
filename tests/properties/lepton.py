"""Runs a Lepton bundle with stand-ins: a ``curl`` that is the whole platform, and the containers' programs.

``curl`` answers as a workspace would, keeps what it is sent, and runs a job's command at once, with the
variables that the JSON gives it and secrets of its own. ``nemo-evaluator`` writes down how it was called
and leaves a ``results.yml``. Mounts are not made: what a command writes to its volume is below ``$VOLUME``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from properties.standins import Call, Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CURL = """#!{python} -IS
import json, os, subprocess, sys

args = sys.argv[1:]
method = args[args.index("--request") + 1]
url = args[-1].partition("?")[0].removeprefix("https://platform.test/w")
body = json.load(open(args[args.index("--data-binary") + 1][1:])) if "--data-binary" in args else None
state = json.load(open({state!r}))
code, answer = 200, {{}}
if url == "/workspace":
    pass
elif method == "POST" and url == "/jobs":
    name = body["metadata"]["name"]
    state["jobs"].append({{"metadata": {{"id": name + "-abcd", "name": name}}, "body": body}})
    answer = state["jobs"][-1]
elif url == "/jobs":
    answer = {{"jobs": [j | {{"status": {{"state": "Completed"}}}} for j in state["jobs"]] if "page=1&" in args[-1] else []}}
elif method == "POST":
    state["endpoints"].append(body)
elif method == "DELETE":
    pass
elif any(e["metadata"]["name"] == url.rpartition("/")[2] for e in state["endpoints"]):
    answer = {{"status": {{"state": "Ready", "endpoint": {{"external_endpoint": "https://e.test"}}}}}}
elif url == "/deployments/" + state["runs"]:
    answer = {{"status": {{"state": "Ready", "endpoint": {{"external_endpoint": "https://e.test"}}}}}}
else:
    code = 404
json.dump(state, open({state!r}, "w"))
with open({log!r}, "a") as file:
    file.write(json.dumps({{"name": "curl", "args": args, "env": dict(os.environ)}}) + "\\n")
open(args[args.index("--output") + 1], "w").write(json.dumps(answer))
print(code, end="")
"""
PROGRAM = """#!{python} -IS
import json, os, sys

call = {{"name": os.path.basename(sys.argv[0]), "args": sys.argv[1:], "env": dict(os.environ)}}
if os.environ.get("RUN_CONFIG"):
    with open(os.environ["RUN_CONFIG"], encoding="utf-8", newline="") as file:
        call["run_config"] = file.read()
    with open(os.path.join(os.environ["RESULTS_DIR"], "results.yml"), "w") as file:
        file.write("results: {{}}\\n")
with open({log!r}, "a") as file:
    file.write(json.dumps(call) + "\\n")
"""
SECRET = "the secret {}"


def submitted(bundle: Path, scratch: Path, env: Mapping[str, str], runs: str) -> tuple[Run, Any]:
    """Run a bundle's ``submit_all.sh`` in the new folder ``scratch``; what it did, and what was sent.

    ``runs`` is the name of an endpoint that is there already.
    """
    programs, log, work = scratch / "bin", scratch / "calls.jsonl", scratch / "work"
    for folder in (scratch, programs, work):
        folder.mkdir()
    log.touch()
    state = scratch / "state.json"
    state.write_text(json.dumps({"jobs": [], "endpoints": [], "runs": runs}))
    given = {"python": sys.executable, "log": str(log), "state": str(state)}
    (programs / "curl").write_text(CURL.format(**given))
    (programs / "nemo-evaluator").write_text(PROGRAM.format(**given))
    for program in programs.iterdir():
        program.chmod(0o755)
    done = _bash(
        [str(bundle / "submit_all.sh")],
        work,
        {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "LEPTON_WORKSPACE_URL": "https://platform.test/w",
            "LEPTON_WORKSPACE_TOKEN": "token-of-the-workspace",
            "EVALC_POLL_SECONDS": "0.01",
            **env,
        },
    )
    return Run(done.returncode, done.stdout, _calls(log)), json.loads(state.read_text())


def ran(scratch: Path, spec: Mapping[str, Any], env: Mapping[str, str]) -> Run:
    """Run the command of a job or an endpoint as its container would; ``env`` is the image's."""
    programs, log, work = scratch / "bin", scratch / "calls.jsonl", scratch / "container"
    work.mkdir(exist_ok=True)
    log.write_text("")
    variables = {
        one["name"]: one["value"]
        if "value" in one
        else SECRET.format(one["value_from"]["secret_name_ref"])
        for one in spec["envs"]
    }
    command = spec["container"]["command"]
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=work,
        env={"HOME": str(work), "LC_ALL": "C.UTF-8", **env, **variables, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=40,
    )
    return Run(done.returncode, done.stdout, _calls(log))


def _bash(
    command: list[str], cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *command],
        cwd=cwd,
        env={"HOME": str(cwd), "LC_ALL": "C.UTF-8", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=40,
    )


def _calls(log: Path) -> tuple[Call, ...]:
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return tuple(Call(c["name"], tuple(c["args"]), c["env"], c.get("run_config")) for c in found)
