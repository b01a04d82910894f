"""What has become of a job, judged from what was seen: tables, nothing runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evalc.backends.local.runs.judge import judge, judge_step
from evalc.backends.local.runs.seen import Ending, SeenRun, SeenStep, read_all
from evalc.backends.running import Job, State

IDLE = SeenRun()
WORKING = SeenRun(runner="10", all="11", began=5.0)
# Started by hand, or its keeper was killed.
BY_HAND = SeenRun(all="11", known=False)
FRESH = SeenStep(asked=True)
BEGUN = SeenStep(asked=True, began=100.0)
SERVED = replace(BEGUN, ready=True)


def ended(code: int, reason: str = "", **facts: Any) -> SeenStep:
    return replace(SERVED, ended=Ending(200.0, code, reason), **facts)


def over(code: int, reason: str = "") -> SeenRun:
    return SeenRun(ended=Ending(300.0, code, reason))


@pytest.mark.parametrize(
    ("step", "run", "state", "reason"),
    [
        # It has ended, and says how, whoever else lives.
        (ended(0), IDLE, State.COMPLETED, ""),
        (ended(0), WORKING, State.COMPLETED, ""),
        (ended(0, stale=True), WORKING, State.COMPLETED, ""),
        (ended(0), over(1), State.COMPLETED, ""),
        (ended(1, "the harness failed"), over(1), State.FAILED, "exit code 1: the harness failed"),
        (ended(1, "the harness failed"), WORKING, State.FAILED, "exit code 1: the harness failed"),
        (ended(69, "a server died"), IDLE, State.FAILED, "exit code 69: a server died"),
        (ended(137, "killed by signal 9"), IDLE, State.FAILED, "exit code 137: killed by signal 9"),
        (ended(9), IDLE, State.FAILED, "exit code 9: no reason is known"),
        (ended(130, "interrupted by SIGINT"), IDLE, State.CANCELLED, "interrupted by SIGINT"),
        (ended(143, "interrupted by SIGTERM"), WORKING, State.CANCELLED, "interrupted by SIGTERM"),
        (ended(129, "interrupted by SIGHUP"), IDLE, State.CANCELLED, "interrupted by SIGHUP"),
        # It is to be repeated.
        (ended(1, stale=True), WORKING, State.PENDING, "waits for its turn"),
        (ended(1, stale=True, asked=False), WORKING, State.FAILED, "exit code 1: no reason is known"),
        (ended(1, stale=True, script="5"), WORKING, State.RUNNING, ""),
        (ended(1, stale=True, marked=True), WORKING, State.CANCELLED, "was stopped before it began"),
        # It is in the middle.
        (replace(SERVED, script="5"), WORKING, State.RUNNING, ""),
        (replace(BEGUN, script="5"), WORKING, State.RUNNING, "its server starts"),
        (replace(SERVED, script="5", asked=False), IDLE, State.RUNNING, ""),
        (replace(SERVED, script="5"), over(1), State.RUNNING, ""),
        (replace(SERVED, script="5"), IDLE, State.RUNNING, "run_all.sh is gone, this goes on without it"),
        # Its script was killed by -9.
        (replace(SERVED, box="evalc-a-client-1"), IDLE, State.RUNNING, "its script is gone, the container evalc-a-client-1 runs"),
        (replace(SERVED, box="evalc-a-client-1", client="7"), IDLE, State.RUNNING, "its script is gone, the container evalc-a-client-1 runs"),
        (replace(SERVED, client="7"), WORKING, State.RUNNING, "its script is gone, the evaluation (process 7) runs"),
        (replace(SERVED, box="? docker does not answer: no"), IDLE, State.UNKNOWN, "its script is gone, and docker does not answer: no"),
        (SERVED, IDLE, State.FAILED, "was killed in the middle; 'evalc resume' goes on"),
        (BEGUN, WORKING, State.FAILED, "was killed in the middle; 'evalc resume' goes on"),
        (SERVED, over(1), State.FAILED, "was killed in the middle; 'evalc resume' goes on"),
        (replace(SERVED, marked=True), IDLE, State.CANCELLED, "it was stopped"),
        # It has not begun.
        (FRESH, WORKING, State.PENDING, "waits for its turn"),
        (FRESH, replace(WORKING, all=""), State.PENDING, "waits for its turn"),
        (FRESH, replace(WORKING, runner=""), State.PENDING, "waits for its turn"),
        (SeenStep(), BY_HAND, State.PENDING, "waits for its turn"),
        (replace(FRESH, script="5"), WORKING, State.RUNNING, ""),
        (replace(FRESH, marked=True), WORKING, State.CANCELLED, "was stopped before it began"),
        (SeenStep(), WORKING, State.UNKNOWN, "was not started; 'evalc resume' does it"),
        (SeenStep(), IDLE, State.UNKNOWN, "was not started; 'evalc resume' does it"),
        (FRESH, IDLE, State.FAILED, "was killed before it began; 'evalc resume' goes on"),
        (FRESH, over(143, "interrupted"), State.CANCELLED, "was stopped before it began"),
        (FRESH, over(130), State.CANCELLED, "was stopped before it began"),
        (FRESH, over(78, "not set: KEY"), State.FAILED, "exit code 78: not set: KEY"),
        (replace(FRESH, said="podman is not installed"), over(1, "x"), State.FAILED, "podman is not installed"),
        (FRESH, over(1), State.FAILED, "ended before it began; the job's log may tell why"),
        (FRESH, over(0), State.FAILED, "ended before it began; the job's log may tell why"),
    ],
)  # fmt: skip
def test_a_task(step: SeenStep, run: SeenRun, state: State, reason: str) -> None:
    sight = judge_step(step, run)
    assert (sight.state, sight.reason) == (state, reason)


JOB = Job("job", ("a", "b", "c"))
DONE, FAILED = ended(0), ended(1, "the harness failed")
STOPPED, RUNS = ended(143, "interrupted by SIGTERM"), replace(SERVED, script="5")
WHY = "exit code 1: the harness failed"


@pytest.mark.parametrize(
    ("steps", "run", "state", "reason"),
    [
        ((DONE, DONE, DONE), IDLE, State.COMPLETED, ""),
        ((DONE, FAILED, DONE), IDLE, State.FAILED, f"b: {WHY}"),
        ((FAILED, FAILED, FAILED), IDLE, State.FAILED, f"a: {WHY}; b: {WHY}; and 1 more"),
        ((DONE, STOPPED, DONE), IDLE, State.CANCELLED, "b: interrupted by SIGTERM"),
        ((FAILED, STOPPED, DONE), IDLE, State.FAILED, f"a: {WHY}"),
        ((FRESH, FRESH, FRESH), WORKING, State.PENDING, "a: waits for its turn; b: waits for its turn; and 1 more"),
        ((FRESH, FRESH, FRESH), replace(WORKING, servers=("model",)), State.RUNNING, "waits for its servers (model)"),
        ((DONE, RUNS, FRESH), WORKING, State.RUNNING, "1 of 3 tasks are done"),
        ((FAILED, RUNS, FRESH), WORKING, State.RUNNING, "0 of 3 tasks are done, 1 failed"),
        # Between two tasks.
        ((DONE, FRESH, FRESH), WORKING, State.RUNNING, "1 of 3 tasks are done"),
        ((DONE, SeenStep(), DONE), IDLE, State.UNKNOWN, "b: was not started; 'evalc resume' does it"),
        ((DONE, SERVED, FRESH), IDLE, State.FAILED, "b: was killed in the middle; 'evalc resume' goes on; c: was killed before it began; 'evalc resume' goes on"),
        # The scripts are gone, a server is not.
        ((DONE, DONE, DONE), SeenRun(servers=("model",)), State.COMPLETED, "its servers (model) were left behind and still run; 'evalc kill' stops them"),
        ((DONE, DONE, DONE), replace(WORKING, servers=("model",)), State.COMPLETED, ""),
    ],
)  # fmt: skip
def test_a_job_of_several_tasks(
    steps: tuple[SeenStep, ...], run: SeenRun, state: State, reason: str
) -> None:
    sight = judge(JOB, replace(run, steps=dict(zip(JOB.steps, steps, strict=True))))
    assert (sight.state, sight.reason) == (state, reason)


def one(step: SeenStep, run: SeenRun = IDLE) -> Any:
    return judge(Job("a", ("a",)), replace(run, steps={"a": step}))


def test_times_and_attempts() -> None:
    waits, runs, done = one(FRESH, WORKING), one(replace(RUNS, script="77"), WORKING), one(DONE)
    assert (waits.attempt, waits.attempts, waits.began, waits.native) == (0, 1, None, ())
    assert (runs.attempt, runs.attempts, runs.began, runs.ended) == (1, 1, 100.0, None)
    assert runs.native == ("77",)
    assert (done.attempt, done.began, done.ended) == (1, 100.0, 200.0)
    # Of several: from the first's start to the last's end.
    late = replace(DONE, began=150.0, ended=Ending(250.0, 0))
    steps = dict(zip(JOB.steps, (DONE, late, DONE), strict=True))
    sight = judge(JOB, replace(IDLE, steps=steps))
    assert (sight.began, sight.ended) == (100.0, 250.0)
    # As long as its server starts, a job runs since the run does.
    assert one(FRESH, replace(WORKING, servers=("model",))).began == 5.0


@pytest.mark.parametrize(
    ("done", "total", "told"),
    [
        (None, 10, (None, None)),
        (3, None, (3, None)),
        (3, 10, (3, 10)),
        (10, 10, (10, 10)),
        # Counted again from the cache after an interruption.
        (13, 10, (13, None)),
    ],
)
def test_progress(done: int | None, total: int | None, told: tuple[int | None, int | None]) -> None:
    sight = one(replace(RUNS, done=done, total=total), WORKING)
    assert (sight.done, sight.total) == told


def test_progress_of_several_has_a_bound_when_all_have() -> None:
    counted, open_end = replace(RUNS, done=3, total=10), replace(RUNS, done=4)
    three = dict.fromkeys(JOB.steps, counted)
    sight = judge(JOB, replace(WORKING, steps=three))
    assert (sight.done, sight.total) == (9, 30)
    sight = judge(JOB, replace(WORKING, steps={**three, "b": open_end}))
    assert (sight.done, sight.total) == (10, None)


def test_a_folder_that_is_gone() -> None:
    sight = judge(JOB, SeenRun(there=False))
    assert (sight.state, sight.reason) == (State.UNKNOWN, "its folder is gone")


def test_reading() -> None:
    text = (
        "run\t1\t10\t\t1\t2026-01-31T12:00:00Z\tmodel judge\t2026-01-31T12:00:09Z 69 it\x0bdied\n"
        "task\t2026-01-31T12:00:05Z 1 the harness failed\t1\t2026-01-31T12:00:01Z\t\t7\t8\tbox\t1\t1\t3\t4\ta b\n"
        "task\t     \t\t\t\t\t\t\t\t\t\t\t\n"
        "run\t\t\t\t\t\t\t\n"
    )
    noon = 1769860800.0
    first, second = read_all(text, [["a", "b"], []])
    assert first.ended == Ending(noon + 9, 69, "it\x0bdied")
    assert (first.there, first.runner, first.all, first.known) == (True, "10", "", True)
    assert (first.began, first.servers) == (noon, ("model", "judge"))
    failed = Ending(noon + 5, 1, "the harness failed")
    assert first.steps == {
        "a": SeenStep(failed, True, noon + 1, False, "7", "8", "box", True, True, 3, 4, "a b"),
        "b": SeenStep(),
    }
    assert second.there is False


@pytest.mark.parametrize("text", ["", "run\t1\n", "bash: line 1: no\n", "run\t1\t\t\t1\t\t\t\n"])
def test_an_answer_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(run|bash|$)"):
        read_all(text, [["a"]])


def test_the_servers_of_a_cell_are_not_those_of_another() -> None:
    """One cell is at work, and the other waits for its turn, not for that one's server."""
    steps = {f"{cell}.{task}": FRESH for cell in ("one", "two") for task in ("a", "b")}
    run = replace(WORKING, servers=("one.model",), steps=steps)
    first = judge(Job("one", ("one.a", "one.b")), run)
    assert (first.state, first.reason) == (State.RUNNING, "waits for its servers (one.model)")
    second = judge(Job("two", ("two.a", "two.b")), run)
    assert second.state is State.PENDING
    assert "waits for its turn" in second.reason
