"""The journals of a run: what was done for a task's job, and for an endpoint. See the reference.

``submit_all.sh`` and evalc write the same ones. A line is added in one step, and told before the
outside world is touched.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from evalc.backends.running import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PAIR = re.compile(r"(\w+)=(\S*)")


@dataclass(frozen=True, slots=True)
class Event:
    """A line. ``at`` is seconds since 1970, None for a time that can't be read."""

    at: float | None
    name: str
    keys: Mapping[str, str]
    reason: str = ""


@dataclass(slots=True)
class Told:
    """What a journal tells of a task's job.

    ``ids`` are the jobs that it had, the newest last. ``submissions`` counts how often it was to be
    created; ``open`` is set while nobody has noted how the last time ended. ``refused`` is why it
    was not created, and ``stopped`` whether it was stopped on request, the last time. ``ends`` are
    the platform's last words by job, ``exits`` what the jobs themselves said of their ends: exit
    code and reason, None where they were asked and said nothing. ``since`` is when the last one was
    to be created, ``at`` the time of the newest line.
    """

    ids: list[str] = field(default_factory=list)
    submissions: int = 0
    open: bool = False
    refused: str = ""
    stopped: bool = False
    ends: dict[str, str] = field(default_factory=dict)
    exits: dict[str, tuple[int | None, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    since: float | None = None
    at: float | None = None

    def may_come(self, after: float) -> bool:
        """Whether it was to be created after that time, in seconds since 1970, and nobody has noted
        how that ended."""
        return self.open and self.at is not None and self.at > after


@dataclass(slots=True)
class ToldOfEndpoint:
    """What a journal tells of an endpoint: the last thing that happened to it, empty when there is
    none.

    ``failure`` is why it can't be used, also after it was removed. ``since`` is when it was
    created, in seconds since 1970.
    """

    event: str = ""
    failure: str = ""
    since: float | None = None

    @property
    def may_exist(self) -> bool:
        """Whether nobody has removed it since it was to be created."""
        return self.event not in ("", "removed")

    def may_come(self, after: float) -> bool:
        """Whether its creation was asked for after that time, in seconds since 1970, and nobody has
        noted an answer."""
        return self.event == "creating" and self.since is not None and self.since > after


def read(path: Path) -> list[Event]:
    """All lines that are whole; none where there is no journal."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for line in text.split("\n")[:-1]:
        if line.endswith("[cut]"):
            continue
        when, _, said = line.partition(" ")
        said, _, reason = said.partition(" reason=")
        name, _, pairs = said.partition(" ")
        found.append(Event(seconds(when), name, dict(_PAIR.findall(pairs)), reason))
    return found


def of_job(events: list[Event]) -> Told:
    """What they tell of the task's job."""
    told = Told()
    for event in events:
        id_ = event.keys.get("job", "")
        match event.name:
            case "submitting":
                told.submissions += 1
                told.open, told.refused, told.stopped = True, "", False
                told.since = event.at
            case "submitted":
                # One that was found may stand here alone.
                told.since = told.since if told.open else event.at
                told.open = False
                if id_ and id_ not in told.ids:
                    told.ids.append(id_)
            case "refused":
                told.open, told.refused = False, event.reason or "it was refused"
            case "ended":
                told.ends[id_] = event.keys.get("state", "")
                if "exit" in event.keys:
                    told.exits[id_] = (whole_number(event.keys["exit"]), event.reason)
            case "gone":
                told.gone.add(id_)
            case "stopped":
                told.open, told.stopped = False, True
            case _:
                continue
        told.at = event.at
    return told


def of_endpoint(events: list[Event], name: str) -> ToldOfEndpoint:
    """What they tell of the endpoint of this name."""
    told = ToldOfEndpoint()
    for event in events:
        if event.name == "endpoint" and event.keys.get("name") == name:
            told.event = event.keys.get("event", "")
            if told.event == "failed":
                told.failure = event.reason or "it failed"
            elif told.event in ("creating", "created"):
                told.failure, told.since = "", event.at
    return told


def add(path: Path, name: str, reason: str = "", /, **keys: str) -> None:
    """Adds a line, in one step. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), name]
    words += [f"{key}={value}" for key, value in keys.items()]
    if reason:
        words.append("reason=" + " ".join(reason.split()))
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        # What a crash has cut gets its end, so that this line is one of its own.
        cut = b" [cut]\n" if _is_cut(path) else b""
        os.write(handle, cut + " ".join(words).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_cut(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def seconds(text: str) -> float | None:
    """A time as scripts write it, in seconds since 1970; None for anything else."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
