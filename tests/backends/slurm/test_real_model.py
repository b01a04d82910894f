"""A real model and a real harness on the cluster, interrupted by a real time-out.

SmolLM2 is served by llama.cpp as a ``generic`` deployment; lm-eval asks it. The questions, the
server and the harness are those of the quickstart; see ``examples/quickstart``.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from waiting import wait_for

from evalc.export.comparing import compare
from evalc.export.reading import read_run
from evalc.export.significance import Method

if TYPE_CHECKING:
    from backends.slurm.lab import Bundle, Lab

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
TASK = "facts"


def bundle_of(lab: Lab, name: str) -> Bundle:
    quickstart = EXAMPLES / "quickstart"
    # This Python has the harness and the model server.
    lab.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{lab.env['PATH']}"
    return lab.bundle(
        {
            "name": TASK,
            "command": f'exec python3 "$FILES_DIR/evaluate.py" {TASK}',
            "files": [
                str(quickstart / part) for part in ("evaluate.py", f"{TASK}.yaml", f"{TASK}.jsonl")
            ],
        },
        deployment={
            "type": "generic",
            "served_model_name": "SmolLM2-135M-Instruct",
            "port": 18424,
            "gpus": "none",
            "files": [str(quickstart / "serve.py")],
            "command": 'exec python3 "$FILES_DIR/serve.py" --port "$PORT"',
        },
        name=name,
    )


def answers(bundle: Bundle) -> int:
    """How many answers lm-eval has kept so far."""
    file = bundle.path(TASK, "artifacts", "cache", "answers_rank0.db")
    if not file.exists():
        return 0
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as kept:
            count: int = kept.execute("select count(*) from unnamed").fetchone()[0]
    except sqlite3.OperationalError:  # it is just being made
        return 0
    return count


def samples(bundle: Bundle) -> list[Any]:
    """Every question's answer and score, in order."""
    lines = bundle.text(TASK, "artifacts", "lm_eval", "samples.jsonl").splitlines()
    found = [json.loads(line) for line in lines]
    return [(one["doc_id"], one["resps"], one["filtered_resps"]) for one in found]


def test_a_time_out_changes_no_result(lab: Lab) -> None:
    whole = bundle_of(lab, "whole")
    whole.submit()
    assert whole.ends(TASK).name == "done", whole.everything(TASK)

    broken = bundle_of(lab, "broken")
    broken.submit()
    wait_for(lambda: answers(broken) >= 5)
    lab.cluster.move_clock(700)
    assert broken.ends(TASK).name == "done", broken.everything(TASK)

    first, second = broken.events("attempt", TASK)
    assert second["after"] == first["job"]
    assert lab.cluster.state(first["job"]) == "TIMEOUT"
    # The harness went on from the answers that it had.
    assert int(second["done"].split(":")[1]) > int(first["done"].split(":")[1])
    log = broken.text(TASK, "logs", "client_stdout.log")
    assert "Cached requests: 0" not in log
    results = [yaml.safe_load(b.text(TASK, "artifacts", "results.yml")) for b in (whole, broken)]
    assert results[0] == results[1]
    assert len(samples(whole)) >= 20
    assert samples(whole) == samples(broken)

    # evalc reads the same from both folders, pairs the answers, and tells what attempts took.
    runs = [read_run(bundle.folder) for bundle in (whole, broken)]
    (one,) = compare(runs[0], runs[1])
    assert one.difference is not None
    assert one.difference.method is Method.MCNEMAR
    assert (one.change, one.difference.p) == (0, 1)
    assert [len(run.spent[TASK]) for run in runs] == [1, 2]
    attempts = runs[1].spent[TASK]
    assert [one.native for one in attempts] == [first["job"], second["job"]]
    assert all(one.seconds for one in attempts)
    assert runs[1].gpus == {TASK: 0}
    assert all(run.tasks[0].counts for run in runs)
