"""What a backend tells the runner: how a bundle of its is started, followed and stopped.

A backend whose bundles ``evalc submit`` can take has a method ``runs()`` beside those of
:class:`evalc.backends.base.Backend`, which gives an object with the methods of :class:`Runs`. It
reaches the outside world through a :class:`Host` alone, or through its platform's own client. One
without ``runs()`` compiles bundles that people run by hand.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from evalc.backends.base import Backend, Needs


class State(enum.Enum):
    """What has become of a job. A job that a backend runs in several attempts has one state."""

    SUBMITTING = "submitting"
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    PREEMPTED = "preempted"
    NODE_FAILED = "node failed"
    # Nobody could be asked, or nobody knows; the reason says which.
    UNKNOWN = "unknown"

    @property
    def is_end(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self in _ENDS


_ENDS = frozenset(
    (State.COMPLETED, State.FAILED, State.CANCELLED, State.TIMED_OUT, State.PREEMPTED,
     State.NODE_FAILED)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """A job of a bundle: what the backend schedules, with the ids of its tasks, in order."""

    id: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A bundle that was submitted.

    ``folder`` is its copy, an absolute path on its host; ``options`` are ``options`` of its
    ``plan.json``; ``submitted`` is seconds since 1970.
    """

    invocation: str
    folder: str
    options: Mapping[str, Any]
    jobs: tuple[Job, ...]
    submitted: float

    @property
    def exports(self) -> bool:
        """Whether its scripts export its results when all has ended."""
        return bool((self.options.get("auto_export") or {}).get("destinations"))


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a job.

    ``native`` are the ids that the backend's own tools know it by, one an attempt, the newest last.
    ``attempt`` counts from 1, 0 before the first; ``attempts`` is their bound, 0 without one.
    ``began`` and ``ended`` are its first attempt's start, and its end, in seconds since 1970.
    ``done`` and ``total`` count samples, where the harness tells.
    """

    state: State
    reason: str = ""
    native: tuple[str, ...] = ()
    attempt: int = 0
    attempts: int = 0
    began: float | None = None
    ended: float | None = None
    node: str = ""
    done: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """An attempt of a job, as the run's folder tells of it.

    ``native`` is the id that the backend's own tools know it by, empty where there is none.
    ``began`` and ``ended`` are seconds since 1970, ``how`` is how it ended, in a word or two.
    ``gpus`` is how many it was seen to hold, None where nobody counted.
    """

    native: str = ""
    began: float | None = None
    ended: float | None = None
    how: str = ""
    gpus: int | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None where the folder does not tell."""
        if self.began is None or self.ended is None:
            return None
        return max(0.0, self.ended - self.began)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did: its exit code, and what it said."""

    code: int
    out: str = ""
    err: str = ""


class Unreachable(Exception):
    """A host, or what was to be asked there, did not answer: nothing is known of what it did."""

    def __init__(self, host: str, why: str) -> None:
        self.host = host
        self.why = why
        super().__init__(f"{host}: {why}")


class Host(Protocol):
    """Where commands run: this machine, or one that ssh leads to."""

    name: str

    def bash(
        self,
        script: str,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        said: Callable[[str], None] | None = None,
    ) -> Ran:
        """Runs ``script`` with bash there; ``arguments`` are its ``$1`` and so on.

        The script's text and the arguments are seen in process lists, standard input is not.
        ``env`` is for what is no secret. Whatever the script's exit code, it is in what is given.
        ``said`` is called with each line of its standard error as it comes. Raises
        :class:`Unreachable` when the host can't be reached, the connection breaks, or ``timeout``
        seconds have passed.
        """


@dataclass(frozen=True, slots=True)
class Stopped:
    """What stopping a job really did, in words; ``done`` when nothing of it can go on."""

    job: str
    done: bool
    what: tuple[str, ...] = field(default_factory=tuple)


class Verdict(enum.Enum):
    """What was found of something that a run needs; its value is what people see."""

    OK = "ok"
    WRONG = "WRONG"
    # Nobody can tell, or it may be meant.
    UNSURE = "?"
    # It is not there, and nobody has said that it has to be.
    ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Check:
    """What was found of one thing that a run needs, and what to do about it, in words."""

    verdict: Verdict
    what: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a backend asks of a host before anything is run there, and what it makes of the answers.

    ``script`` is bash, run with ``arguments`` after ``templates/runner/doctor.sh``, whose functions
    it answers with; it changes nothing. ``files`` are paths that must be there, each with what it
    is. ``judge`` gets the answers by their names, among them ``tool NAME`` for each program that
    the bundle needs; one that was not asked for is not there.
    """

    script: str
    arguments: tuple[str, ...]
    judge: Callable[[Mapping[str, Ran]], Sequence[Check]]
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What a run has written outside of its folder.

    ``places`` are folders on its host, each with the path in the run's folder that it stands for.
    ``missing`` says, in words, what can't be got at from there, and where it is.
    """

    places: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


class Runs(Protocol):
    """How runs of a backend are started, followed and stopped. Stateless.

    All that is known of a run is in its folder, on its host; else it is a :class:`Remote`, too.
    """

    def checks(self, bundle: Path, needs: Needs) -> Inquiry:
        """What has to be there for the bundle in this folder, beside what every bundle needs."""

    def secrets_files(self, run: Run, secrets: Mapping[str, str]) -> Mapping[str, bytes]:
        """Files of the run's folder, by their paths, that bring these values to the jobs.

        They are written with mode 0600 from the first byte on.
        """

    def submit(
        self, host: Host, run: Run, jobs: Sequence[str], *, again: bool,
        env: Mapping[str, str], said: Callable[[str], None],
    ) -> Mapping[str, Sight]:  # fmt: skip
        """Starts the jobs of a run whose folder is there; all of them when ``jobs`` is empty.

        A job that is there already is not started twice, whatever interrupted an earlier call.
        ``again`` starts also what has stopped without being finished. ``env`` are the values of the
        secrets, for a backend whose jobs inherit them. What is refused is FAILED, with the reason.
        Raises :class:`Unreachable`, after which it can be called again.
        """

    def poll(self, host: Host, runs: Sequence[Run]) -> Mapping[str, Mapping[str, Sight]]:
        """What has become of all these runs, which are of one host: by invocation, by job.

        One round trip for all. Raises :class:`Unreachable` when the host is; a scheduler that does
        not answer makes states UNKNOWN.
        """

    def cancel(self, host: Host, run: Run, jobs: Sequence[str]) -> Sequence[Stopped]:
        """Stops jobs for good: every attempt, what waits to go on after it, servers, containers.

        Secrets that no job of the run needs any more are removed.
        """

    def logs(self, run: Run, job: str, what: str) -> Sequence[str]:
        """Where logs are, as glob patterns in the run's folder, the newest file last.

        ``what`` is ``client`` (the harness), ``server``, or ``job`` (the script's own words).
        """


class Remote(Runs, Protocol):
    """Runs of which a platform keeps what others have in the run's folder.

    That folder is on this machine, and no other host can be named. ``where`` is what people call
    the platform.
    """

    where: str

    def ready(self) -> None:
        """Raises :class:`~evalc.errors.EvalcError` where nobody could ask the platform for
        anything: before a run is recorded that can't be submitted. Asks nothing itself."""

    def told(
        self, host: Host, run: Run, job: str, what: str, *, tail: int, follow: bool
    ) -> Iterator[bytes]:
        """A log of a job, in the place of :meth:`Runs.logs`: the last ``tail`` lines (0: all), and
        with ``follow`` what is added to them, until it ends.

        ``what`` is as there. Nothing when there is no such log. Raises :class:`Unreachable`.
        """

    def elsewhere(self, host: Host, run: Run) -> Elsewhere:
        """Where results and logs are that are not in the run's folder. Raises
        :class:`Unreachable`."""


def remote_of(runs: Runs) -> Remote | None:
    """The same, where it has what :class:`Remote` has beside :class:`Runs`; else None."""
    return cast("Remote", runs) if getattr(runs, "where", None) else None


class Telling(Protocol):
    """What a backend's :class:`Runs` may have beside: what a run's folder tells of it."""

    def spent(self, folder: Path, job: Job) -> Sequence[Spent]:
        """The attempts of a job, the oldest first, by the files in a run's folder alone.

        The folder may have been fetched, and lack files. Raises OSError.
        """

    def why(self, folder: Path, job: Job) -> str:
        """Why a job is not finished, in words; empty where the folder does not tell."""

    def digest(self, folder: Path, step: str) -> str:
        """The digest of a task's plan by its script, which ``logs/digest`` of the task repeats when
        it was evaluated by it; empty where the folder has no scripts."""


def whole_number(text: str) -> int | None:
    """A count or a time that a file tells; None for anything else, and for what no database holds.

    Jobs write such files, and may write anything.
    """
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def text_of(path: Path) -> str:
    """What a file of a run holds, whatever bytes those are; empty where there is none.

    Raises OSError.
    """
    try:
        return path.read_bytes().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def runs_of(backend: Backend) -> Runs | None:
    """How bundles of this backend are run; None when only people can."""
    method = getattr(backend, "runs", None)
    runs: Runs | None = method() if callable(method) else None
    return runs


def telling_of(runs: Runs | None) -> Telling | None:
    """What tells of a run's folder; None where the backend can't."""
    has_all = all(hasattr(runs, name) for name in ("spent", "why", "digest"))
    return cast("Telling", runs) if has_all else None
