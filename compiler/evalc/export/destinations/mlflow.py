"""Results to an MLflow tracking server: one MLflow run for each task of a run.

A run is found again by its tag ``evalc.task`` (``RUN.TASK``), which it has from its first moment
on, so that an export that was interrupted goes on in it. ``evalc.digest`` is set last and tells
that the same was sent completely.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
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
from evalc.export.destinations.settings import config_of_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalc.export.model import Key, RunResult, Score, TaskResult

_NAME = "mlflow"
_TASK, _DIGEST = "evalc.task", "evalc.digest"
# What MLflow takes in names (mlflow.utils.validation); slashes must make a clean path.
_BAD = re.compile(r"[^\w\-. :/]", re.ASCII)
_LONGEST_NAME = 250
_LONGEST_VALUE = 5000
# What one request may carry (mlflow.utils.validation).
_PARAMS_AT_ONCE, _METRICS_AT_ONCE = 100, 1000


class MlflowExporter:
    """See :class:`evalc.export.destinations.base.Exporter`."""

    name = _NAME
    description = "an MLflow tracking server"
    keys: Mapping[str, Any] = {
        "tracking_uri": "",
        "experiment_name": "evalc",
        "run_name": "",
        "description": "",
        "tags": {},
        "extra_metadata": {},
        "log_config_params": False,
        "log_config_params_max_depth": 10,
        "skip_existing": False,
        "exclude_patterns": [],
        **COMMON,
    }

    def export(self, runs: Sequence[RunResult], settings: Mapping[str, Any]) -> Iterator[Outcome]:
        """See there."""
        # MLflow would try for many minutes; who wants that says so in the same variables.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        # It would say of each run where it is, into what we print.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        try:
            from mlflow import MlflowClient  # noqa: PLC0415 - heavy, and an extra
            from mlflow.exceptions import MlflowException  # noqa: PLC0415
        except ImportError:
            raise MissingClient(_NAME, "mlflow-skinny", _NAME) from None
        address = _address(settings["tracking_uri"])
        # Which of a library's many errors it is does not matter: it becomes a line.
        failures = (MlflowException, OSError, ValueError)
        try:
            client = MlflowClient(tracking_uri=address)
            experiment = _experiment(client, settings["experiment_name"], MlflowException)
        except failures as error:
            raise DestinationDown(_NAME, f"{address}: {one_line(error)}") from None
        for run, task, scores in finished(runs, settings):
            sending = _Sending(client, experiment, run, task, scores, settings)
            try:
                status, where = sending.send()
            except failures as error:
                yield Outcome(run.id, task.id, Status.FAILED, one_line(error))
            else:
                yield Outcome(run.id, task.id, status, f"{address} run {where}")


def _address(told: str | None) -> str:
    """The server's address; the key may also name the variable that has it."""
    address = told or os.environ.get("MLFLOW_TRACKING_URI", "")
    if address and "://" not in address:
        address = os.environ.get(address, address)
    if not address:
        raise BadSettings(
            _NAME, "'tracking_uri' is not given", "-o export.mlflow.tracking_uri=http://HOST:5000"
        )
    return address.rstrip("/")


def _experiment(client: Any, name: str, exists: type[Exception]) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except exists:
            # Another export may have made it meanwhile.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise ValueError(f"the experiment '{name}' is deleted; restore it, or name another")
    return str(found.experiment_id)


@dataclass(frozen=True, slots=True)
class _Sending:
    """One task on its way."""

    client: Any
    experiment: str
    run: RunResult
    task: TaskResult
    scores: list[tuple[Key, Score]]
    settings: Mapping[str, Any]

    def send(self) -> tuple[Status, str]:
        """What became of it, and MLflow's id of the run."""
        there = self._there()
        digest = digest_of(self.task, self.scores, sorted(self.settings.items(), key=str))
        if there is not None:
            id_ = str(there.info.run_id)
            if self.settings["skip_existing"]:
                return Status.SKIPPED, id_
            if there.data.tags.get(_DIGEST) == digest:
                return Status.UNCHANGED, id_
            known, metrics = dict(there.data.params), dict(there.data.metrics)
        else:
            began = None if self.task.began is None else int(self.task.began * 1000)
            made = self.client.create_run(
                self.experiment, start_time=began, tags=self._tags(), run_name=self._run_name()
            )
            id_, known, metrics = str(made.info.run_id), {}, {}
        self._log(id_, known, metrics)
        for path, name in files_of(self.task, self.settings):
            if not any(fnmatch(path.name, one) for one in self.settings["exclude_patterns"]):
                folder = f"{self.task.id}/{PurePosixPath(name).parent}"
                self.client.log_artifact(id_, str(path), folder)
        ended = None if self.task.ended is None else int(self.task.ended * 1000)
        self.client.set_terminated(id_, "FINISHED", ended)
        # Last: what has this tag has all the rest.
        self.client.set_tag(id_, _DIGEST, digest)
        return (Status.UPDATED if there is not None else Status.EXPORTED), id_

    def _there(self) -> Any:
        """The run that an earlier export has made; None where there is none."""
        wanted = self._key()
        found = self.client.search_runs(
            [self.experiment], f"tags.`{_TASK}` = '{wanted}'", max_results=1
        )
        return found[0] if found else None

    def _key(self) -> str:
        """What the run is found again by. Quotes can't be escaped in MLflow's filters."""
        key = f"{self.run.id}.{self.task.id}"
        return hashlib.sha256(key.encode()).hexdigest() if "'" in key else key

    def _run_name(self) -> str:
        return self.settings["run_name"] or f"{self.run.id}.{self.task.id}"

    def _tags(self) -> dict[str, str]:
        tags = {
            _TASK: self._key(),
            "invocation_id": self.run.id,
            "task_name": self.task.id,
            "benchmark": self.task.task,
            "harness": self.task.harness,
            "executor": self.run.backend,
            "model": self.task.model,
            "image": self.task.image,
            "image_digest": self.task.image_digest,
            "bundle_digest": self.run.bundle_digest,
        }
        if self.settings["description"]:
            tags["mlflow.note.content"] = self.settings["description"]
        own = {str(k): str(v) for k, v in self.settings["tags"].items() if v is not None}
        return {
            _clean(name): value[:_LONGEST_VALUE] for name, value in {**tags, **own}.items() if value
        }

    def _log(self, id_: str, known: Mapping[str, str], there: Mapping[str, float]) -> None:
        from mlflow.entities import Metric, Param, RunTag  # noqa: PLC0415 - an extra

        params = {
            **self.task.parameters,
            **self.settings["extra_metadata"],
            **(self._config() if self.settings["log_config_params"] else {}),
        }
        texts = {_clean(str(k)): _text(v) for k, v in params.items() if v is not None}
        # MLflow refuses to change a parameter; what has changed is said in a tag.
        changed = {k: v for k, v in texts.items() if k in known and known[k] != v}
        new = [Param(k, v) for k, v in texts.items() if k not in known]
        tags = {**self._tags(), **{_clean(f"changed.{k}"): v for k, v in changed.items()}}
        # Of several values of one time, MLflow takes the highest for the latest.
        at = int((time.time() if there else self.task.ended or 0) * 1000)
        names = metric_names(self.scores)
        labels = _all_different(names)
        values = numbers({labels[name]: score for name, score in names.items()})
        metrics = [Metric(k, v, at, 0) for k, v in values.items() if there.get(k) != v]
        renamed = {label: name for name, label in labels.items() if label != name}
        if renamed:
            tags["evalc.metric_names"] = json.dumps(renamed, ensure_ascii=False)[:_LONGEST_VALUE]
        for start in range(0, len(new), _PARAMS_AT_ONCE):
            self.client.log_batch(id_, params=new[start : start + _PARAMS_AT_ONCE])
        self.client.log_batch(id_, tags=[RunTag(k, v) for k, v in tags.items()])
        for start in range(0, len(metrics), _METRICS_AT_ONCE):
            self.client.log_batch(id_, metrics[start : start + _METRICS_AT_ONCE])

    def _config(self) -> dict[str, Any]:
        depth = self.settings["log_config_params_max_depth"]
        return _flat("config", config_of_run(self.run.folder, _NAME), depth)


def _flat(name: str, value: Any, depth: int) -> dict[str, Any]:
    """A nested mapping with dots in its keys, ``depth`` levels deep."""
    if not isinstance(value, dict) or depth < 1 or not value:
        return {name: value}
    return {
        key: one
        for word, below in value.items()
        for key, one in _flat(f"{name}.{word}", below, depth - 1).items()
    }


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:_LONGEST_VALUE]


def _clean(name: str) -> str:
    """A name as MLflow takes it; another one may become the same."""
    clean = _BAD.sub("_", name)[:_LONGEST_NAME]
    path = PurePosixPath(clean)
    return clean if str(path) == clean and ".." not in path.parts else clean.replace("/", "_")


def _all_different(names: Mapping[str, object]) -> dict[str, str]:
    """Names as MLflow takes them, no two the same, with room for what is added to them."""
    labels: dict[str, str] = {}
    for name in names:
        label = _clean(name)
        if label != name or len(label) > _LONGEST_NAME - 10:
            mark = hashlib.sha256(name.encode()).hexdigest()[:8]
            label = f"{label[: _LONGEST_NAME - 20]}_{mark}"
        labels[name] = label
    return labels
