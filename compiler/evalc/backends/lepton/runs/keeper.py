"""The process that goes on with a run: see :mod:`keeping`.

    python -m evalc.backends.lepton.runs.keeper FOLDER INVOCATION [JOB...]

Exit status: 0 nothing is left to do, 1 it gave up; its last word says why.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from evalc.backends.lepton.runs import keeping, lock
from evalc.backends.lepton.runs.ending import remove_unneeded
from evalc.backends.lepton.runs.folder import RunFolder
from evalc.backends.lepton.runs.known import jobs_of
from evalc.backends.lepton.runs.platform import Unauthorized, connect
from evalc.backends.lepton.runs.settling import seconds
from evalc.backends.lepton.runs.submitting import Work
from evalc.backends.running import Run, Unreachable
from evalc.errors import EvalcError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Seconds between two looks at jobs that are to end, as in submit_all.sh, and at an endpoint that is
# to be ready.
_PACE = 15.0
_SOON = 2.0
# Seconds without an answer of the platform after which nobody goes on.
_GIVE_UP = 3600.0


def keep(folder: RunFolder, jobs: Sequence[str]) -> None:
    """Creates these jobs when their endpoints are ready, and removes endpoints when no job needs
    them any more. Ends with :class:`~evalc.backends.running.Unreachable` when the platform does not
    take its token any more, or has not answered for an hour."""
    work = Work(connect(), folder, jobs, os.environ, _say)
    pace = seconds("EVALC_POLL_SECONDS", _PACE)
    answered = time.monotonic()
    while True:
        try:
            work.step()
            named = jobs_of(work.platform, folder)
            to_come = [job.id for job in work.left]
            keeping.note_to_come(folder, to_come)
            for name in remove_unneeded(work.platform, folder, named, to_come):
                _say(f"removed endpoint {name}")
            if not to_come and not keeping.has_endpoints(folder):
                return
            answered = time.monotonic()
        except Unauthorized:
            raise
        except Unreachable as error:
            if time.monotonic() - answered > _GIVE_UP:
                raise
            _say(str(error))
        time.sleep(min(_SOON, pace) if work.left else pace)


def _say(text: str) -> None:
    print(f"[{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}] {text}", flush=True)  # noqa: T201 - into its log


def _main(place: str, invocation: str, *jobs: str) -> int:
    folder = RunFolder(Run(invocation, place, {}, (), 0.0))
    path = folder.logs / keeping.LOCK
    end = time.monotonic() + 10
    while lock.holder(path) != os.getpid():
        if time.monotonic() > end:
            _say("nobody has handed over the run")
            return 1
        time.sleep(0.02)
    try:
        keep(folder, jobs)
    except (Unreachable, EvalcError, OSError) as error:
        _say(f"{keeping.GAVE_UP}{error}")
        return 1
    finally:
        lock.free(path)
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
