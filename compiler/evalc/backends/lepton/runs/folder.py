"""What a run's folder and its volume hold: what there is to create, what was done, what came of it.

The files are described in the reference, "Lepton: names and files".
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from evalc.backends.lepton.runs import journal
from evalc.backends.running import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evalc.backends.running import Run

# The folder here in which a volume's results folder is found, where it has another path than in the
# jobs.
STORAGE = "EVALC_LEPTON_RESULTS"
_MARK = re.compile(r"@@\{(\w+)\}@@")


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A task's job, as ``lepton.json`` has it, the invocation's id filled in.

    ``folder`` is that of its files in the bundle. ``endpoint`` is the name of one that the run has,
    ``deployment`` of one that runs already, else both are empty. ``results`` is the task's folder
    on the volume as the job sees it, empty when nothing is kept.
    """

    id: str
    name: str
    folder: str
    digest: str
    endpoint: str
    deployment: str
    results: str


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """An endpoint that a run has. ``timeout`` is how long it may take to be ready, in seconds."""

    name: str
    folder: str
    timeout: float
    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """What a task's stage files tell. ``code`` is None before the end. Times are since 1970."""

    began: float | None = None
    ended: float | None = None
    code: int | None = None
    reason: str = ""
    done: int | None = None


class RunFolder:
    """The folder of a run, on this machine. Raises ValueError for one that is not whole."""

    def __init__(self, run: Run) -> None:
        self.path = Path(run.folder)
        try:
            whole = json.loads((self.path / "lepton.json").read_bytes())
            self.invocation = self._invocation(run)
            self.needs: tuple[str, ...] = tuple(whole["needs"])
            self._defaults: Mapping[str, str] = dict(whole["defaults"])
            fill = self._filler({})
            self.endpoints = {
                one.name: one for one in (_endpoint(raw, fill) for raw in whole["endpoints"])
            }
            self.jobs = {one.id: one for one in (_job(raw, fill) for raw in whole["jobs"])}
        except OSError as error:
            raise ValueError(f"{error.filename}: {error.strerror}") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"lepton.json is damaged: {error}") from None

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def note_invocation(self) -> None:
        """Keeps the id, before anything is created. Raises OSError."""
        self.logs.mkdir(exist_ok=True)
        (self.logs / "invocation").write_text(f"{self.invocation}\n")

    def journal_of(self, folder: str) -> Path:
        """That of a job, or of an endpoint, whose files are in this folder."""
        return self.path / folder / "logs" / "journal"

    def server_log(self, endpoint: EndpointPlan) -> Path:
        """Where the server's log is kept: the platform forgets it with the endpoint."""
        return self.path / endpoint.folder / "logs" / "server_stdout.log"

    def told(self, job: JobPlan) -> journal.Told:
        return journal.of_job(journal.read(self.journal_of(job.folder)))

    def told_of(self, endpoint: EndpointPlan) -> journal.ToldOfEndpoint:
        return journal.of_endpoint(journal.read(self.journal_of(endpoint.folder)), endpoint.name)

    def unset(self, environ: Mapping[str, str]) -> list[str]:
        """The variables that are needed, and set nowhere."""
        return [name for name in self.needs if name not in environ]

    def body(self, folder: str, file: str, values: Mapping[str, str]) -> dict[str, Any]:
        """A JSON of the bundle with its marks replaced; what is sent is kept in ``logs``.

        Raises OSError, and ValueError for a mark that nothing replaces.
        """
        text = (self.path / folder / file).read_text(encoding="utf-8")
        filled = self._filler(values)(text, quoted=True)
        kept = self.path / folder / "logs" / file
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(filled, encoding="utf-8")
        body: dict[str, Any] = json.loads(filled)
        return body

    def stored(self, job: JobPlan) -> Path | None:
        """The task's folder on the volume, as it is found here; None where the volume is not."""
        if not job.results:
            return None
        inside = PurePosixPath(job.results)
        base = os.environ.get(STORAGE)
        path = Path(base, *inside.parts[-2:]) if base else Path(inside)
        return path if path.parents[1].is_dir() else None

    def stage(self, job: JobPlan) -> Stage | None:
        """What the volume tells of a task; None where it can't be read, or nothing has begun.

        A job that fails before its script begins leaves there how the one before it failed.
        """
        place = self.stored(job)
        if place is None or not (place / "logs").is_dir():
            return None
        digest = _text(place / "logs" / "digest").split()
        if digest and digest[0] != job.digest:
            return None
        found = read_stage(_text(place / "logs" / "stage.exit"))
        if found.code and _is_of_an_earlier(found, self.told(job)):
            return None
        return replace(
            found,
            began=journal.seconds(_text(place / "logs" / "stage.pre-start").strip()),
            done=whole_number(_text(place / "artifacts" / "progress")),
        )

    def _invocation(self, run: Run) -> str:
        noted = _text(self.logs / "invocation").strip()
        return noted or run.invocation

    def _filler(self, values: Mapping[str, str]) -> Callable[..., str]:
        known = {**self._defaults, **values, "EVALC_INVOCATION": self.invocation}

        def fill(text: str, *, quoted: bool = False) -> str:
            def value(mark: re.Match[str]) -> str:
                if mark[1] not in known:
                    raise ValueError(f"{mark[1]} is not set")
                found = known[mark[1]]
                return json.dumps(found, ensure_ascii=False)[1:-1] if quoted else found

            return _MARK.sub(value, text)

        return fill


def _is_of_an_earlier(stage: Stage, told: journal.Told) -> bool:
    return (
        len(told.ids) > 1
        and stage.ended is not None
        and told.since is not None
        and stage.ended < told.since
    )


def _job(raw: Mapping[str, Any], fill: Callable[[str], str]) -> JobPlan:
    return JobPlan(
        id=raw["id"],
        name=fill(raw["name"]),
        folder=raw["folder"],
        digest=raw["digest"],
        endpoint=fill(raw.get("endpoint") or ""),
        deployment=raw.get("deployment") or "",
        results=fill(raw.get("results") or ""),
    )


def _endpoint(raw: Mapping[str, Any], fill: Callable[[str], str]) -> EndpointPlan:
    return EndpointPlan(
        fill(raw["name"]), raw["folder"], float(raw["readiness_timeout"]), tuple(raw["jobs"])
    )


def read_stage(text: str) -> Stage:
    """What ``stage.exit`` tells; nothing, as long as it is empty."""
    words = text.split(maxsplit=2)
    return Stage(
        ended=journal.seconds(words[0]) if words else None,
        code=whole_number(words[1]) if len(words) > 1 else None,
        reason=" ".join(words[2:]).strip(),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
