"""What has become of a job, from what Slurm, the journal and the stage files say. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.backends.running import Sight, State
from evalc.backends.slurm.runs.journal import seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalc.backends.slurm.runs.journal import Chain, Link
    from evalc.backends.slurm.runs.seen import Row

# How long after its submission Slurm may not show a job yet, in seconds.
_GRACE = 60
# Slurm's words for states, see templates/lib/states.sh.
_WAITING = frozenset(("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD",
                      "SPECIAL_EXIT"))  # fmt: skip
_ENDS = {
    "BOOT_FAIL": State.NODE_FAILED,
    "CANCELLED": State.CANCELLED,
    "COMPLETED": State.FAILED,
    "DEADLINE": State.TIMED_OUT,
    "FAILED": State.FAILED,
    "LAUNCH_FAILED": State.FAILED,
    "NODE_FAIL": State.NODE_FAILED,
    "OUT_OF_MEMORY": State.FAILED,
    "PREEMPTED": State.PREEMPTED,
    "RECONFIG_FAIL": State.FAILED,
    "REVOKED": State.CANCELLED,
    "TIMEOUT": State.TIMED_OUT,
}
# A link's own words, which are better than Slurm's where it left with a code of its own.
_KINDS = {
    "failed": State.FAILED,
    "out-of-memory": State.FAILED,
    "told": State.TIMED_OUT,
    "finished": State.COMPLETED,
}
_WAS_CANCELLED = re.compile(r"job \S+ was cancelled\b")
_NOT_LAUNCHED = "JobLaunchFailure"
# Slurm's reasons that say nothing, or that a person would not understand.
_REASONS = {
    "None": "",
    "(null)": "",
    "Dependency": "it follows a job that has not ended",
    "DependencyNeverSatisfied": "Slurm will never start it (DependencyNeverSatisfied)",
    "JobHeldAdmin": "an administrator holds it (JobHeldAdmin)",
    "JobHeldUser": "it is held (JobHeldUser); scontrol release starts it",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a job.

    ``chain`` is what its journal tells, ``queue`` its jobs in the controller's words, ``unasked``
    why that could not be asked. ``accounts`` are the accounting's words by job, ``unaccounted`` why
    there are none; None: it was not asked. ``exits`` are its tasks' ``stage.exit`` as exit code and
    reason, None where one has not ended. ``there`` says whether the run's folder is; ``now`` is its
    host's time in seconds since 1970. ``attempts``, ``done`` and ``total`` are for the sight.
    """

    chain: Chain
    queue: tuple[Row, ...] = ()
    unasked: str = ""
    accounts: Mapping[str, Row] | None = None
    unaccounted: str = ""
    exits: tuple[tuple[int, str] | None, ...] = ()
    there: bool = True
    now: float = 0.0
    attempts: int = 0
    done: int | None = None
    total: int | None = None


def judge(seen: Evidence) -> Sight:
    """The one state that a job has, whatever number of attempts it took."""
    chain = seen.chain
    live = [row for row in seen.queue if row.state not in _ENDS]
    ended = [row for row in seen.queue if row.state in _ENDS and row.id not in chain.earlier]
    if chain.closed == "done" or chain.finished:
        sight = _over(seen, State.COMPLETED)
    elif chain.closed == "stop" and all(row.id in chain.ids for row in live):
        # What was submitted after the chain's end, by hand, is a new one, which has not begun.
        sight = _over(seen, _stopped(seen, ended), _why(seen))
    elif live:
        sight = _live(seen, live)
    elif seen.exits and all(stage is not None and stage[0] == 0 for stage in seen.exits):
        # It was killed between its results and the journal.
        sight = _over(seen, State.COMPLETED)
    elif not seen.there:
        sight = _sight(seen, State.UNKNOWN, "its folder is not there, or can't be read")
    elif seen.unasked:
        sight = _sight(seen, State.UNKNOWN, f"could not ask: {seen.unasked}")
    elif not chain.ids and not ended:
        sight = _sight(seen, State.SUBMITTING, "it has not been submitted")
    else:
        sight = _gone(seen, ended)
    return sight


def _live(seen: Evidence, live: list[Row]) -> Sight:
    """A job of which something is in the queue."""
    chain = seen.chain

    def rank(row: Row) -> int:
        return 0 if row.state in _WAITING else 1 if row.state == "COMPLETING" else 2

    lost = "" if seen.there else "its folder is gone"
    row = max(live, key=rank)
    # By hand after a chain's end: a new chain, whose first attempt writes so.
    attempts = 0 if chain.closed else chain.attempts
    if rank(row) == 0:
        reason = _REASONS.get(row.reason, row.reason)
        if attempts:
            reason = f"waits to go on as attempt {attempts + 1}" + (reason and f": {reason}")
        return _sight(seen, State.PENDING, lost or reason, attempt=attempts)
    known = any(link.job == row.id for link in chain.links.values())
    reason = lost if row.state == "RUNNING" else f"Slurm says {row.state}"
    return _sight(
        seen, State.RUNNING, reason, attempt=attempts + (not known), node=row.nodes,
        began=chain.began or row.start,
    )  # fmt: skip


def _stopped(seen: Evidence, ended: list[Row]) -> State:
    """The state of a chain that says that it has stopped."""
    chain = seen.chain
    if _WAS_CANCELLED.match(chain.reason):
        return State.CANCELLED
    if chain.last is None:
        return State.FAILED
    state = _end_of(_word_of(seen, chain.last.job, chain.last, ended), chain.last.kind)
    # It did not finish: a chain that did does not say that it has stopped.
    return state if state not in (None, State.COMPLETED) else State.FAILED


def _gone(seen: Evidence, ended: list[Row]) -> Sight:
    """A job of which nothing is in the queue, and whose journal does not tell the end."""
    chain, link = seen.chain, seen.chain.last
    job = link.job if link is not None else (chain.ids or [ended[-1].id])[-1]
    word = _word_of(seen, job, link, ended)
    state = _end_of(word, link.kind if link is not None else "")
    newest = chain.ids[-1] if chain.ids else job
    if newest != job and not _word_of(seen, newest, None, ended):
        # It was to go on after the last one, and may yet.
        state, job, word = None, newest, ""
    if state is State.COMPLETED:
        return _over(seen, state)
    if state is not None:
        said = link.reason if link is not None else ""
        text = f"job {job} ended ({word})" if word else f"job {job} ended"
        if word == "COMPLETED":
            text = f"job {job} ended, and left its tasks unfinished"
        said = said or _why_not_begun(seen, job)
        return _over(seen, state, _failure(seen) or (f"{text}: {said}" if said else text))
    noted = seconds(chain.noted)
    begun = any(link.job == job for link in chain.links.values())
    if noted is not None and not begun and seen.now - noted < _GRACE:
        return _sight(seen, State.PENDING, f"Slurm does not show job {job} yet")
    if seen.unaccounted:
        text = f"and the accounting could not be asked: {seen.unaccounted}"
    elif word:
        text = f"though the accounting calls it {word}"
    else:
        text = "nor does its accounting"
    reason = f"Slurm does not know job {job} any more, {text}; its journal does not tell its end"
    return _sight(seen, State.UNKNOWN, reason)


def _why_not_begun(seen: Evidence, job: str) -> str:
    """What to think of a job that Slurm could not start on its node. It says nothing else when it
    can't open the job's log there, for which it has no place to say it."""
    for row in (*seen.queue, *(seen.accounts or {}).values()):
        if row.id == job and row.reason == _NOT_LAUNCHED:
            where = f"node {row.nodes}" if row.nodes else "its node"
            return (
                f"it could not be started on {where} ({_NOT_LAUNCHED}); is the run's folder there? "
                "output_dir has to be on a file system that all nodes share"
            )
    return ""


def _word_of(seen: Evidence, job: str, link: Link | None, ended: list[Row]) -> str:
    """Slurm's word for how a job ended: the controller's, else the accounting's, else the one that
    a later link was told. The accounting alone may say that it goes on; see ``_end_of``."""
    for row in ended:
        if row.id == job:
            return row.state
    account = (seen.accounts or {}).get(job)
    if account is not None:
        return account.state.partition(" ")[0]
    return link.word if link is not None else ""


def _end_of(word: str, kind: str) -> State | None:
    """How a link ended, by Slurm's word and its own; None when nobody knows."""
    if _ENDS.get(word) is State.CANCELLED:
        return State.CANCELLED
    return _KINDS.get(kind) or _ENDS.get(word)


def _why(seen: Evidence) -> str:
    """Why a chain has stopped: what went wrong, and why nothing follows."""
    reason = seen.chain.reason
    if _WAS_CANCELLED.match(reason):
        return reason
    link = seen.chain.last
    first = _failure(seen) or (link.reason if link is not None else "")
    return "; ".join(part for part in (first, reason) if part)


def _failure(seen: Evidence) -> str:
    """What the only task of a job that failed says of it."""
    if len(seen.exits) != 1 or seen.exits[0] is None or seen.exits[0][0] == 0:
        return ""
    code, reason = seen.exits[0]
    return f"{reason} (exit code {code})" if reason else f"exit code {code}"


def _over(seen: Evidence, state: State, reason: str = "") -> Sight:
    chain = seen.chain
    time = chain.at or (chain.last.ended if chain.last is not None else "")
    rows = (*seen.queue, *(seen.accounts or {}).values())
    ends = (row.end for row in rows if row.id in chain.ids and row.end is not None)
    ended = seconds(time) if time else max(ends, default=None)
    return _sight(seen, state, reason, ended=ended)


def _sight(
    seen: Evidence, state: State, reason: str = "", *, attempt: int | None = None, node: str = "",
    began: float | None = None, ended: float | None = None,
) -> Sight:  # fmt: skip
    chain = seen.chain
    new = [row.id for row in seen.queue if row.id not in chain.earlier.union(chain.ids)]
    # In the queue they stand by their priorities.
    new.sort(key=lambda id_: int(id_.partition("_")[0]))
    return Sight(
        state=state,
        reason=reason,
        native=(*chain.ids, *new),
        attempt=chain.attempts if attempt is None else attempt,
        attempts=seen.attempts,
        began=began or chain.began,
        ended=ended,
        node=node or (chain.last.node if chain.last is not None else ""),
        done=seen.done,
        total=seen.total,
    )
