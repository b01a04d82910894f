"""Slurm itself is away, slow, or of another opinion: chains are neither lost nor endless."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from backends.slurm.test_faults_ends import UNTOLD, previous_of, states_of
from waiting import wait_for

if TYPE_CHECKING:
    from backends.slurm.lab import Bundle, Lab

# What Slurm 22.05 says where a site keeps no accounts, and where compute nodes may not submit.
NO_ACCOUNTING = "echo 'Slurm accounting storage is disabled' >&2; exit 1"
ON_NODES = 'case "$(hostname)" in n[1-4]) ;; *) exec "$real" "$@" ;; esac\n'
NO_SUBMISSION = (
    f"{ON_NODES}echo 'sbatch: error: Batch job submission failed: Access/permission denied' >&2\n"
    "exit 1"
)


# As once MinJobAge has passed, for jobs alone.
FORGOTTEN = f"""{ON_NODES}case "$*" in
  *" job "*) echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1 ;;
esac
exec "$real" "$@"
"""


def die_in_silence(bundle: Bundle) -> None:
    """The node of the job that runs is lost, and its last sign of life is long ago."""
    node = bundle.events("attempt")[-1]["node"]
    # First the script stops where it is, or it might give one more.
    stopped = bundle.cluster.on(node, "pkill", "-STOP", "-f", "/slurm_script")
    assert stopped.returncode == 0, stopped.stderr
    long_ago = time.time() - 600
    os.utime(bundle.path("alpha", "logs", "attempt"), (long_ago, long_ago))
    bundle.cluster.lose_node(node)


@pytest.mark.parametrize(
    "sacct",
    [NO_ACCOUNTING, "exit 0", "sleep 2; echo RUNNING"],
    ids=["unavailable", "empty", "slow-and-stale"],
)
def test_nobody_knows_what_became_of_a_job(lab: Lab, sacct: str) -> None:
    lab.stand_in("scontrol", FORGOTTEN)
    lab.stand_in("sacct", f'echo asked >>"$here/asked"; {sacct}')
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    first = bundle.runs()
    die_in_silence(bundle)
    second = bundle.runs(times=2)
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert (lab.folder / "stand-ins" / "asked").exists()
    assert [one["state"] for one in bundle.events("previous")] == [""]
    assert bundle.ran() == [f"{first}.0", f"{second}.0"]
    assert states_of(bundle) == ["NODE_FAIL", "COMPLETED"]


def test_nobody_knows_and_nothing_is_done(lab: Lab) -> None:
    """Doubt is no endless chain: the progress rule counts all the same."""
    lab.stand_in("scontrol", FORGOTTEN)
    lab.stand_in("sacct", NO_ACCOUNTING)
    bundle = lab.bundle(lab.task(), execution={"resume": {"signal_before": 0, "attempts": 50}})
    bundle.submit()
    for attempt in (1, 2):
        bundle.runs(times=attempt)
        die_in_silence(bundle)
    end = bundle.ends()
    assert (end.name, "no progress" in end.reason) == ("stop", True), bundle.everything()
    assert [one["state"] for one in bundle.events("previous")] == ["", ""]
    assert len(bundle.ran()) == 2


def test_the_controller_has_forgotten_a_job(lab: Lab) -> None:
    """The accounting knows it still."""
    lab.stand_in("scontrol", FORGOTTEN)
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    first = bundle.runs()
    lab.time_out(first)
    bundle.runs(times=2)
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert previous_of(bundle, first) in ("TIMEOUT", "")
    assert states_of(bundle) == ["TIMEOUT", "COMPLETED"]
    assert len(bundle.ran()) == 2


def test_the_accounting_daemon_is_down(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    first = bundle.runs()
    lab.cluster.stop("slurmdbd")
    lab.time_out(first)
    second = bundle.runs(times=2)
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0", f"{second}.0"]
    assert states_of(bundle) == ["TIMEOUT", "COMPLETED"]


def test_the_controller_is_down_when_a_job_ends(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    job = bundle.runs()
    lab.cluster.stop("slurmctld")
    bundle.release()
    bundle.says("done")
    lab.cluster.start("slurmctld")
    # The daemon of the job's step tells the controller of its end again after a minute; the test does
    # not wait for that.
    lab.cluster.wait(job, "COMPLETING", "COMPLETED")
    lab.cluster.on(bundle.events("attempt")[0]["node"], "pkill", "-KILL", "slurmstepd")
    assert lab.cluster.wait(job, "COMPLETED") == "COMPLETED"
    lab.cluster.idle()
    (successor,) = bundle.events("successor")
    assert lab.cluster.state(successor["job"]) == "CANCELLED"
    assert bundle.ran() == [f"{job}.0"]


def test_the_controller_is_down_when_a_job_starts(lab: Lab) -> None:
    """Nothing fails for it: the successor is queued, and the work begins, when it is back."""
    wait = 'until [ -e "$here/down" ]; do sleep 0.1; done\n'
    lab.stand_in("sbatch", f'{ON_NODES}touch "$here/asked"\n{wait}exec "$real" "$@"')
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    here = lab.folder / "stand-ins"
    wait_for((here / "asked").exists)
    lab.cluster.stop("slurmctld")
    (here / "down").touch()
    (attempt,) = bundle.says("attempt")
    wait_for(lambda: "controller does not answer" in bundle.log(attempt["job"]))
    assert bundle.events("successor") == []
    assert bundle.ran() == []
    lab.cluster.start("slurmctld")
    first = bundle.runs()
    (successor,) = bundle.events("successor")
    lab.time_out(first)
    assert bundle.runs(times=2) == successor["job"]
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0", f"{successor['job']}.0"]


def test_compute_nodes_may_not_submit(lab: Lab) -> None:
    lab.stand_in("sbatch", NO_SUBMISSION)
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    end = bundle.ends()
    assert end.name == "stop", bundle.everything()
    assert end.reason == "the next attempt can not be queued from this node"
    (refused,) = bundle.events("no-successor")
    assert "Access/permission denied" in refused.reason
    assert "compile with 'execution.resume.strategy: prequeued'" in bundle.log(refused["job"])
    assert bundle.ran() == []
    assert lab.cluster.state(refused["job"]) == "FAILED"


def test_links_that_were_queued_beforehand(lab: Lab) -> None:
    lab.stand_in("sbatch", NO_SUBMISSION)
    settings = {"strategy": "prequeued", "attempts": 4, "signal_before": 0}
    bundle = lab.bundle(lab.task(), execution={"resume": settings})
    bundle.submit()
    links = [one["job"] for one in bundle.events("submitted")]
    assert len(links) == 4
    assert bundle.runs() == links[0]
    lab.time_out(links[0])
    assert bundle.runs(times=2) == links[1]
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{links[0]}.0", f"{links[1]}.0"]
    states = [lab.cluster.state(job) for job in links]
    assert states == ["TIMEOUT", "COMPLETED", "CANCELLED", "CANCELLED"]


def test_links_that_were_queued_beforehand_and_a_failure(lab: Lab) -> None:
    """They start one after the other, see that the chain has stopped, and leave."""
    settings = {"strategy": "prequeued", "attempts": 3}
    task = lab.command("echo $SLURM_JOB_ID >>../ran; exit 7")
    bundle = lab.bundle(task, execution={"resume": settings})
    bundle.submit()
    first, *others = [one["job"] for one in bundle.events("submitted")]
    assert bundle.ends().name == "stop", bundle.everything()
    assert bundle.ran() == [first]
    assert lab.cluster.state(first) == "FAILED"
    assert all(lab.cluster.state(job) in ("COMPLETED", "CANCELLED") for job in others)
