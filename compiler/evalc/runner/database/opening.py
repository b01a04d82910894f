"""Where the database is, and how it is opened: by any number of processes at once."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from evalc.runner.database.failures import DatabaseBroken, DatabaseTooNew
from evalc.runner.database.migrations import APPLICATION, MIGRATIONS
from evalc.runner.database.rows import named

# Seconds to wait for other processes, each of which needs some milliseconds.
PATIENCE = 30.0
_PAUSE = 0.02
_FILE = "runs.sqlite"
_MOUNTS = Path("/proc/self/mountinfo")
# Types of file systems that other machines may write too (of `fuse.` ones, many are).
_SHARED = frozenset(
    ("9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "gpfs", "lustre", "nfs", "nfs4", "ocfs2",
     "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "virtiofs", "wekafs")
)  # fmt: skip


def default_path() -> Path:
    """Where the database of this user is."""
    home = os.environ.get("EVALC_HOME")
    if home:
        return Path(home).absolute() / _FILE
    state = os.environ.get("XDG_STATE_HOME", "")
    # What is no absolute path there has to be passed over, by that standard.
    if Path(state).is_absolute():
        return Path(state) / "evalc" / _FILE
    try:
        return Path.home() / ".local/state/evalc" / _FILE
    except RuntimeError:
        raise DatabaseBroken(Path(_FILE), "you have no home folder", "set EVALC_HOME") from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the database at ``path``, which is made, or brought up to date.

    Raises :class:`DatabaseTooNew` and :class:`DatabaseBroken`.
    """
    try:
        _prepare(path)
    except OSError as error:
        raise DatabaseBroken.by_system(path, error) from None
    connection = None
    try:
        # Transactions are begun and ended in words, by us.
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        _identify(connection, path)
        _choose_journal(connection, path)
        _migrate(connection)
        connection.row_factory = named
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise DatabaseBroken.by_sqlite(path, error) from None
        raise
    return connection


def _prepare(path: Path) -> None:
    """Makes the folder and an empty file, for nobody else to read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_dir():
        raise DatabaseBroken.by_content(path, "it is a folder")
    # One that is there is not even opened: closing it would end the locks that this process has on
    # it by another connection (fcntl). SQLite gives its other files the mode of this one.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _identify(connection: sqlite3.Connection, path: Path) -> None:
    """Refuses what is another program's, or a newer evalc's, before anything in it is changed."""
    # In one transaction, since another process may be filling the file.
    connection.execute("BEGIN")
    version = _number(connection, "PRAGMA user_version")
    application = _number(connection, "PRAGMA application_id")
    tables = _number(connection, "SELECT count(*) FROM sqlite_master")
    connection.execute("COMMIT")
    if application != APPLICATION and (version or tables):
        raise DatabaseBroken.by_content(path, "it is another program's")
    if version > len(MIGRATIONS):
        raise DatabaseTooNew(path, version, len(MIGRATIONS))


def _choose_journal(connection: sqlite3.Connection, path: Path) -> None:
    """Write-ahead logging where it works: readers then never wait, nor make a writer wait.

    Between machines it does not work, whatever SQLite says, since its index is shared memory: on a
    network file system (home folders of clusters) the journal is the classic one.
    """
    try:
        mounts = os.fsdecode(_MOUNTS.read_bytes())
    except OSError:
        mounts = ""
    wanted = "delete" if on_shared_file_system(path, mounts) else "wal"
    end = time.monotonic() + PATIENCE
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
        try:
            # Where it can't be had, this says so in its result, and what there was stays.
            connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        except sqlite3.OperationalError as error:
            # For this, SQLite does not wait for others by itself.
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def on_shared_file_system(path: Path, mounts: str) -> bool:
    """Whether other machines may write there, by the text of ``/proc/self/mountinfo``."""
    real = Path(os.path.realpath(path))
    deepest, kind = -1, ""
    for line in mounts.splitlines():
        # man 5 proc: what is mounted where, an end mark, the type. Spaces are written in octal.
        before, _, after = line.partition(" - ")
        words = before.split(" ")
        if len(words) < 6 or not after:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), words[4]))
        # Of two at one place, the later hides the other.
        if real.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, kind = len(point.parts), after.split(" ")[0]
    return kind in _SHARED or kind.startswith("fuse.")


def _migrate(connection: sqlite3.Connection) -> None:
    """Brings the tables up to date, each version in a transaction of its own.

    What fails is undone when the connection is closed.
    """
    while _number(connection, "PRAGMA user_version") < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have done it meanwhile: then nothing is left for this one.
        version = _number(connection, "PRAGMA user_version")
        steps = MIGRATIONS[version : version + 1]
        for statements in steps:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version + len(steps)}")
        connection.execute("COMMIT")


def _number(connection: sqlite3.Connection, query: str) -> int:
    return int(connection.execute(query).fetchone()[0])
