"""Logs of jobs and endpoints, of the moment and of the past.

They are passed on as the bytes that they are: nothing is decoded, so no cut character is in the
way.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs.inlog import without_marks
from evalc.backends.lepton.runs.judge import is_live
from evalc.backends.lepton.runs.known import jobs_of
from evalc.backends.lepton.runs.platform import Absent
from evalc.backends.running import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.backends.lepton.runs.folder import JobPlan, RunFolder
    from evalc.backends.lepton.runs.platform import Platform

# What a log has so far comes at once: after this silence, in seconds, it is taken to have come;
# after so many seconds in any case.
_SILENCE = 1.0
_LONGEST = 20.0


def told(
    platform: Platform, folder: RunFolder, job: str, what: str, *, tail: int, follow: bool
) -> Iterator[bytes]:
    """See :meth:`evalc.backends.running.Runs.told`."""
    plan = folder.jobs[job]
    if what == "server":
        if plan.endpoint or plan.deployment:
            yield from _server(platform, folder, plan, tail=tail, follow=follow)
        return
    found = jobs_of(platform, folder).get(plan.name, [])
    ids = [*folder.told(plan).ids, *(one.id for one in found)]
    live = [one.id for one in found if is_live(one)]
    if what == "client" and not live and (kept := _kept(folder, plan)) is not None:
        yield _last(kept, tail)
    elif ids:
        yield from _of(platform, tail=tail, follow=follow, job=(live or ids)[-1])


def _server(
    platform: Platform, folder: RunFolder, plan: JobPlan, *, tail: int, follow: bool
) -> Iterator[bytes]:
    """Of an endpoint: while it is there, the platform's, else what was kept when it was removed."""
    own = folder.endpoints.get(plan.endpoint)
    if own is None or folder.told_of(own).may_exist:
        name = plan.endpoint or plan.deployment
        yield from _of(platform, tail=tail, follow=follow, endpoint=name)
        return
    kept = folder.server_log(own)
    if kept.is_file():
        yield _last(kept.read_bytes(), tail)


def _of(
    platform: Platform, *, tail: int, follow: bool, job: str = "", endpoint: str = ""
) -> Iterator[bytes]:
    """The log of what runs, else what is kept of it; as people want it."""
    replicas = platform.replicas(job=job, endpoint=endpoint)
    try:
        if replicas:
            pieces = platform.live_log(replicas[0], job=job, endpoint=endpoint)
            yield from _moment(without_marks(pieces), tail=tail, follow=follow)
            return
    except Absent:
        pass
    try:
        # The newest come first.
        past = without_marks(platform.past_log(job=job, endpoint=endpoint))
        lines = list(islice(past, tail or None))
    except Absent:
        return
    yield from reversed(lines)


def as_it_is(platform: Platform, job: str) -> bytes:
    """All that the platform has of a job's log: of its last attempt, else of all."""
    try:
        for replica in platform.replicas(job=job)[:1]:
            data, _ = so_far(platform.live_log(replica, job=job))
            if data:
                return data
    except Absent:
        pass
    return past(platform, job)


def past(platform: Platform, job: str, lines: int | None = None) -> bytes:
    """What the platform keeps of all attempts of a job; no more than its last ``lines``."""
    try:
        kept = list(islice(platform.past_log(job=job), lines))
    except Absent:
        return b""
    return b"".join(reversed(kept))


def so_far(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """What a log has at the moment, and whether that is all of it. Raises as the log does."""
    return _so_far(_pumped(pieces))


def _moment(pieces: Iterator[bytes], *, tail: int, follow: bool) -> Iterator[bytes]:
    """The last lines of a stream that has no end yet, and then what comes."""
    came = _pumped(pieces)
    data, over = _so_far(came)
    if data:
        yield _last(data, tail)
    while follow and not over:
        piece = _next(came, None)
        over = piece is None
        if piece:
            yield piece


def _pumped(pieces: Iterator[bytes]) -> queue.SimpleQueue[bytes | Exception | None]:
    """The same pieces, as another thread gets them; None is their end."""
    came: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()

    def pump() -> None:
        try:
            for piece in pieces:
                came.put(piece)
        except (Unreachable, Absent) as error:
            came.put(error)
        else:
            came.put(None)

    threading.Thread(target=pump, daemon=True).start()
    return came


def _so_far(came: queue.SimpleQueue[bytes | Exception | None]) -> tuple[bytes, bool]:
    data = bytearray()
    end = time.monotonic() + _LONGEST
    # The first piece is empty: it may take as long as connecting takes.
    patience = _LONGEST
    while time.monotonic() < end:
        try:
            piece = _next(came, patience)
        except queue.Empty:
            break
        if piece is None:
            return bytes(data), True
        data += piece
        patience = _SILENCE
    return bytes(data), False


def _next(came: queue.SimpleQueue[bytes | Exception | None], seconds: float | None) -> bytes | None:
    """The next piece, None at the end. Raises queue.Empty, and what the other thread has raised."""
    piece = came.get(timeout=seconds)
    if isinstance(piece, Exception):
        raise piece
    return piece


def _kept(folder: RunFolder, plan: JobPlan) -> bytes | None:
    """The harness's log on the volume, where that can be read here."""
    place = folder.stored(plan)
    if place is None:
        return None
    try:
        return (place / "logs" / "client_stdout.log").read_bytes()
    except OSError:
        return None


def _last(data: bytes, tail: int) -> bytes:
    """The last lines; all of them for 0."""
    return b"".join(deque(data.splitlines(keepends=True), tail)) if tail else data
