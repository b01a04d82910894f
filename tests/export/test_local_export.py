"""Exporting to files."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from export.made import bundle, ended, results_yml

from evalc.cli import main
from evalc.export.destinations import registry, settings
from evalc.export.destinations.base import BadSettings
from evalc.export.reading import read_run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = bundle(tmp_path / "run", ["h.one", "h.two"])
    scores = {
        "acc": {"acc": (0.1 + 0.2, {"count": 10})},
        "µ/=x": {"a,b": (float("nan"), {})},
    }
    results_yml(folder / "h.one", {"one": scores})
    ended(folder / "h.one")
    cache = folder / "h.one" / "artifacts" / "cache"
    cache.mkdir()
    (cache / "response").write_text("large")
    (folder / "h.one" / "artifacts" / "report.html").write_text("r")
    (folder / "h.one" / "logs" / "client_stdout.log").write_text("log")
    ended(folder / "h.two", 1)
    return folder


def export(*arguments: str) -> int:
    return main(["export", "run", *arguments])


def test_twice_gives_the_same_bytes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("json", "csv", "parquet"):
        assert export("--format", form) == 0
        said = capsys.readouterr()
        assert "h.one exported" in said.out
        assert "h.two: nothing to export, failed: exit code 1" in said.err
        path = run.parent / "exported-results" / f"processed_results.{form}"
        before, changed = path.read_bytes(), path.stat().st_mtime_ns
        assert export("--format", form) == 0
        assert "h.one unchanged" in capsys.readouterr().out
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, changed)


def test_rows_hold_all_that_is_known(run: Path) -> None:
    import pyarrow.parquet

    for form in ("json", "csv", "parquet"):
        assert export("--format", form, "--output-dir", "out") == 0
    out = run.parent / "out"
    rows: list[dict[str, Any]] = json.loads((out / "processed_results.json").read_text())["scores"]
    assert [(row["metric"], row["score"], row["value"]) for row in rows] == [
        ("acc", "acc", 0.1 + 0.2),
        ("µ/=x", "a,b", "nan"),
    ]
    assert rows[0]["image_digest"] == "sha256:" + "a" * 64
    assert rows[0]["bundle_digest"] == read_run(run).bundle_digest
    assert json.loads(rows[0]["parameters"]) == {"temperature": 0.5}
    with (out / "processed_results.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert float(lines[0]["value"]) == 0.1 + 0.2
    assert lines[1]["metric"] == "µ/=x"
    table = pyarrow.parquet.read_table(out / "processed_results.parquet").to_pylist()
    assert table[0]["value"] == 0.1 + 0.2
    assert math.isnan(table[1]["value"])
    assert (table[0]["samples"], table[0]["group"]) == (10, False)


def test_a_task_that_has_changed_replaces_its_rows(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export() == 0
    results_yml(run / "h.one", {"one": {"acc": {"acc": (0.9, {})}}})
    results_yml(run / "h.two", {"two": {"acc": {"acc": (0.8, {})}}})
    ended(run / "h.two")
    capsys.readouterr()
    assert export() == 0
    said = capsys.readouterr().out
    assert "h.one updated" in said
    assert "h.two exported" in said
    path = run.parent / "exported-results" / "processed_results.json"
    rows = json.loads(path.read_text())["scores"]
    assert [(row["task"], row["value"]) for row in rows] == [("h.one", 0.9), ("h.two", 0.8)]


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_columns_and_rows_of_others_stay(run: Path, form: str) -> None:
    from evalc.export.destinations.local import _FORMS

    assert export("--format", form) == 0
    read, write = _FORMS[form]
    path = run.parent / "exported-results" / f"processed_results.{form}"
    rows = [{**row, "remark": "odd"} for row in read(path)]
    path.write_bytes(write([*rows, {"run": "zzz", "task": "t", "metric": "m", "remark": "x"}]))
    results_yml(run / "h.two", {"two": {"acc": {"acc": (0.8, {})}}})
    ended(run / "h.two")
    assert export("--format", form) == 0
    found = {(row["task"], row["metric"]): row.get("remark") for row in read(path)}
    assert found["h.one", "acc"] == "odd"
    assert found["t", "m"] == "x"
    assert found["h.two", "acc"] in {None, ""}


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ([], {"artifacts/results.yml"}),
        (["-o", "export.local.copy_artifacts=false"], set()),
        (
            ["-o", "export.local.only_required=false"],
            {"artifacts/results.yml", "artifacts/report.html"},
        ),
        (
            ["-o", "export.local.log_logs=true", "-o", "export.local.copy_artifacts=false"],
            {"logs/client_stdout.log", "logs/stage.exit", "logs/stage.pre-start"},
        ),
    ],
)
def test_which_files_are_copied(run: Path, told: list[str], names: set[str]) -> None:
    assert export(*told) == 0
    base = run.parent / "exported-results" / read_run(run).id / "h.one"
    assert {str(p.relative_to(base)) for p in base.rglob("*") if p.is_file()} == names


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_a_table_of_somebody_elses_is_not_touched(
    run: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run.parent / f"theirs.{form}"
    path.write_text('{"benchmarks": {}}')
    told = [
        "--format",
        form,
        "--output-dir",
        ".",
        "-o",
        f"export.local.output_filename=theirs.{form}",
    ]
    assert export(*told) == 1
    said = capsys.readouterr().err
    assert "is no table of evalc's" in said
    assert "not exported to local" in said
    assert path.read_text() == '{"benchmarks": {}}'


def test_settings_of_the_config_a_file_and_the_command_line(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "by-config")
    (run / "config.yaml").write_text(
        "export:\n  local: {output_dir: '${oc.env:WHERE}', log_metrics: [acc], x-mine: 1}\n"
    )
    assert export() == 0
    rows = json.loads((run.parent / "by-config" / "processed_results.json").read_text())["scores"]
    assert [row["metric"] for row in rows] == ["acc"]
    (run.parent / "more.yaml").write_text("export: {local: {output_dir: by-file, format: csv}}\n")
    assert export("--config", "more.yaml") == 0
    assert (run.parent / "by-file" / "processed_results.csv").exists()
    assert export("--config", "more.yaml", "-o", "export.local.output_dir=by-hand") == 0
    assert (run.parent / "by-hand" / "processed_results.csv").exists()


def test_what_a_setting_refers_to_is_of_the_runs_own_config() -> None:
    config = {
        "export": {
            "local": {"a": "${x.list}", "b": "of ${x.y.z} and ${x.none}", "c": ["${x.to}"], "d": 1},
        },
        "x": {"list": [1, 2], "y": {"z": 0.5}, "none": None, "to": "${x.y.z}s", "me": "${x.me}"},
    }
    assert settings.block_of(config, "local") == {
        "a": [1, 2],
        # What leads to nothing is told by who needs the value.
        "b": "of 0.5 and ${x.none}",
        "c": ["0.5s"],
        "d": 1,
    }
    circle = {**config, "export": {"local": {"a": "${x.me}"}}}
    assert settings.block_of(circle, "local") == {"a": "${x.me}"}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["-o", "export.local.outputdir=x"], "did you mean 'output_dir'?"),
        (["-o", "export.local.copy_logs=perhaps"], "must be true or false"),
        (["-o", "export.local.log_metrics=acc"], "must be a list"),
        (["-o", "export.local.output_dir=${a.b}"], "refers to another key"),
        (["-o", "export.local.output_dir=${oc.env:NO_SUCH_VARIABLE}"], "NO_SUCH_VARIABLE"),
        (["-o", "local.output_dir=x"], "is no setting of an exporter"),
        (["-o", "export.mlflow.tracking_uri=x"], "add --dest mlflow"),
        (["--dest", "lokal"], "did you mean 'local'?"),
        (["--config", "nowhere.yaml"], "there is no file nowhere.yaml"),
    ],
)
def test_wrong_usage(
    run: Path, told: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.is_dir()
    assert export(*told) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["--format", "xlsx"], "there is no format 'xlsx'"),
        (["-o", "export.local.output_filename=../x.json"], "must be a name"),
        (["--output-dir", "run/plan.json/x"], "plan.json"),
    ],
)
def test_what_an_exporter_refuses_is_one_line(
    run: Path, told: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.is_dir()
    assert export(*told) == 1
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_what_fails_at_one_is_not_lost_at_another(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = export("--dest", "mlflow,local", "-o", "export.mlflow.tracking_url=http://x", "--json")
    assert code == 1
    said = capsys.readouterr()
    assert "did you mean 'tracking_uri'?" in said.err
    found = json.loads(said.out)
    assert [(one["destination"], one["status"]) for one in found["tasks"]] == [
        ("local", "exported")
    ]
    assert found["failures"][0]["destination"] == "mlflow"
    assert run.parent.joinpath("exported-results").is_dir()


def test_schema_and_exporters_have_the_same_keys() -> None:
    from evalc.resources import read_schema

    blocks = read_schema("config")["properties"]["export"]["properties"]
    for name in ("local", "mlflow", "wandb", "gsheets"):
        exporter = registry.get(name)
        older = {"log_logs", "log_artifacts"}
        assert set(exporter.keys) == set(blocks[name]["properties"]) - older
        for key, value in exporter.keys.items():
            told = blocks[name]["properties"][key].get("default", value or None)
            assert told == (value if value != "" else None) or value in ([], {}, "", False), key


def test_a_clients_absence_is_one_line(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    cases = {
        "mlflow": ["mlflow", "-o", "export.mlflow.tracking_uri=http://127.0.0.1:9"],
        "wandb": ["wandb", "-o", "export.wandb.project=p"],
        "gspread": ["gsheets"],
        "pyarrow": ["local", "--format", "parquet"],
    }
    for library, told in cases.items():
        for name in [n for n in sys.modules if n.partition(".")[0] == library] + [library]:
            monkeypatch.setitem(sys.modules, name, None)
        assert export("--dest", *told) == 1
        assert "pip install 'evalc[" in capsys.readouterr().err
    assert run.is_dir()


def test_exporters_of_others_are_found(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    info = site / "evalc_printer-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evalc-printer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[evalc.exporters]\nprinter = evalc_printer_x:Printer\n")
    (site / "evalc_printer_x.py").write_text(
        "class Printer:\n"
        "    name, description, keys = 'printer', 'prints', {'ink': 'black', 'break': False}\n"
        "    def export(self, runs, settings):\n"
        "        from evalc.export.destinations.base import Outcome, Status\n"
        "        if settings['break']: raise KeyError('paper')\n"
        "        yield Outcome(runs[0].id, 'h.one', Status.EXPORTED, settings['ink'])\n"
    )
    monkeypatch.syspath_prepend(str(site))
    assert export("--dest", "printer", "-o", "export.printer.ink=red") == 0
    assert "printer: " in (said := capsys.readouterr().out)
    assert "h.one exported: red" in said
    assert export("--dest", "printer", "--dest", "local", "-o", "export.printer.break=true") == 1
    both = capsys.readouterr()
    assert "KeyError: 'paper'" in both.err
    assert "local: " in both.out
    assert run.is_dir()


def test_a_config_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(BadSettings, match="can't be read"):
        settings.config_of_run(tmp_path, "local")
