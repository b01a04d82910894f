"""evalc's commands on Lepton: a real model and a real harness, and ``kill -9`` at each step."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from backends.lepton.desk import Terminal
from backends.lepton.lab import SERVER, TARGET, config
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
    terminal.config(config({**TASK, "command": "echo 0.42"}, **HOSTED))
    terminal.env["EVALC_LEPTON_RESULTS"] = "/nowhere/at/all"
    terminal("run", "suite.yaml", "--wait")
    (run,) = terminal.runs()
    told = terminal("fetch", run["invocation"], "--to", "here", code=1)
    assert "EVALC_LEPTON_RESULTS names the folder here" in told.stderr
    assert f"/workspace/{run['invocation']}/alpha" in told.stderr
    # What the log has is better than nothing.
    assert "0.42\n" in (terminal.folder / "here/alpha/logs/job.log").read_text()


def test_no_other_host(terminal: Terminal) -> None:
    terminal.config(served())
    told = terminal("run", "suite.yaml", "--host", "elsewhere", code=2)
    assert "are submitted from this machine" in told.stderr
    assert terminal.runs() == []
