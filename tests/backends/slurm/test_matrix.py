"""A matrix on the real cluster: each cell with its own server, nodes and walltime."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backends.slurm.here import Submission

from evalc.backends.running import Run, State
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
        execution={"auto_export": {"destinations": ["local"]}, **execution},
        export={"local": {"output_dir": str(lab.folder / "out")}},
    )


def test_a_job_for_each_cell(lab: Lab) -> None:
    """With the tasks that share it; what is finished is not submitted again."""
    bundle = matrix(lab, sharing="shared")
    said = bundle.submit("--dry-run").stdout
    # The third exports what they come to, when both have ended.
    assert said.count("sbatch --parsable") == 3
    bundle.submit()
    for cell, model in (("one", "first"), ("two", "second")):
        assert bundle.ends(cell).name == "done", bundle.everything(cell)
        assert bundle.exit(f"{cell}.alpha") == (0, ""), bundle.everything(cell)
        assert bundle.text(f"{cell}.beta", "artifacts", "who") == model
        assert "POST" in bundle.text(cell, "logs", f"server_{cell}.model_stdout.log")
    lab.cluster.idle()
    assert "0 exported to local" in bundle.text("logs", "stage.export")
    exported = (lab.folder / "out").rglob("results.yml")
    assert {path.parts[-3] for path in exported} >= {"one.alpha", "two.alpha"}
    said = bundle.submit().stderr
    assert "2 finished" in said
    assert "the export" not in said
    # Of cells, too, what has ended since is still to be exported.
    bundle.path("logs", "stage.export").unlink()
    assert "the export: submitted" in bundle.submit().stderr
    lab.cluster.idle()


def test_a_job_for_each_task_of_each_cell(lab: Lab) -> None:
    bundle = matrix(lab)
    # On the cluster, jobs share nodes: two of one cell would want the same port.
    bundle.submit("--only", "one.beta", "--only", "two.beta")
    for cell, model in (("one", "first"), ("two", "second")):
        assert bundle.ends(f"{cell}.beta").name == "done", bundle.everything(f"{cell}.beta")
        assert bundle.text(f"{cell}.beta", "artifacts", "who") == model


def test_the_job_of_a_cell_is_submitted_followed_and_stopped(lab: Lab) -> None:
    bundle = matrix(lab, sharing="shared", sbatch_extra_flags={"hold": True})
    made = Submission(bundle)
    made.run = replace(made.run, jobs=read(bundle.folder).jobs)
    assert {job: sight.state for job, sight in made.submit("two").items()} == {"two": State.PENDING}
    states = {job: sight.state for job, sight in made.submit().items()}
    assert states == {"one": State.PENDING, "two": State.PENDING}
    assert len(lab.cluster.queue()) == 3
    assert made.cancel("one")["one"].done
    assert {job: sight.state for job, sight in made.poll().items()} == {
        "one": State.CANCELLED, "two": State.PENDING,
    }  # fmt: skip
    # A run whose folder is gone is found by the paths of its scripts.
    bundle.folder.rename(bundle.folder.with_name("away"))
    assert made.poll()["two"].state is State.PENDING
    assert made.cancel()["two"].done
    lab.cluster.idle()


def test_secrets_and_logs_are_looked_for_where_cells_have_them(lab: Lab) -> None:
    stored = read(matrix(lab, sharing="shared").folder)
    run = Run("k3fw8t2q", "/runs/x", stored.options, stored.jobs, 0)
    runs = SlurmRuns()
    assert sorted(runs.secrets_files(run, {"A": "1"})) == [
        ".secrets.sbatch_export.sh",
        ".secrets.sbatch_one.sh",
        ".secrets.sbatch_two.sh",
    ]
    assert runs.logs(run, "two", "server") == ["two/logs/server_*_stdout.log"]
    assert runs.logs(run, "two", "client") == [
        "two.alpha/logs/client_stdout.log",
        "two.beta/logs/client_stdout.log",
    ]
