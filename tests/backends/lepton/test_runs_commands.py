"""evalc's commands on Lepton: a real model and a real harness, and ``kill -9`` at each step."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from backends.lepton.desk import Terminal
from backends.lepton.lab import SERVER, TARGET, VOLUME, config
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lepton import Lepton

QUICKSTART = Path(__file__).resolve().parents[3] / "examples" / "quickstart"
HOSTED = {"target": {"api_endpoint": {"url": "http://127.0.0.1:9/v1", "model_id": "m"}}}
TASK = {"name": "alpha", "container": "any:1", "command": "true"}


@pytest.fixture
def terminal(lepton: Lepton, tmp_path: Path) -> Iterator[Terminal]:
    lepton.secrets(DOOR="open sesame")
    lepton.set(queue=0.02, start=0.02, grace=0.3)
    terminal = Terminal(lepton, tmp_path)
    yield terminal
    terminal.close()


def served(**more: Any) -> dict[str, Any]:
    return config(TASK, deployment=SERVER, target=TARGET, **more)


def test_the_quickstart(terminal: Terminal) -> None:
    parts = ("evaluate.py", "facts.yaml", "facts.jsonl")
    terminal.config(
        config(
            {
                "name": "facts",
                "container": "any:1",
                "files": [str(QUICKSTART / part) for part in parts],
                "command": 'exec python3 "$FILES_DIR/evaluate.py" facts',
            },
            deployment={
                **SERVER,
                "served_model_name": "SmolLM2-135M-Instruct",
                "files": [str(QUICKSTART / "serve.py")],
                "command": 'exec python3 "$FILES_DIR/serve.py" --host 0.0.0.0 --port "$PORT"',
                "lepton_config": {
                    "resource_shape": "cpu.small", "allow_unauthenticated_access": True,
                },
            },
            params={"limit_samples": 8},
        )
    )  # fmt: skip
    assert "pip install" not in terminal("doctor", "suite.yaml", code=None).stdout
    told = terminal("run", "suite.yaml", "--wait").stdout
    found = re.search(r"^(\w+): suite on DGX Cloud Lepton$", told, re.MULTILINE)
    assert found, told
    assert re.search(rf"^{found[1]}\.1  facts  completed", told, re.MULTILINE)
    # When the run is over, its endpoint is gone.
    wait_for(lambda: not terminal.lepton.endpoints())
    assert "exact_match" in terminal("logs", found[1]).stdout
    assert terminal("logs", found[1], "--job", "--tail", "1").stdout.count("\n") == 1
    assert "SmolLM2" in terminal("logs", found[1], "--server").stdout
    terminal("fetch", found[1], "--to", "here")
    results = yaml.safe_load((terminal.folder / "here/facts/artifacts/results.yml").read_text())
    scores = results["results"]["tasks"]["facts"]["metrics"]["exact_match"]["scores"]
    assert scores["last_word"]["stats"]["count"] == 8
    assert scores["last_word"]["value"] > 0
    assert "0 files" in terminal("fetch", found[1], "--to", "here").stdout
    info = json.loads(terminal("info", found[1], "--json").stdout)
    assert [job["state"] for job in info["jobs"]] == ["completed"]
    terminal("resume", found[1])
    assert len(terminal.lepton.jobs()) == 1


def test_results_out_of_reach(terminal: Terminal) -> None:
    failing = {**TASK, "name": "beta", "command": "echo oh no; exit 3"}
    terminal.config(config({**TASK, "command": "echo 0.42"}, failing, **HOSTED))
    terminal.env["EVALC_LEPTON_RESULTS"] = "/nowhere/at/all"
    terminal("run", "suite.yaml", "--wait", code=1)
    (run,) = terminal.runs()
    jobs = terminal.jobs(run["invocation"])
    assert [job["state"] for job in jobs] == ["completed", "failed"]
    assert jobs[1]["reason"] == "the harness failed (exit code 3)"
    told = terminal("fetch", run["invocation"], "--to", "here", code=1)
    assert "EVALC_LEPTON_RESULTS names the folder here" in told.stderr
    assert f"/workspace/{run['invocation']}/alpha" in told.stderr
    # What the log has is better than nothing.
    assert "0.42\n" in (terminal.folder / "here/alpha/logs/job.log").read_text()
    assert "0 files" in terminal("fetch", run["invocation"], "--to", "here", code=1).stdout


def test_results_through_the_log(terminal: Terminal) -> None:
    say = 'printf "%s\\n" "results: {tasks: {t: {metrics: {m: {scores: {s: {value: 0.42}}}}}}}"'
    command = f'{say} >"$RESULTS_DIR/results.yml"; echo "{{}}" >"$RESULTS_DIR/more.json"; echo seen'
    failing = {**TASK, "name": "beta", "command": "exit 3"}
    terminal.config(config({**TASK, "command": command}, failing, **HOSTED))
    terminal.env["EVALC_LEPTON_RESULTS"] = "/nowhere/at/all"
    terminal("run", "suite.yaml", "--wait", code=1)
    (run,) = terminal.runs()
    told = terminal("fetch", run["invocation"], "--to", "here", code=1)
    assert "alpha: all else is in /workspace/" in told.stderr
    assert "beta: its results are in /workspace/" in told.stderr
    here = terminal.folder / "here"
    assert yaml.safe_load((here / "alpha/artifacts/results.yml").read_text())["results"]
    assert (here / "alpha/artifacts/more.json").read_text() == "{}\n"
    codes = [(here / name / "logs/stage.exit").read_text().split()[1] for name in ("alpha", "beta")]
    assert codes == ["0", "3"]
    assert not (here / "beta/artifacts").exists()
    assert "0.42" in terminal("report", str(here), code=None).stdout
    assert "0.42" in terminal("report", run["invocation"], code=None).stdout
    # People see the rest of the log, and where the volume can be read, that counts.
    shown = terminal("logs", f"{run['invocation']}.1", "--job", "--tail", "1").stdout
    assert shown.startswith("[alpha] finished in")
    terminal.env["EVALC_LEPTON_RESULTS"] = str(terminal.lepton.volume(VOLUME, "/runs"))
    terminal("fetch", run["invocation"], "--to", "here")
    # The log that the platform has kept of a job that is gone is as good. A folder of this machine's
    # may be taken for the volume.
    (terminal.folder / "no volume").mkdir()
    terminal.env["EVALC_LEPTON_RESULTS"] = str(terminal.folder / "no volume")
    terminal.lepton.move_clock(300_000)
    told = terminal("fetch", run["invocation"], "--to", "there", code=1)
    assert "alpha: there is nothing in " in told.stderr
    assert (terminal.folder / "there/alpha/artifacts/results.yml").is_file()


def test_two_logs_are_followed_at_once(terminal: Terminal) -> None:
    command = 'for n in 1 2 3; do echo "$0 $n" >&2; sleep 0.4; done'
    names = ("alpha", "beta")
    made = [{**TASK, "name": name, "command": command.replace("$0", name)} for name in names]
    terminal.config(config(*made, **HOSTED))
    terminal("run", "suite.yaml")
    (run,) = terminal.runs()
    wait_for(lambda: set(terminal.lepton.states()) == {"Running"})
    told = terminal("logs", run["invocation"], "--job", "--follow", "--tail", "0").stdout
    for name in names:
        assert f"==> {name} <==\n" in told
        assert all(f"\n{name} {number}\n" in told for number in (1, 2, 3)), told
    assert "::evalc" not in told


def test_a_job_that_goes_on_has_no_results_yet(terminal: Terminal) -> None:
    wait = 'if mkdir "$RESULTS_DIR/x"; then exit 3; fi; sleep 60'
    terminal.config(config({**TASK, "command": wait}, **HOSTED))
    terminal.env["EVALC_LEPTON_RESULTS"] = "/nowhere/at/all"
    terminal("run", "suite.yaml", "--wait", code=1)
    (run,) = terminal.runs()
    terminal("fetch", run["invocation"], "--to", "here", code=1)
    assert " 3 the harness failed" in (terminal.folder / "here/alpha/logs/stage.exit").read_text()
    terminal("resume", run["invocation"])
    wait_for(lambda: "Running" in terminal.lepton.states())
    terminal("fetch", run["invocation"], "--to", "there", code=1)
    assert not (terminal.folder / "there/alpha/logs/stage.exit").exists()


def test_no_other_host(terminal: Terminal) -> None:
    terminal.config(served())
    told = terminal("run", "suite.yaml", "--host", "elsewhere", code=2)
    assert "are submitted from this machine" in told.stderr
    assert terminal.runs() == []


def test_no_run_without_a_login(terminal: Terminal) -> None:
    terminal.config(served())
    for name in ("LEPTON_WORKSPACE_ID", "LEPTON_WORKSPACE_TOKEN"):
        terminal.env.pop(name)
    told = terminal("run", "suite.yaml", code=1)
    assert "not logged in" in told.stderr
    assert "lep login" in told.stderr
    assert terminal.runs() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs"),
        ("GET", "/workspace"),
        ("GET", "/deployments/.*"),
        ("POST", "/deployments"),
    ],
)
def test_killed_before_the_job(terminal: Terminal, method: str, path: str) -> None:
    terminal.config(served())
    terminal.lepton.fault("slow", method, path, seconds=1.5)
    with terminal.start("run", "suite.yaml") as process:
        prefix = path.removesuffix("/.*")
        wait_for(lambda: terminal.lepton.requests(method, prefix))
        process.kill()
        process.communicate()
    (run,) = terminal.runs()
    id_ = run["invocation"]
    (job,) = terminal.jobs(id_)
    assert job["state"] == "submitting", job
    assert "'evalc resume' does it" in job["reason"]
    if method == "POST":
        # What comes after nobody asked for it any more goes without another command.
        (journal,) = terminal.folder.glob(f"**/*-{id_}/alpha/logs/journal")
        wait_for(lambda: "event=removed" in journal.read_text())
    assert terminal.lepton.endpoints() == []
    assert terminal.lepton.jobs() == []
    finishes(terminal, id_)


def test_killed_at_the_job(terminal: Terminal) -> None:
    terminal.config(config(TASK, **HOSTED))
    terminal.lepton.fault("slow", "POST", "/jobs", seconds=1.5)
    with terminal.start("run", "suite.yaml") as process:
        wait_for(lambda: terminal.lepton.requests("POST", "/jobs"))
        process.kill()
        process.communicate()
    (run,) = terminal.runs()
    # Until the platform has it, nobody can know.
    assert terminal.jobs(run["invocation"])[0]["state"] in (
        "submitting",
        "pending",
        "running",
        "completed",
    )
    finishes(terminal, run["invocation"])


def test_a_job_that_comes_after_a_kill_is_stopped(terminal: Terminal) -> None:
    terminal.config(config({**TASK, "command": "sleep 60"}, **HOSTED))
    terminal.lepton.fault("slow", "POST", "/jobs", seconds=2.5)
    with terminal.start("run", "suite.yaml") as process:
        wait_for(lambda: terminal.lepton.requests("POST", "/jobs"))
        process.kill()
        process.communicate()
    (run,) = terminal.runs()
    assert "stopped job" in terminal("kill", run["invocation"]).stdout
    wait_for(lambda: terminal.lepton.states() == ["Stopped"])


def finishes(terminal: Terminal, id_: str) -> None:
    """The rest is done, once."""
    terminal("resume", id_)
    terminal("status", id_, "--watch", "--interval", "0.5")
    assert len(terminal.lepton.jobs()) == 1
    wait_for(lambda: not terminal.lepton.endpoints())
