"""Who is submitting something, in a form that tells later whether that process still lives."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
# Seconds after which a process that can't be asked about (it is on another machine with the same
# home folder, or in a container) is held for dead. Whoever submits is heard of more often.
SILENCE = 3600.0


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its number, when it started (as text that only tells processes apart), and where.

    ``boot`` changes with each start of the machine, ``namespace`` tells containers apart; both are
    empty where the system has no such thing.
    """

    pid: int
    started: str
    boot: str
    namespace: str
    machine: str


def machine_name() -> str:
    """What this machine calls itself."""
    return os.uname().nodename


def this_process() -> Owner:
    """The process that asks."""
    pid = os.getpid()
    return Owner(pid, _started(pid), _boot(), _namespace(), machine_name())


def is_gone(owner: Owner, silent: float) -> bool:
    """Whether a process has ended, which was last heard of ``silent`` seconds ago.

    That may be negative, by a clock that was set back.
    """
    here = this_process()
    if (owner.boot, owner.namespace) == (here.boot, here.namespace):
        return _started(owner.pid) != owner.started
    if owner.machine == here.machine and owner.boot != here.boot:
        return True
    return abs(silent) > SILENCE


def _started(pid: int) -> str:
    """When a process started; empty when there is none, or only a zombie."""
    if not (_PROC / "self/stat").exists():
        return _said("ps", "-o", "lstart=", "-p", str(pid))
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return ""
    # The name in parentheses may hold anything; the start time is field 22 of all (man 5 proc).
    fields = stat[stat.rindex(b")") + 2 :].split()
    return "" if fields[0] == b"Z" else fields[19].decode()


def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _said("sysctl", "-n", "kern.bootsessionuuid")


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _said(*command: str) -> str:
    """What a program prints; empty where there is none. Dates are the same in all environments."""
    env = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
