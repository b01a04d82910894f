"""A run's folder -> what it tells.

It may be the folder where a run is or was at work, one that ``evalc fetch`` has filled, a bundle's
in which somebody ran ``run_all.sh`` by hand, one that another launcher has left
(``<task>/artifacts/results.yml``), or a single task's. The less is there, the less is known.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalc.backends import registry
from evalc.backends.running import Job, runs_of, telling_of
from evalc.bundle.model import MANIFEST, PLAN
from evalc.bundle.read import FETCHED
from evalc.errors import UsageError
from evalc.export.model import RunResult
from evalc.export.reading import lm_eval
from evalc.export.reading.tasks import ARTIFACTS, Step, read_task
from evalc.export.reading.values import Unreadable, mapping, read_json, text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from evalc.backends.running import Spent, Telling

_RUN_FOLDER = re.compile(r"\d{4}(?:-\d\d){5}-([a-z0-9]{8})")
_NOT_TASKS = frozenset(("lib", "services", "logs", "files"))


class NoRun(UsageError):
    """A folder holds nothing of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        what = "holds no results" if folder.is_dir() else "is no folder"
        super().__init__(
            f"{folder} {what}", "name a run's id, or a folder with TASK/artifacts/results.yml"
        )


class FolderOfRuns(UsageError):
    """A folder holds runs, and is none itself."""

    def __init__(self, folder: Path, runs: Sequence[Path]) -> None:
        self.folder = folder
        self.runs = tuple(runs)
        names = ", ".join(str(path) for path in self.runs[:3])
        names += f" and {len(self.runs) - 3} more" if len(self.runs) > 3 else ""
        super().__init__(f"{folder} is a folder of runs", f"name those that you mean: {names}")


@dataclass(slots=True)
class _Plan:
    """What is known of a run before its tasks are looked at."""

    name: str = ""
    backend: str = ""
    compiler: str = ""
    digest: str = ""
    steps: list[Step] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    gpus: dict[str, int | None] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)


def read_run(folder: Path, id_: str = "", steps: Collection[str] = ()) -> RunResult:
    """What the folder of a run tells; of the tasks ``steps`` alone when some are named.

    ``id_`` is the run's, where the caller knows it. What can't be read is a line in the notices,
    and loses nothing else. Raises :class:`NoRun`.
    """
    notices: list[str] = []
    plan = _planned(folder, notices) or _unplanned(folder, notices)
    if not plan.steps:
        raise NoRun(folder)
    telling = _telling(plan.backend)
    tasks = [
        read_task(
            folder if step.is_top else folder / step.id, step, *_told(telling, folder, job, step)
        )
        for job, step in _with_jobs(plan)
        if not steps or step.id in steps
    ]
    spent: dict[str, tuple[Spent, ...]] = {}
    for job in plan.jobs if telling else ():
        if steps and not set(job.steps) & set(steps):
            continue
        try:
            spent[job.id] = tuple(telling.spent(folder, job)) if telling else ()
        except OSError as error:
            notices.append(f"what {job.id} took can't be read: {error.strerror}")
    return RunResult(
        id=id_ or _id_of(folder, plan.digest),
        name=plan.name or folder.resolve().name,
        folder=folder,
        backend=plan.backend,
        compiler=plan.compiler,
        bundle_digest=plan.digest,
        tasks=tuple(tasks),
        cells=plan.cells,
        spent=spent,
        gpus=plan.gpus,
        notices=tuple(notices),
    )


def _id_of(folder: Path, digest: str) -> str:
    """The run's id, or one that the same bundle in the same folder has each time."""
    try:
        told = text(mapping(read_json(folder / FETCHED)).get("invocation"))
    except Unreadable:
        told = ""
    named = _RUN_FOLDER.fullmatch(folder.resolve().name)
    if told or named:
        return told or (named[1] if named else "")
    # Ids of invocations begin with a letter, so it can't be taken for one.
    path = os.fsencode(folder.resolve())
    return "0" + hashlib.sha256(digest.encode() + b"\0" + path).hexdigest()[:7]


def _planned(folder: Path, notices: list[str]) -> _Plan | None:
    """What the plan and the manifest of a bundle tell; None where there is none to be read."""
    if not (folder / PLAN).is_file():
        return None
    try:
        content = mapping(read_json(folder / PLAN))
        plan = _Plan(text(content.get("name")), text(content.get("backend")))
        services = content.get("services") or []
        using = {one["name"] for one in services if one.get("gpus") is not None}
        for job in content["jobs"]:
            cell = text(job.get("cell"))
            found = [_step(step, cell) for step in job["steps"]]
            if cell:
                plan.cells[job["id"]] = cell
            plan.steps += found
            plan.jobs.append(Job(job["id"], tuple(step.id for step in found)))
            plan.gpus[job["id"]] = _gpus(job, using)
    except (Unreadable, KeyError, TypeError, AttributeError) as error:
        why = str(error) if isinstance(error, Unreadable) else "is none of evalc's"
        notices.append(f"{PLAN} {why}")
        return None
    try:
        data = (folder / MANIFEST).read_bytes()
        plan.digest = hashlib.sha256(data).hexdigest()
        plan.compiler = text(mapping(mapping(json.loads(data)).get("compiler")).get("version"))
    except (OSError, ValueError) as error:
        why = str(error.strerror) if isinstance(error, OSError) else "it is no JSON"
        notices.append(f"{MANIFEST} can't be read: {why}")
    return plan


def _step(step: dict[str, Any], cell: str) -> Step:
    id_ = step["id"]
    if not isinstance(id_, str) or "/" in id_ or id_ in {"", ".", ".."} or not id_.isprintable():
        raise TypeError
    parameters = mapping(mapping(mapping(step.get("run_config")).get("config")).get("params"))
    return Step(
        id_,
        task=text(step.get("task")),
        harness=text(step.get("harness")),
        model=text(step.get("model_id")),
        image=text(step.get("image")),
        parameters=parameters,
        own_command=step.get("command") is not None,
        cell=cell,
    )


def _gpus(job: dict[str, Any], using: Collection[str]) -> int | None:
    """How many GPUs a job holds; None where the plan does not say a number. ``using`` are the
    servers that use any."""
    resources = mapping(job.get("resources"))
    nodes, each = resources.get("nodes", 1), resources.get("gpus_per_node")
    if isinstance(nodes, int) and isinstance(each, int):
        return nodes * each
    if not any(name in using for name in job.get("services") or ()):
        return 0
    told = str(resources.get("gpus") or "")
    return int(told) if told.isascii() and told.isdigit() else None


def _unplanned(folder: Path, notices: list[str]) -> _Plan:
    """The tasks of a folder without a plan."""
    if not folder.is_dir():
        raise NoRun(folder)
    plan = _Plan()
    below = sorted(
        path for path in folder.iterdir() if path.is_dir() and path.name not in _NOT_TASKS
    )
    for path in below:
        if (path / ARTIFACTS).is_dir():
            if path.name.isprintable():
                plan.steps.append(Step(path.name, planned=False))
            else:
                notices.append(f"left out, its name can't be printed: {path.name!r}")
    if not plan.steps:
        if runs := [path for path in below if _is_run(path)]:
            # What lies deeper would be taken for the folder's own.
            raise FolderOfRuns(folder, runs)
        own = folder / ARTIFACTS
        here = own if own.is_dir() else folder
        if (here / "results.yml").is_file() or lm_eval.files(here)[0]:
            plan.steps = [Step(folder.resolve().name, planned=False, is_top=True)]
    return plan


def _is_run(folder: Path) -> bool:
    return (folder / PLAN).is_file() or any((one / ARTIFACTS).is_dir() for one in folder.iterdir())


def _with_jobs(plan: _Plan) -> Iterator[tuple[Job | None, Step]]:
    jobs = {step: job for job in plan.jobs for step in job.steps}
    for step in plan.steps:
        yield jobs.get(step.id), step


def _telling(backend: str) -> Telling | None:
    if not backend:
        return None
    try:
        return telling_of(runs_of(registry.get(backend)))
    except (registry.UnknownBackend, registry.BrokenBackend):
        return None


def _told(telling: Telling | None, folder: Path, job: Job | None, step: Step) -> tuple[str, str]:
    """Why a task's job is not finished, and the digest of the task's plan, where that is told."""
    if telling is None or job is None:
        return "", ""
    try:
        return telling.why(folder, job), telling.digest(folder, step.id)
    except OSError:
        return "", ""
