"""What goes wrong around a run spoils neither it nor others, and what is said stays readable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ran = subprocess.CompletedProcess[str]

NOWHERE = "evalc-test.invalid"
# Dies where a SIGKILL between the upload's record and the submission's would have ended it.
CUT_SHORT = """
import os
from evalc.backends.running import Job
from evalc.runner.database import Database, Submission
with Database.open() as db:
    one = db.intend(
        name="x", backend="local", compiler="0", digest="0", bundle="x", hostname=None,
        username=None, ssh_key=None, folder=lambda id_: f"{os.getcwd()}/away-{id_}",
        options={"engine": "none"}, edited=False, jobs=(Job("t", ("t",)),),
    )
    db.advance(one.id, Submission.UPLOADED)
"""


@pytest.fixture
def evalc(tmp_path: Path) -> Callable[..., Ran]:
    env = {**os.environ, "EVALC_HOME": str(tmp_path / "state")}

    def run(*arguments: str, shell: str = "", code: int | None = None) -> Ran:
        command = [sys.executable, "-m", "evalc", *arguments]
        if shell:
            command = ["bash", "-c", f'"$@" {shell}', "evalc", *command]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=90, check=False,
        )  # fmt: skip
        assert "evalc itself failed" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done

    return run


def write(path: Path, *commands: str, **execution: Any) -> None:
    whole: dict[str, Any] = {
        "execution": {"type": "local", "engine": "none", "output_dir": "out", **execution},
        "target": {"api_endpoint": {"url": "http://127.0.0.1:9/v1", "model_id": "m"}},
        "evaluation": {
            "tasks": [{"name": f"t{n}", "command": command} for n, command in enumerate(commands)]
        },
    }
    path.write_text(yaml.safe_dump(whole))


def runs(evalc: Callable[..., Ran]) -> Any:
    return json.loads(evalc("ls", "runs", "--json").stdout)


def test_a_host_that_does_not_exist_is_forgotten(evalc: Callable[..., Ran], tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "true", output_dir="/nowhere")
    evalc("run", "a.yaml", "--host", NOWHERE, code=4)
    assert runs(evalc) == []


def test_a_lost_key_is_no_matter_of_other_runs(evalc: Callable[..., Ran], tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    write(
        tmp_path / "a.yaml", "true", type="slurm", hostname=NOWHERE, username="x",
        output_dir="/nowhere", walltime="00:01:00", ssh_key_path=str(key),
    )  # fmt: skip
    evalc("run", "a.yaml", code=4)
    key.unlink()
    evalc("ls", "runs", code=0)


def test_a_folder_out_of_sight_is_not_one_without_jobs(
    evalc: Callable[..., Ran], tmp_path: Path
) -> None:
    env = {**os.environ, "EVALC_HOME": str(tmp_path / "state")}
    subprocess.run([sys.executable, "-c", CUT_SHORT], cwd=tmp_path, env=env, check=True)
    told = evalc("status").stderr
    assert "nothing was submitted" not in told
    assert runs(evalc)[0]["submission"] != "abandoned"


def test_what_has_completed_stays_so(evalc: Callable[..., Ran], tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "true", "false")
    evalc("run", "a.yaml", "--wait", code=1)
    (run,) = runs(evalc)
    assert [job["state"] for job in run["jobs"]] == ["completed", "failed"]
    # As good as a full disk: it can't be started.
    shutil.move(f"{run['folder']}/lib/local.sh", tmp_path)
    evalc("resume", run["invocation"], code=1)
    assert [job["state"] for job in runs(evalc)[0]["jobs"]] == ["completed", "failed"]


def test_all_or_none_are_submitted(evalc: Callable[..., Ran], tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.yaml", "true")
        evalc("compile", f"{name}.yaml", code=0)
    (tmp_path / "build/b/README.md").write_text("edited")
    evalc("submit", "build/a", "build/b", code=1)
    assert runs(evalc) == []


@pytest.mark.parametrize("digits", [25, 5000])
def test_a_harness_counts_nonsense(evalc: Callable[..., Ran], tmp_path: Path, digits: int) -> None:
    write(tmp_path / "a.yaml", f"echo {'9' * digits} >progress")
    evalc("run", "a.yaml", "--wait", code=0)


@pytest.mark.parametrize("option", ["--dry-run", "--wait"])
def test_json_is_json(evalc: Callable[..., Ran], tmp_path: Path, option: str) -> None:
    write(tmp_path / "a.yaml", "true")
    json.loads(evalc("run", "a.yaml", "--json", option, code=0).stdout)


def test_json_of_nothing(evalc: Callable[..., Ran]) -> None:
    assert json.loads(evalc("status", "--json").stdout) == []


def test_a_closed_standard_output(evalc: Callable[..., Ran], tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "echo hi")
    evalc("run", "a.yaml", "--wait", code=0)
    (run,) = runs(evalc)
    evalc("logs", run["invocation"], shell=">&-")
    evalc("status", run["invocation"], "--watch", shell=">&-")


def test_a_home_that_nobody_has(evalc: Callable[..., Ran], tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "true", output_dir="~evalc-nobody/out")
    evalc("run", "a.yaml")
