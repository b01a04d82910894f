"""What evalc remembers of the runs that it has submitted: one SQLite file a user."""

from evalc.runner.database.failures import (
    AmbiguousId,
    DatabaseBroken,
    DatabaseTooNew,
    TakenOver,
    UnknownId,
)
from evalc.runner.database.model import Attempt, Event, Found, Invocation, JobRow, Submission
from evalc.runner.database.tracking import Database

__all__ = [
    "AmbiguousId",
    "Attempt",
    "Database",
    "DatabaseBroken",
    "DatabaseTooNew",
    "Event",
    "Found",
    "Invocation",
    "JobRow",
    "Submission",
    "TakenOver",
    "UnknownId",
]
