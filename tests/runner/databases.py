"""Invocations to record, and children that work on a database at the same time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from evalc.backends.running import Job

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from evalc.runner.database import Database, Invocation

JOBS = (Job("mmlu", ("mmlu.a", "mmlu.b")), Job("gpqa", ("gpqa",)))


def intend(database: Database, **other: Any) -> Invocation:
    """An invocation of a bundle with two jobs, which this process is submitting."""
    parts: dict[str, Any] = {
        "name": "nightly",
        "backend": "slurm",
        "compiler": "0.1.0",
        "digest": "d" * 64,
        "bundle": "/home/me/bundle",
        "hostname": "cluster",
        "username": "me",
        "ssh_key": "/home/me/.ssh/id",
        "folder": lambda invocation: f"/scratch/{invocation}",
        "options": {"account": "a", "mounts": {"x": ["/data"]}},
        "edited": False,
        "jobs": JOBS,
    }
    return database.intend(**{**parts, **other})


def child(job: Callable[[], object]) -> int:
    """Starts a process that does a job; its number. Its exit code is 0 when the job was done."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            job()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must not come back
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def ended(pid: int) -> int:
    """The exit code of a child; negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def at_once(count: int, job: Callable[[int], object]) -> list[int]:
    """The exit codes of children that all begin their jobs at the same moment."""
    reader, writer = os.pipe()

    def wait_and_do(number: int) -> None:
        os.close(writer)
        os.read(reader, 1)
        job(number)

    pids = [child(lambda number=number: wait_and_do(number)) for number in range(count)]  # type: ignore[misc]
    os.close(reader)
    os.close(writer)
    return [ended(pid) for pid in pids]


def set_clock(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    """From now on it is ``now``, in this process."""
    monkeypatch.setattr(time, "time", lambda: now)
