"""``lib/resume.sh`` alone: when a link of a chain works, queues another, and ends the chain."""

from __future__ import annotations

import os
import shlex
import stat
import time
from typing import TYPE_CHECKING

import pytest
from backends.slurm.resume_harness import Chain

if TYPE_CHECKING:
    from pathlib import Path

# JOB STATE CODES and flags, of squeue(1) and sacct(1) up to Slurm 25.05, by what they mean to a chain
# when the link itself has said nothing.
ALIVE = (
    "CONFIGURING", "EXPEDITING", "PENDING", "POWER_UP_NODE", "RUNNING", "REQUEUED", "REQUEUE_FED",
    "REQUEUE_HOLD", "RESIZING", "RESV_DEL_HOLD", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED",
    "UPDATE_DB",
)  # fmt: skip
CANCELLED = ("CANCELLED", "CANCELLED by 1000", "DEADLINE", "REVOKED")
FAILED = ("FAILED", "SPECIAL_EXIT")
RESUME = (
    "BOOT_FAIL", "COMPLETED", "COMPLETING", "LAUNCH_FAILED", "NODE_FAIL", "PREEMPTED",
    "RECONFIG_FAIL", "TIMEOUT", "", "A_WORD_OF_TOMORROW",
)  # fmt: skip
STATES = (*ALIVE, *CANCELLED, *FAILED, *RESUME, "OUT_OF_MEMORY")
KINDS = ("finished", "failed", "out-of-memory", "told", "interrupted", "")
# Those that never run again, as accounting may say them.
ENDS = (
    *CANCELLED, "FAILED", "BOOT_FAIL", "COMPLETED", "LAUNCH_FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "RECONFIG_FAIL", "TIMEOUT",
)  # fmt: skip

RUNNING = {"5": "RUNNING"}
QUEUES = "echo 6"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """With a controller that knows no job, no accounting, and an ``sbatch`` that queues job 6."""
    made = Chain(tmp_path)
    made.answers("sbatch", QUEUES)
    return made


def judged(state: str, kind: str) -> str:
    """What the chain should make of a link."""
    if state in ALIVE:
        return "alive"
    if state in CANCELLED:
        return "cancelled"
    if state == "OUT_OF_MEMORY" or kind == "out-of-memory":
        return "out-of-memory"
    if kind == "failed" or (state in FAILED and not kind):
        return "failed"
    return "resume"


# What became of a link ------------------------------------------------------------------------


def test_every_state_of_slurm_with_every_word_of_a_link(chain: Chain) -> None:
    cases = [(state, kind) for state in STATES for kind in KINDS]
    calls = "".join(
        f"evalc_judge_link {shlex.quote(state)} {kind or chr(39) * 2}; echo $_fate\n"
        for state, kind in cases
    )
    found = dict(zip(cases, chain.bash(calls).stdout.split(), strict=True))
    assert found == {case: judged(*case) for case in cases}


def test_which_states_are_ends(chain: Chain) -> None:
    calls = "".join(
        f"if evalc_is_end {shlex.quote(state)}; then echo yes; else echo no; fi\n"
        for state in STATES
    )
    found = chain.bash(calls).stdout.split()
    assert {state for state, said in zip(STATES, found, strict=True) if said == "yes"} == set(ENDS)


NO_ACCOUNTING = 'echo "Slurm accounting storage is disabled" >&2; exit 1'
UNKNOWN = 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'


def show(state: str) -> str:
    return f"echo 'JobId=5 JobName=x UserId=u(1) JobState={state} Reason=None Dependency='"


@pytest.mark.parametrize(
    ("scontrol", "sacct", "state", "source"),
    [
        pytest.param(show("TIMEOUT"), "", "TIMEOUT", "scontrol", id="controller"),
        pytest.param(show("TIMEOUT"), "echo RUNNING", "TIMEOUT", "scontrol", id="accounting-stale"),
        pytest.param(show("PENDING"), "echo PREEMPTED", "PENDING", "scontrol", id="requeued"),
        pytest.param(UNKNOWN, "echo NODE_FAIL", "NODE_FAIL", "sacct", id="purged"),
        pytest.param(UNKNOWN, "echo RUNNING", "", "", id="accounting-lags"),
        pytest.param(UNKNOWN, "exit 0", "", "", id="nobody-knows-yet"),
        pytest.param(UNKNOWN, NO_ACCOUNTING, "", "", id="purged-no-accounting"),
        pytest.param(show("FAILED"), NO_ACCOUNTING, "FAILED", "scontrol", id="no-accounting"),
        pytest.param("exit 1", "exit 1", "", "", id="both-dead"),
        pytest.param("exec sleep 30", "exec sleep 30", "", "", id="both-hang"),
        pytest.param("exec sleep 30", "echo TIMEOUT", "TIMEOUT", "sacct", id="controller-hangs"),
        pytest.param(show("COMPLETING"), "exec sleep 30", "COMPLETING", "scontrol", id="slow"),
        pytest.param(
            show("COMPLETING"), "echo PREEMPTED", "PREEMPTED", "sacct", id="being-cleaned"
        ),
        pytest.param(
            show("CANCELLED"), "echo CANCELLED by 7", "CANCELLED by 7", "sacct", id="by-whom"
        ),
        pytest.param(show("CANCELLED"), "echo COMPLETED", "CANCELLED", "scontrol", id="not-whom"),
        pytest.param(show("CANCELLED"), "", "CANCELLED", "scontrol", id="whom-not-yet"),
    ],
)
def test_who_is_believed_about_a_state(
    tmp_path: Path, scontrol: str, sacct: str, state: str, source: str
) -> None:
    chain = Chain(tmp_path, _SLURM_PATIENCE=0.5)
    chain.answers("scontrol", scontrol)
    chain.answers("sacct", sacct)
    begun = time.monotonic()
    ran = chain.bash('evalc_ask_state 5; echo "$_state|$_source"')
    assert ran.stdout == f"{state}|{source}\n"
    assert ran.stderr == ""
    assert time.monotonic() - begun < 10


def test_slurm_is_asked_without_the_users_formats_and_clusters(chain: Chain) -> None:
    seen = shlex.quote(str(chain.folder / "seen"))
    chain.answers("sacct", f"env >{seen}; echo TIMEOUT")
    chain.bash(
        "evalc_ask_state 5_3",
        env={
            "SACCT_FORMAT": "x", "SQUEUE_FORMAT": "x", "SCONTROL_ONE_LINER": "x",
            "SLURM_TIME_FORMAT": "x", "SLURM_CLUSTERS": "other", "SLURM_CONF": "/etc/s.conf",
        },
    )  # fmt: skip
    names = {line.partition("=")[0] for line in (chain.folder / "seen").read_text().splitlines()}
    assert not names & {
        "SACCT_FORMAT", "SQUEUE_FORMAT", "SCONTROL_ONE_LINER", "SLURM_TIME_FORMAT", "SLURM_CLUSTERS",
    }  # fmt: skip
    assert "SLURM_CONF" in names
    assert chain.calls("sacct") == ["-n -X -P -S now-30days -j 5_3 -o State"]


def test_accounting_is_asked_of_jobs_of_this_chains_time(chain: Chain) -> None:
    chain.write("attempt n=1 job=5 restart=0 start=1700000000 done=0:0")
    chain.bash("evalc_read_journal; evalc_ask_state 5", env={"TZ": "UTC"})
    assert chain.calls("sacct") == ["-n -X -P -S 2023-11-13T22:13:20 -j 5 -o State"]


# Bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "done", "why"),
    [
        ("_attempts=4 _max_attempts=5", "0:1", ""),
        ("_attempts=5 _max_attempts=5", "0:1", "execution.resume.attempts"),
        ("_failures=2 _max_failed=2", "0:1", ""),
        ("_failures=3 _max_failed=2", "0:1", "execution.resume.failed"),
        ("_memory_failures=1 _max_out_of_memory=1", "0:1", ""),
        ("_memory_failures=2 _max_out_of_memory=1", "0:1", "execution.resume.out_of_memory"),
        ("_spent=540 _max_walltime=600", "0:1", ""),
        ("_spent=541 _max_walltime=600", "0:1", "execution.max_walltime"),
        ("_spent=999999 _max_walltime=", "0:1", ""),
        ("_marks=(1:50) _max_idle=2", "1:50", ""),
        ("_marks=(1:50 1:50) _max_idle=2", "1:50", "execution.resume.idle"),
        ("_marks=(1:50 1:50) _max_idle=2", "1:51", ""),
        ("_marks=(1:50 1:50) _max_idle=2", "2:50", ""),
        ("_marks=(1:50 1:50) _max_idle=2", "0:49", "execution.resume.idle"),
        ("_marks=(1:50 1:60) _max_idle=2", "1:60", ""),
        ("_marks=(1:40 1:50 1:50) _max_idle=2", "1:50", "execution.resume.idle"),
        ("_marks=(1:50 1:50 1:50) _max_idle=0", "1:50", ""),
        ("_marks=('' 'x:y') _max_idle=2", "0:0", "execution.resume.idle"),
        ("_marks=('' 'x:y') _max_idle=2", "0:1", ""),
    ],
)
def test_bounds_at_and_beside_their_limits(
    chain: Chain, settings: str, done: str, why: str
) -> None:
    ran = chain.bash(f'{settings}\nevalc_may_go_on {done} && echo yes || echo "$_why"')
    if why:
        assert why in ran.stdout
    else:
        assert ran.stdout == "yes\n"


def test_the_journal_is_reckoned_up(chain: Chain) -> None:
    chain.write(
        "attempt n=1 job=2 restart=0 node=n1 start=100 done=0:0",
        "end job=2 restart=0 exit=7 kind=failed elapsed=3600 reason=the harness failed",
        "chain job=3",
        "attempt n=1 job=3 restart=0 node=n1 start=1000 done=0:10",
        "successor job=4 of=3",
        "task id=alpha job=3 exit=7 kind=failed",
        "end job=3 restart=0 exit=7 kind=failed elapsed=100 reason=kind=out-of-memory elapsed=9",
        # The next one asks, and is not to count it again.
        "previous job=3 restart=0 state=FAILED source=sacct kind=failed elapsed=5000",
        # Two runs of one job that was requeued.
        "attempt n=2 job=4 restart=0 node=n1 start=2000 done=1:20",
        "previous job=4 restart=0 state=REQUEUED source=restart kind=resume elapsed=0030",
        "attempt n=3 job=4 restart=1 node=n2 start=3000 done=1:30",
        "end job=4 restart=1 exit=137 kind=out-of-memory elapsed=7",
    )
    ran = chain.bash(
        'evalc_read_journal; echo "$_attempts $_spent $_failures $_memory_failures [$_stopped]'
        ' ${_marks[*]} ${_runs[4]} ${_successors[3]} ${_task_failures[alpha]}"'
    )
    assert ran.stdout == "3 137 1 1 [] 0:10 1:20 1:30 1 4 1\n", ran.stderr


@pytest.mark.parametrize(
    ("spent", "options"),
    [
        (0, ""),
        # After this link's hour, one more is left; a minute less; a minute in all.
        (3600, ""),
        (3660, "--time 59"),
        (7140, "--time 1"),
        (7141, None),
    ],
)
def test_the_last_link_gets_what_is_left_of_the_walltime(
    chain: Chain, spent: int, options: str | None
) -> None:
    chain.write(
        "attempt n=1 job=4 restart=0 start=1000 done=0:0",
        f"end job=4 restart=0 exit=124 kind=told elapsed={spent}",
    )
    ran = chain.attempt(after="4", settings="_walltime=3600 _max_walltime=10800")
    assert ran.stdout == "working\n", ran.stderr
    if options is None:
        assert chain.calls("sbatch") == []
        assert "this is the last attempt" in ran.stderr
    else:
        said = "--parsable --dependency afternotok:5 --kill-on-invalid-dep yes"
        wanted = f"{said} {options}".rstrip()
        assert chain.calls("sbatch") == [f"{wanted} sbatch_alpha.sh --after 5"]


@pytest.mark.parametrize("strategy", ["self", "prequeued", "none"])
def test_a_chain_without_an_end_of_its_own_ends_at_its_bounds(chain: Chain, strategy: str) -> None:
    """Each link makes progress, is killed without a word, and nobody knows how it ended."""
    after, links = "", 0
    for job in range(10, 30):
        chain.cache(job)
        ran = chain.attempt(
            "echo working; kill -9 $$", job=str(job), after=after,
            settings=f"_strategy={strategy} _max_attempts=4",
        )  # fmt: skip
        # Its node went with it; that it was seen a moment ago is for other tests.
        (chain.logs / "attempt").unlink(missing_ok=True)
        if "working" not in ran.stdout:
            break
        after, links = str(job), links + 1
    assert links == 4
    assert ran.returncode == (0 if strategy == "prequeued" else 76)
    assert "all attempts are used up (4 of 4" in chain.events("stop")[0]


def test_a_crash_loop_stops_by_its_lack_of_progress(chain: Chain) -> None:
    chain.cache(10)
    after = ""
    for job in range(10, 30):
        ran = chain.attempt("echo working; kill -9 $$", job=str(job), after=after)
        (chain.logs / "attempt").unlink(missing_ok=True)
        after = str(job)
        if "working" not in ran.stdout:
            break
    assert job == 12
    assert "the last 2 attempts made no progress" in chain.events("stop")[0]


def test_who_submits_by_hand_begins_anew(chain: Chain) -> None:
    chain.write(
        *[f"attempt n={n} job={n} restart=0 start=1 done=0:0" for n in range(1, 6)],
        "stop job=5 reason=all attempts are used up",
    )
    ran = chain.attempt(job="9")
    assert "attempt 1 of 5" in ran.stderr
    assert chain.lines()[6] == "chain job=9"


@pytest.mark.parametrize("restart", [1, 3])
def test_a_requeued_job_goes_on_with_its_chain(chain: Chain, restart: int) -> None:
    """Also when there was a restart in between that did not get so far as to say something."""
    chain.write(
        "chain job=5",
        "attempt n=1 job=5 restart=0 node=n1 start=1000 done=0:0",
        "successor job=6 of=5",
    )
    chain.controller({"6": "PENDING"})
    ran = chain.attempt(restart=restart)
    assert "attempt 2 of 5" in ran.stderr
    assert chain.events("chain") == ["job=5"]
    assert chain.events("previous")[0].startswith(
        "job=5 restart=0 state=REQUEUED source=restart kind=resume"
    )
    assert chain.calls("sbatch") == [], "the successor is there already"


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        ("TIMEOUT", 0, "attempt 2 of 5"),
        ("NODE_FAIL", 0, "attempt 2 of 5"),
        ("", 0, "nobody knows how it ended"),
        ("FAILED", 76, "execution.resume.failed allows 0"),
        ("OUT_OF_MEMORY", 76, "execution.resume.out_of_memory allows 0"),
        ("CANCELLED", 76, "job 4 was cancelled (CANCELLED)"),
        ("RUNNING", 0, "job 4 is not over (RUNNING)"),
    ],
)
def test_what_follows_from_the_link_before(chain: Chain, state: str, code: int, said: str) -> None:
    chain.write("chain job=4", "attempt n=1 job=4 restart=0 node=n1 start=1000 done=0:0")
    chain.controller({"4": state} if state else {})
    ran = chain.attempt(after="4")
    assert (ran.returncode, said in ran.stderr) == (code, True), ran.stderr
    assert (ran.stdout == "working\n") == (state != "RUNNING" and code == 0)
    assert len(chain.calls("sbatch")) == (ran.stdout != "")
    # A link that still lives is asked again another time, and not counted before.
    assert len(chain.events("previous")) == (state != "RUNNING")


def test_a_link_that_was_killed_counts_as_long_as_it_was_seen(chain: Chain) -> None:
    """Not as long as the next one waited in the queue."""
    chain.write("chain job=4", "attempt n=1 job=4 restart=0 node=n1 start=1700000000 done=0:0")
    (chain.logs / "attempt").write_text("4 0 n1\n")
    chain.bash(f"touch -d @1700000123 {shlex.quote(str(chain.logs / 'attempt'))}")
    chain.controller({"4": "NODE_FAIL"})
    ran = chain.attempt(after="4")
    assert ran.stdout == "working\n", ran.stderr
    assert chain.events("previous")[0].endswith("elapsed=123")


@pytest.mark.parametrize(("strategy", "code"), [("self", 76), ("prequeued", 0)])
def test_a_link_that_finds_a_stopped_chain(chain: Chain, strategy: str, code: int) -> None:
    chain.write(
        "chain job=4",
        "attempt n=1 job=4 restart=0 node=n1 start=1000 done=0:0",
        "stop job=4 reason=job 4 was cancelled",
    )
    (chain.secrets).write_text("of another chain, which waits in the queue")
    ran = chain.attempt(after="4", settings=f"_strategy={strategy}")
    assert (ran.returncode, ran.stdout) == (code, "")
    assert "the chain has stopped (job=4 reason" not in ran.stderr
    assert "the chain has stopped (job 4 was cancelled)" in ran.stderr
    assert chain.calls("sbatch") == []
    assert (chain.secrets).exists()


def test_a_link_of_finished_tasks_leaves(chain: Chain) -> None:
    chain.finish()
    (chain.secrets).write_text("x")
    ran = chain.attempt()
    assert (ran.returncode, ran.stdout, chain.calls("sbatch")) == (0, "", [])
    assert not (chain.secrets).exists()


# The journal ----------------------------------------------------------------------------------


def real_journal(chain: Chain) -> bytes:
    """Of two links, the first of which ran out of its walltime."""
    chain.controller({"4": "FAILED"})
    chain.attempt("evalc_end_link 124 told 'the walltime is about to end'", job="4")
    chain.cache(9)
    chain.attempt("evalc_note task id=alpha job=5 event=started; kill -9 $$", after="4")
    return chain.journal.read_bytes()


def test_a_journal_cut_at_any_byte(chain: Chain) -> None:
    whole = real_journal(chain)
    assert whole.count(b"\n") == 7
    cuts = chain.folder / "cuts"
    cuts.mkdir()
    for size in range(len(whole) + 1):
        (cuts / str(size)).mkdir()
        (cuts / str(size) / "journal").write_bytes(whole[:size])
    ran = chain.bash(
        f"cd {shlex.quote(str(cuts))}\n"
        f"for ((_size = 0; _size <= {len(whole)}; _size++)); do\n"
        "  _logs=$_size; evalc_read_journal; _before=$_attempts\n"
        "  evalc_note probe job=5; evalc_read_journal\n"
        '  echo "$_size $_before $_attempts ${#_starts[@]} $_spent"\n'
        "done"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    said = [[int(word) for word in line.split()] for line in ran.stdout.splitlines()]
    assert len(said) == len(whole) + 1
    for size, before, after, starts, spent in said:
        cut = (cuts / str(size) / "journal").read_bytes()
        assert cut.startswith(whole[:size])
        assert cut.splitlines()[-1].endswith(b"Z probe job=5"), "the next line is whole"
        lines = whole[:size].count(b"\n")
        attempts = whole[:size].rpartition(b"\n")[0].count(b" attempt ")
        # The line that was cut may have been an attempt, and is nothing else.
        assert before == after
        assert before - attempts in (0, 1)
        assert starts == attempts
        assert spent == 0 or spent < 60
        assert cut.count(b"\n") == lines + 1 + (not whole[:size].endswith(b"\n") and size > 0)


def test_a_chain_whose_journal_is_cut_at_every_link_has_an_end(chain: Chain) -> None:
    for job in range(10, 40):
        chain.cache(job)
        ran = chain.attempt(
            "echo working; kill -9 $$", job=str(job), after="9", settings="_strategy=prequeued"
        )
        if "working" not in ran.stdout:
            break
        (chain.logs / "attempt").unlink()
        chain.journal.write_bytes(chain.journal.read_bytes()[:-20])
    assert job == 15
    assert "all attempts are used up" in ran.stderr


def test_a_line_that_a_crash_cut_is_not_believed(chain: Chain) -> None:
    """``start=17`` of ``start=1700000000`` would use up all of the walltime."""
    chain.write("chain job=4", "attempt n=1 job=4 restart=0 node=n1 start=17")
    chain.journal.write_bytes(chain.journal.read_bytes().rstrip(b"\n"))
    chain.controller({"4": "NODE_FAIL"})
    ran = chain.attempt(after="4", settings="_max_walltime=7200")
    assert ran.stdout == "working\n", ran.stderr
    assert "attempt 2 of 5" in ran.stderr
    assert chain.lines()[1].endswith("start=17 [cut]")


@pytest.mark.parametrize(
    "rubbish",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n\n \n", id="blank"),
        pytest.param(bytes(range(256)) * 8, id="binary"),
        pytest.param(b"\0" * 4096, id="zeros"),
        pytest.param(b"2026-01-01T00:00:00Z attempt n=1 job=4 res" + b"\0" * 99, id="cut-zeros"),
        pytest.param(b"x" * 300_000, id="one-long-line"),
        pytest.param(
            b"T attempt\nT attempt job=\nT end\nT previous job=@ kind=@ elapsed=@\nT successor\n"
            b"T successor job=6 of=@\nT task\nT task id=@ kind=failed\nT task id=* kind=failed\n"
            b"T task id=a]b kind=failed\nT task id=$(touch${IFS}x) kind=failed\nT stop\nT done\n"
            b"T attempt job=@ restart=@ start=$(touch${IFS}x) done=$(touch${IFS}x)\nT attempt\n"
            b"T attempt job=a[$(touch${IFS}x)] restart=a[$(touch${IFS}x)]\n",
            id="fields",
        ),
    ],
)
def test_rubbish_in_the_journal_does_not_stop_a_chain(chain: Chain, rubbish: bytes) -> None:
    chain.journal.write_bytes(rubbish)
    ran = chain.attempt("ls", after="4", settings='_max_attempts=9 _max_idle=0; cd "$_home"')
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["artifacts", "logs"], "nothing in it was executed"
    assert "bash: " not in ran.stderr
    last = chain.journal.read_bytes().splitlines()[-1]
    assert last.endswith(b"Z successor job=6 of=5")


def test_numbers_of_a_journal(chain: Chain) -> None:
    numbers = {
        "0": 0, "7": 7, "0000000000000000000042": 42, "09": 9, "999999999999999": 10**15 - 1,
        "1000000000000000": 0, "99999999999999999999999": 0, "-3": 0, "1e3": 0, "0x10": 0, "": 0,
        "a[0]": 0, "1 2": 0,
    }  # fmt: skip
    calls = "".join(f'evalc_number {shlex.quote(text)}; echo "$((_number))"\n' for text in numbers)
    ran = chain.bash(calls)
    assert dict(zip(numbers, map(int, ran.stdout.split()), strict=True)) == numbers, ran.stderr


@pytest.mark.parametrize(
    "reason",
    [
        "reason=x job=1",
        "x reason=y job=1 kind=failed elapsed=99",
        "two\nT stop job=5 reason=forged\nlines\r\x1b[31m",
        "it ends with [cut]",
        "$(touch x) `touch x` \\n %s",
        "x" * 5000,
        "été " * 900,
    ],
)
def test_hostile_reasons(chain: Chain, reason: str) -> None:
    ran = chain.bash(
        'cd "$_home"; evalc_note stop job=5 "reason=$REASON"; evalc_note probe\n'
        'evalc_read_journal; evalc_field job "${_stopped#stop }"; echo "$_stopped"; ls',
        env={"REASON": reason},
    )
    stopped, *files = ran.stdout.splitlines()
    assert files == ["artifacts", "logs"]
    shown = "".join(" " if ord(letter) < 32 else letter for letter in reason)
    assert stopped.startswith("stop ")
    told = stopped.removeprefix("stop ")
    assert told
    assert shown.startswith(told)
    assert len(chain.lines()) == 2, "one event, one line"
    assert max(len(line) for line in chain.journal.read_bytes().splitlines()) < 4096
    fields = chain.bash(
        'evalc_field job "job=5 reason=$REASON"; echo "$_field"\n'
        'evalc_field job "reason=$REASON"; echo "[$_field]"',
        env={"REASON": reason},
    )
    assert fields.stdout == "5\n[]\n"


def test_a_journal_of_thousands_of_lines(chain: Chain) -> None:
    chain.write("chain job=4", *["task id=alpha job=4 exit=0 kind=finished"] * 5000)
    begun = time.monotonic()
    assert chain.attempt(after="4").stdout == "working\n"
    assert time.monotonic() - begun < 10


def test_a_folder_that_can_not_be_written(chain: Chain) -> None:
    (chain.home / "file").write_text("")
    ran = chain.attempt(settings="_logs=$_home/file")
    assert (ran.returncode, ran.stdout, chain.calls("sbatch")) == (74, "", [])
    assert "is the disk full, or the folder read-only? Nothing was started" in ran.stderr


def test_a_full_disk_when_it_takes_its_turn(chain: Chain) -> None:
    (chain.logs / ".attempt.5.0").symlink_to("/dev/full")
    ran = chain.attempt()
    assert (ran.returncode, ran.stdout, chain.calls("sbatch")) == (74, "", [])
    assert [path.name for path in chain.logs.iterdir()] == []


@pytest.mark.parametrize("after", ["", "4"])
@pytest.mark.parametrize("how", ["full", "folder"])
def test_a_journal_that_can_not_be_written(chain: Chain, how: str, after: str) -> None:
    if how == "full":
        chain.journal.symlink_to("/dev/full")
    else:
        chain.journal.mkdir()
    ran = chain.attempt(after=after)
    assert (ran.returncode, ran.stdout, chain.calls("sbatch")) == (74, "", [])
    assert "Without it the chain would have no end; nothing was started" in ran.stderr
    assert not (chain.logs / "attempt").exists()


# Turns ----------------------------------------------------------------------------------------

TURN = "_mine=$_logs/.attempt.$_job_id.$_restart; _turn=0; evalc_take_turn || _turn=$?\n"
# Instead of seconds.
BRISK = "evalc_wait() { sleep 0.02; }\n"


@pytest.mark.parametrize("holder", ["nobody", "a dead job", "a file that a crash left empty"])
def test_two_at_once_in_twenty_rounds(chain: Chain, holder: str) -> None:
    chain.controller({"7": "RUNNING", "8": "RUNNING", "4": "TIMEOUT"})
    lay = {"nobody": ":", "a dead job": "echo 4 0 n1", "a file that a crash left empty": ":"}[
        holder
    ]
    ran = chain.bash(
        BRISK + "both() {\n"
        "  for _job_id in 7 8; do\n"
        f"    (trap - EXIT; until [ -e $_logs/go ]; do :; done; {TURN}"
        "      echo $_turn $_job_id $_holder >$_logs/said.$_job_id) &\n"
        "  done\n"
        "  sleep 0.01; : >$_logs/go; wait\n"
        "}\n"
        "for _round in {1..20}; do\n"
        "  _logs=$_home/round.$_round; mkdir $_logs\n"
        f"  {'' if holder == 'nobody' else f'{lay} >$_logs/attempt; '}both\n"
        "  cat $_logs/said.7 $_logs/said.8 | sort | paste -sd '|'; cat $_logs/attempt; ls $_logs\n"
        "done"
    )
    rounds = ran.stdout.split("said.8\n")[:-1]
    assert len(rounds) == 20, ran.stderr
    for text in rounds:
        said, kept, *files = text.splitlines()
        winner = kept.split()[0]
        loser = {"7": "8", "8": "7"}[winner]
        won, lost = said.split("|")
        assert won.split()[:2] == ["0", winner]
        assert lost.split() == ["1", loser, winner]
        assert [name for name in files if name.startswith("attempt")] == ["attempt"]


def test_a_holder_by_its_state(chain: Chain) -> None:
    """Who has nodes is at work; who waits in the queue is not, and will find this one there."""
    waiting = (
        "PENDING",
        "REQUEUED",
        "REQUEUE_FED",
        "REQUEUE_HOLD",
        "RESV_DEL_HOLD",
        "SPECIAL_EXIT",
    )
    states = [state for state in (*ALIVE, "SPECIAL_EXIT", *ENDS) if " " not in state]
    chain.controller({f"4{at}": state for at, state in enumerate(states)})
    ran = chain.bash(
        f"for _at in {{0..{len(states) - 1}}}; do\n"
        f'  echo "4$_at 0 n1" >$_logs/attempt; {TURN} read -r _now _ <$_logs/attempt\n'
        '  echo "$_turn $_now"\n'
        "done"
    )
    found = dict(zip(states, ran.stdout.splitlines(), strict=True))
    assert found == {
        state: f"1 4{at}" if state in ALIVE and state not in waiting else "0 5"
        for at, state in enumerate(states)
    }, ran.stderr


@pytest.mark.parametrize(
    ("state", "lives"),
    [("COMPLETING", True), ("", True), ("COMPLETING", False), ("", False), ("A_NEW_WORD", False)],
)
def test_a_holder_of_whom_nobody_knows(tmp_path: Path, state: str, lives: bool) -> None:
    """It has just been seen: the next one waits for another sign of life, or for none."""
    chain = Chain(tmp_path, _SILENCE=20 if lives else 2)
    attempt = chain.logs / "attempt"
    attempt.write_text("4 0 n1\n")
    chain.controller({"4": state} if state else {})
    os.utime(attempt, (time.time() - lives,) * 2)
    beat = f"(sleep 0.3; touch {shlex.quote(str(attempt))}) &\n" if lives else ""
    begun = time.monotonic()
    ran = chain.bash(beat + TURN + 'echo "$_turn $(cat $_logs/attempt)"')
    assert ran.stdout == ("1 4 0 n1\n" if lives else "0 5 0 n1\n"), ran.stderr
    assert lives or time.monotonic() - begun >= 0.9, "it was waited for"


@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_a_holder_seen_long_ago_or_by_a_clock_that_was_wrong(chain: Chain, seconds: int) -> None:
    attempt = chain.logs / "attempt"
    attempt.write_text("4 0 n1\n")
    chain.bash(f"touch -d '{seconds} seconds' {shlex.quote(str(attempt))}")
    ran = chain.bash(
        TURN + 'echo "$_turn $(cat $_logs/attempt)"; evalc_last_pulse; stat -c %Y $_logs/attempt'
    )
    turn, pulse, seen = ran.stdout.splitlines()
    assert turn == "0 5 0 n1"
    assert abs(int(pulse) - time.time() - seconds) < 30
    assert time.time() - int(seen) < 30, "who took over was seen now"


def test_a_job_takes_over_from_its_own_earlier_run(chain: Chain) -> None:
    (chain.logs / "attempt").write_text("5 0 n1\n")
    chain.controller(RUNNING)
    ran = chain.bash(TURN + 'echo "$_turn $(cat $_logs/attempt)"', restart=1)
    assert ran.stdout == "0 5 1 n1\n"
    assert chain.calls("scontrol") == []
    assert not (chain.logs / "attempt").exists(), "it was given back"


def test_an_earlier_run_that_still_ends_gives_nothing_back(chain: Chain) -> None:
    (chain.logs / "attempt").write_text("5 1 n2\n")
    chain.bash("evalc_give_turn_back", restart=0)
    assert (chain.logs / "attempt").exists()


@pytest.mark.parametrize(("age", "turn"), [(0, 2), (61, 0), (-3600, 0)])
def test_somebody_died_while_taking_over(tmp_path: Path, age: int, turn: int) -> None:
    chain = Chain(tmp_path, _SILENCE=5)
    chain.controller({"4": "TIMEOUT"})
    (chain.logs / "attempt").write_text("4 0 n1\n")
    left = chain.logs / ".taking-over"
    left.mkdir()
    chain.bash(f"touch -d '-{age} seconds' {shlex.quote(str(left))}".replace("--", ""))
    ran = chain.bash(BRISK + TURN + "echo $_turn")
    assert ran.stdout == f"{turn}\n", ran.stderr
    assert left.exists() == (turn == 2)


def test_a_second_job_leaves_and_touches_nothing(chain: Chain) -> None:
    (chain.logs / "attempt").write_text("4 0 n1\n")
    (chain.secrets).write_text("x")
    chain.controller({"4": "RUNNING"})
    ran = chain.attempt(after="4")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert chain.lines() == ["left job=5 reason=job 4 is at work here"]
    assert (chain.logs / "attempt").read_text() == "4 0 n1\n"
    assert sorted(path.name for path in chain.logs.iterdir()) == ["attempt", "journal"]
    assert (chain.secrets).exists()
    assert chain.calls("scancel") == chain.calls("sbatch") == []


def test_a_job_that_was_taken_for_dead_stops(tmp_path: Path) -> None:
    """As when its node was asleep, or its file system away, and Slurm knew nothing."""
    chain = Chain(tmp_path, _PULSE=0)
    chain.answers("sbatch", QUEUES)
    (chain.secrets).write_text("x")
    ran = chain.attempt(
        '_signal=; evalc_pulse; echo "[$_signal]"; echo 9 0 n2 >$_logs/attempt\n'
        'evalc_pulse; echo "[$_signal]"; evalc_end_link 143 interrupted "interrupted by SIGTERM"',
        settings="_max_attempts=1",
    )
    assert (ran.stdout, ran.returncode) == ("[]\n[TERM]\n", 143)
    assert "job 9 took this one for dead" in ran.stderr
    assert (chain.logs / "attempt").read_text() == "9 0 n2\n"
    assert chain.events("stop") == chain.calls("scancel") == [], "the chain is the other's"
    assert (chain.secrets).exists()


# The successor --------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["6", "6;cluster", "sbatch: warning: odd\nsbatch: lua: hello\n6"])
def test_a_successor_is_queued_before_the_work(chain: Chain, said: str) -> None:
    chain.answers("sbatch", f"pwd >{shlex.quote(str(chain.folder))}/pwd; cat <<'!'\n{said}\n!")
    ran = chain.attempt('cat "$_logs/journal"')
    assert chain.calls("sbatch") == [
        "--parsable --dependency afternotok:5 --kill-on-invalid-dep yes sbatch_alpha.sh --after 5"
    ]
    assert ran.stdout.endswith("Z successor job=6 of=5\n"), ran.stderr
    assert (chain.folder / "pwd").read_text().strip() == str(chain.home)


def test_an_element_of_an_array_has_a_chain_of_its_own(chain: Chain) -> None:
    chain.attempt(env={"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "3"}, job="8")
    assert " afternotok:5_3 " in chain.calls("sbatch")[0]
    assert chain.events("successor") == ["job=6 of=5_3"]


@pytest.mark.parametrize(
    ("state", "queued"), [("PENDING", 0), ("", 0), ("CANCELLED", 1), ("COMPLETED", 1)]
)
def test_a_requeued_job_has_one_successor(chain: Chain, state: str, queued: int) -> None:
    chain.write(
        "chain job=5",
        "attempt n=1 job=5 restart=0 node=n1 start=1000 done=0:0",
        "successor job=6 of=5",
    )
    chain.controller({"6": state} if state else {})
    ran = chain.attempt(restart=1)
    assert ran.stdout == "working\n", ran.stderr
    assert len(chain.calls("sbatch")) == queued


REFUSED = "echo 'sbatch: error: Access/permission denied' >&2; exit 1"
AWAY = "echo 'sbatch: error: Unable to contact slurm controller (connect failure)' >&2; exit 1"


def test_a_node_that_may_not_submit(chain: Chain) -> None:
    (chain.secrets).write_text("x")
    chain.answers("sbatch", REFUSED)
    ran = chain.attempt()
    assert (ran.returncode, ran.stdout) == (69, "")
    assert "execution.resume.strategy: prequeued" in ran.stderr
    assert chain.events("no-successor") == ["job=5 reason=sbatch: error: Access/permission denied"]
    assert chain.events("stop") == [
        "job=5 reason=the next attempt can not be queued from this node"
    ]
    assert not (chain.secrets).exists()
    assert not (chain.logs / "attempt").exists()


def test_a_controller_that_is_away_for_a_while(tmp_path: Path) -> None:
    chain = Chain(tmp_path, _PULSE=0)
    chain.answers("sbatch", AWAY)
    back = shlex.quote(str(chain.bin / "sbatch"))
    ran = chain.attempt(
        f"evalc_pulse; echo '#!/bin/bash\necho x >>{chain.folder}/back; echo 6' >{back}\n"
        "evalc_pulse; evalc_pulse; echo working"
    )
    assert (ran.returncode, ran.stdout) == (0, "working\n"), ran.stderr
    assert len(chain.calls("sbatch")) == 2
    assert (chain.folder / "back").read_text() == "x\n", "queued once"
    assert chain.events("successor") == ["job=6 of=5"]


def test_a_controller_that_is_away_to_the_end(chain: Chain) -> None:
    chain.answers("sbatch", AWAY)
    (chain.secrets).write_text("x")
    ran = chain.attempt("evalc_end_link 124 told 'the walltime is about to end'")
    assert ran.returncode == 124
    assert len(chain.calls("sbatch")) == 2, "it was tried again at the last moment"
    assert "Slurm does not answer" in chain.events("stop")[0]
    assert not (chain.secrets).exists()


def test_a_refusal_during_the_work_does_not_end_it(tmp_path: Path) -> None:
    chain = Chain(tmp_path, _PULSE=0)
    chain.answers("sbatch", AWAY)
    refuse = (
        f"printf '#!/bin/bash\\n%s\\n' {shlex.quote(REFUSED)} >{shlex.quote(str(chain.bin))}/sbatch"
    )
    ran = chain.attempt(f"{refuse}; evalc_pulse; echo working")
    assert (ran.returncode, ran.stdout) == (0, "working\n"), ran.stderr
    assert len(chain.events("no-successor")) == 1
    assert chain.events("stop") == []


def test_a_controller_that_hangs_holds_nothing_up(tmp_path: Path) -> None:
    chain = Chain(tmp_path, _SLURM_PATIENCE=1)
    chain.answers("sbatch", "exec sleep 30")
    begun = time.monotonic()
    ran = chain.attempt()
    assert (ran.returncode, ran.stdout) == (0, "working\n"), ran.stderr
    assert time.monotonic() - begun < 15


def test_a_successor_that_can_not_be_noted_is_cancelled(chain: Chain) -> None:
    journal = shlex.quote(str(chain.journal))
    chain.answers("sbatch", f"rm {journal}; ln -s /dev/full {journal}; echo 6")
    ran = chain.attempt()
    assert (ran.returncode, ran.stdout) == (74, "")
    assert chain.calls("scancel") == ["6"]


def test_what_sbatch_sees_of_the_environment(chain: Chain) -> None:
    seen = chain.folder / "seen"
    chain.answers("sbatch", f"env >{shlex.quote(str(seen))}; cat >&2; echo 6")
    ran = chain.attempt(
        settings="_scrub=(API_KEY)",
        env={
            "API_KEY": "s3cret", "SBATCH_PARTITION": "x", "SLURM_CPUS_PER_TASK": "3",
            "SLURM_CLUSTERS": "other", "SLURM_CONF": "/etc/s.conf", "KEPT": "yes",
        },
    )  # fmt: skip
    assert ran.stdout == "working\n", ran.stderr
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}
    assert {name for name in names if name.startswith(("SBATCH", "SLURM"))} == {"SLURM_CONF"}
    assert "KEPT" in names
    assert "s3cret" not in seen.read_text()


@pytest.mark.parametrize(("strategy", "attempts"), [("prequeued", 5), ("none", 5), ("self", 1)])
def test_chains_that_queue_nothing(chain: Chain, strategy: str, attempts: int) -> None:
    ran = chain.attempt(settings=f"_strategy={strategy} _max_attempts={attempts}")
    assert ran.stdout == "working\n"
    assert chain.calls("sbatch") == []


# A link's end ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "state", "settings", "stop", "scancelled"),
    [
        ("0 finished ''", "RUNNING", "", None, True),
        ("7 failed 'the harness failed'", "RUNNING", "", "execution.resume.failed", True),
        ("7 failed 'the harness failed'", "RUNNING", "_max_failed=1", None, False),
        ("1 out-of-memory x", "RUNNING", "", "execution.resume.out_of_memory", True),
        ("1 out-of-memory x", "RUNNING", "_max_out_of_memory=1", None, False),
        ("124 told x", "RUNNING", "", None, False),
        ("124 told x", "RUNNING", "_max_idle=1", "made no progress", True),
        ("124 told x", "RUNNING", "_strategy=none", "strategy: none", False),
        ("124 told x", "RUNNING", "_strategy=prequeued", None, False),
        ("124 told x", "RUNNING", "_max_attempts=1", "all attempts are used up", False),
        ("143 interrupted x", "CANCELLED", "", "job 5 was cancelled (CANCELLED)", True),
        ("143 interrupted x", "PREEMPTED", "", None, False),
        ("143 interrupted x", "NODE_FAIL", "", None, False),
        ("143 interrupted x", "TIMEOUT", "_max_failed=0", None, False),
    ],
)
def test_how_a_link_ends(
    chain: Chain, end: str, state: str, settings: str, stop: str | None, scancelled: bool
) -> None:
    (chain.secrets).write_text("x")
    chain.controller({"5": state})
    chain.answers("scancel", "exit 0")
    ran = chain.attempt(f"evalc_end_link {end}", settings=settings)
    code, kind = end.split()[:2]
    assert ran.returncode == int(code), ran.stderr
    told = chain.events("end")[0]
    assert told.startswith(f"job=5 restart=0 exit={code} kind={kind} elapsed=")
    assert len(chain.events("end")) == 1
    finished = kind == "finished"
    assert len(chain.events("done")) == finished
    assert [stop in line for line in chain.events("stop") if stop] == [True] * bool(stop)
    assert chain.calls("scancel") == ["6"] * scancelled
    assert (chain.secrets).exists() == (not finished and not stop)
    assert not (chain.logs / "attempt").exists()


def test_who_interrupted_a_link_is_asked_until_slurm_knows(chain: Chain) -> None:
    chain.controller({"5": "COMPLETING"})
    count = shlex.quote(str(chain.folder / "sacct.calls"))
    chain.answers("sacct", f"[ $(wc -l <{count}) -lt 3 ] || echo CANCELLED by 1000")
    ran = chain.attempt(BRISK + "evalc_end_link 143 interrupted 'interrupted by SIGTERM'")
    assert ran.returncode == 143
    assert len(chain.calls("sacct")) == 3
    assert chain.events("stop") == ["job=5 reason=job 5 was cancelled (CANCELLED by 1000)"]
    assert chain.calls("scancel") == ["6"]


def test_a_full_disk_at_a_links_end_does_not_lose_the_chain(chain: Chain) -> None:
    chain.controller({"5": "FAILED"})
    full = 'mv "$_logs/journal" "$_logs/kept"; ln -s /dev/full "$_logs/journal"\n'
    ran = chain.attempt(full + "evalc_end_link 7 failed 'the harness failed'")
    assert ran.returncode == 7
    assert "can't write" in ran.stderr
    chain.journal.unlink()
    (chain.logs / "kept").rename(chain.journal)
    ran = chain.attempt(job="6", after="5")
    assert ran.returncode == 76
    assert "execution.resume.failed allows 0" in ran.stderr


def test_the_last_link_that_the_walltime_allows_ends_the_chain(chain: Chain) -> None:
    """It ended early; no other was queued, since it was expected to use up what was left."""
    ran = chain.attempt(
        "evalc_end_link 124 told 'the walltime is about to end'",
        settings="_walltime=3600 _max_walltime=3600",
    )
    assert ran.returncode == 124
    assert chain.calls("sbatch") == []
    assert "the total walltime is used up" in chain.events("stop")[0]


def test_a_task_that_failed_is_not_tried_again_with_the_others(chain: Chain) -> None:
    chain.write(
        "chain job=4",
        "attempt n=1 job=4 restart=0 node=n1 start=1000 done=0:0",
        "task id=alpha job=4 exit=7 kind=failed",
        "end job=4 restart=0 exit=124 kind=told elapsed=1",
    )
    both = "_tasks=(alpha:d1 beta:d2) _max_idle=0"
    ran = chain.attempt('echo "${_wanted[@]}"', after="4", settings=both)
    assert ran.stdout == "beta\n", ran.stderr
    ran = chain.attempt(
        'echo "${_wanted[@]}"', job="6", after="4", settings=f"{both} _max_failed=1"
    )
    assert ran.stdout == "alpha beta\n", ran.stderr
    ran = chain.attempt(job="7", after="4", settings="_max_idle=0")
    assert (ran.returncode, ran.stdout) == (76, "")
    assert "every task that is left failed" in chain.events("stop")[0]


# Secrets --------------------------------------------------------------------------------------

VALUES = {
    "PLAIN": "s3cret",
    "LINES": "s3cret\nNEXT=s3cret\n\n",
    "SHELL": "s3cret'\"$(touch x)`touch x`\\",
    "EQUALS": "=s3cret=",
    "EMPTY": "",
    "UTF8": "s3cret été",
}


def test_secrets_are_for_one_pair_of_eyes_from_their_first_byte(chain: Chain) -> None:
    # Its mode is seen before there is anything in it.
    modes = shlex.quote(str(chain.folder / "modes"))
    real = chain.bash("command -v mktemp").stdout.strip()
    chain.answers(
        "mktemp", f'made=$({real} "$@") && stat -c %a -- "$made" >>{modes} && echo "$made"'
    )
    names = " ".join(VALUES)
    ran = chain.bash(
        f'umask 000; cd "$_bundle_dir"; : >.secrets.sbatch_alpha.sh; chmod 666 .secrets.*\n'
        f"evalc_keep_secrets {names} NOT_SET; ls -A",
        env=VALUES,
    )
    assert ran.stdout.split() == [".secrets.sbatch_alpha.sh", "alpha", "lib"], ran.stderr
    kept = chain.secrets
    assert (chain.folder / "modes").read_text() == "600\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    entries = kept.read_bytes().split(b"\0")
    assert entries[:-1] == [f"{name}={value}".encode() for name, value in VALUES.items()]


def test_secrets_come_back_as_they_were_and_reach_no_child(chain: Chain) -> None:
    names = " ".join(VALUES)
    chain.bash(f"evalc_keep_secrets {names}", env=VALUES)
    shown = "".join(f'printf "%s\\0" "${name}"\n' for name in VALUES)
    ran = chain.bash(
        f'cd "$_bundle_dir"; _secrets=({names})\n'
        f"evalc_load_secrets\n{shown}env | grep -c s3cret || true; ls -A",
        env={"PLAIN": "s3cret of the submitter"},
        library="slurm.sh",
    )
    *values, rest = ran.stdout.split("\0")
    assert values == list(VALUES.values()), ran.stderr
    assert rest.split() == ["0", ".secrets.sbatch_alpha.sh", "alpha", "lib"]


def test_secrets_are_not_traced(chain: Chain) -> None:
    names = " ".join(VALUES)
    ran = chain.bash(
        f"_secrets=({names}); evalc_load_secrets\n"
        f"evalc_load_secrets; evalc_keep_secrets {names}; evalc_attempt; evalc_end_link 7 failed x",
        env=VALUES,
        options=["-x"],
        library="slurm.sh",
    )
    assert ran.returncode == 7
    assert "evalc_end_link 7" in ran.stderr, "bash -x works"
    assert "s3cret" not in ran.stderr
    assert "s3cret" not in ran.stdout


def test_secrets_on_a_full_disk_leave_nothing_half_written(chain: Chain) -> None:
    chain.answers("mktemp", 'name=${2%XXXXXX}full; ln -s /dev/full "$name"; echo "$name"')
    ran = chain.bash('evalc_keep_secrets PLAIN || echo $?; ls -A "$_home"', env=VALUES)
    assert ran.stdout.split() == ["1", "artifacts", "logs"], ran.stderr
