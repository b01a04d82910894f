"""What evalc remembers: the invocations, their jobs, and what became of them.

Everything that changes the database does so in one short transaction, and nothing is changed in
the outside world during one. No value of a secret may be given to any function here.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evalc.backends.running import Sight, State
from evalc.errors import nearest
from evalc.runner.database.failures import (
    AmbiguousId,
    DatabaseBroken,
    TakenOver,
    UnknownId,
)
from evalc.runner.database.model import Found, Submission
from evalc.runner.database.opening import connect, default_path
from evalc.runner.database.processes import is_gone, machine_name, this_process
from evalc.runner.database.rows import (
    attempt_of,
    event_of,
    insert,
    invocation_of,
    job_of,
    owner_columns,
    owner_of,
    sight_columns,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from evalc.backends.running import Job
    from evalc.runner.database.model import Attempt, Event, Invocation
    from evalc.runner.database.rows import Row

# No vowels, so that no id is a word, and nothing that looks like another character. An id begins
# with a letter: what begins with a digit is a job number, or a job id of a scheduler's.
_LETTERS = "bcdfghjkmnpqrstvwxz"
_ALPHABET = _LETTERS + "23456789"
_ID_LENGTH = 8
_LONGEST_GUESSED = 4 * _ID_LENGTH
_TO_COME = (Submission.INTENDED.value, Submission.UPLOADED.value)
_ENDS = tuple(state.value for state in State if state.is_end)


def new_id() -> str:
    """A random id of an invocation."""
    first, *others = os.urandom(_ID_LENGTH)
    chars = [_LETTERS[first % len(_LETTERS)], *(_ALPHABET[b % len(_ALPHABET)] for b in others)]
    return "".join(chars)


class Database:
    """The tracking database. For one thread; a process that is forked needs one of its own.

    Every method may raise :class:`~evalc.runner.database.failures.DatabaseBroken`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path | None = None) -> Database:
        """The database at ``path``, else the user's, which is made when there is none.

        It is in ``$EVALC_HOME``, ``$XDG_STATE_HOME/evalc`` or ``~/.local/state/evalc``. Raises
        :class:`~evalc.runner.database.failures.DatabaseTooNew` when a newer evalc has written it.
        """
        path = path or default_path()
        return cls(path, connect(path))

    def close(self) -> None:
        """Ends the connection; nothing is lost without that."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Submitting.

    def intend(
        self,
        *,
        name: str,
        backend: str,
        compiler: str,
        digest: str,
        bundle: str,
        hostname: str | None,
        username: str | None,
        ssh_key: str | None,
        folder: Callable[[str], str],
        options: Mapping[str, Any],
        edited: bool,
        jobs: Sequence[Job],
    ) -> Invocation:
        """Records what this process is going to submit, before it touches anything outside.

        The parts are those of :class:`~evalc.runner.database.model.Invocation`, except that
        ``folder`` makes the folder's path from the invocation's id.
        """
        now = time.time()
        with self._writing() as db:
            taken = "SELECT 1 FROM invocations WHERE id = ?"
            while db.execute(taken, (invocation := new_id(),)).fetchone():
                pass
            columns = {
                "id": invocation,
                "name": name,
                "backend": backend,
                "compiler": compiler,
                "digest": digest,
                "bundle": bundle,
                "machine": machine_name(),
                "hostname": hostname,
                "username": username,
                "ssh_key": ssh_key,
                "folder": folder(invocation),
                "options": json.dumps(dict(options)),
                "edited": edited,
                "created": now,
                "submission": Submission.INTENDED.value,
                **owner_columns(this_process()),
                "owned": now,
            }
            insert(db, "invocations", columns)
            for number, job in enumerate(jobs, start=1):
                columns = {
                    "invocation": invocation,
                    "number": number,
                    "id": job.id,
                    "steps": json.dumps(job.steps),
                    **sight_columns(Sight(State.SUBMITTING)),
                }
                insert(db, "jobs", columns)
            _add_event(db, now, invocation, Submission.INTENDED.value)
            return self._invocations("id = ?", (invocation,))[0]

    def advance(self, invocation: str, to: Submission) -> None:
        """Records how far this process has come; to be where it was already is no step.

        Raises :class:`~evalc.runner.database.failures.TakenOver` when another one has gone on with
        it meanwhile, or has finished it; this one must then leave it alone.
        """
        with self._writing() as db:
            self._advance(db, invocation, to, "")

    def abandon(self, invocation: str, why: str) -> None:
        """Records that nothing of an invocation runs, nor will; raises as :meth:`advance` does."""
        with self._writing() as db:
            if not self._advance(db, invocation, Submission.ABANDONED, why):
                return
            columns = {"state": State.CANCELLED.value, "reason": why}
            waiting = {"invocation": invocation, "state": State.SUBMITTING.value}
            update(db, "jobs", columns, waiting)

    def unsettled(self) -> list[Invocation]:
        """Invocations whose submission was cut short: whoever was at it is gone."""
        with self._reading():
            return self._invocations(
                f"submission IN {_places(_TO_COME)}",
                _TO_COME,
                lambda row: is_gone(owner_of(row), time.time() - row["owned"]),
            )

    def claim(self, invocation: str) -> bool:
        """Makes this process the one that finishes or undoes a submission that was cut short.

        False when it has come to its end, or another living process is at it: of several that
        claim the same, one gets it.
        """
        with self._writing() as db:
            row = self._submission(db, invocation)
            now = time.time()
            if row["submission"] not in _TO_COME:
                return False
            owner = owner_of(row)
            if owner == this_process():
                return True
            if not is_gone(owner, now - row["owned"]):
                return False
            self._own(db, invocation, row["submission"])
            _add_event(db, now, invocation, "claimed", f"from process {owner.pid}")
            return True

    def reopen(self, invocation: str) -> bool:
        """Records that this process is going to start jobs of a submitted invocation again.

        From then on it is like one whose submission has come as far as its folder. False when it is
        not a submitted one: abandoned, or another process is at it.
        """
        with self._writing() as db:
            row = self._submission(db, invocation)
            if row["submission"] != Submission.SUBMITTED.value:
                return False
            self._own(db, invocation, Submission.UPLOADED.value)
            _add_event(db, time.time(), invocation, "reopened")
            return True

    # What was seen.

    def record(
        self, invocation: str, sights: Mapping[str, Sight], looked: float | None = None
    ) -> None:
        """Records what was seen of jobs of one invocation; see :meth:`record_many`."""
        self.record_many({invocation: sights}, looked)

    def record_many(
        self, sights: Mapping[str, Mapping[str, Sight]], looked: float | None = None
    ) -> None:
        """Records what was seen of jobs, by invocation and by the job's id, all or nothing.

        ``looked`` is when that was asked for, now if not given; what another process has seen later
        is kept. ``UNKNOWN`` does not replace an end, nor does it count as having seen the job. What
        is no job of an invocation is passed over.
        """
        with self._writing() as db:
            now = time.time()
            looked = now if looked is None else looked
            # Most looks at most jobs show what the one before has shown.
            seen = []
            for invocation, of_jobs in sights.items():
                rows = db.execute("SELECT * FROM jobs WHERE invocation = ?", (invocation,))
                for row in rows.fetchall():
                    sight = of_jobs.get(row["id"])
                    if sight is None or _is_old_news(row, sight, looked, now):
                        continue
                    changed = _changes(row, sight)
                    if changed:
                        _record(db, row, sight, looked, changed)
                    if sight.state is not State.UNKNOWN:
                        seen.append((looked, invocation, row["number"]))
            query = "UPDATE jobs SET seen = ? WHERE invocation = ? AND number = ?"
            db.executemany(query, seen)

    def note(self, invocation: str, what: str, text: str = "", job: str | None = None) -> None:
        """Adds to the history of a run that something happened; ``what`` is a word for it."""
        with self._writing() as db:
            _add_event(db, time.time(), invocation, what, text, job=job)

    # Asking.

    def find(self, given: str) -> Found:
        """What an id stands for: ``<invocation>``, ``<invocation>.<n>``, or the beginning of one.

        Raises :class:`~evalc.runner.database.failures.UnknownId` and
        :class:`~evalc.runner.database.failures.AmbiguousId`.
        """
        prefix, dot, number = given.strip().lower().partition(".")
        with self._reading() as db:
            ids = [
                row["id"] for row in db.execute("SELECT id FROM invocations ORDER BY serial DESC")
            ]
            fitting = [known for known in ids if prefix and known.startswith(prefix)]
            if not fitting:
                guesses = nearest(prefix, ids) if len(prefix) <= _LONGEST_GUESSED else ()
                raise UnknownId(given, tuple(f"{guess}{dot}{number}" for guess in guesses))
            if len(fitting) > 1:
                raise AmbiguousId(given, tuple(fitting))
            (invocation,) = self._invocations("id = ?", (fitting[0],))
        if not dot:
            return Found(invocation)
        # By their texts: a number may be too long for int().
        by_number = {str(job.number): job for job in invocation.jobs}
        if number not in by_number:
            known = tuple(f"{invocation.id}.{n}" for n in by_number)
            raise UnknownId(given, known if len(known) <= 2 else (known[0], known[-1]))
        return Found(invocation, by_number[number])

    def get(self, ids: Sequence[str]) -> list[Invocation]:
        """The invocations with these ids, whole ones that are known to be there, in that order."""
        with self._reading():
            return [one for id_ in ids for one in self._invocations("id = ?", (id_,))]

    def unfinished(self) -> list[Invocation]:
        """Invocations that are on their hosts, and of which jobs have not ended as far as is known.

        One whose submission was cut short, or still goes on, is among them.
        """
        started = (Submission.UPLOADED.value, Submission.SUBMITTED.value)
        going_on = f"SELECT invocation FROM jobs WHERE state NOT IN {_places(_ENDS)}"  # noqa: S608
        with self._reading():
            return self._invocations(
                f"submission IN {_places(started)} AND id IN ({going_on})", (*started, *_ENDS)
            )

    def listing(self, since: float | None = None, backend: str | None = None) -> list[Invocation]:
        """All invocations, the newest first; only those made after ``since``, of one backend."""
        with self._reading():
            return self._invocations(
                "created >= coalesce(?, created) AND backend = coalesce(?, backend)",
                (since, backend),
            )

    def attempts(self, invocation: str) -> list[Attempt]:
        """The attempts of all jobs of an invocation, as they were first seen."""
        with self._reading() as db:
            query = "SELECT * FROM attempts WHERE invocation = ? ORDER BY serial"
            return [attempt_of(row) for row in db.execute(query, (invocation,))]

    def events(self, invocation: str) -> list[Event]:
        """The history of an invocation, the oldest first."""
        with self._reading() as db:
            query = "SELECT * FROM events WHERE invocation = ? ORDER BY serial"
            return [event_of(row) for row in db.execute(query, (invocation,))]

    # Within a transaction.

    def _invocations(
        self,
        condition: str,
        values: Sequence[Any],
        wanted: Callable[[Row], bool] = lambda _row: True,
    ) -> list[Invocation]:
        """The invocations that fulfil a condition of SQL, with their jobs, the newest first."""
        db = self._connection
        query = f"SELECT * FROM invocations WHERE {condition} ORDER BY serial DESC"  # noqa: S608
        rows = [row for row in db.execute(query, values).fetchall() if wanted(row)]
        jobs = "SELECT * FROM jobs WHERE invocation = ? ORDER BY number"
        return [
            invocation_of(row, tuple(map(job_of, db.execute(jobs, (row["id"],))))) for row in rows
        ]

    def _submission(self, db: sqlite3.Connection, invocation: str) -> Row:
        query = "SELECT * FROM invocations WHERE id = ?"
        row: Row | None = db.execute(query, (invocation,)).fetchone()
        if row is None:
            raise UnknownId(invocation, ())
        return row

    def _advance(self, db: sqlite3.Connection, invocation: str, to: Submission, why: str) -> bool:
        """Records a step of this process; False when it was there already."""
        row = self._submission(db, invocation)
        at = Submission(row["submission"])
        if owner_of(row) != this_process() or (at.is_end and at is not to):
            raise TakenOver(invocation)
        if at is to:
            return False
        self._own(db, invocation, to.value)
        _add_event(db, time.time(), invocation, to.value, why)
        return True

    def _own(self, db: sqlite3.Connection, invocation: str, submission: str) -> None:
        """Makes this process the one that submits an invocation, and says how far it has come."""
        columns = {
            **owner_columns(this_process()),
            "owned": time.time(),
            "submission": submission,
        }
        update(db, "invocations", columns, {"id": invocation})

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        db = self._connection
        try:
            db.execute(begin)
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise DatabaseBroken.by_sqlite(self.path, error) from None
        except ValueError as error:
            # JSON that is none, a state that is not known.
            raise DatabaseBroken.by_content(self.path, f"it holds what can't be: {error}") from None


def _is_old_news(row: Row, sight: Sight, looked: float, now: float) -> bool:
    """Whether what was seen of a job tells less than what is known of it."""
    if sight.state is State.UNKNOWN and State(row["state"]).is_end:
        return True
    # What was seen in the future was so by a clock that has been set back since.
    return row["seen"] is not None and looked < row["seen"] <= now


def _changes(row: Row, sight: Sight) -> Row:
    """The columns in which a job's row does not tell what was seen, with what was."""
    columns = sight_columns(sight)
    if sight.state is State.UNKNOWN:
        # What was seen of it before stays as it was.
        nothing = sight_columns(Sight(State.UNKNOWN))
        told = {name: value for name, value in columns.items() if value != nothing[name]}
        columns = {"state": columns["state"], "reason": sight.reason, **told}
    return {name: value for name, value in columns.items() if row[name] != value}


def _record(db: sqlite3.Connection, row: Row, sight: Sight, looked: float, changed: Row) -> None:
    """Changes a job's row to what was seen, with its attempts and its history."""
    invocation, job = row["invocation"], row["id"]
    update(db, "jobs", changed, {"invocation": invocation, "id": job})
    if changed.keys() & {"state", "native", "attempt"}:
        _record_attempts(db, invocation, job, sight, looked)
    if "state" in changed:
        reason = f": {sight.reason}" if sight.reason else ""
        text = f"{row['state']} -> {sight.state.value}{reason}"
        _add_event(db, looked, invocation, "state", text, job=job)


def _record_attempts(
    db: sqlite3.Connection, invocation: str, job: str, sight: Sight, looked: float
) -> None:
    """Adds the attempts that are new; the state is that of the one which the job is at."""
    if not sight.native:
        return
    of_job = {"invocation": invocation, "job": job}
    query = "SELECT native FROM attempts WHERE invocation = ? AND job = ?"
    known = {row["native"] for row in db.execute(query, (invocation, job))}
    for native in dict.fromkeys(sight.native):
        if native not in known:
            state = State.UNKNOWN.value
            columns = {**of_job, "native": native, "first_seen": looked, "state": state}
            insert(db, "attempts", columns)
    # Links of a chain may be queued ahead; a job that is requeued keeps its one id.
    at = sight.attempt if 0 < sight.attempt <= len(sight.native) else 0
    key = {**of_job, "native": sight.native[at - 1]}
    update(db, "attempts", {"state": sight.state.value}, key)


def _add_event(
    db: sqlite3.Connection,
    at: float,
    invocation: str,
    what: str,
    text: str = "",
    *,
    job: str | None = None,
) -> None:
    columns = {"at": at, "invocation": invocation, "job": job, "what": what, "text": text}
    insert(db, "events", columns)


def _places(values: Sequence[str]) -> str:
    """Where values go in a list of SQL."""
    return f"({', '.join('?' * len(values))})"
