"""Runs of the local backend: ``run_all.sh`` in the background of a host, and what it leaves there.

Nothing is kept here: what is known of a run stands in its folder, in the files that its scripts
write and in the four that ``templates/runner/`` adds to ``logs/``: ``runner.pid``, ``asked`` and
the run's own ``stage.exit`` (``local_keep.sh``), and ``from`` (``local_start.sh``).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from evalc.backends.local.options import Options
from evalc.backends.local.runs.judge import judge
from evalc.backends.local.runs.seen import read_all
from evalc.backends.running import Sight, Spent, State, Stopped, Unreachable, text_of, whole_number
from evalc.resources import read_template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from evalc.backends.base import Needs
    from evalc.backends.running import Host, Inquiry, Job, Ran, Run

# How long a harness has to save its work (work.sh, _GRACE), and its server to end after it, in
# seconds. A script that takes longer is killed.
GRACE = 45
# Those that may be started later, when other jobs of the run have ended; all others go on, or are
# done.
_IDLE = frozenset((State.FAILED, State.CANCELLED, State.UNKNOWN))


class LocalRuns:
    """See :class:`evalc.backends.running.Runs`."""

    def __init__(self, grace: int = GRACE) -> None:
        self.grace = grace

    def checks(self, bundle: Path, needs: Needs) -> Inquiry:
        """See there."""
        from evalc.backends.local.runs.diagnosis import inquiry

        del bundle
        return inquiry(needs)

    def secrets_files(self, run: Run, secrets: Mapping[str, str]) -> Mapping[str, bytes]:
        """None: jobs inherit the environment that they are started with."""
        del run, secrets
        return {}

    def submit(
        self, host: Host, run: Run, jobs: Sequence[str], *, again: bool,
        env: Mapping[str, str], said: Callable[[str], None],
    ) -> Mapping[str, Sight]:  # fmt: skip
        """See there. Only one ``run_all.sh`` works in a folder: while it does, no other job of the
        run can be started."""
        chosen = _chosen(run, jobs)
        secrets = b"".join(f"{name}={value}\0".encode(*_BYTES) for name, value in env.items())
        ran = host.bash(
            read_template("runner/local_start.sh"),
            run.folder,
            "again" if again else "once",
            read_template("runner/local_keep.sh"),
            *(step for job in chosen for step in job.steps),
            stdin=secrets,
            said=said,
        )
        answer, _, rest = _answer(host, ran).strip().partition(" ")
        if answer not in {"started", "there", "busy", "refused"}:
            raise Unreachable(host.name, f"can't make sense of its answer '{answer}'")
        seen = self.poll(host, (run,))[run.invocation]
        sights = {job.id: seen[job.id] for job in chosen}
        if answer == "refused":
            return {
                job: sight if sight.state is State.COMPLETED else Sight(State.FAILED, rest)
                for job, sight in sights.items()
            }
        if answer != "busy":
            return sights
        reason = f"the run is at work on others (process {rest}); start it again when that is done"
        return {
            job: Sight(State.FAILED, reason)
            if sight.state is State.UNKNOWN or (again and sight.state in _IDLE)
            else sight
            for job, sight in sights.items()
        }

    def poll(self, host: Host, runs: Sequence[Run]) -> Mapping[str, Mapping[str, Sight]]:
        """See there."""
        asked = (
            word
            for run in runs
            for word in (run.folder, _engine(run), str(len(_steps(run))), *_steps(run))
        )
        ran = host.bash(
            read_template("lib/common.sh") + read_template("runner/local_look.sh"),
            stdin=b"".join(word.encode(*_BYTES) + b"\0" for word in asked),
        )
        try:
            seen = read_all(_answer(host, ran), [_steps(run) for run in runs])
        except ValueError as error:
            raise Unreachable(host.name, f"can't make sense of its answer: {error}") from None
        return {
            run.invocation: {job.id: judge(job, what) for job in run.jobs}
            for run, what in zip(runs, seen, strict=True)
        }

    def cancel(self, host: Host, run: Run, jobs: Sequence[str]) -> Sequence[Stopped]:
        """See there. Takes as long as what is stopped needs to save its work."""
        chosen = _chosen(run, jobs)
        ran = host.bash(
            read_template("runner/local_stop.sh"),
            run.folder,
            _engine(run),
            str(self.grace),
            "all" if len(chosen) == len(run.jobs) else "some",
            *(step for job in chosen for step in job.steps),
        )
        lines = [line.split("\t", 2) for line in _answer(host, ran).split("\n") if line]
        return [_stopped(job, lines) for job in chosen]

    def logs(self, run: Run, job: str, what: str) -> Sequence[str]:
        """See there. Servers that tasks share have one log for all."""
        steps = next(one.steps for one in run.jobs if one.id == job)
        if what == "job":
            return ("logs/run_all.log",)
        if what == "client":
            return tuple(f"{step}/logs/client_stdout.log" for step in steps)
        server = "logs/server_*_stdout.log"
        own = (f"{step}/{server}" for step in steps)
        # Of a matrix, those of its cell.
        of_cell = len(run.jobs) > 1 and all(step.startswith(f"{job}.") for step in steps)
        return (f"logs/server_{job}.*_stdout.log" if of_cell else server, *own)

    def spent(self, folder: Path, job: Job) -> Sequence[Spent]:
        """See :class:`evalc.backends.running.Telling`: the last attempt, by its tasks' stage files.

        Of earlier ones nothing is kept.
        """
        stages = [_stages(folder / step / "logs") for step in job.steps]
        began = [start for start, _, _ in stages if start is not None]
        ended = [end for _, end, _ in stages if end is not None]
        if not began:
            return []
        codes = [code for start, _, code in stages if start is not None]
        over = None not in codes and ended
        failed = "failed" if any(code != "0" for code in codes) else "finished"
        end = max(ended) if over else None
        # Who started the server counted: run_all.sh, or a task's own script.
        places = [folder, *(folder / step for step in job.steps)]
        counts = (whole_number(text_of(place / "logs/gpus")) for place in places)
        gpus = next((count for count in counts if count is not None), None)
        return [Spent("", min(began), end, failed if over else "", gpus)]

    def why(self, folder: Path, job: Job) -> str:
        """See there: tasks tell by themselves."""
        del folder, job
        return ""

    def digest(self, folder: Path, step: str) -> str:
        """See there."""
        found = _DIGEST.search(text_of(folder / step / "run.sh"))
        return found[1] if found else ""


def _stages(logs: Path) -> tuple[float | None, float | None, str | None]:
    """When a task began and ended, in seconds since 1970, and its exit code."""
    began, _ = _stage(logs / "stage.pre-start")
    ended, code = _stage(logs / "stage.exit")
    return began, ended, code


def _stage(path: Path) -> tuple[float | None, str | None]:
    """The time in a stage file, and the word after it."""
    try:
        words = text_of(path).split(maxsplit=2)
        time = datetime.fromisoformat(words[0].replace("Z", "+00:00")).timestamp()
    except (IndexError, ValueError):
        return None, None
    return time, words[1] if len(words) > 1 else None


_DIGEST = re.compile(r"^_digest=([0-9a-f]+)", re.MULTILINE)
# Values may hold bytes that are no text.
_BYTES = ("utf-8", "surrogateescape")


def _engine(run: Run) -> str:
    return Options.of(run.options).engine


def _steps(run: Run) -> Sequence[str]:
    return [step for job in run.jobs for step in job.steps]


def _chosen(run: Run, jobs: Sequence[str]) -> Sequence[Job]:
    return [job for job in run.jobs if not jobs or job.id in jobs]


def _answer(host: Host, ran: Ran) -> str:
    """What one of our scripts answered. They end with 0, unless bash itself can't run."""
    if ran.code != 0:
        said = ran.err.strip().splitlines()
        raise Unreachable(host.name, said[-1] if said else f"bash ended with {ran.code}")
    return ran.out


def _stopped(job: Job, lines: Sequence[Sequence[str]]) -> Stopped:
    own = [line for line in lines if line[1] in {"", *job.steps}]
    many = len(job.steps) > 1
    what = tuple(f"{task}: {text}" if task and many else text for _, task, text in own)
    done = not any(kind == "left" for kind, _, _ in own)
    return Stopped(job.id, done, what or ("nothing of it was running",))
