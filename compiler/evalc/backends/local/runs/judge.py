"""What has become of a job, from what was seen. Pure: tables of cases are its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.running import Sight, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.backends.local.runs.seen import Ending, SeenRun, SeenStep
    from evalc.backends.running import Job

# The scripts' codes for HUP, INT and TERM: a person's doing, or of one who shuts the machine down.
_INTERRUPTED = frozenset((129, 130, 143))
# Of run_all.sh: a task failed, which says why itself.
_TASK_FAILED = 1
_RESUME = "'evalc resume' goes on"


def judge(job: Job, run: SeenRun) -> Sight:
    """A job of this run."""
    if not run.there:
        return Sight(State.UNKNOWN, "its folder is gone")
    seen = [run.steps[step] for step in job.steps]
    sights = [judge_step(step, run) for step in seen]
    state = _together([sight.state for sight in sights])
    reason = _reason(job, sights, state)
    servers = [name for name in run.servers if _serves(name, job)]
    if state is State.PENDING and servers:
        state, reason = State.RUNNING, f"waits for its servers ({', '.join(servers)})"
    elif servers and not run.lives and not reason:
        names = ", ".join(servers)
        reason = f"its servers ({names}) were left behind and still run; 'evalc kill' stops them"
    began = [sight.began for sight in sights if sight.began is not None]
    ended = [sight.ended for sight in sights if sight.ended is not None]
    attempted = bool(began) or state is State.RUNNING
    done, total = _progress(sights)
    return Sight(
        state,
        reason,
        native=tuple(step.script for step in seen if step.script),
        attempt=int(attempted),
        attempts=1,
        began=min(began, default=run.began if state is State.RUNNING else None),
        ended=max(ended, default=None) if state.is_end else None,
        done=done,
        total=total,
    )


def _serves(server: str, job: Job) -> bool:
    """Whether a shared server is a job's: that of a matrix's cell is called CELL.NAME, as its jobs
    are."""
    cell = server.rpartition(".")[0]
    return not cell or f"{job.id}.".startswith(f"{cell}.")


def judge_step(step: SeenStep, run: SeenRun) -> Sight:
    """A task of this run; of its facts, those that :func:`judge` needs."""
    if step.ended and not (step.stale and step.asked and step.ended.code != 0):
        return _counted(step, *_ended(step.ended), ended=step.ended.at)
    if step.ended is None and step.began is not None:
        return _counted(step, *_begun(step, run))
    if step.script:
        return _counted(step, State.RUNNING, "")
    return Sight(*_not_begun(step, run))


def _ended(ending: Ending) -> tuple[State, str]:
    if ending.code == 0:
        return State.COMPLETED, ""
    if ending.code in _INTERRUPTED:
        return State.CANCELLED, ending.reason
    return State.FAILED, f"exit code {ending.code}: {ending.reason or 'no reason is known'}"


def _begun(step: SeenStep, run: SeenRun) -> tuple[State, str]:
    if step.script:
        orphan = step.asked and not run.lives and run.ended is None
        waits = "" if step.ready else "its server starts"
        return State.RUNNING, "run_all.sh is gone, this goes on without it" if orphan else waits
    if step.box.startswith("?"):
        return State.UNKNOWN, f"its script is gone, and{step.box[1:]}"
    if step.box:
        return State.RUNNING, f"its script is gone, the container {step.box} runs"
    if step.client:
        return State.RUNNING, f"its script is gone, the evaluation (process {step.client}) runs"
    if step.marked:
        return State.CANCELLED, "it was stopped"
    return State.FAILED, f"was killed in the middle; {_RESUME}"


def _not_begun(step: SeenStep, run: SeenRun) -> tuple[State, str]:
    ending = run.ended
    if step.marked or (step.asked and not run.lives and ending and ending.code in _INTERRUPTED):
        return State.CANCELLED, "was stopped before it began"
    if run.lives and (step.asked or not run.known):
        return State.PENDING, "waits for its turn"
    if not step.asked:
        return State.UNKNOWN, "was not started; 'evalc resume' does it"
    if ending is None:
        return State.FAILED, f"was killed before it began; {_RESUME}"
    if ending.code == _TASK_FAILED or not ending.reason:
        return State.FAILED, step.said or "ended before it began; the job's log may tell why"
    return State.FAILED, f"exit code {ending.code}: {ending.reason}"


def _counted(step: SeenStep, state: State, reason: str, ended: float | None = None) -> Sight:
    """With the times and counts of a task that has begun. A harness that goes on from a cache may
    count what is in there again, and so more than there is."""
    total = (
        step.total if step.done is None or step.total is None or step.done <= step.total else None
    )
    return Sight(state, reason, began=step.began, ended=ended, done=step.done, total=total)


def _together(states: Sequence[State]) -> State:
    """Of tasks that belong to one job."""
    waiting = State.PENDING in states
    if State.RUNNING in states or (waiting and any(state.is_end for state in states)):
        return State.RUNNING
    for state in (State.PENDING, State.UNKNOWN, State.FAILED, State.CANCELLED):
        if state in states:
            return state
    return State.COMPLETED


def _reason(job: Job, sights: Sequence[Sight], state: State) -> str:
    if len(sights) == 1:
        return sights[0].reason
    own = [
        f"{step}: {sight.reason}"
        for step, sight in zip(job.steps, sights, strict=True)
        if sight.state is state and sight.reason
    ]
    if state is State.RUNNING:
        failed = sum(sight.state is State.FAILED for sight in sights)
        done = sum(sight.state is State.COMPLETED for sight in sights)
        own = [f"{done} of {len(sights)} tasks are done{f', {failed} failed' * bool(failed)}", *own]
    return "; ".join(own[:2]) + (f"; and {len(own) - 2} more" if len(own) > 2 else "")


def _progress(sights: Sequence[Sight]) -> tuple[int | None, int | None]:
    """Totals only where every task has one."""
    done = [sight.done for sight in sights if sight.done is not None]
    total = [sight.total for sight in sights if sight.total is not None]
    return sum(done) if done else None, sum(total) if len(total) == len(sights) and done else None
