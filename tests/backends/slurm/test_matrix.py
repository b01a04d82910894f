"""A matrix on the real cluster: each cell with its own server, nodes and walltime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.running import Run
from evalc.backends.slurm.runs import SlurmRuns
from evalc.bundle.read import read

if TYPE_CHECKING:
    from backends.slurm.lab import Bundle, Lab


def matrix(lab: Lab, **execution: object) -> Bundle:
    model = [
        {"name": "one", "deployment": {"served_model_name": "first"}},
        {
            "name": "two",
            "deployment": {"served_model_name": "second", "port": 8001},
            "execution": {"walltime": "00:20:00", "num_nodes": 2},
        },
    ]
    return lab.bundle(
        lab.harness(),
        {**lab.command('printf %s "$MODEL_ID" >who'), "name": "beta"},
        deployment=lab.server(),
        matrix={"model": model},
        execution=execution,
    )


def test_a_job_for_each_cell(lab: Lab) -> None:
    """With the tasks that share it; what is finished is not submitted again."""
    bundle = matrix(lab, sharing="shared")
    said = bundle.submit("--dry-run").stdout
    assert said.count("sbatch --parsable") == 2
    bundle.submit()
    for cell, model in (("one", "first"), ("two", "second")):
        assert bundle.ends(cell).name == "done", bundle.everything(cell)
        assert bundle.exit(f"{cell}.alpha") == (0, ""), bundle.everything(cell)
        assert bundle.text(f"{cell}.beta", "artifacts", "who") == model
        assert "POST" in bundle.text(cell, "logs", f"server_{cell}.model_stdout.log")
    assert "2 finished" in bundle.submit().stderr


def test_a_job_for_each_task_of_each_cell(lab: Lab) -> None:
    bundle = matrix(lab)
    # On the cluster, jobs share nodes: two of one cell would want the same port.
    bundle.submit("--only", "one.beta", "--only", "two.beta")
    for cell, model in (("one", "first"), ("two", "second")):
        assert bundle.ends(f"{cell}.beta").name == "done", bundle.everything(f"{cell}.beta")
        assert bundle.text(f"{cell}.beta", "artifacts", "who") == model


def test_secrets_and_logs_are_looked_for_where_cells_have_them(lab: Lab) -> None:
    stored = read(matrix(lab, sharing="shared").folder)
    run = Run("k3fw8t2q", "/runs/x", stored.options, stored.jobs, 0)
    runs = SlurmRuns()
    assert sorted(runs.secrets_files(run, {"A": "1"})) == [
        ".secrets.sbatch_one.sh",
        ".secrets.sbatch_two.sh",
    ]
    assert runs.logs(run, "two", "server") == ["two/logs/server_*_stdout.log"]
    assert runs.logs(run, "two", "client") == [
        "two.alpha/logs/client_stdout.log",
        "two.beta/logs/client_stdout.log",
    ]
