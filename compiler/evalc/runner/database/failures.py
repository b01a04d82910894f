"""What can be wrong with the database, and with the ids that people type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.errors import EvalcError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

# Of a long or an odd text that was given as an id, this much is shown.
_SHOWN = 40
_ANOTHER = "or set EVALC_HOME to another folder"
_DAMAGED = (
    "move it away, and evalc starts a new one; it then knows nothing of earlier runs, "
    "whose jobs and results stay where they are"
)
# What SQLite says (a part of it), what that means, and what to do. Before Python 3.11 there are no
# error codes.
_MEANINGS = (
    ("locked", "another process keeps it locked", "try again when that process has ended"),
    ("readonly", "it can't be written", f"change its permissions, {_ANOTHER}"),
    ("unable to open", "it can't be opened", f"look at its permissions and its folder, {_ANOTHER}"),
    ("full", "the disk is full", f"make room there, {_ANOTHER}"),
    # What SQLite says of a quota, too.
    ("disk I/O", "the disk fails, or your quota is used up", f"make room there, {_ANOTHER}"),
    ("not a database", "it is damaged, or no database", _DAMAGED),
    ("malformed", "it is damaged", _DAMAGED),
)


class DatabaseTooNew(EvalcError):
    """A newer evalc has written the database: ``found`` is its version, ``known`` our newest."""

    exit_code = 2

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.path = path
        self.found = found
        self.known = known
        self.hint = f"use that evalc, {_ANOTHER}"
        super().__init__(
            f"{path} was written by a newer evalc (version {found}, this one knows {known})"
        )


class DatabaseBroken(EvalcError):
    """The database can't be read or written; ``why`` says what is wrong with it."""

    exit_code = 2

    def __init__(self, path: Path, why: str, hint: str) -> None:
        self.path = path
        self.why = why
        self.hint = hint
        super().__init__(f"can't use {path}: {why}")

    @classmethod
    def by_sqlite(cls, path: Path, error: Exception) -> DatabaseBroken:
        """What an error of SQLite's means."""
        said = str(error)
        for part, why, hint in _MEANINGS:
            if part in said:
                return cls(path, why, hint)
        return cls(path, said, _DAMAGED)

    @classmethod
    def by_system(cls, path: Path, error: OSError) -> DatabaseBroken:
        """What the operating system refused."""
        hint = "set EVALC_HOME to a folder that you can write"
        return cls(path, error.strerror or str(error), hint)

    @classmethod
    def by_content(cls, path: Path, what: str) -> DatabaseBroken:
        """The file is sound, but ``what`` is in it, which no evalc wrote."""
        return cls(path, what, _DAMAGED)


class UnknownId(UsageError):
    """No run, or no job of it, has the id ``given``; ``candidates`` are those that look like it."""

    def __init__(self, given: str, candidates: tuple[str, ...]) -> None:
        self.given = given
        self.candidates = candidates
        hint = f"did you mean {_either(candidates)}?" if candidates else "see 'evalc ls runs'"
        super().__init__(f"there is no run or job '{_shown(given)}'", hint)


class AmbiguousId(UsageError):
    """Several runs begin with ``given``; ``candidates`` are all of them, the newest first."""

    def __init__(self, given: str, candidates: tuple[str, ...]) -> None:
        self.given = given
        self.candidates = candidates
        super().__init__(
            f"{len(candidates)} runs begin with '{_shown(given)}'",
            f"give more of it: {_either(candidates[:5])}",
        )


class TakenOver(EvalcError):
    """Another process has finished, or goes on with, what this one was submitting.

    It was held for dead: stopped for long, or on a machine that can't be asked.
    """

    def __init__(self, invocation: str) -> None:
        self.invocation = invocation
        self.hint = f"see 'evalc status {invocation}'"
        super().__init__(f"another evalc has taken over submitting {invocation}")


def _either(words: tuple[str, ...]) -> str:
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last


def _shown(text: str) -> str:
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "".join(c if c.isprintable() else "�" for c in short)
