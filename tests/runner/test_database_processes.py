"""The tracking database with many processes at it, and with processes that are killed."""

from __future__ import annotations

import os
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from runner.databases import at_once, child, ended, intend

from evalc.backends.running import Sight, State
from evalc.runner.database import Database, Submission, opening
from evalc.runner.database.processes import SILENCE, is_gone, this_process

if TYPE_CHECKING:
    from pathlib import Path

# Python 3.12 warns of forks in a process with threads; a child here opens what it uses itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

PROCESSES = 20
WRITES = 50


def check(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_no_write_is_lost_among_many_processes(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.sqlite"
    monkeypatch.setattr(opening, "on_shared_file_system", lambda *_: mode == "delete")
    with Database.open(path) as database:
        shared = intend(database).id
        assert database._connection.execute("PRAGMA journal_mode").fetchone() == {
            "journal_mode": mode
        }

    def write(number: int) -> None:
        with Database.open(path) as database:
            own = intend(database, name=f"of {number}").id
            # What is there already counts: the intent and two steps.
            for count in range(WRITES - 3):
                sight = Sight(State.RUNNING, native=(f"{number}-{count}",), done=count)
                database.record_many({own: {"mmlu": sight}, shared: {"gpqa": sight}})
            database.advance(own, Submission.UPLOADED)
            database.advance(own, Submission.SUBMITTED)

    over, tell = os.pipe()

    def read() -> None:
        os.close(tell)
        with Database.open(path) as database:
            done: dict[str, int] = {}
            while not select.select([over], [], [], 0)[0]:
                for one in database.listing():
                    seen = one.jobs[0].sight.done or 0
                    assert seen >= done.get(one.id, 0), "a write was undone"
                    done[one.id] = seen

    readers = [child(read) for _ in range(2)]
    codes = at_once(PROCESSES, write)
    # The readers see the pipe's end, also when a writer has failed.
    os.close(tell)
    os.close(over)
    assert [ended(reader) for reader in readers] == [0, 0]
    assert codes == [0] * PROCESSES
    with Database.open(path) as database:
        made = [one for one in database.listing() if one.id != shared]
        assert sorted(one.name for one in made) == sorted(f"of {n}" for n in range(PROCESSES))
        assert {one.submission for one in made} == {Submission.SUBMITTED}
        assert {one.jobs[0].sight.done for one in made} == {WRITES - 4}
        natives = {f"{n}-{count}" for n in range(PROCESSES) for count in range(WRITES - 3)}
        assert {attempt.native for attempt in database.attempts(shared)} == natives
    check(path)


def test_many_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "runs.sqlite"

    def work(_number: int) -> None:
        with Database.open(path) as database:
            intend(database)

    # One of them changes the journal's mode, which the others may hit at a bad moment, or not.
    for _ in range(6):
        assert at_once(PROCESSES, work) == [0] * PROCESSES
        with Database.open(path) as database:
            assert len(database.listing()) == PROCESSES
        check(path)
        path.unlink()


def test_of_many_that_claim_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"

    def submit() -> None:
        with Database.open(path) as database:
            intend(database)

    assert ended(child(submit)) == 0
    with Database.open(path) as database:
        (left,) = database.unsettled()
    reader, writer = os.pipe()

    def claim(_number: int) -> None:
        with Database.open(path) as database:
            if database.claim(left.id):
                database.advance(left.id, Submission.SUBMITTED)
                os.write(writer, b"x")

    assert at_once(PROCESSES, claim) == [0] * PROCESSES
    os.close(writer)
    assert os.read(reader, PROCESSES) == b"x"
    os.close(reader)


WRITER = """
import sys
from pathlib import Path
from runner.databases import intend
from evalc.backends.running import Sight, State
from evalc.runner.database import Database, Submission, opening

with Database.open(Path(sys.argv[1])) as database:
    while True:
        made = intend(database)
        print(made.id, flush=True)
        database.advance(made.id, Submission.UPLOADED)
        database.record(made.id, {"mmlu": Sight(State.RUNNING, native=("1", "2"))})
"""


def test_a_killed_writer_leaves_all_that_it_had_recorded(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    known: list[str] = []
    for kills, lines in enumerate((1, 2, 3, 5, 8, 13, 21, 34), start=1):
        command = [sys.executable, "-c", WRITER, str(path)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
            assert process.stdout is not None
            known += [process.stdout.readline().strip() for _ in range(lines)]
            # It is somewhere in the writes that follow, and does not wait for us.
            process.kill()
            known += process.stdout.read().split()
        assert process.returncode == -signal.SIGKILL
        check(path)
        with Database.open(path) as database:
            found = {one.id: one for one in database.listing()}
            assert found.keys() >= set(known)
            # The last of each may have been recorded without being told of.
            assert len(found) <= len(known) + kills
            assert all(len(one.jobs) == 2 for one in found.values())
            assert {one.id for one in database.unsettled()} == found.keys()


# Who is gone.


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    here = this_process()
    assert not is_gone(here, 0.0)
    assert not is_gone(here, 10 * SILENCE)
    assert is_gone(replace(here, started="1"), 0.0)


def test_a_process_is_gone_when_it_has_ended() -> None:
    reader, writer = os.pipe()
    pid = child(lambda: os.read(reader, 1))
    owner = replace(this_process(), pid=pid, started=_started(pid))
    assert owner.started
    assert not is_gone(owner, 0.0)
    os.kill(pid, signal.SIGKILL)
    # Until it is asked for its exit code, it is a zombie, which is gone as well.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(owner, 0.0)
    assert ended(pid) == -signal.SIGKILL
    assert is_gone(owner, 0.0)
    os.close(reader)
    os.close(writer)


def _started(pid: int) -> str:
    from evalc.runner.database import processes

    return processes._started(pid)


def test_a_process_of_before_the_machine_was_restarted_is_gone() -> None:
    assert is_gone(replace(this_process(), boot="an earlier one"), 0.0)


@pytest.mark.parametrize("where", ["machine", "container"])
def test_a_process_that_cannot_be_asked_is_gone_after_an_hour_of_silence(where: str) -> None:
    elsewhere = {
        "machine": replace(this_process(), boot="another", machine="another"),
        "container": replace(this_process(), namespace="another"),
    }[where]
    assert not is_gone(elsewhere, SILENCE - 1)
    assert is_gone(elsewhere, SILENCE + 1)
    # By a clock that was set back by a day, nobody is held for living for a day.
    assert not is_gone(elsewhere, -SILENCE + 1)
    assert is_gone(elsewhere, -86400.0)
