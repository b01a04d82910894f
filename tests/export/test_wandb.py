"""Exporting to Weights & Biases in offline mode, read back with its own library's messages."""

from __future__ import annotations

import json
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from export.made import bundle, ended, results_yml
from waiting import wait_for

from evalc.cli import main
from evalc.export.reading import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# wandb's own imports warn of each other.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("wandb")]

TOLD = ["--dest", "wandb", "-o", "export.wandb.project=evals", "-o", "export.wandb.entity=team"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = bundle(tmp_path / "run", ["h.one", "h.two"])
    for name, value in (("one", 0.75), ("two", 0.5)):
        stats = {"count": 40, "stderr": 0.07}
        results_yml(folder / f"h.{name}", {name: {"größe/x": {"acc": (value, stats)}}})
        ended(folder / f"h.{name}")
    return folder


def records(path: Path) -> Iterator[Any]:
    """What is in a .wandb file: LevelDB's log format, behind a header of seven bytes."""
    from wandb.proto import wandb_internal_pb2

    data, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        room = 32768 - at % 32768
        if room < 7:
            at += room
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        # FULL or LAST.
        if kind in {1, 4}:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def content(folder: Path) -> tuple[Any, dict[str, Any], dict[str, Any], list[str]]:
    """The run, its config, its summary, and the files of its artifacts."""
    (path,) = folder.glob("*.wandb")
    run: Any = None
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    files: list[str] = []
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
        elif kind == "config":
            config |= {one.key: json.loads(one.value_json) for one in record.config.update}
        elif kind == "summary":
            summary |= {
                one.key: json.loads(one.value_json) for one in record.summary.update if one.key
            }
        elif kind == "artifact":
            files += [one.path for one in record.artifact.manifest.contents]
    return run, config, summary, files


def test_twice_makes_one_run_of_each_task(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["-o", "export.wandb.tags=[nightly, x]", "-o", "export.wandb.extra_metadata.stage=dev"]
    assert main(["export", "run", *TOLD, *more]) == 0
    assert capsys.readouterr().out.count(" exported: ") == 2
    assert main(["export", "run", *TOLD, *more]) == 0
    assert capsys.readouterr().out.count(" unchanged: ") == 2
    one, two = sorted(run.parent.glob("wandb/offline-run-*"), key=lambda path: path.name[-7:])
    made, config, summary, files = content(one)
    found = read_run(run)
    assert (made.run_id, made.project, made.entity) == (f"{found.id}.h.one", "evals", "team")
    assert (made.run_group, made.job_type, list(made.tags)) == (
        found.id,
        "evaluation",
        ["nightly", "x"],
    )
    assert summary["h.one/größe/x/acc"] == 0.75
    assert summary["h.one/größe/x/acc_stderr"] == 0.07
    assert summary["h.one/größe/x/acc_samples"] == 40
    assert config["stage"] == "dev"
    assert config["bundle_digest"] == found.bundle_digest
    assert config["model"] == "tiny"
    assert files == ["h.one/artifacts/results.yml"]
    assert content(two)[2]["h.two/größe/x/acc"] == 0.5


def test_all_tasks_of_a_run_in_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "run", *TOLD, "-o", "export.wandb.log_mode=multi_task"]) == 0
    assert capsys.readouterr().out.count(" exported: ") == 2
    (folder,) = run.parent.glob("wandb/offline-run-*")
    made, config, summary, files = content(folder)
    assert made.run_id == read_run(run).id
    assert config["benchmarks"] == ["one", "two"]
    assert summary.keys() >= {"h.one/größe/x/acc", "h.two/größe/x/acc"}
    assert sorted(files) == ["h.one/artifacts/results.yml", "h.two/artifacts/results.yml"]
    results_yml(run / "h.two", {"two": {"größe/x": {"acc": (0.25, {})}}})
    # wandb's folders are called by the second.
    second = int(time.time())
    wait_for(lambda: time.time() >= second + 1)
    assert main(["export", "run", *TOLD, "-o", "export.wandb.log_mode=multi_task"]) == 0
    again = [content(one) for one in run.parent.glob("wandb/offline-run-*")]
    # Offline, each sending is a file; all are of one run, which W&B puts together.
    assert {made.run_id for made, *_ in again} == {read_run(run).id}
    assert sorted(summary["h.two/größe/x/acc"] for _, _, summary, _ in again) == [0.25, 0.5]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["--dest", "wandb"], "'project' is not given"),
        ([*TOLD, "-o", "export.wandb.log_mode=all"], "'log_mode' must be one of"),
    ],
)
def test_settings_that_are_wrong(
    run: Path, told: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", *told]) == 1
    assert said in capsys.readouterr().err
    assert not (run.parent / "wandb").exists()
