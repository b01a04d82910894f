"""Opening the tracking database: where it is, of which version, and what may be wrong with it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from runner.databases import at_once, intend

from evalc.backends.running import Job, Sight, State
from evalc.runner.database import (
    Attempt,
    Database,
    DatabaseBroken,
    DatabaseTooNew,
    Submission,
    opening,
)
from evalc.runner.database.migrations import MIGRATIONS
from evalc.runner.database.opening import on_shared_file_system

# Python 3.12 warns of forks in a process with threads; a child here opens what it uses itself.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

# A database of version 1 as an evalc of that version left it. It never changes.
VERSION_1 = """
PRAGMA application_id = 1702257004;
PRAGMA user_version = 1;
CREATE TABLE invocations (
    serial INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, backend TEXT NOT NULL,
    compiler TEXT NOT NULL, digest TEXT NOT NULL, bundle TEXT NOT NULL, machine TEXT NOT NULL,
    hostname TEXT, username TEXT, ssh_key TEXT, folder TEXT NOT NULL, options TEXT NOT NULL,
    edited INTEGER NOT NULL, created REAL NOT NULL, submission TEXT NOT NULL,
    owner_pid INTEGER NOT NULL, owner_started TEXT NOT NULL, owner_boot TEXT NOT NULL,
    owner_namespace TEXT NOT NULL, owner_machine TEXT NOT NULL, owned REAL NOT NULL
);
CREATE TABLE jobs (
    invocation TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, steps TEXT NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', native TEXT NOT NULL DEFAULT '[]',
    attempt INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, began REAL,
    ended REAL, node TEXT NOT NULL DEFAULT '', done INTEGER, total INTEGER, seen REAL,
    PRIMARY KEY (invocation, number), UNIQUE (invocation, id)
) WITHOUT ROWID;
CREATE TABLE attempts (
    invocation TEXT NOT NULL, job TEXT NOT NULL, native TEXT NOT NULL, first_seen REAL NOT NULL,
    state TEXT NOT NULL, serial INTEGER PRIMARY KEY, UNIQUE (invocation, job, native)
);
CREATE TABLE events (
    serial INTEGER PRIMARY KEY, at REAL NOT NULL, invocation TEXT NOT NULL, job TEXT,
    what TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX events_of ON events (invocation);
INSERT INTO invocations VALUES (
    1, 'k7wq3xzd', 'nightly', 'slurm', '0.1.0', 'd1', '/b', 'laptop', 'cluster', NULL, '/key',
    '/scratch/k7wq3xzd', '{"account": "a"}', 1, 1700000000.5, 'submitted',
    4711, '99', 'boot', 'pid:[4026531836]', 'laptop', 1700000001.5
);
INSERT INTO jobs VALUES (
    'k7wq3xzd', 1, 'mmlu', '["mmlu.a", "mmlu.b"]', 'timed out', 'walltime', '["11", "12"]',
    2, 5, 1700000100.0, NULL, 'n1', 5, 9, 1700000200.0
);
INSERT INTO attempts VALUES ('k7wq3xzd', 'mmlu', '11', 1700000100.0, 'timed out', 1);
INSERT INTO events VALUES (1, 1700000000.5, 'k7wq3xzd', NULL, 'intended', '');
"""


def columns(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """What each table and index of a database is made of."""
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        return {
            name: connection.execute(
                f"SELECT * FROM pragma_{'table' if kind == 'table' else 'index'}_info(?)", (name,)
            ).fetchall()
            for name in names
            for (kind,) in connection.execute(
                "SELECT type FROM sqlite_master WHERE name = ?", (name,)
            )
        }


def by_script(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def refusal(path: Path) -> DatabaseBroken:
    with pytest.raises(DatabaseBroken) as caught:
        Database.open(path)
    error = caught.value
    assert error.path == path
    assert str(error) == f"can't use {path}: {error.why}"
    assert error.hint
    assert error.exit_code == 2
    return error


# Where it is.


@pytest.mark.parametrize(
    ("evalc", "state", "expected"),
    [
        ("{}/evalc", "{}/state", "evalc/runs.sqlite"),
        ("", "{}/state", "state/evalc/runs.sqlite"),
        (None, "{}/state", "state/evalc/runs.sqlite"),
        (None, "relative", "home/.local/state/evalc/runs.sqlite"),
        (None, None, "home/.local/state/evalc/runs.sqlite"),
    ],
)
def test_it_is_where_the_environment_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    evalc: str | None,
    state: str | None,
    expected: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in (("EVALC_HOME", evalc), ("XDG_STATE_HOME", state)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value.format(tmp_path))
    with Database.open() as database:
        intend(database)
        assert database.path == tmp_path / expected
        folder = database.path.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        files = sorted(folder.iterdir())
        assert [file.name for file in files] == [
            "runs.sqlite",
            "runs.sqlite-shm",
            "runs.sqlite-wal",
        ]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_relative_folder_is_below_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALC_HOME", "here")
    with Database.open() as database:
        assert database.path == tmp_path / "here/runs.sqlite"


def test_an_older_folder_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(0o755)
    folder.chmod(0o755)
    Database.open(folder / "runs.sqlite").close()
    assert folder.stat().st_mode & 0o777 == 0o755


def test_its_path_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=ro#'\"\n☃%20" / "runs.sqlite"
    with Database.open(path) as database:
        made = intend(database)
    with Database.open(path) as database:
        assert database.listing() == [made]


def test_a_second_connection_of_a_process_leaves_the_locks_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With the classic journal, locks are on the database's own file.
    monkeypatch.setattr(opening, "on_shared_file_system", lambda *_: True)
    path = tmp_path / "runs.sqlite"

    # No fork: a child would know of the locks from SQLite's memory.
    another = "import sqlite3, sys; sqlite3.connect(sys.argv[1], 0).execute('BEGIN IMMEDIATE')"
    with Database.open(path) as first, first._writing():
        Database.open(path).close()
        command = [sys.executable, "-c", another, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1:] == ["sqlite3.OperationalError: database is locked"]


# Versions.


def test_a_database_of_version_1_is_brought_up_to_date(tmp_path: Path) -> None:
    path = by_script(tmp_path / "runs.sqlite", VERSION_1)
    with Database.open(path) as database:
        (old,) = database.listing()
        assert (old.id, old.machine, old.hostname, old.username) == (
            "k7wq3xzd",
            "laptop",
            "cluster",
            None,
        )
        assert (old.edited, old.created, old.submission) == (
            True,
            1700000000.5,
            Submission.SUBMITTED,
        )
        assert old.run.jobs == (Job("mmlu", ("mmlu.a", "mmlu.b")),)
        assert old.jobs[0].seen == 1700000200.0
        assert old.jobs[0].sight == Sight(
            state=State.TIMED_OUT,
            reason="walltime",
            native=("11", "12"),
            attempt=2,
            attempts=5,
            began=1700000100.0,
            node="n1",
            done=5,
            total=9,
        )
        assert database.attempts(old.id) == [Attempt("mmlu", "11", 1700000100.0, State.TIMED_OUT)]
        assert [event.what for event in database.events(old.id)] == ["intended"]
        new = intend(database)
        assert database.listing() == [new, old]
    fresh = tmp_path / "fresh.sqlite"
    Database.open(fresh).close()
    assert columns(path) == columns(fresh)


def test_version_1_is_what_it_was_when_it_was_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MIGRATIONS", MIGRATIONS[:1])
    Database.open(tmp_path / "made.sqlite").close()
    assert columns(tmp_path / "made.sqlite") == columns(
        by_script(tmp_path / "released.sqlite", VERSION_1)
    )


LATER = (
    ("ALTER TABLE jobs ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'",),
    ("CREATE TABLE more (a TEXT)", "UPDATE jobs SET mood = 'glad'"),
)


def test_versions_follow_each_other_also_when_many_open_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_script(tmp_path / "runs.sqlite", VERSION_1)
    monkeypatch.setattr(opening, "MIGRATIONS", MIGRATIONS + LATER)
    assert at_once(20, lambda _: Database.open(path).close()) == [0] * 20
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 2,)
        assert connection.execute("SELECT mood FROM jobs").fetchall() == [("glad",)]


def test_a_version_comes_as_a_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_script(tmp_path / "runs.sqlite", VERSION_1)
    fails = (*LATER[1], "SELECT no_such_column FROM jobs")
    before = len(MIGRATIONS)
    monkeypatch.setattr(opening, "MIGRATIONS", (*MIGRATIONS, LATER[0], fails))
    assert "no_such_column" in refusal(path).why
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (before + 1,)
        assert connection.execute("SELECT mood FROM jobs").fetchall() == [("calm",)]


def test_what_a_newer_evalc_wrote_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = by_script(tmp_path / "runs.sqlite", VERSION_1)
    with monkeypatch.context() as patch:
        patch.setattr(opening, "MIGRATIONS", MIGRATIONS + LATER)
        Database.open(path).close()
    before = path.read_bytes()
    known = len(MIGRATIONS)
    with pytest.raises(DatabaseTooNew) as caught:
        Database.open(path)
    assert (caught.value.path, caught.value.found) == (path, known + 2)
    assert str(caught.value) == (
        f"{path} was written by a newer evalc (version {known + 2}, this one knows {known})"
    )
    assert caught.value.hint == "use that evalc, or set EVALC_HOME to another folder"
    assert caught.value.exit_code == 2
    assert path.read_bytes() == before


# What may be wrong with it.


def test_garbage_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    path.write_bytes(b"this is no database\n" * 500)
    before = path.read_bytes()
    error = refusal(path)
    assert error.why == "it is damaged, or no database"
    assert error.hint.startswith("move it away")
    assert path.read_bytes() == before


@pytest.mark.parametrize("left", [50, 100, 4096, 0.5, 0.9])
def test_a_truncated_database_is_refused(tmp_path: Path, left: float) -> None:
    path = tmp_path / "runs.sqlite"
    with Database.open(path) as database:
        for _ in range(40):
            intend(database)
    data = path.read_bytes()
    path.write_bytes(data[: left if isinstance(left, int) else int(len(data) * left)])
    with pytest.raises(DatabaseBroken) as caught, Database.open(path) as database:
        database.listing()
    assert caught.value.why.startswith("it is damaged")


def test_pages_of_another_file_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with Database.open(path) as database:
        for _ in range(40):
            intend(database)
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(DatabaseBroken) as caught, Database.open(path) as database:
        database.listing()
    assert caught.value.why == "it is damaged"


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE invocations (id TEXT)",
        "PRAGMA user_version = 3",
        "PRAGMA application_id = 7; PRAGMA user_version = 1; CREATE TABLE other (a)",
    ],
)
def test_a_database_of_another_program_is_left_alone(tmp_path: Path, script: str) -> None:
    path = by_script(tmp_path / "runs.sqlite", script)
    before = path.read_bytes()
    assert refusal(path).why == "it is another program's"
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    path.mkdir()
    assert refusal(path).why == "it is a folder"


@pytest.mark.parametrize("below", ["runs.sqlite", "more/folders/runs.sqlite"])
def test_a_folder_that_cannot_be_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    error = refusal(tmp_path / "file" / below)
    assert error.why in {"Not a directory", "File exists"}
    assert error.hint == "set EVALC_HOME to a folder that you can write"


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    path.symlink_to(tmp_path / "no" / "folder")
    assert refusal(path).why == "it can't be opened"


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    # /proc is written by nobody, root included.
    if not Path("/proc/self/stat").exists():
        pytest.skip("has no /proc")
    assert refusal(Path("/proc/evalc/runs.sqlite")).why == "No such file or directory"


def test_no_home_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EVALC_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def nowhere(_cls: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(nowhere))
    with pytest.raises(DatabaseBroken) as caught:
        Database.open()
    assert caught.value.hint == "set EVALC_HOME"


def test_what_may_not_be_written_is_said(tmp_path: Path) -> None:
    with Database.open(tmp_path / "runs.sqlite") as database:
        database._connection.execute("PRAGMA query_only = 1")
        with pytest.raises(DatabaseBroken) as caught:
            intend(database)
        assert caught.value.why == "it can't be written"
        assert database.listing() == []


def test_a_full_disk_is_said_and_undoes_what_was_begun(tmp_path: Path) -> None:
    with Database.open(tmp_path / "runs.sqlite") as database:
        made = intend(database)
        (pages,) = database._connection.execute("PRAGMA page_count").fetchone().values()
        database._connection.execute(f"PRAGMA max_page_count = {pages}")
        many = [Job(f"job{n}", ("x" * 100,)) for n in range(1000)]
        with pytest.raises(DatabaseBroken) as caught:
            intend(database, jobs=many)
        assert caught.value.why == "the disk is full"
        assert database.listing() == [made]


def test_a_lock_that_stays_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "PATIENCE", 0.05)
    path = tmp_path / "runs.sqlite"
    with Database.open(path) as first, Database.open(path) as second, first._writing():
        assert second.listing() == []
        with pytest.raises(DatabaseBroken) as caught:
            intend(second)
    assert caught.value.why == "another process keeps it locked"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE jobs SET state = 'exploded'",
        "UPDATE jobs SET native = '[1'",
        "UPDATE invocations SET options = 'x'",
        "UPDATE invocations SET submission = ''",
        "UPDATE invocations SET name = CAST(x'ff' AS TEXT)",
        "DROP TABLE jobs",
    ],
)
def test_what_no_evalc_wrote_is_said(tmp_path: Path, change: str) -> None:
    path = tmp_path / "runs.sqlite"
    with Database.open(path) as database:
        intend(database)
        by_script(path, change)
        with pytest.raises(DatabaseBroken) as caught:
            database.listing()
    assert caught.value.why
    assert "\n" not in str(caught.value)


# Network file systems.

MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:21 / /proc rw - proc proc rw
30 21 0:40 / /home rw,relatime shared:5 master:1 - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/me/local\\040disk rw - xfs /dev/sdb rw
32 21 0:42 / /data rw - ext4 /dev/sdc rw
33 21 0:43 / /data rw - fuse.sshfs host: rw
34 21 0:44 / /homes rw - ext4 /dev/sdd rw
this is no line of it
"""


@pytest.mark.parametrize(
    ("path", "shared"),
    [
        ("/home/me/.local/state/evalc/runs.sqlite", True),
        ("/home", True),
        ("/home/me/local disk/runs.sqlite", False),
        ("/homes/me/runs.sqlite", False),
        ("/data/runs.sqlite", True),
        ("/root/runs.sqlite", False),
    ],
)
def test_network_file_systems_are_known(path: str, shared: bool) -> None:
    assert on_shared_file_system(Path(path), MOUNTS) == shared


def test_where_mounts_are_not_told_none_is_shared() -> None:
    assert not on_shared_file_system(Path("/home/me"), "")


@pytest.mark.parametrize(("shared", "mode"), [(False, "wal"), (True, "delete")])
def test_the_journal_is_one_that_works_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool, mode: str
) -> None:
    path = tmp_path / "runs.sqlite"
    for other in (not shared, shared):
        monkeypatch.setattr(opening, "on_shared_file_system", lambda *_, other=other: other)
        Database.open(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)
