"""What ``templates/runner/local_look.sh`` tells of runs, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from evalc.backends.running import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Ending:
    """What a ``stage.exit`` says: when in seconds since 1970, the exit code, and why."""

    at: float | None
    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SeenStep:
    """A task. Processes are ids, empty when they don't live.

    ``ended`` is how it ended; ``stale`` when that was before the runner that is at work now began.
    ``began`` is when it began, ``ready`` whether its own servers were. ``script`` is its run.sh,
    ``client`` its evaluation, ``box`` the evaluation's container, or ``?`` and why nobody can tell;
    both are looked for only when its script is gone. ``marked``: it is to be left out. ``asked``:
    the runner was to run it. ``done`` and ``total`` are samples. ``said`` is the last that its
    script said, when it ended before it began.
    """

    ended: Ending | None = None
    stale: bool = False
    began: float | None = None
    ready: bool = False
    script: str = ""
    client: str = ""
    box: str = ""
    marked: bool = False
    asked: bool = False
    done: int | None = None
    total: int | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run. ``there``: its folder is. ``runner`` is who looks after run_all.sh, ``all`` that
    itself, processes as above; ``known``: it was once started by evalc. ``servers`` are the names
    of the shared servers that live, ``ended`` is how run_all.sh ended."""

    there: bool = True
    runner: str = ""
    all: str = ""
    known: bool = True
    began: float | None = None
    servers: tuple[str, ...] = ()
    ended: Ending | None = None
    steps: Mapping[str, SeenStep] = field(default_factory=dict)

    @property
    def lives(self) -> bool:
        """Whether tasks that wait will have their turn."""
        return bool(self.runner or self.all)


def read_all(text: str, runs: Sequence[Sequence[str]]) -> Sequence[SeenRun]:
    """The answer for runs with these tasks. Raises ValueError for anything else."""
    # Reasons may hold what Python takes for line ends.
    lines = iter(text.split("\n"))
    return [_run(lines, steps) for steps in runs]


def _run(lines: Iterator[str], steps: Sequence[str]) -> SeenRun:
    there, runner, every, known, began, servers, ended = _fields(lines, "run", 7)
    return SeenRun(
        there=bool(there),
        runner=runner,
        all=every,
        known=bool(known),
        began=_time(began),
        servers=tuple(servers.split()),
        ended=_ending(ended),
        steps={step: _step(lines) for step in steps},
    )


def _step(lines: Iterator[str]) -> SeenStep:
    (
        ended, stale, began, ready, script, client, box, marked, asked, done, total, said,
    ) = _fields(lines, "task", 12)  # fmt: skip
    return SeenStep(
        ended=_ending(ended),
        stale=bool(stale),
        began=_time(began),
        ready=bool(ready),
        script=script,
        client=client,
        box=box,
        marked=bool(marked),
        asked=bool(asked),
        done=whole_number(done),
        total=whole_number(total),
        said=said,
    )


def _fields(lines: Iterator[str], kind: str, count: int) -> Sequence[str]:
    line = next(lines, "")
    first, *fields = line.split("\t", count)
    if first != kind or len(fields) != count:
        raise ValueError(line)
    return fields


def _ending(text: str) -> Ending | None:
    """None also for one that was never written whole."""
    when, _, rest = text.strip().partition(" ")
    code, _, reason = rest.partition(" ")
    number = whole_number(code)
    return None if number is None else Ending(_time(when), number, reason.strip())


def _time(text: str) -> float | None:
    """Of ``2026-01-31T12:00:00Z``, which may be followed by more; None when it is none."""
    try:
        return datetime.strptime(text[:20], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except ValueError:
        return None
