"""Results to Weights & Biases: a W&B run for each task, or one for all tasks of a run.

The W&B run's id is made from the run and the task, so the same goes to the same. What was sent
completely is marked: in the W&B run's config where W&B is asked, in a file beside the run where W&B
works offline and can't be.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalc.export.destinations.base import (
    COMMON,
    BadSettings,
    DestinationDown,
    MissingClient,
    Outcome,
    Status,
    digest_of,
    files_of,
    finished,
    metric_names,
    numbers,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evalc.export.model import Key, RunResult, Score, TaskResult

_NAME = "wandb"
_DIGEST = "evalc_digest"
_MARK = "evalc-export.json"
_MODES = ("per_task", "multi_task")
_BAD = re.compile(r"[^A-Za-z0-9_.-]+")


class WandbExporter:
    """See :class:`evalc.export.destinations.base.Exporter`."""

    name = _NAME
    description = "Weights & Biases"
    keys: Mapping[str, Any] = {
        "entity": "",
        "project": "",
        "log_mode": "per_task",
        "name": "",
        "group": "",
        "job_type": "evaluation",
        "tags": [],
        "description": "",
        "extra_metadata": {},
        "run_id": "",
        **COMMON,
    }

    def export(self, runs: Sequence[RunResult], settings: Mapping[str, Any]) -> Iterator[Outcome]:
        """See there."""
        if not settings["project"]:
            raise BadSettings(_NAME, "'project' is not given", "-o export.wandb.project=NAME")
        if settings["log_mode"] not in _MODES:
            raise BadSettings(_NAME, f"'log_mode' must be one of {', '.join(_MODES)}")
        # wandb talks a lot, into what we print.
        os.environ.setdefault("WANDB_SILENT", "true")
        try:
            import wandb  # noqa: PLC0415 - heavy, and an extra
        except ImportError:
            raise MissingClient(_NAME, _NAME, _NAME) from None
        marks: list[tuple[Path, str]] = []
        try:
            yield from _send_all(wandb, _sendings(runs, settings), marks)
        finally:
            # Its service may still be writing what a run has finished with.
            wandb.teardown()
            for path, digest in marks:
                path.write_text(json.dumps({"digest": digest}) + "\n", encoding="utf-8")


def _send_all(
    wandb: Any, sendings: Iterable[_Sending], marks: list[tuple[Path, str]]
) -> Iterator[Outcome]:
    for sending in sendings:
        try:
            status, where = sending.send(wandb, marks)
        except (wandb.errors.CommError, wandb.errors.UsageError) as error:
            # No key, no network, no such entity: the next one would meet the same.
            raise DestinationDown(_NAME, one_line(error)) from None
        except (wandb.errors.Error, OSError, ValueError, TypeError) as error:
            status, where = Status.FAILED, one_line(error)
        for task, _ in sending.tasks:
            yield Outcome(sending.run.id, task.id, status, where)


@dataclass(frozen=True, slots=True)
class _Sending:
    """What becomes one W&B run: a task, or all of a run."""

    run: RunResult
    tasks: Sequence[tuple[TaskResult, Sequence[tuple[Key, Score]]]]
    settings: Mapping[str, Any]

    def send(self, wandb: Any, marks: list[tuple[Path, str]]) -> tuple[Status, str]:
        """What became of it, and where it is. ``marks`` gets what is to be written, and where, when
        all of it is on the disk."""
        id_, digest = self._id(), self._digest()
        offline = wandb.setup().settings.mode in {"offline", "dryrun"}
        if offline and (there := _sent_offline(id_, digest)):
            return Status.UNCHANGED, there
        run = wandb.init(
            entity=self.settings["entity"],
            project=self.settings["project"],
            id=id_,
            name=self.settings["name"] or self._called(),
            group=self.settings["group"] or self.run.id,
            job_type=self.settings["job_type"],
            tags=self.settings["tags"] or None,
            notes=self.settings["description"],
            resume="allow",
            dir=_folder(),
            # Nothing of this machine is a result: no code, no console, no load.
            save_code=False,
            settings=wandb.Settings(
                disable_git=True,
                console="off",
                x_disable_stats=True,
                x_disable_meta=True,
                x_save_requirements=False,
            ),
        )
        code = 1
        try:
            where = run.url or str(Path(run.dir).parent)
            if run.config.get(_DIGEST) == digest:
                code = 0
                return Status.UNCHANGED, where
            status = Status.UPDATED if run.resumed else Status.EXPORTED
            run.config.update(self._config(), allow_val_change=True)
            # The summary, not the history: there is one value, however often it is sent.
            run.summary.update(self._metrics())
            self._log_files(wandb, run)
            run.config.update({_DIGEST: digest}, allow_val_change=True)
            code = 0
        finally:
            run.finish(exit_code=code)
        if offline:
            marks.append((Path(where, "files", _MARK), digest))
        return status, where

    def _called(self) -> str:
        if self.settings["log_mode"] == "multi_task":
            return self.run.id
        return f"{self.run.id}.{self.tasks[0][0].id}"

    def _id(self) -> str:
        """W&B takes few characters; what tells two apart is the digest."""
        if self.settings["run_id"] and self.settings["log_mode"] == "multi_task":
            return str(self.settings["run_id"])
        called = self._called()
        if _BAD.search(called) or len(called) > 60:
            mark = hashlib.sha256(called.encode()).hexdigest()[:8]
            called = f"{_BAD.sub('-', called)[:60]}-{mark}"
        return called

    def _digest(self) -> str:
        about = sorted(self.settings.items(), key=str)
        parts = [digest_of(task, scores, about) for task, scores in self.tasks]
        return hashlib.sha256("".join(parts).encode()).hexdigest()[:32]

    def _config(self) -> dict[str, Any]:
        tasks = [task for task, _ in self.tasks]
        config: dict[str, Any] = {
            "invocation_id": self.run.id,
            "run_name": self.run.name,
            "executor": self.run.backend,
            "bundle_digest": self.run.bundle_digest,
            "model": self.run.model,
            "benchmarks": [task.task for task in tasks],
            "harnesses": [task.harness for task in tasks],
            "images": [task.image for task in tasks],
            "parameters": {task.id: dict(task.parameters) for task in tasks},
        }
        if len(tasks) == 1 and self.settings["log_mode"] == "per_task":
            config |= {"benchmark": tasks[0].task, "harness": tasks[0].harness}
        return {**config, **self.settings["extra_metadata"]}

    def _metrics(self) -> dict[str, float]:
        return numbers(metric_names(one for _, scores in self.tasks for one in scores))

    def _log_files(self, wandb: Any, run: Any) -> None:
        # W&B keeps one version of an artifact whose files are the same.
        artifact = wandb.Artifact(
            _BAD.sub("-", self._id())[:100], "evaluation_result", metadata={"run": self.run.id}
        )
        files = [
            (path, f"{task.id}/{name}")
            for task, _ in self.tasks
            for path, name in files_of(task, self.settings)
        ]
        for path, name in files:
            artifact.add_file(str(path), name=name)
        if files:
            run.log_artifact(artifact)


def _sendings(runs: Sequence[RunResult], settings: Mapping[str, Any]) -> Iterator[_Sending]:
    found = list(finished(runs, settings))
    if settings["log_mode"] == "per_task":
        for run, task, scores in found:
            yield _Sending(run, [(task, scores)], settings)
        return
    for run in runs:
        tasks = [(task, scores) for one, task, scores in found if one is run]
        if tasks:
            yield _Sending(run, tasks, settings)


def _folder() -> str:
    """Where W&B keeps its runs; it would remember the folder of its first use in a process."""
    return os.environ.get("WANDB_DIR") or str(Path.cwd())


def _sent_offline(id_: str, digest: str) -> str:
    """The folder of an offline run that holds the same; empty where there is none."""
    for folder in sorted(Path(_folder(), "wandb").glob("offline-run-*")):
        if folder.name.endswith(f"-{id_}"):
            try:
                mark = json.loads((folder / "files" / _MARK).read_bytes())
            except (OSError, ValueError):
                continue
            if mark == {"digest": digest}:
                return str(folder)
    return ""
