"""Runs that were started by hand, brought into the database."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evalc.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CONFIG = """\
execution: {type: local, engine: none, output_dir: results}
target: {api_endpoint: {url: http://127.0.0.1:9/v1, model_id: m}}
evaluation:
  tasks:
    - {name: good, command: echo fine}
    - {name: bad, command: exit 3}
"""
T = "2026-01-01T00:00:00Z"


@pytest.fixture
def evalc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command line with a database of its own, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALC_HOME", str(tmp_path / "state"))

    def run(*args: str) -> tuple[int, str, str]:
        code = main(list(args))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def imported(evalc: Callable[..., tuple[int, str, str]], *folders: str) -> list[dict[str, Any]]:
    code, out, err = evalc("import-results", "--json", *folders)
    assert (code, err) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


@pytest.fixture
def ran(evalc: Callable[..., tuple[int, str, str]]) -> str:
    """A folder with a bundle in which two tasks have run, one of which failed."""
    Path("suite.yaml").write_text(CONFIG)
    assert evalc("compile", "suite.yaml", "--out", "back/suite", "-q") == (0, "", "")
    subprocess.run(["bash", "back/suite/run_all.sh"], check=False, capture_output=True)
    return "back/suite"


def test_a_run_is_recorded_as_it_ended(
    evalc: Callable[..., tuple[int, str, str]], ran: str
) -> None:
    (run,) = imported(evalc, ran)
    assert run["folder"] == str(Path(ran).resolve())
    assert (run["host"], run["submission"], run["edited"], run["known"]) == (
        None, "submitted", False, False,
    )  # fmt: skip
    states = {job["job"]: (job["state"], job["reason"]) for job in run["jobs"]}
    assert states["good"] == ("completed", "")
    assert states["bad"][0] == "failed"
    assert states["bad"][1].startswith("exit code 3")
    id_ = run["invocation"]
    code, out, _ = evalc("status", id_)
    assert code == 1
    assert "completed" in out
    assert "imported" in evalc("info", id_)[1]
    assert "fine" in evalc("logs", f"{id_}.1")[1]
    assert id_ in evalc("ls", "runs")[1]


def test_a_second_time_it_is_looked_at_again(
    evalc: Callable[..., tuple[int, str, str]], ran: str
) -> None:
    (first,) = imported(evalc, ran)
    Path(ran, "bad/command.sh").write_text("#!/usr/bin/env bash\ntrue\n")
    (second,) = json.loads(evalc("import-results", "--json", ran)[1])
    assert (second["invocation"], second["known"]) == (first["invocation"], True)
    code, _, err = evalc("import-results", ran)
    assert (code, err) == (
        0, f"{first['invocation']}: files of the bundle were edited: bad/command.sh\n",
    )  # fmt: skip


def test_a_copy_is_a_run_of_its_own(evalc: Callable[..., tuple[int, str, str]], ran: str) -> None:
    shutil.copytree(ran, "back/again")
    first, second = imported(evalc, "back")
    assert first["invocation"] != second["invocation"]
    assert [Path(run["folder"]).name for run in (first, second)] == ["again", "suite"]


def test_a_run_of_slurm_is_judged_by_its_journals(
    evalc: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # No Slurm is here, as it is where results are brought to.
    (tmp_path / "bin").mkdir()
    for name in ("squeue", "sacct"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 127\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    shutil.copytree(GOLDEN / "slurm_vllm", "back")
    journals = {
        "lm-evaluation-harness.ifeval": ("done job=7", 0),
        "simple_evals.gpqa_diamond": ("stop job=7 reason=no progress", 4),
    }
    for task, (end, code) in journals.items():
        logs = Path("back", task, "logs")
        logs.mkdir()
        begin = f"{T} chain job=7\n{T} attempt n=1 job=7 restart=0 node=n1 start=1767225600\n"
        (logs / "journal").write_text(f"{begin}{T} {end}\n")
        (logs / "stage.exit").write_text(f"{T} {code}\n")
    (run,) = imported(evalc, "back")
    assert [(job["state"], job["native_ids"]) for job in run["jobs"]] == [
        ("completed", ["7"]), ("failed", ["7"]),
    ]  # fmt: skip
    assert "no progress" in run["jobs"][1]["reason"]


@pytest.mark.parametrize(
    ("folder", "code", "said"),
    [
        ("untouched", 1, "nothing has run in untouched"),
        ("empty", 2, "empty holds no bundle"),
        ("missing", 2, "missing is no folder with a bundle"),
    ],
)
def test_what_can_not_be_imported(
    evalc: Callable[..., tuple[int, str, str]], folder: str, code: int, said: str
) -> None:
    Path("empty").mkdir()
    shutil.copytree(GOLDEN / "slurm_vllm", "untouched")
    found = evalc("import-results", folder)
    assert found[:2] == (code, "")
    assert found[2].startswith(f"error: {said}\n")
    assert evalc("ls", "runs")[0] == 0
