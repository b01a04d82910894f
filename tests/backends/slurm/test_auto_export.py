"""Results that a job of its own exports, on the real cluster, when all other jobs have ended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backends.slurm.here import Submission
from waiting import wait_for

from evalc.backends.running import State
from evalc.export.reading import read_run

if TYPE_CHECKING:
    from backends.slurm.lab import Bundle, Lab

SCORE = 'echo "results: {tasks: {t: {metrics: {m: {scores: {m: {value: 1}}}}}}}" >"$RESULTS_DIR/results.yml"\n'
# What stands in for evalc: it notes how it was called, and with what.
EVALC = """#!/bin/sh
echo "$@ KEY=$WANDB_API_KEY" >>"{folder}/calls"
"""


def exporting(lab: Lab, *tasks: dict[str, Any], to: str = "local", **blocks: Any) -> Bundle:
    out = lab.folder / "out"
    execution = blocks.pop("execution", {})
    keys = {"destinations": to.split(","), **execution.pop("auto_export", {})}
    export = {"local": {"output_dir": str(out)}, "wandb": {"project": "p"}}
    return lab.bundle(
        *tasks,
        execution={"auto_export": keys, **execution},
        export={**export, **blocks.pop("export", {})},
        **blocks,
    )


def told(bundle: Bundle) -> str:
    """What is written down of the export, without its time."""
    return bundle.text("logs", "stage.export").partition(" ")[2].strip()


def exported(bundle: Bundle) -> str:
    """The same, when it is over."""
    wait_for(lambda: re.match(r"\d", told(bundle)))
    bundle.cluster.idle()
    return told(bundle)


def export_jobs(bundle: Bundle) -> list[str]:
    return sorted(path.name for path in bundle.folder.glob("export-*.log"))


def test_it_waits_for_all_jobs_and_for_those_that_follow(lab: Lab) -> None:
    bundle = exporting(
        lab,
        lab.command(SCORE, name="quick"),
        lab.command("exit 3", name="bad"),
        lab.task(SCORE),
    )
    said = bundle.submit().stderr
    assert re.search(r"the export: submitted as job \d+, for when all others have ended", said)
    # Another one is not queued, however often it is asked for.
    assert re.search(r"the export: job \d+ is PENDING", bundle.run("submit_all.sh").stderr)
    first = bundle.runs()
    lab.time_out(first)
    # The job that it waited for has ended, and is followed by another: so is the export.
    bundle.runs(times=2)
    wait_for(lambda: export_jobs(bundle))
    wait_for(lambda: "exports when they have" in bundle.text(export_jobs(bundle)[0]))
    assert told(bundle).startswith("queued as job ")
    bundle.release()
    assert bundle.ends().name == "done"
    assert exported(bundle) == "0 exported to local"
    run = read_run(bundle.folder).id
    there = {path.relative_to(lab.folder / "out") for path in (lab.folder / "out").rglob("*.yml")}
    assert there == {Path(run, task, "artifacts/results.yml") for task in ("quick", "alpha")}
    # Nothing of a task's own tells of it, and there is nothing more to export.
    assert all("export" not in bundle.text(task, "logs", "journal") for task in ("quick", "alpha"))
    assert "export" not in bundle.run("submit_all.sh").stderr
    assert len(export_jobs(bundle)) == 2


@pytest.mark.parametrize("strategy", ["prequeued", "none"])
def test_with_every_strategy(lab: Lab, strategy: str) -> None:
    execution = {"resume": {"strategy": strategy, "attempts": 3}, "sharing": "shared"}
    bundle = exporting(lab, lab.command(SCORE), execution=execution)
    bundle.submit()
    assert exported(bundle) == "0 exported to local"
    assert len(export_jobs(bundle)) == 1


def test_an_array_is_waited_for(lab: Lab) -> None:
    tasks = [lab.command(SCORE, name=name) for name in ("a", "b", "c")]
    bundle = exporting(lab, *tasks, execution={"array": True})
    bundle.submit()
    assert exported(bundle) == "0 exported to local"
    assert len(list((lab.folder / "out").rglob("results.yml"))) == 3


@pytest.mark.parametrize("lab", ["none", "pyxis", "apptainer"], indirect=True)
def test_what_evalc_is_given_and_that_its_failure_is_its_own(lab: Lab) -> None:
    tools = lab.folder / "tools"
    tools.mkdir(parents=True)
    (tools / "evalc").write_text(EVALC.format(folder=tools) + "exit 5\n")
    (tools / "evalc").chmod(0o755)
    keys: dict[str, Any] = {"launcher_install_cmd": f'PATH="{tools}:$PATH"'}
    if lab.engine != "none":
        keys |= {"export_image": "evalc-test:1", "export_mounts": {str(tools): str(tools)}}
    bundle = exporting(
        lab,
        lab.command(SCORE),
        to="wandb,local",
        execution={"auto_export": keys},
        export={"env_vars": {"WANDB_API_KEY": "host:MY_KEY"}},
    )
    # Evaluating does not need it, so that only the export fails without.
    assert "not set in the environment: MY_KEY" in bundle.submit().stderr
    bundle.cluster.idle()
    assert bundle.exit() == (0, "")
    assert exported(bundle) == "1 wandb: not set in the environment: MY_KEY"
    # As evalc submit does, which has read it where it was called.
    here = Submission(bundle, auto_export={"destinations": ["wandb"]})
    here.bring({"MY_KEY": "s3cret"})
    assert here.submit()["alpha"].state is State.COMPLETED
    # What fails is the last that is said.
    wait_for((tools / "calls").exists)
    assert exported(bundle).startswith("1 wandb: ")
    calls = (tools / "calls").read_text().splitlines()
    assert calls[0] == f"export {bundle.folder} --dest wandb KEY=s3cret"
    assert (lab.folder / "out").exists()
    # The value is gone with the job, and was in no file of the bundle's.
    assert not list(bundle.folder.glob(".secrets*"))
    logs = [path for path in bundle.folder.rglob("*") if path.is_file()]
    assert not any(b"s3cret" in path.read_bytes() for path in logs)


def test_kill_cancels_it(lab: Lab) -> None:
    bundle = exporting(lab, lab.task(SCORE), lab.command(SCORE, name="quick"))
    here = Submission(bundle, "alpha", "quick")
    bundle.submit()
    bundle.runs()
    # Of one job, the others are still to be exported.
    assert here.cancel("quick")["quick"].done
    assert told(bundle).startswith("queued as job ")
    last = list(here.cancel().values())[-1]
    assert last.done
    assert any(words.startswith("exporting its results: cancelled job") for words in last.what)
    bundle.cluster.idle()
    assert re.fullmatch(r"130 job \d+ was cancelled \(evalc kill\)", told(bundle))


def test_a_job_that_slurm_refuses_is_told_and_no_fault_of_the_submission(lab: Lab) -> None:
    bundle = exporting(lab, lab.command(SCORE), execution={"cpu_partition": "nowhere"})
    said = bundle.submit().stderr
    assert "1 submitted, 0 there already" in said
    assert re.search(r"the export: not submitted: .*nvalid partition", said)
    assert "'bash export.sh' here" in said
    bundle.ends()
    assert bundle.run("export.sh").returncode == 0
    assert told(bundle) == "0 exported to local"
