"""What is made of Slurm's words, journals and stage files; without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from evalc.backends.running import Job, Run, State
from evalc.backends.slurm.runs import SlurmRuns, journal, seen
from evalc.backends.slurm.runs.judge import Evidence, judge
from evalc.backends.slurm.runs.seen import Row

NOW = journal.seconds("2026-11-24T03:00:00Z") or 0.0
LONG_AGO = "2026-11-24T02:00:00Z"
JUST_NOW = "2026-11-24T02:59:30Z"
SUBMITTED = ("chain by=submit_all", "submitted job=5 link=1")
STARTED = (*SUBMITTED, "chain job=5", "attempt n=1 job=5 restart=0 node=n3 start=1000 done=0:0")
GOES_ON = (*STARTED, "successor job=6 of=5")
SECOND = (
    *GOES_ON,
    "previous job=5 restart=0 state=TIMEOUT source=scontrol kind=resume elapsed=10",
    "attempt n=2 job=6 restart=0 node=n4 start=2000 done=0:0 after=5",
)
FAILED = (*STARTED, "end job=5 restart=0 exit=7 kind=failed elapsed=9 reason=failed: alpha")
TOLD = (
    *STARTED,
    "end job=5 restart=0 exit=124 kind=told elapsed=9 reason=the walltime is about to end",
)
INTERRUPTED = (
    *STARTED,
    "end job=5 restart=0 exit=143 kind=interrupted elapsed=9 reason=interrupted by SIGTERM",
)
CANCELLED = (*INTERRUPTED, "stop job=5 reason=job 5 was cancelled (CANCELLED by 1000)")
STOPPED = "stop job=5 reason=all attempts are used up (1 of 1; execution.resume.attempts)"


def text(*lines: str, at: str = LONG_AGO) -> str:
    return "".join(f"{at} {line}\n" for line in lines)


def rows(*pairs: str) -> tuple[Row, ...]:
    """``ID STATE [REASON]`` each."""
    found = []
    for pair in pairs:
        id_, state, *reason = pair.split(" ")
        found.append(Row(id_, state, 1500.0, 2500.0, "n2", "".join(reason)))
    return tuple(found)


def sight_of(lines: tuple[str, ...], *queue: str, at: str = LONG_AGO, **keys: Any) -> Any:
    chain = journal.read(text(*lines, at=at))
    if "accounts" in keys:
        keys["accounts"] = {row.id: row for row in rows(*keys["accounts"])}
    return judge(Evidence(chain, rows(*queue), now=NOW, attempts=10, **keys))


DONE = ((0, ""),)
BROKEN = ((7, "the harness failed"),)
FORGOTTEN = (
    "Slurm does not know job 5 any more, nor does its accounting; its journal does not tell its end"
)


@pytest.mark.parametrize(
    ("lines", "queue", "keys", "state", "reason"),
    [
        # Before it begins
        ((), (), {}, State.SUBMITTING, "it has not been submitted"),
        (("chain by=submit_all",), (), {}, State.SUBMITTING, "it has not been submitted"),
        ((), ("5 PENDING Priority",), {}, State.PENDING, "Priority"),
        (SUBMITTED, ("5 PENDING None",), {}, State.PENDING, ""),
        (SUBMITTED, ("5 PENDING JobHeldUser",), {}, State.PENDING, "it is held (JobHeldUser); scontrol release starts it"),
        (SUBMITTED, (), {"at": JUST_NOW}, State.PENDING, "Slurm does not show job 5 yet"),
        (SUBMITTED, (), {"at": JUST_NOW, "accounts": ("5 PENDING",)}, State.PENDING, "Slurm does not show job 5 yet"),
        (SUBMITTED, (), {}, State.UNKNOWN, FORGOTTEN),
        (SUBMITTED, ("5 CANCELLED",), {}, State.CANCELLED, "job 5 ended (CANCELLED)"),
        (SUBMITTED, ("5 FAILED",), {}, State.FAILED, "job 5 ended (FAILED)"),
        # While it runs
        (SUBMITTED, ("5 RUNNING",), {}, State.RUNNING, ""),
        (STARTED, ("5 RUNNING",), {}, State.RUNNING, ""),
        (GOES_ON, ("5 RUNNING", "6 PENDING Dependency"), {}, State.RUNNING, ""),
        (GOES_ON, ("6 PENDING Dependency", "5 COMPLETING"), {}, State.RUNNING, "Slurm says COMPLETING"),
        (STARTED, ("5 SUSPENDED",), {}, State.RUNNING, "Slurm says SUSPENDED"),
        (GOES_ON, ("5 TIMEOUT", "6 PENDING Resources"), {}, State.PENDING, "waits to go on as attempt 2: Resources"),
        (STARTED, ("5 PENDING BeginTime",), {}, State.PENDING, "waits to go on as attempt 2: BeginTime"),
        (SECOND, ("5 TIMEOUT", "6 RUNNING"), {}, State.RUNNING, ""),
        # What the journal tells
        ((*STARTED, "done job=5"), (), {}, State.COMPLETED, ""),
        ((*STARTED, "done job=5"), ("5 COMPLETING", "6 PENDING"), {}, State.COMPLETED, ""),
        ((*STARTED, "done job=5"), (), {"unasked": "no"}, State.COMPLETED, ""),
        ((*SUBMITTED, "left job=5 reason=everything is finished already"), (), {}, State.COMPLETED, ""),
        ((*FAILED, STOPPED), (), {"exits": BROKEN}, State.FAILED, f"the harness failed (exit code 7); {STOPPED[18:]}"),
        ((*FAILED, STOPPED), (), {"unasked": "no"}, State.FAILED, f"failed: alpha; {STOPPED[18:]}"),
        ((*TOLD, STOPPED), ("5 FAILED",), {}, State.TIMED_OUT, f"the walltime is about to end; {STOPPED[18:]}"),
        ((*INTERRUPTED, STOPPED), ("5 PREEMPTED",), {}, State.PREEMPTED, f"interrupted by SIGTERM; {STOPPED[18:]}"),
        ((*INTERRUPTED, STOPPED), (), {"accounts": ("5 NODE_FAIL",)}, State.NODE_FAILED, f"interrupted by SIGTERM; {STOPPED[18:]}"),
        ((*INTERRUPTED, STOPPED), (), {}, State.FAILED, f"interrupted by SIGTERM; {STOPPED[18:]}"),
        (CANCELLED, (), {}, State.CANCELLED, "job 5 was cancelled (CANCELLED by 1000)"),
        (CANCELLED, ("5 COMPLETING",), {}, State.CANCELLED, "job 5 was cancelled (CANCELLED by 1000)"),
        ((*SUBMITTED, "stop job=5 reason=job 5 was cancelled (evalc kill)"), (), {}, State.CANCELLED, "job 5 was cancelled (evalc kill)"),
        # A chain that begins anew, by submit_all.sh or by hand
        ((*CANCELLED, "chain by=submit_all", "submitted job=9 link=1"), ("5 CANCELLED", "9 PENDING"), {}, State.PENDING, ""),
        ((*CANCELLED, "chain by=submit_all"), ("5 CANCELLED",), {}, State.SUBMITTING, "it has not been submitted"),
        (CANCELLED, ("9 PENDING",), {}, State.PENDING, ""),
        # Nothing left, and the journal is silent
        (STARTED, ("5 NODE_FAIL",), {}, State.NODE_FAILED, "job 5 ended (NODE_FAIL)"),
        (STARTED, ("5 TIMEOUT",), {}, State.TIMED_OUT, "job 5 ended (TIMEOUT)"),
        (STARTED, ("5 PREEMPTED",), {}, State.PREEMPTED, "job 5 ended (PREEMPTED)"),
        (STARTED, ("5 OUT_OF_MEMORY",), {}, State.FAILED, "job 5 ended (OUT_OF_MEMORY)"),
        (STARTED, ("5 COMPLETED",), {}, State.FAILED, "job 5 ended, and left its tasks unfinished"),
        (STARTED, ("5 COMPLETED",), {"exits": DONE}, State.COMPLETED, ""),
        (STARTED, (), {"exits": DONE, "unasked": "no"}, State.COMPLETED, ""),
        (STARTED, (), {"accounts": ("5 DEADLINE",)}, State.TIMED_OUT, "job 5 ended (DEADLINE)"),
        (STARTED, (), {"accounts": ("5 BOOT_FAIL",)}, State.NODE_FAILED, "job 5 ended (BOOT_FAIL)"),
        (STARTED, (), {"accounts": ("5 RUNNING",)}, State.UNKNOWN, FORGOTTEN.replace("nor does its accounting", "though the accounting calls it RUNNING")),
        (STARTED, (), {"accounts": ()}, State.UNKNOWN, FORGOTTEN),
        (STARTED, (), {"unaccounted": "disabled"}, State.UNKNOWN, FORGOTTEN.replace("nor does its accounting", "and the accounting could not be asked: disabled")),
        (TOLD, ("5 FAILED",), {}, State.TIMED_OUT, "job 5 ended (FAILED): the walltime is about to end"),
        (FAILED, (), {}, State.FAILED, "job 5 ended: failed: alpha"),
        (FAILED, (), {"exits": BROKEN}, State.FAILED, "the harness failed (exit code 7)"),
        (INTERRUPTED, (), {}, State.UNKNOWN, FORGOTTEN),
        (GOES_ON, ("5 TIMEOUT", "6 CANCELLED"), {}, State.TIMED_OUT, "job 5 ended (TIMEOUT)"),
        (GOES_ON, ("5 TIMEOUT",), {"at": JUST_NOW}, State.PENDING, "Slurm does not show job 6 yet"),
        (GOES_ON, ("5 TIMEOUT",), {}, State.UNKNOWN, FORGOTTEN.replace("job 5", "job 6")),
        # Nobody could be asked
        (SUBMITTED, (), {"unasked": "no"}, State.UNKNOWN, "could not ask: no"),
        (GOES_ON, (), {"unasked": "no"}, State.UNKNOWN, "could not ask: no"),
        ((), (), {"unasked": "no"}, State.UNKNOWN, "could not ask: no"),
        ((), (), {"there": False}, State.UNKNOWN, "its folder is not there, or can't be read"),
    ],
)  # fmt: skip
def test_states(
    lines: tuple[str, ...],
    queue: tuple[str, ...],
    keys: dict[str, Any],
    state: State,
    reason: str,
) -> None:
    sight = sight_of(lines, *queue, **keys)
    assert (sight.state, sight.reason) == (state, reason)


@pytest.mark.parametrize("unasked", ["", "Unable to contact slurm controller"])
@pytest.mark.parametrize("lines", [(), SUBMITTED, STARTED, GOES_ON, SECOND, INTERRUPTED])
def test_who_is_not_answered_calls_nothing_a_failure(lines: tuple[str, ...], unasked: str) -> None:
    for at in (LONG_AGO, JUST_NOW):
        assert not sight_of(lines, unasked=unasked, unaccounted="down", at=at).state.is_end


@pytest.mark.parametrize(
    ("lines", "queue", "native", "attempt", "node"),
    [
        ((), ("5 PENDING",), ("5",), 0, ""),
        (SUBMITTED, ("5 PENDING",), ("5",), 0, ""),
        (SUBMITTED, ("5 RUNNING",), ("5",), 1, "n2"),
        (GOES_ON, ("5 RUNNING", "6 PENDING"), ("5", "6"), 1, "n2"),
        (SECOND, ("6 RUNNING",), ("5", "6"), 2, "n2"),
        (SECOND, ("5 TIMEOUT", "6 RUNNING", "7 PENDING"), ("5", "6", "7"), 2, "n2"),
        ((*SECOND, "done job=6"), (), ("5", "6"), 2, "n4"),
        ((*SECOND, "chain by=submit_all", "submitted job=9"), (), ("9",), 0, ""),
        (CANCELLED, ("5 CANCELLED", "9 PENDING"), ("5", "9"), 0, "n3"),
        ((*SUBMITTED, "submitted job=6 link=2", *STARTED[2:]), (), ("5", "6"), 1, "n3"),
        ((*SECOND, "chain job=9", "attempt n=1 job=9 restart=0 node=n1"), (), ("9",), 1, "n1"),
    ],
)
def test_attempts(
    lines: tuple[str, ...], queue: tuple[str, ...], native: tuple[str, ...], attempt: int, node: str
) -> None:
    sight = sight_of(lines, *queue)
    assert (sight.native, sight.attempt, sight.node) == (native, attempt, node)


def test_times() -> None:
    sight = sight_of((*SECOND, "done job=6"), "6 COMPLETING")
    assert (sight.began, sight.ended) == (1000.0, journal.seconds(LONG_AGO))
    # Where the journal is silent, Slurm's own.
    assert sight_of(STARTED, "5 NODE_FAIL").ended == 2500.0
    assert sight_of(SUBMITTED, "5 RUNNING").began == 1500.0


@pytest.mark.parametrize(
    ("cut", "attempts", "closed"),
    [
        (f"{LONG_AGO} attempt n=2 job=6", 2, ""),
        (f"{LONG_AGO} attempt n=2 [cut]\n", 2, ""),
        (f"{LONG_AGO} done job=", 1, ""),
        (f"{LONG_AGO} done job=5 [cut]\n{LONG_AGO} stop job=5 reason=x\n", 1, "stop"),
        ("rubbish\n\n \x00= =\n", 1, ""),
        (f"{LONG_AGO} stop job=5 reason=a reason=b done\n", 1, "stop"),
    ],
)
def test_journals_that_were_cut(cut: str, attempts: int, closed: str) -> None:
    chain = journal.read(text(*STARTED) + cut)
    assert (chain.attempts, chain.closed) == (attempts, closed)


LOOK = """\
submitted 1

now
\t1795489200

queue 0
\tCLUSTER: evalc
\t5_0|RUNNING|1000|N/A|n[1-2]|None|/a|b c/alpha/sbatch_alpha.sh --after 4
\tjunk

run 0 tasks
\t/a|b c

journal 0 alpha
\tone
\t
\ttwo

journal 0 beta
\tcut
config 0 beta
\tend

accounting 1
\tsacct: error: Slurm accounting storage is disabled

"""


def test_what_the_look_prints() -> None:
    found = seen.read(LOOK)
    assert (found.submitted, found.now) == (1, NOW)
    script = "/a|b c/alpha/sbatch_alpha.sh"
    assert found.queue == {
        f"{script}#0": [Row("5_0", "RUNNING", 1000.0, None, "n[1-2]", "None", script)]
    }
    assert found.folders == {0: "/a|b c"}
    assert found.files == {
        ("journal", 0, "alpha"): "one\n\ntwo\n",
        ("journal", 0, "beta"): "cut",
        ("config", 0, "beta"): "end\n",
    }
    assert found.unaccounted == "Slurm accounting storage is disabled"
    assert found.accounts is None


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("queue 124\n\t\n\n", "squeue did not answer in 20 s"),
        ("queue 127\n\ttimeout: failed to run command 'squeue'\n\n", "squeue is not in PATH there"),
        ("queue 1\n\t\n\n", "it ended with 1"),
        (
            "queue 1\n\tslurm_load_jobs error: Unable to contact slurm controller\n\n",
            "slurm_load_jobs error: Unable to contact slurm controller",
        ),
    ],
)  # fmt: skip
def test_why_slurm_could_not_be_asked(block: str, words: str) -> None:
    assert seen.read(block).unasked == words


def run(*jobs: Job, **options: Any) -> Run:
    return Run("run", "/folder", options, jobs, 0.0)


def test_where_logs_are() -> None:
    runs = SlurmRuns()
    several = run(Job("a", ("a",)), Job("b", ("b",)))
    assert runs.logs(several, "b", "client") == ["b/logs/client_stdout.log"]
    assert runs.logs(several, "b", "server") == ["b/logs/server_*_stdout.log"]
    assert runs.logs(several, "b", "job") == ["b/slurm-*.log"]
    array = run(*several.jobs, array=True)
    assert runs.logs(array, "b", "job") == ["slurm-*_1.log", "b/slurm-*.log"]
    shared = run(Job("all", ("a", "b")))
    assert runs.logs(shared, "all", "client") == [
        "a/logs/client_stdout.log", "b/logs/client_stdout.log",
    ]  # fmt: skip
    assert runs.logs(shared, "all", "server") == ["logs/server_*_stdout.log"]
    assert runs.logs(shared, "all", "job") == ["slurm-*.log"]


def test_secrets_are_written_for_each_script() -> None:
    runs = SlurmRuns()
    several = run(Job("a", ("a",)), Job("b", ("b",)))
    files = runs.secrets_files(several, {"ONE": "ü\n=", "TWO": ""})
    assert files == dict.fromkeys(
        (".secrets.sbatch_a.sh", ".secrets.sbatch_b.sh"), "ONE=ü\n=\0TWO=\0".encode()
    )
    assert runs.secrets_files(several, {}) == {}
    # Which it is, the folder tells.
    one = runs.secrets_files(run(Job("a", ("a",))), {"ONE": "1"})
    assert one.keys() == {".secrets.sbatch_a.sh", ".secrets.sbatch_all.sh"}
    shared = runs.secrets_files(run(Job("all", ("a", "b"))), {"ONE": "1"})
    assert shared == {".secrets.sbatch_all.sh": b"ONE=1\0"}
