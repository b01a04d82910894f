"""What the platform answers: jobs and endpoints as the rest knows them, and what went wrong.

Of a job no more is read than has to be known, so that a key of a newer platform is in nobody's way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

UNREADABLE = "its answer can't be read"
# Errors of the client's that have no answer with them; 404 is that of the workspace itself.
_CODES = {
    "WorkspaceUnauthorizedError": 401,
    "WorkspaceForbiddenError": 403,
    "WorkspaceNotFoundError": 400,
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the platform tells it; ``state`` in its own words. Times are seconds since 1970."""

    id: str
    name: str
    state: str
    created: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as the platform tells it. ``phase`` tells Stopping and Stopped from Not Ready."""

    name: str
    state: str
    phase: str = ""
    url: str = ""


def by_name(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """The jobs by their names, the newest last."""
    found: dict[str, list[Job]] = {}
    for job in sorted(jobs, key=lambda one: one.created or 0):
        found.setdefault(job.name, []).append(job)
    return found


def job_of(one: Any) -> Job:
    """A job of the API's. Raises KeyError, TypeError and AttributeError for what is none."""
    metadata, status = one["metadata"], one.get("status") or {}
    # In milliseconds; the other one is in seconds, in which two may have been created.
    made = _number(metadata.get("created_at"))
    return Job(
        id=str(metadata["id"]),
        # The platform makes an id of the name.
        name=str(metadata.get("name") or str(metadata["id"]).rpartition("-")[0]),
        state=str(status.get("state") or ""),
        created=made / 1000 if made else _number(status.get("creation_time")),
        ended=_number(status.get("completion_time")),
    )


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) else None


def lines_of(ask: Callable[[], Any]) -> list[tuple[int, str]]:
    """The lines of an answer in Loki's form, with their times in nanoseconds since 1970.

    Raises as ``ask`` does, and what comes of an answer of another form."""
    return [
        (int(when), line)
        for stream in ask()["data"]["result"] or ()
        for when, line in stream["values"] or ()
    ]


def code_of(error: Exception) -> int | None:
    """The answer's code; None where there was no answer, or one that can't be read."""
    if type(error).__name__ in _CODES:
        return _CODES[type(error).__name__]
    response = getattr(error, "response", None)
    code = getattr(response, "status_code", None)
    code = getattr(error, "status_code", None) if code is None else code
    return code if isinstance(code, int) and code >= 400 else None


def retry_after(error: Exception) -> float:
    """How many seconds the platform wants to be left alone; 0 where it does not say."""
    response = getattr(error, "response", None)
    text = response.headers.get("Retry-After", "") if response is not None else ""
    return float(text) if text.isascii() and text.isdigit() else 0.0


def why_of(error: Exception) -> str:
    """An error in one line; what the platform itself says, where it says something."""
    response = getattr(error, "response", None)
    if response is None:
        return words_of(error)
    try:
        said = response.json().get("message", "")
    except (ValueError, AttributeError):
        said = ""
    code = response.status_code
    if code == 401:
        return f"it does not take the token (401): {said}; 'lep login' with a new one"
    return f"{said or response.reason} ({code})"


def words_of(error: Exception) -> str:
    """An error that came without an answer, in one line."""
    if "programming error" in str(error):
        return UNREADABLE
    if type(error).__module__.startswith(("requests", "urllib3")):
        name = type(error).__name__
        return "no answer in time" if "Timeout" in name else f"the connection failed ({name})"
    return " ".join(str(error).split())[:300]
