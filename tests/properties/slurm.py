"""Runs a Slurm bundle with stand-ins for all of Slurm, which write down how they were called.

``sbatch`` runs the script that it is given at once, as a job on nodes that are addresses of this
machine; what a job submits itself it only takes note of. ``srun`` starts nothing: a server stays
until it is stopped, an evaluation leaves a ``results.yml``, evalc has exported at once. ``curl``
finds everything ready.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from properties.standins import Call, Run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRAM = """#!{python} -IS
import json, os, re, signal, subprocess, sys

name, *args = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
calls = [json.loads(line) for line in open({log!r})]
job = next((a.partition("=")[2] for a in args if a.startswith("--job-name=")), "")
is_step = name == "srun" and job.startswith("evaluate.")
is_server = name == "srun" and not is_step and job != "export"
call = {{"name": name, "args": args, "env": dict(os.environ), "server": is_server}}
if is_step:
    with open(os.environ["RUN_CONFIG"], encoding="utf-8", newline="") as file:
        call["run_config"] = file.read()
if name == "curl":
    # As many answer as have been started.
    call["ready"] = sum(c.get("ready", False) for c in calls) < sum(c["server"] for c in calls)
    print("200" if call["ready"] else "000", end="")
with open({log!r}, "a") as file:
    file.write(json.dumps(call) + "\\n")
if name == "sbatch":
    number = 100 + sum(c["name"] == "sbatch" for c in calls)
    if "--dependency" not in args:
        script = next(a for a in args if a.endswith(".sh"))
        nodes = re.search("#SBATCH --nodes=(\\\\d+)", open(script).read())[1]
        job = {{"SLURM_JOB_ID": str(number), "SLURM_SUBMIT_DIR": os.getcwd(), "SLURM_JOB_NODELIST": nodes}}
        array = args[args.index("--array") + 1].split("%")[0].split(",") if "--array" in args else [""]
        for index in array:
            if index:
                job |= {{"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": index}}
            ran = subprocess.run(["bash", script], env={{**os.environ, **job}}, stdin=subprocess.DEVNULL,
                stdout=sys.stderr)
            if ran.returncode:
                sys.exit(ran.returncode)
    print(number)
elif name == "scontrol":
    # Addresses of this machine: nobody has to be asked for them.
    for node in range(int(args[2]) if args[:2] == ["show", "hostnames"] else 0):
        print(f"127.77.0.{{node + 1}}")
    if args == ["ping"]:
        print("Slurmctld(primary) at here is UP")
    sys.exit(args[:2] == ["show", "job"])
elif call["server"]:
    signal.pause()
elif is_step:
    with open(os.path.join(args[-1], "artifacts", "results.yml"), "w") as file:
        file.write("results: {{}}\\n")
"""
NAMES = ("sbatch", "srun", "scontrol", "squeue", "sacct", "scancel", "curl")


def job_name(call: Call) -> str:
    """What a step of a job is called, such as ``evaluate.alpha`` or ``serve.model``."""
    return next(
        (word.partition("=")[2] for word in call.args if word.startswith("--job-name=")), ""
    )


def run(bundle: Path, scratch: Path, env: Mapping[str, str]) -> Run:
    """Run a bundle's ``submit_all.sh``, and so its jobs, in the folder ``scratch``, which must be new."""
    programs, log, work = scratch / "bin", scratch / "calls.jsonl", scratch / "work"
    for folder in (scratch, programs, work):
        folder.mkdir()
    log.touch()
    for name in NAMES:
        (programs / name).write_text(PROGRAM.format(python=sys.executable, log=str(log)))
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash", bundle / "submit_all.sh"],
        cwd=work,
        env={"PATH": path, "HOME": str(work), "LC_ALL": "C.UTF-8", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="surrogateescape",
    ) as process:
        try:
            said, _ = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise
    found = [json.loads(line) for line in log.read_text().splitlines()]
    calls = tuple(Call(c["name"], tuple(c["args"]), c["env"], c.get("run_config")) for c in found)
    return Run(process.returncode, said, calls)
