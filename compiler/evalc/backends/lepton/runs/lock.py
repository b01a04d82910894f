"""Who is at work in a run's folder: the lock of ``templates/lib/common.sh``, for scripts, too.

The file holds a process id and when that process started, so that a lock whose holder is gone is
seen to be free.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from contextlib import suppress
from pathlib import Path


def started(pid: int) -> str:
    """When a process started, in the words of ``evalc_started``; empty when it does not run."""
    if Path("/proc/self/stat").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        fields = text.rpartition(") ")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    ran = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return ran.stdout.rstrip("\n")


def holder(path: Path) -> int | None:
    """The process that holds the lock, None when it is free."""
    try:
        pid, _, start = path.read_text(encoding="utf-8", errors="replace").strip().partition(" ")
    except OSError:
        return None
    if not pid.isascii() or not pid.isdigit() or not start or started(int(pid)) != start:
        return None
    return int(pid)


def take(path: Path) -> int | None:
    """Takes the lock for this process; who has it instead, None when it is ours. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Some network file systems can't lock a folder; two may then take it at one moment.
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        found = holder(path)
        if found is None:
            hand_over(path, os.getpid())
        return None if found == os.getpid() else found
    finally:
        os.close(folder)


def hand_over(path: Path, pid: int) -> None:
    """Makes another process the holder, in one step."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(f"{pid} {started(pid)}\n")
    part.replace(path)


def free(path: Path) -> None:
    """Gives the lock back, if it is this process's."""
    if holder(path) == os.getpid():
        path.unlink(missing_ok=True)
