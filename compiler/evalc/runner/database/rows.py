"""Between what the database's columns hold and what the rest of evalc works with.

Text is stored as SQLite's text. What is no Unicode (the odd bytes of a path, of what a tool said;
Python has them as surrogates) is stored as bytes, so that nothing is lost and nothing fails.
"""

from __future__ import annotations

import json
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from evalc.backends.running import Sight, State
from evalc.runner.database.model import Attempt, Event, Invocation, JobRow, Submission
from evalc.runner.database.processes import Owner

if TYPE_CHECKING:
    import sqlite3

Row: TypeAlias = "dict[str, Any]"
_FIRST = itemgetter(0)


def stored(value: Any) -> Any:
    """What a column holds for a value."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode(errors="surrogatepass")
    return value


def named(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    """A row by the names of its columns, each with the value that was given for it."""
    row = dict(zip(map(_FIRST, cursor.description), values, strict=True))
    for name, value in row.items():
        if type(value) is bytes:
            row[name] = value.decode(errors="surrogatepass")
    return row


def insert(db: sqlite3.Connection, table: str, columns: Row) -> None:
    """Adds a row. Names of tables and columns are ours; values never become part of the SQL."""
    names = ", ".join(columns)
    places = ", ".join("?" * len(columns))
    query = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608
    db.execute(query, [*map(stored, columns.values())])


def update(db: sqlite3.Connection, table: str, columns: Row, key: Row) -> None:
    """Changes columns of the row that has these values."""
    new = ", ".join(f"{name} = ?" for name in columns)
    same = " AND ".join(f"{name} = ?" for name in key)
    query = f"UPDATE {table} SET {new} WHERE {same}"  # noqa: S608
    db.execute(query, [*map(stored, columns.values()), *map(stored, key.values())])


def sight_columns(sight: Sight) -> Row:
    """The columns of a job that say what was seen of it."""
    return {
        "state": sight.state.value,
        "reason": sight.reason,
        "native": json.dumps(sight.native),
        "attempt": sight.attempt,
        "attempts": sight.attempts,
        "began": sight.began,
        "ended": sight.ended,
        "node": sight.node,
        "done": sight.done,
        "total": sight.total,
    }


def sight_of(row: Row) -> Sight:
    """What was last seen of a job."""
    state = State(row["state"])
    native = _texts(row["native"])
    same = ("reason", "attempt", "attempts", "began", "ended", "node", "done", "total")
    return Sight(state=state, native=native, **{name: row[name] for name in same})


def job_of(row: Row) -> JobRow:
    """A job."""
    return JobRow(row["number"], row["id"], _texts(row["steps"]), sight_of(row), row["seen"])


@lru_cache(maxsize=1 << 14)
def _texts(stored: str) -> tuple[str, ...]:
    """Texts that a column holds as JSON. A command reads the same jobs before and after it asks."""
    return tuple(json.loads(stored))


def owner_columns(owner: Owner) -> Row:
    """The columns of an invocation that say who submits it."""
    return {
        "owner_pid": owner.pid,
        "owner_started": owner.started,
        "owner_boot": owner.boot,
        "owner_namespace": owner.namespace,
        "owner_machine": owner.machine,
    }


def owner_of(row: Row) -> Owner:
    """Who submits an invocation, or did."""
    return Owner(
        pid=row["owner_pid"],
        started=row["owner_started"],
        boot=row["owner_boot"],
        namespace=row["owner_namespace"],
        machine=row["owner_machine"],
    )


def invocation_of(row: Row, jobs: tuple[JobRow, ...]) -> Invocation:
    """An invocation with its jobs."""
    return Invocation(
        id=row["id"],
        name=row["name"],
        backend=row["backend"],
        compiler=row["compiler"],
        digest=row["digest"],
        bundle=row["bundle"],
        machine=row["machine"],
        hostname=row["hostname"],
        username=row["username"],
        ssh_key=row["ssh_key"],
        folder=row["folder"],
        options=json.loads(row["options"]),
        edited=bool(row["edited"]),
        created=row["created"],
        submission=Submission(row["submission"]),
        jobs=jobs,
    )


def attempt_of(row: Row) -> Attempt:
    """One try of a job."""
    return Attempt(row["job"], row["native"], row["first_seen"], State(row["state"]))


def event_of(row: Row) -> Event:
    """Something that happened."""
    return Event(row["at"], row["job"], row["what"], row["text"])
