"""``evalc submit`` over ssh to the real cluster: whatever happens to it, nothing is submitted twice,
and the database agrees with Slurm."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from sshd import HOST
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from clusters import Cluster
    from sshd import Sshd

TASKS = ("one", "two", "three")
# In the place of ssh: counts its calls, and does to evalc, its parent, or to itself what $FAULT says
# should happen at which of them.
SSH = """#!/bin/bash
exec 9>"$FAULTS/lock"
flock 9
calls=$(cat "$FAULTS/calls" 2>/dev/null)
calls=$((calls + 1))
echo "$calls" >"$FAULTS/calls"
flock -u 9
case "$FAULT" in
  "$calls:killed-before") kill -KILL "$PPID"; exit 255 ;;
  "$calls:killed-during")
    real-ssh "$@" <&0 &
    sleep 0.2
    kill -KILL "$PPID"
    wait $!
    ;;
  "$calls:killed-after") real-ssh "$@"; kill -KILL "$PPID" ;;
  "$calls:cut-early")
    real-ssh "$@" <&0 &
    kill -KILL $!
    exit 255
    ;;
  "$calls:cut-late") real-ssh "$@" 2>/dev/null | head -c 40; exit 255 ;;
  "$calls:away")
    touch "$FAULTS/away"
    until [ -e "$FAULTS/is-away" ]; do sleep 0.05; done
    exec real-ssh "$@"
    ;;
  *) exec real-ssh "$@" ;;
esac
"""


class Runner:
    """evalc on a laptop from which ssh leads to the cluster."""

    def __init__(self, cluster: Cluster, server: Sshd, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.results = cluster.folder / f'{folder.name} it\'s "an é"'
        self.faults = folder / "faults"
        tools = folder / "bin"
        for made in (self.faults, tools):
            made.mkdir(parents=True)
        self.env = {**os.environ, **server.env, "EVALC_HOME": str(folder / "state")}
        real = shutil.which("ssh", path=self.env["PATH"])
        assert real is not None
        (tools / "real-ssh").symlink_to(real)
        (tools / "ssh").write_text(SSH)
        (tools / "ssh").chmod(0o755)
        self.env |= {
            "PATH": f"{tools}:{self.env['PATH']}",
            "FAULTS": str(self.faults),
            "LOGIN": getpass.getuser(),
        }
        self.config = folder / "suite.yaml"
        self.write_config()

    def write_config(self, **execution: Any) -> None:
        wait = f"until [ -e {self.folder}/go ]; do sleep 0.1; done"
        whole = {
            "execution": {
                "type": "slurm",
                "engine": "none",
                "hostname": HOST,
                "username": "${oc.env:LOGIN}",
                "output_dir": str(self.results),
                "walltime": "00:10:00",
                "resume": {"strategy": "none"},
                **execution,
            },
            "target": {
                "api_endpoint": {"url": "http://127.0.0.1:9/v1/chat/completions", "model_id": "m"}
            },
            "evaluation": {"tasks": [{"name": name, "command": wait} for name in TASKS]},
        }
        self.config.write_text(yaml.safe_dump(whole))

    def start(self, *arguments: str, fault: str = "") -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "evalc", *arguments],
            cwd=self.folder,
            env={**self.env, "FAULT": fault},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, *arguments: str, fault: str = "", code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """Runs evalc to its end, which must be ``code``."""
        process = self.start(*arguments, fault=fault)
        out, err = process.communicate(timeout=120)
        if code is not None:
            assert process.returncode == code, f"{out}\n{err}"
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def jobs(self, *ids: str) -> list[dict[str, Any]]:
        """The jobs of all runs, or of these, after they were asked for."""
        given = ids or [
            one["invocation"] for one in json.loads(self("ls", "runs", "--json").stdout)
        ]
        if not given:
            return []
        told = self("status", "--json", *given, code=None)
        return [job for run in json.loads(told.stdout) for job in run["jobs"]]

    def queued(self) -> list[str]:
        """The ids of this run's jobs in Slurm's queue, each with its task."""
        listed = self.cluster("squeue", "--noheader", "--format=%A %o").stdout
        return sorted(line.split()[0] for line in listed.splitlines() if str(self.results) in line)

    def agrees(self) -> bool:
        """Whether Slurm and the database know the same jobs; nobody submits any more."""
        pattern = f"{self.results}.*submit_all"
        busy = subprocess.run(["pgrep", "-f", pattern], capture_output=True, check=False)
        known = sorted(native for job in self.jobs() for native in job["native_ids"])
        return busy.returncode == 1 and known == self.queued()


@pytest.fixture
def evalc(slurm: Cluster, login_node: Sshd, tmp_path: Path) -> Iterator[Runner]:
    yield Runner(slurm, login_node, tmp_path)
    login_node.restore()


def test_submit_status_and_the_end(evalc: Runner) -> None:
    ran = evalc("run", "suite.yaml")
    (run,) = json.loads(evalc("ls", "runs", "--json").stdout)
    id_ = run["invocation"]
    assert id_ in ran.stdout
    assert run["folder"] in ran.stdout
    assert run["folder"].startswith(f"{evalc.results}/20")
    assert run["folder"].endswith(f"-{id_}")
    assert sorted(native for job in run["jobs"] for native in job["native_ids"]) == evalc.queued()
    assert len(evalc.queued()) == len(TASKS)
    assert evalc("status", id_[:3], code=4).stdout.count("\n") == 1 + len(TASKS)
    (evalc.folder / "go").touch()
    watched = evalc("status", id_, "--watch", "--interval", "0.2")
    assert watched.stdout.count("completed") == len(TASKS)
    assert {job["state"] for job in evalc.jobs()} == {"completed"}
    # Nothing is left to do, and nothing is done.
    evalc("resume", id_)
    assert evalc.queued() == []


def test_a_constant_number_of_round_trips(evalc: Runner) -> None:
    evalc("run", "suite.yaml")
    calls = evalc.faults / "calls"
    # What ssh makes of its configuration, the home there, the bundle, and its submission.
    assert int(calls.read_text()) == 4
    calls.unlink()
    evalc("status", code=4)
    assert int(calls.read_text()) == 2


@pytest.mark.parametrize("call", [2, 3, 4])
@pytest.mark.parametrize("how", ["killed-before", "killed-during", "killed-after"])
def test_killed_at_every_step(evalc: Runner, call: int, how: str) -> None:
    evalc("compile", "suite.yaml")
    killed = evalc("submit", "build/suite", fault=f"{call}:{how}", code=None)
    assert killed.returncode == -signal.SIGKILL
    goes_on_to_the_end(evalc)


@pytest.mark.parametrize("call", [3, 4])
def test_ctrl_c_at_every_step(evalc: Runner, call: int) -> None:
    evalc("compile", "suite.yaml")
    process = evalc.start("submit", "build/suite", fault=f"{call}:away")
    wait_for((evalc.faults / "away").exists)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "'evalc resume' goes on" in said
    goes_on_to_the_end(evalc)


@pytest.mark.parametrize("call", [3, 4])
@pytest.mark.parametrize("how", ["cut-early", "cut-late"])
def test_the_connection_is_cut(evalc: Runner, call: int, how: str) -> None:
    evalc("compile", "suite.yaml")
    lost = evalc("submit", "build/suite", fault=f"{call}:{how}", code=4)
    assert "evalc status" in lost.stderr
    goes_on_to_the_end(evalc)


@pytest.mark.parametrize("call", [3, 4])
def test_the_server_goes_away(evalc: Runner, login_node: Sshd, call: int) -> None:
    evalc("compile", "suite.yaml")
    process = evalc.start("submit", "build/suite", fault=f"{call}:away")
    wait_for((evalc.faults / "away").exists)
    login_node.stop()
    login_node.kill_connections()
    (evalc.faults / "is-away").touch()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 4, said
    # Nobody can be asked: nothing is called failed for that.
    told = evalc("status", code=None)
    assert told.returncode in (0, 4), told.stderr
    assert "failed" not in told.stdout
    login_node.start()
    goes_on_to_the_end(evalc)


def goes_on_to_the_end(evalc: Runner) -> None:
    """The next command finds what is there; 'resume' submits the rest, and nothing twice."""
    wait_for(evalc.agrees)
    runs = json.loads(evalc("ls", "runs", "--json").stdout)
    assert len(runs) <= 1
    if not runs or runs[0]["submission"] == "abandoned":
        assert evalc.queued() == []
        assert list(evalc.results.glob("*")) == []
        evalc("submit", "build/suite")
    else:
        evalc("resume", runs[0]["invocation"])
    assert evalc.agrees()
    assert len(evalc.queued()) == len(TASKS)
    jobs = [job for job in evalc.jobs() if job["native_ids"]]
    assert sorted(job["job"] for job in jobs) == sorted(TASKS)
    assert all(len(job["native_ids"]) == 1 for job in jobs)


def test_many_submit_at_once(evalc: Runner) -> None:
    evalc("compile", "suite.yaml")
    done: list[subprocess.CompletedProcess[str]] = []

    def submit() -> None:
        done.append(evalc("submit", "build/suite", "--json", code=None))

    def look() -> None:
        done.append(evalc("status", "--json", code=None))

    # More would only keep the machine from all else.
    at_once = 8
    threads = [threading.Thread(target=what) for what in [submit] * at_once + [look] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(ran.returncode, ran.stderr) for ran in done if ran.returncode not in (0, 4)} == set()
    assert len(evalc.queued()) == at_once * len(TASKS)
    assert evalc.agrees()


def test_kill_and_resume(evalc: Runner) -> None:
    evalc.write_config(resume={"strategy": "self"})
    evalc("run", "suite.yaml")
    (run,) = json.loads(evalc("ls", "runs", "--json").stdout)
    id_ = run["invocation"]
    # Each has queued its successor.
    wait_for(lambda: len(evalc.queued()) == 2 * len(TASKS))
    one = evalc("kill", f"{id_}.1")
    assert "cancelled job" in one.stdout
    assert states(evalc, id_) == ["cancelled", "running", "running"]
    wait_for(lambda: len(evalc.queued()) == 2 * (len(TASKS) - 1))
    evalc("kill", id_)
    wait_for(lambda: evalc.queued() == [])
    assert set(states(evalc, id_)) == {"cancelled"}
    (evalc.folder / "go").touch()
    evalc("resume", f"{id_}.2")
    wait_for(lambda: states(evalc, id_) == ["cancelled", "completed", "cancelled"])
    evalc("resume", id_)
    wait_for(lambda: set(states(evalc, id_)) == {"completed"})


def test_an_output_dir_that_the_nodes_do_not_share(evalc: Runner) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        evalc.write_config(output_dir=folder, resume={"strategy": "self"})
        told = evalc("run", "suite.yaml", "--wait", code=1)
        assert told.stdout.count("failed") == len(TASKS)
        assert told.stdout.count("output_dir has to be on a file system that all nodes share") == (
            len(TASKS)
        )
        warned = evalc("doctor", "suite.yaml")
    assert f"?     {folder} is on a disk of the machine that submits (tmpfs)" in warned.stdout


def test_kill_after_somebody_deleted_the_folder(evalc: Runner) -> None:
    evalc("run", "suite.yaml")
    (run,) = json.loads(evalc("ls", "runs", "--json").stdout)
    id_ = run["invocation"]
    shutil.rmtree(run["folder"])
    assert set(states(evalc, id_)) <= {"running", "pending", "unknown"}
    killed = evalc("kill", id_).stdout
    assert killed.count("its folder is gone") == len(TASKS)
    assert evalc.queued() == []
    # Nobody can ask about it any more, and nothing of it is left: it is over.
    assert set(states(evalc, id_)) == {"cancelled"}
    assert "nothing is under way" in evalc("status").stderr
    natives = [job["native_ids"] for job in evalc.jobs(id_)]
    assert natives == [job["native_ids"] for job in run["jobs"]]
    assert "submit the bundle anew" in evalc("resume", id_, code=1).stderr


def states(evalc: Runner, id_: str) -> Sequence[str]:
    return [job["state"] for job in evalc.jobs(id_)]


def test_secrets_go_by_standard_input(evalc: Runner) -> None:
    evalc.write_config(env_vars={"TOKEN": "host:TOKEN"})
    missing = evalc("run", "suite.yaml", code=1)
    assert "TOKEN" in missing.stderr
    assert not evalc.results.exists()
    value = "needle-0451 'with' \"quotes\"\nand a second line"
    evalc.env["TOKEN"] = value
    evalc("run", "suite.yaml")
    (run,) = json.loads(evalc("ls", "runs", "--json").stdout)
    kept = list(evalc.results.glob("*/.secrets.*"))
    assert [oct(file.stat().st_mode & 0o777) for file in kept] == ["0o600"] * len(TASKS)
    for file in evalc.results.rglob("*"):
        if file.is_file() and file not in kept:
            assert b"needle-0451" not in file.read_bytes(), file
    assert b"needle-0451" not in (evalc.folder / "state" / "runs.sqlite").read_bytes()
    del evalc.env["TOKEN"]
    evalc("kill", run["invocation"])
    assert list(evalc.results.glob("*/.secrets.*")) == []


def test_logs_and_results_come_back(evalc: Runner) -> None:
    (evalc.folder / "go").touch()
    evalc("run", "suite.yaml", "--wait")
    (run,) = json.loads(evalc("ls", "runs", "--json").stdout)
    id_ = run["invocation"]
    assert "finished in" in evalc("logs", f"{id_}.1", "--slurm").stdout
    evalc("fetch", id_)
    fetched = evalc.folder / "fetched" / id_
    assert sorted(path.parent.name for path in fetched.glob("*/slurm-*.log")) == sorted(TASKS)
    assert (fetched / "one" / "logs" / "stage.exit").read_text()
    assert "0 files" in evalc("fetch", id_).stdout
