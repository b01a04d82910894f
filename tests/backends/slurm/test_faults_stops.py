"""What must end a chain, each really caused: it stops at once, says why, and leaves nothing queued."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from backends.slurm.lab import Bundle, Event, Lab

# Of the ten minutes of walltime, at most this much may be burnt where nothing works.
SOON = 60


def stopped(bundle: Bundle) -> Event:
    """The chain's end, which must be a stop with nothing left in the queue."""
    end = bundle.ends()
    assert end.name == "stop", bundle.everything()
    assert bundle.cluster.queue() == []
    return end


def resume(**keys: Any) -> dict[str, Any]:
    return {"resume": {"signal_before": 0, **keys}}


@pytest.mark.parametrize("failed", [0, 1])
def test_a_harness_fails(lab: Lab, failed: int) -> None:
    task = lab.harness(extra={"exit_code": 7}, pre_cmd="echo ran >>../ran")
    bundle = lab.bundle(task, deployment=lab.server(), execution=resume(failed=failed))
    bundle.submit()
    reason = stopped(bundle).reason
    assert f"execution.resume.failed allows {failed} " in reason
    ends = bundle.events("end")
    assert [(end["exit"], end["kind"]) for end in ends] == [("7", "failed")] * (failed + 1)
    assert all(end.reason == "failed: alpha" for end in ends)
    assert bundle.ran() == ["ran"] * (failed + 1)
    # No other allocation was made: the last successor never ran.
    assert len(bundle.events("attempt")) == failed + 1
    last = bundle.events("attempt")[-1]["job"]
    states = [lab.cluster.state(end["job"]) for end in ends]
    assert states == ["FAILED"] * (failed + 1)
    of_last = [one["job"] for one in bundle.events("successor") if one["of"] == last]
    assert [lab.cluster.state(job) for job in of_last] == ["CANCELLED"]
    assert bundle.exit() == (7, "the harness failed")


def test_a_crash_loop(lab: Lab) -> None:
    task = lab.command("echo $SLURM_JOB_ID >>../ran; exit 1")
    bundle = lab.bundle(task, execution=resume(failed=100, attempts=100, idle=3))
    bundle.submit()
    assert "the last 3 attempts made no progress" in stopped(bundle).reason
    assert len(bundle.ran()) == 3
    assert len(set(bundle.ran())) == 3


def test_time_outs_without_progress(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=resume(attempts=100, idle=2))
    bundle.submit()
    for attempt in (1, 2):
        lab.time_out(bundle.runs(times=attempt))
    assert "the last 2 attempts made no progress" in stopped(bundle).reason
    assert len(bundle.ran()) == 2


def test_time_outs_with_progress_go_on(lab: Lab) -> None:
    """Up to the attempts that there are."""
    work = {"pre_cmd": "echo one more response >>responses"}
    bundle = lab.bundle(lab.task(**work), execution=resume(attempts=3, idle=1))
    bundle.submit()
    for attempt in (1, 2, 3):
        lab.time_out(bundle.runs(times=attempt))
    assert "all attempts are used up (3 of 3; execution.resume.attempts)" in stopped(bundle).reason
    assert len(bundle.ran()) == 3


@pytest.mark.parametrize(
    ("arguments", "within", "reason", "last_line"),
    [
        ("--die-after 0.5 --never-ready", 60, "died before it was ready", "the model server dies"),
        ("--never-ready", 2, "was not ready within 2 s", '"GET /health HTTP/1.1" 503'),
        ("--die-after 3", 60, "died during the evaluation", "the model server dies"),
    ],
    ids=["dies-at-its-start", "never-ready", "dies-in-the-middle"],
)
def test_a_server_fails(lab: Lab, arguments: str, within: int, reason: str, last_line: str) -> None:
    task = lab.harness(extra={"wait_for": "/nowhere"})
    bundle = lab.bundle(
        task,
        deployment=lab.server(*arguments.split()),
        execution={**resume(), "endpoint_readiness_timeout": within},
    )
    bundle.submit()
    stopped(bundle)
    (end,) = bundle.events("end")
    assert reason in end.reason
    assert end["exit"] == "69"
    assert int(end["elapsed"]) < SOON
    code, why = bundle.exit()
    assert code == 69
    assert "the server 'model'" in why
    # What the server said last can be read in the job's own log.
    assert last_line in bundle.log(end["job"])
    assert len(bundle.events("attempt")) == 1
    assert lab.cluster.state(end["job"]) == "FAILED"


def test_the_total_walltime_is_used_up(lab: Lab) -> None:
    times = {"walltime": "2:00", "max_walltime": "3:00"}
    task = lab.task("sleep 1.1; echo one more >>responses; exit 1")
    bundle = lab.bundle(task, execution={**resume(failed=100), **times})
    bundle.submit()
    bundle.runs()
    (successor,) = bundle.says("successor")
    # The next one gets what is left.
    shown = lab.cluster("scontrol", "show", "job", successor["job"]).stdout
    assert re.search(r"\bTimeLimit=00:01:00\b", shown)
    bundle.release()
    assert "total walltime" in stopped(bundle).reason
    attempts = bundle.events("attempt")
    assert [one["job"] for one in attempts][1] == successor["job"]
    assert len(bundle.ran()) == len(attempts) == 2
