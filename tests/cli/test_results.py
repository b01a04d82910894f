"""``evalc report``, ``compare``, ``gate`` and ``export`` as users call them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import sshd as servers
import yaml
from export.made import answers, lm_eval, results_yml

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[..., Any]

RESULTS = """
cat >"$RESULTS_DIR/results.yml" <<'END'
results: {tasks: {one: {metrics: {acc: {scores: {acc: {value: 0.75, stats: {count: 40}}}}}}}}
END
"""


class Laptop:
    """A folder with a config, and evalc with a database of its own."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.env = {**os.environ, "EVALC_HOME": str(folder / "state"), "COLUMNS": "200", **env}
        config = {
            "execution": {"type": "local", "engine": "none", "output_dir": "runs"},
            "target": {
                "api_endpoint": {"url": "http://127.0.0.1:9/v1/chat/completions", "model_id": "m"}
            },
            "evaluation": {
                "tasks": [
                    {"name": "good", "command": RESULTS},
                    {"name": "bad", "command": "exit 3"},
                ]
            },
        }
        (folder / "suite.yaml").write_text(yaml.safe_dump(config))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "evalc", *arguments],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_from_a_submitted_run_to_a_table(
    tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    env, told = {}, []
    if where == "elsewhere":
        server: servers.Sshd = request.getfixturevalue("sshd")
        env, told = dict(server.env), ["--host", servers.HOST]
    laptop = Laptop(tmp_path, **env)
    laptop("run", "suite.yaml", *told, "--wait", code=1)
    (run,) = json.loads(laptop("ls", "runs", "--json"))
    id_ = run["invocation"]
    table = json.loads(laptop("report", id_[:5], "--format", "json", code=1))
    (score,) = table["scores"]
    assert (score["task"], score["runs"][0]["value"]) == ("good", 0.75)
    assert table["runs"][0]["run"] == id_
    assert table["runs"][0]["bundle_digest"] == run["bundle_digest"]
    assert [(one["task"], one["state"]) for one in table["missing"]] == [("bad", "failed")]
    assert "exit code 3" in table["missing"][0]["reason"]
    # The local backend tells of the last attempt at each of its jobs.
    assert table["costs"][0]["attempts"][0]["seconds"] is not None
    # A job alone.
    laptop("report", f"{id_}.1")
    assert "FAILED" not in laptop("gate", id_, id_)
    laptop(
        "export", id_, "-o", "export.local.copy_logs=true", "-o", "export.local.only_required=false"
    )
    exported = tmp_path / "exported-results"
    (row,) = json.loads((exported / "processed_results.json").read_text())["scores"]
    assert (row["run"], row["task"], row["value"]) == (id_, "good", 0.75)
    assert (exported / id_ / "good" / "artifacts" / "results.yml").is_file()
    assert (exported / id_ / "good" / "logs" / "stage.exit").is_file()
    # What was fetched by hand knows whose it is.
    laptop("fetch", id_, "--to", "here")
    table = json.loads(laptop("report", "here", "--format", "json", code=1))
    assert table["runs"][0]["run"] == id_


def test_reports_go_to_a_file_or_to_the_screen(evalc: Run, tmp_path: Path) -> None:
    results_yml(tmp_path / "a" / "one", {"one": {"acc": {"acc": (0.5, {})}}})
    assert "one/acc" in evalc("report", "a").out
    assert evalc("report", "a", "--format", "markdown").out.startswith("# Evaluation results")
    assert evalc("report", "a", "--metric", "bleu").out.strip().startswith("SCORE")
    result = evalc("report", "a", "--format", "html", "-O", "r.html")
    assert (result.code, result.out) == (0, "")
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_compare_and_gate(evalc: Run, tmp_path: Path) -> None:
    lm_eval(tmp_path / "a" / "one", "one", answers(200, 120))
    lm_eval(tmp_path / "b" / "one", "one", answers(200, 80))
    said = evalc("compare", "a", "b")
    assert said.code == 0
    assert "worse, paired (McNemar, exact)" in said.out
    found = json.loads(evalc("compare", "a", "b", "--json").out)
    assert found["scores"][0]["change"] == pytest.approx(-0.2)
    assert evalc("gate", "b", "a").code == 0
    said = evalc("gate", "a", "b")
    assert said.code == 1
    assert said.out.startswith("FELL  one/exact_match")
    assert said.out.endswith("FAILED\n")
    assert evalc("gate", "a", "b", "--max-drop", "0.3").code == 0
    found = evalc("gate", "a", "b", "--json")
    assert found.code == 1
    assert json.loads(found.out)["scores"][0]["held"] == "fell"


def test_a_score_that_lacks_shuts_the_gate_unless_that_is_allowed(
    evalc: Run, tmp_path: Path
) -> None:
    good = {"acc": {"acc": (0.5, {"count": 10})}}
    for run, tasks in (("a", ("one", "two")), ("b", ("one",))):
        for task in tasks:
            results_yml(tmp_path / run / task, {task: good})
    said = evalc("gate", "a", "b")
    assert said.code == 1
    assert "MISSING  two/acc" in said.out
    assert evalc("gate", "a", "b", "--allow-missing").code == 0
    assert evalc("gate", "a", "b", "--metric", "one").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "nowhere/at/all"], "there is no folder nowhere/at/all"),
        (["report", "empty"], "empty holds no results"),
        (["report", "a", "--baseline", "b"], "the baseline 'b' is none of the runs"),
        (["compare", "a", "c"], "the two runs have no score in common"),
        (["gate", "a", "a", "--metric", "bleu"], "there is nothing to compare"),
        (["gate", "a", "a", "--max-drop", "-1"], "-1"),
    ],
)
def test_wrong_usage(
    evalc: Run, tmp_path: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALC_HOME", str(tmp_path / "state"))
    (tmp_path / "empty").mkdir()
    results_yml(tmp_path / "a" / "one", {"one": {"acc": {"acc": (0.5, {})}}})
    results_yml(tmp_path / "c" / "two", {"two": {"acc": {"acc": (0.5, {})}}})
    result = evalc(*arguments)
    assert result.code == 2
    assert said in result.err
