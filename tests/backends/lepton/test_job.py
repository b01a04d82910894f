"""What a task's job does by itself, in its container: within its time, again, and when it is stopped."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from backends.lepton.lab import Lab, compiled, config
from waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("lepton")
HOSTED = {"api_endpoint": {"url": "http://127.0.0.1:9/v1", "model_id": "m"}}


def own(command: str, *, task: dict[str, Any] | None = None, **tasks: Any) -> dict[str, Any]:
    made = {"name": "alpha", "container": "own:1", "command": command, **(task or {})}
    values = config(made, target=HOSTED)
    values["execution"]["evaluation_tasks"] = tasks
    return values


def test_a_job_whose_time_is_over_ends(lab: Lab) -> None:
    lab.compile(own("trap 'echo saved; exit 0' TERM; while :; do sleep 0.1; done", timeout=1))
    lab.submit("--wait", code=1)
    assert lab.stage() == "124 its time of 1 s (execution.evaluation_tasks.timeout) was over"
    assert "saved" in (lab.results() / "logs/client_stdout.log").read_text()


def test_the_platforms_retries_share_the_time(lab: Lab) -> None:
    lab.compile(own('echo x >>"$RESULTS_DIR/tries"; sleep 60', timeout=3, max_failure_retry=2))
    begun = time.monotonic()
    lab.submit("--wait", code=1)
    assert (lab.results() / "artifacts/tries").read_text() == "x\n"
    assert time.monotonic() - begun < 30
    # Submitted again, it has its time again.
    lab.submit("--wait", "--again", code=1)
    assert (lab.results() / "artifacts/tries").read_text() == "x\nx\n"


def test_a_worker_that_failed_is_started_again_by_the_platform(lab: Lab) -> None:
    lab.compile(
        own('[ -e "$RESULTS_DIR/x" ] || { touch "$RESULTS_DIR/x"; exit 3; }', max_failure_retry=1)
    )
    lab.submit("--wait")
    assert lab.stage() == "0"
    assert len(lab.created()) == 1


def test_a_job_that_is_stopped_says_so_and_saves(lab: Lab) -> None:
    lab.lepton.set(grace=30)
    lab.compile(own("trap 'echo saved; exit 0' TERM; while :; do sleep 0.1; done"))
    lab.submit("--no-wait")
    wait_for((lab.results() / "logs/stage.running").exists)
    lab.submit("--stop")
    wait_for((lab.results() / "logs/stage.exit").exists)
    wait_for(lab.stage)
    assert lab.stage() == "143 interrupted by SIGTERM"
    assert "saved" in (lab.results() / "logs/client_stdout.log").read_text()


def test_what_it_says_is_in_the_platforms_log_too(lab: Lab) -> None:
    lab.compile(own("echo hello; echo there >&2"))
    lab.submit("--wait")
    (job,) = lab.lepton.jobs()
    from leptonai.api.v2 import client

    api = client.APIClient(
        auth_token=lab.lepton.env["LEPTON_WORKSPACE_TOKEN"],
        workspace_id=lab.lepton.env["LEPTON_WORKSPACE_ID"],
        url=lab.lepton.url,
    )
    (replica,) = api.job.get_replicas(job["metadata"]["id"])
    said = "".join(api.job.get_log(job["metadata"]["id"], replica.metadata.id_, timeout=10))
    assert "hello\nthere\n" in said
    assert "[alpha] finished in" in said


def test_files_commands_and_data_arrive(lab: Lab) -> None:
    lab.folder.mkdir(parents=True)
    (lab.folder / "text.txt").write_text("EOF\n$(touch PWNED) `x` 'y'\nEOF_\n")
    (lab.folder / "bytes.bin").write_bytes(bytes(range(256)) + b"no end of line")
    (lab.folder / "tool.sh").write_text("#!/bin/sh\necho tool ran\n")
    (lab.folder / "tool.sh").chmod(0o755)
    lab.lepton.volume("node-nfs:evaluations", "/data").joinpath("x.json").write_text("{}")
    task = {
        "files": ["text.txt", "bytes.bin", "tool.sh"],
        "pre_cmd": "export FROM_PRE='a b'",
        "post_cmd": 'echo post >"$RESULTS_DIR/post"',
        "dataset_dir": "/data",
    }
    command = (
        'cp "$FILES_DIR"/*.* "$RESULTS_DIR"; "$FILES_DIR/tool.sh" >"$RESULTS_DIR/tool"\n'
        'echo "$FROM_PRE" >"$RESULTS_DIR/pre"; ls "$NEMO_EVALUATOR_DATASET_DIR" >"$RESULTS_DIR/data"'
    )
    lab.compile(own(command, task=task))
    lab.submit("--wait")
    made = lab.results() / "artifacts"
    for name in ("text.txt", "bytes.bin"):
        assert (made / name).read_bytes() == (lab.folder / name).read_bytes()
    read = {name: (made / name).read_text() for name in ("tool", "pre", "data", "post")}
    assert read == {"tool": "tool ran\n", "pre": "a b\n", "data": "x.json\n", "post": "post\n"}


def test_a_server_that_needs_a_script_serves(lab: Lab) -> None:
    values = config(
        "alpha",
        target={"api_endpoint": {"api_key_name": "DOOR"}},
        deployment={
            "type": "generic",
            "image": "servers/stand-in:1",
            "served_model_name": "stand-in",
            "pre_cmd": "export LISTEN=0.0.0.0",
            "command": 'exec model-server --host "$LISTEN" --port "$PORT"',
            "lepton_config": {
                "resource_shape": "gpu.small",
                "api_tokens": [{"value_from": {"token_name_ref": "DOOR"}}],
            },
        },
    )
    lab.compile(values)
    lab.submit()
    assert lab.stage() == "0"


def test_without_storage_it_runs_and_leaves_nothing(lab: Lab) -> None:
    values = own("true", use_shared_storage=False)
    lab.compile(values)
    lab.submit("--wait")
    assert not (lab.lepton.volume("node-nfs:evaluations", "/runs") / lab.invocation).exists()


def run(bundle: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = json.loads((bundle / "alpha/job.json").read_text())["spec"]["container"]["command"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_a_mark_that_nobody_filled_in_is_refused(tmp_path: Path) -> None:
    from evalc.bundle import write

    values = own("true", use_shared_storage=False)
    write(compiled(tmp_path, values), tmp_path / "bundle", force=True)
    env = {"PATH": "/usr/bin:/bin"}
    done = run(tmp_path / "bundle", {**env, "MODEL_URL": "@@{ENDPOINT_URL}@@/v1"})
    assert (done.returncode, "MODEL_URL is still a mark" in done.stderr) == (78, True)
    done = run(tmp_path / "bundle", {**env, "EVALC_ENV_WHO": "@@{WHO}@@"})
    assert (done.returncode, "EVALC_ENV_WHO is still a mark" in done.stderr) == (78, True)
    # What only looks like one is a value.
    assert run(tmp_path / "bundle", {**env, "EVALC_ENV_WHO": "@@{WHO}@@ x"}).returncode == 0


def test_job_sh_is_the_text_of_the_command(tmp_path: Path) -> None:
    bundle = compiled(tmp_path, own("true"))
    command = json.loads(bundle.files["alpha/job.json"].data)["spec"]["container"]["command"]
    assert command == ["bash", "-c", bundle.files["alpha/job.sh"].data.decode()]
    spec = json.loads(bundle.files["alpha/job.spec.json"].data)
    assert spec == json.loads(bundle.files["alpha/job.json"].data)["spec"]
