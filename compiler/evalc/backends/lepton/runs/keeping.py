"""Goes on with a run when ``evalc submit`` has ended, for as long as it has an endpoint:
what starts :mod:`keeper`, and knows whether it is there.

An endpoint takes minutes until it is ready, and only then can jobs be created that talk to it; when
they have ended, it has to go. That is done by a process of its own on the submitting machine, as
``run_all.sh`` is for runs of the local backend. It can be ended anywhere, by ``kill -9`` too: what
it has done is in the journals, ``evalc status`` removes an endpoint that nobody needs, and ``evalc
resume`` goes on.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs import lock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evalc.backends.lepton.runs.folder import RunFolder

LOCK = "submit.lock"
_LOG, _PID, _TO_COME = "keeper.log", "keeper.pid", "keeper.jobs"
GAVE_UP = "gave up: "


def start(folder: RunFolder, jobs: Sequence[str], environ: Mapping[str, str]) -> None:
    """Starts the process, which takes over the folder's lock from this one. Raises OSError."""
    with (folder.logs / _LOG).open("ab") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "evalc.backends.lepton.runs.keeper", str(folder.path),
                folder.invocation, *jobs,
            ],
            env=dict(environ),
            cwd=folder.path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )  # fmt: skip
    note_to_come(folder, jobs)
    (folder.logs / _PID).write_text(f"{process.pid}\n")
    lock.hand_over(folder.logs / LOCK, process.pid)
    # Nobody here waits for it.
    process.returncode = 0


def keeper_of(folder: RunFolder) -> int | None:
    """The process that goes on with a run, None when there is none."""
    pid = lock.holder(folder.logs / LOCK)
    return pid if pid is not None and pid == _noted(folder.logs / _PID) else None


def note_to_come(folder: RunFolder, jobs: Sequence[str]) -> None:
    """Writes down which jobs are still to be created. Raises OSError."""
    path = folder.logs / _TO_COME
    part = path.with_name(f"{path.name}.new")
    part.write_text("".join(f"{job}\n" for job in jobs))
    part.replace(path)


def to_come(folder: RunFolder) -> Sequence[str]:
    """The jobs that the process is going to create, as far as there is one."""
    if keeper_of(folder) is None:
        return ()
    try:
        return (folder.logs / _TO_COME).read_text().splitlines()
    except OSError:
        return ()


def trouble(folder: RunFolder) -> str:
    """Why the last one has given up; empty when it has not, or there was none."""
    try:
        lines = (folder.logs / _LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1].partition(GAVE_UP)[2] if lines else ""


def has_endpoints(folder: RunFolder) -> bool:
    """Whether an endpoint may still be there that has to be removed."""
    return any(folder.told_of(endpoint).may_exist for endpoint in folder.endpoints.values())


def _noted(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isascii() and text.isdigit() else None
