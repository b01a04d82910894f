"""Exporting to a real MLflow tracking server, with SQLite behind it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from export.made import bundle, ended, results_yml
from waiting import wait_for

from evalc.cli import main
from evalc.export.reading import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator

# MLflow's own imports warn of each other.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]

ODD = "größe/日本/a//b"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server; its address."""
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *[sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"],
                *["--port", str(port), "--workers", "1"],
                *["--backend-store-uri", "sqlite:///mlflow.sqlite"],
                *["--artifacts-destination", str(folder / "artifacts")],
            ],
            cwd=folder,
            env={
                **os.environ,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def is_up() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_for(is_up, 300)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    folder = bundle(tmp_path / "run", ["h.one", "h.two"])
    results_yml(
        folder / "h.one",
        {"one": {"acc": {"acc": (0.75, {"count": 40, "stderr": 0.07})}, ODD: {"x": (1.5, {})}}},
    )
    results_yml(folder / "h.two", {"two": {"acc": {"acc": (float("nan"), {})}}})
    for task in ("h.one", "h.two"):
        ended(folder / task)
    (folder / "h.one" / "logs" / "client_stdout.log").write_text("log")
    (folder / "config.yaml").write_text("execution: {type: local}\n")
    return folder


@pytest.fixture
def told(server: str, request: pytest.FixtureRequest) -> list[str]:
    """The options that name the server and an experiment of the test's own."""
    name = f"export.mlflow.experiment_name={request.node.name}"
    return ["--dest", "mlflow", "-o", f"export.mlflow.tracking_uri={server}", "-o", name]


def export(*arguments: str) -> int:
    return main(["export", "run", *arguments])


def runs_of(server: str, name: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name(name)
    return sorted(
        client.search_runs([experiment.experiment_id]), key=lambda run: run.data.tags["task_name"]
    )


def test_run_all_exports_by_itself(
    tmp_path: Path, server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With evalc from PATH, and what a config refers to."""
    score = "{tasks: {t: {metrics: {acc: {scores: {acc: {value: 0.5}}}}}}}"
    config = f"""
execution:
  type: local
  engine: none
  auto_export: {{destinations: [mlflow]}}
target: {{api_endpoint: {{url: "http://127.0.0.1:9/v1", model_id: acme/small}}}}
evaluation:
  tasks:
    - name: alpha
      command: 'echo "results: {score}" >results.yml'
export:
  env_vars: {{MLFLOW_TRACKING_URI: host:THE_SERVER, MLFLOW_DISABLE_TELEMETRY: "lit:true"}}
  mlflow:
    experiment_name: {request.node.name}
    description: of ${{target.api_endpoint.model_id}}
"""
    (tmp_path / "suite.yaml").write_text(config)
    monkeypatch.chdir(tmp_path)
    assert main(["compile", "suite.yaml", "--out", "suite"]) == 0
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "suite/run_all.sh"],
        env={**os.environ, "PATH": path, "THE_SERVER": server},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "exported to mlflow" in ran.stderr
    (there,) = runs_of(server, request.node.name)
    assert there.data.metrics == {"alpha/t/acc": 0.5}
    assert there.data.tags["mlflow.note.content"] == "of acme/small"


def test_twice_makes_one_run_of_each_task(
    run: Path, server: str, told: list[str], request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from mlflow import MlflowClient

    more = [
        *["-o", "export.mlflow.tags.team=eval", "-o", "export.mlflow.description=nightly"],
        *["-o", "export.mlflow.extra_metadata.stage=dev", "-o", "export.mlflow.copy_logs=true"],
        *["-o", "export.mlflow.log_config_params=true"],
        *["-o", "export.mlflow.exclude_patterns=[stage.*]"],
    ]
    assert export(*told, *more) == 0
    first = capsys.readouterr()
    assert first.out.count("exported") == 2
    assert first.out.count("\n") == 2
    assert export(*told, *more) == 0
    assert capsys.readouterr().out.count("unchanged") == 2
    one, two = runs_of(server, request.node.name)
    metrics = dict(one.data.metrics)
    assert metrics.pop("h.one/acc") == 0.75
    assert metrics.pop("h.one/acc_stderr") == 0.07
    assert metrics.pop("h.one/acc_samples") == 40
    ((label, value),) = metrics.items()
    assert value == 1.5
    # The name that MLflow does not take is in a tag.
    assert ODD in one.data.tags["evalc.metric_names"]
    assert label in one.data.tags["evalc.metric_names"]
    assert one.data.params == {
        "temperature": "0.5",
        "stage": "dev",
        "config.execution.type": "local",
    }
    found = read_run(run)
    assert (
        one.data.tags.items()
        >= {
            "team": "eval",
            "mlflow.note.content": "nightly",
            "invocation_id": found.id,
            "bundle_digest": found.bundle_digest,
            "image_digest": "sha256:" + "a" * 64,
            "harness": "lm-evaluation-harness",
            "model": "tiny",
        }.items()
    )
    assert one.info.run_name == f"{found.id}.h.one"
    assert one.info.status == "FINISHED"
    assert one.info.end_time - one.info.start_time == 3_600_000
    client = MlflowClient(tracking_uri=server)
    assert [f.path for f in client.list_artifacts(one.info.run_id, "h.one/artifacts")] == [
        "h.one/artifacts/results.yml"
    ]
    assert [f.path for f in client.list_artifacts(one.info.run_id, "h.one/logs")] == [
        "h.one/logs/client_stdout.log"
    ]
    assert two.data.metrics.keys() == {"h.two/acc"}


def test_what_has_changed_is_updated_in_its_run(
    run: Path, server: str, told: list[str], request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert export(*told) == 0
    (before, _) = runs_of(server, request.node.name)
    results_yml(run / "h.one", {"one": {"acc": {"acc": (0.5, {"count": 40})}}})
    assert export(*told, "-o", "export.mlflow.skip_existing=true") == 0
    assert capsys.readouterr().out.count("skipped") == 2
    assert export(*told) == 0
    assert "h.one updated" in capsys.readouterr().out
    (after, _) = runs_of(server, request.node.name)
    assert after.info.run_id == before.info.run_id
    assert after.data.metrics["h.one/acc"] == 0.5


def test_what_failed_in_the_middle_is_completed(
    run: Path, server: str, told: list[str], request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from mlflow import MlflowClient

    def full(*_: object) -> None:
        raise OSError("the disk of the server is full")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_artifact", full)
        assert export(*told) == 1
    assert "FAILED: the disk of the server is full" in capsys.readouterr().err
    assert len(runs_of(server, request.node.name)) == 2
    assert export(*told) == 0
    found = runs_of(server, request.node.name)
    assert [one.info.status for one in found] == ["FINISHED", "FINISHED"]
    assert run.is_dir()


def test_a_server_that_is_down_or_silent_is_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port in (free_port(), silent.getsockname()[1]):
            monkeypatch.setenv("WHERE", f"http://127.0.0.1:{port}")
            # The key may name the variable, as the peer's.
            told = ["--dest", "mlflow,local", "-o", "export.mlflow.tracking_uri=WHERE"]
            assert export(*told) == 1
            said = capsys.readouterr()
            assert f"mlflow: http://127.0.0.1:{port}: " in said.err
            assert "not exported to mlflow: " in said.err
            assert "Traceback" not in said.err
            assert "local: " in said.out
    assert run.is_dir()
