"""How Slurm, or a person, ends a job before its work is done, each way really caused; what follows.

That each task runs once at a time is asserted by the task itself: see :meth:`Lab.task`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from backends.slurm.lab import HARNESS_TASK
from waiting import wait_for

if TYPE_CHECKING:
    from backends.slurm.lab import Bundle, Lab

# Jobs are not told before their walltime's end, unless a test is about that.
UNTOLD: dict[str, Any] = {"resume": {"signal_before": 0}}


def states_of(bundle: Bundle) -> list[str]:
    """Those of the attempts, in order, as Slurm tells them."""
    return [bundle.cluster.state(one["job"]) for one in bundle.events("attempt")]


def previous_of(bundle: Bundle, job: str) -> str:
    """The state that the attempt after this job found it in; empty when it did not ask."""
    return "".join(one["state"] for one in bundle.events("previous") if one["job"] == job)


def test_a_time_out_in_a_shared_job(lab: Lab) -> None:
    go = lab.folder / "go"
    alpha = lab.harness(pre_cmd="echo alpha >>../../ran")
    beta = {**lab.harness(extra={"wait_for": str(go)}), "name": HARNESS_TASK, "id": "beta"}
    beta["pre_cmd"] = "echo beta >>../../ran"
    bundle = lab.bundle(
        alpha, beta, deployment=lab.server(), execution={"sharing": "shared", **UNTOLD}
    )
    bundle.submit()
    first = wait_for(lambda: bundle.events("attempt", ""))[0]["job"]
    wait_for(lambda: list(bundle.path("beta", "artifacts").glob("cache/*")))
    lab.time_out(first)
    go.touch()
    assert bundle.ends("").name == "done", bundle.everything("")
    assert len(bundle.events("attempt", "")) == 2
    assert lab.cluster.state(first) == "TIMEOUT"
    # What was finished is not run again, and what was answered is not asked again.
    assert bundle.text("ran").split() == ["alpha", "beta", "beta"]
    assert bundle.asked("") == 6
    for task in ("alpha", "beta"):
        assert bundle.exit(task) == (0, "")
        assert "results" in bundle.text(task, "artifacts", "results.yml")


def test_a_signal_before_the_walltime(lab: Lab) -> None:
    go = lab.folder / "go"
    task = lab.harness(extra={"wait_for": str(go)}, pre_cmd="ls -A >>../seen")
    bundle = lab.bundle(task, deployment=lab.server())
    job = bundle.sbatch()
    wait_for(lambda: list(bundle.path("alpha", "artifacts").glob("cache/*")))
    # The signal comes two minutes before the end, or up to 30 seconds earlier.
    lab.cluster.move_clock(8 * 60 + 5)
    (told,) = bundle.says("end")
    assert (told["kind"], told["exit"], told["job"]) == ("told", "124", job)
    assert [event["name"] for event in bundle.events("signal")] == ["USR1"]
    assert lab.cluster.wait(job, "FAILED", "TIMEOUT") == "FAILED"
    go.touch()
    assert bundle.ends().name == "done", bundle.everything()
    # The harness had the time to save its work, and went on from it.
    assert "interrupted" in bundle.log(job)
    assert "cache" in bundle.text("alpha", "seen").split()
    assert bundle.asked() == 3
    assert len(bundle.events("attempt")) == 2


def test_preemption(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    first = bundle.runs()
    high = lab.cluster.submit(
        "--partition=high", "--nodes=4", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"
    )
    lab.cluster.wait(first, "PREEMPTED")
    lab.cluster.wait(high, "COMPLETED")
    second = bundle.runs(times=2)
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert previous_of(bundle, first) in ("PREEMPTED", "")
    assert states_of(bundle) == ["PREEMPTED", "COMPLETED"]
    assert [one["job"] for one in bundle.events("successor") if one["of"] == first] == [second]
    assert bundle.ran() == [f"{first}.0", f"{second}.0"]


def test_a_requeue_by_an_administrator(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    job = bundle.runs()
    assert lab.cluster("scontrol", "update", f"jobid={job}", "requeue=1").returncode == 0
    assert lab.cluster("scontrol", "requeue", job).returncode == 0
    assert bundle.runs(times=2) == job
    (successor,) = bundle.events("successor")
    assert sorted(lab.cluster.queue()) == sorted([job, successor["job"]])
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{job}.0", f"{job}.1"]
    assert len(bundle.events("successor")) == 1
    assert lab.cluster.state(successor["job"]) == "CANCELLED"


def test_a_node_is_lost(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    first = bundle.runs()
    (attempt,) = bundle.events("attempt")
    lab.cluster.lose_node(attempt["node"])
    second = bundle.runs(times=2)
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert states_of(bundle) == ["NODE_FAIL", "COMPLETED"]
    assert previous_of(bundle, first) == "NODE_FAIL"
    assert bundle.events("attempt")[-1]["node"] != attempt["node"]
    assert bundle.ran() == [f"{first}.0", f"{second}.0"]


def test_success_leaves_no_successor(lab: Lab) -> None:
    bundle = lab.bundle(lab.task())
    bundle.submit()
    job = bundle.runs()
    (successor,) = bundle.events("successor")
    assert lab.cluster.state(successor["job"]) == "PENDING"
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert lab.cluster.state(job) == "COMPLETED"
    assert lab.cluster.state(successor["job"]) == "CANCELLED"
    assert lab.cluster.queue() == []
    assert bundle.ran() == [f"{job}.0"]


@pytest.mark.parametrize("slow", [False, True], ids=["in-time", "killed"])
def test_cancelled_by_its_user(lab: Lab, slow: bool) -> None:
    """``killed``: the script has no time to say a word, and its successor sees what happened."""
    if slow:
        # A script asks for its steps before it stops them, and Slurm kills it after two seconds.
        lab.stand_in("squeue", 'case "$*" in *" -s "*) exec sleep 60 ;; esac; exec "$real" "$@"')
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    job = bundle.runs()
    (successor,) = bundle.events("successor")
    assert lab.cluster("scancel", job).returncode == 0
    ended = bundle.ends()
    assert ended.name == "stop", bundle.everything()
    assert f"job {job} was cancelled" in ended.reason
    assert lab.cluster.state(job) == "CANCELLED"
    assert bundle.ran() == [f"{job}.0"]
    assert len(bundle.events("attempt")) == 1
    assert len(bundle.events("successor")) == 1
    assert lab.cluster.state(successor["job"]) == ("FAILED" if slow else "CANCELLED")
    assert bundle.exit() == ((None, "") if slow else (143, "interrupted by SIGTERM"))
