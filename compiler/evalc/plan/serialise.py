"""The plan as JSON: for ``plan.json``, for digests, and for people."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evalc.plan.model import Argv, BundledFile, Shell, words_of
from evalc.words import PARTS, Literal, RuntimeEnv, Secret, Word, literal_text

if TYPE_CHECKING:
    from evalc.plan.model import Job, Plan, Service, Step

SCHEMA_VERSION = 1


def plan_text(plan: Plan) -> str:
    """The plan as the text of ``plan.json``; its form is ``evalc schema plan``.

    Each field of a job, a service or a step has a line of its own, so that a diff shows which
    changed. (The standard library indents in pure Python, which takes several times as long.)
    """
    return (
        "{\n"
        f' "schema_version": {SCHEMA_VERSION},\n'
        f' "name": {_line(plan.name)},\n'
        f' "backend": {_line(plan.backend)},\n'
        f' "output_dir": {_line(plan.output_dir)},\n'
        f' "options": {_line(plan.options)},\n'
        f"{_export_text(plan)}"
        f' "services": {_list(_fields_text(service, "  ") for service in plan.services)},\n'
        f' "jobs": {_list(_job_text(job) for job in plan.jobs)}\n'
        "}\n"
    )


def _export_text(plan: Plan) -> str:
    """Most plans export nothing, and say nothing of it."""
    return "" if plan.export is None else f' "export": {_line(plan.export)},\n'


def _job_text(job: Job) -> str:
    steps = ",\n".join(_fields_text(step, "    ") for step in job.steps)
    return (
        "  {\n"
        f'   "id": {_line(job.id)},\n'
        f'   "services": {_line([service.name for service in job.services])},\n'
        f'   "resources": {_line(job.resources)},\n'
        f'   "retry": {_line(job.retry)},\n'
        f"{_of_matrix(job)}"
        f'   "steps": [\n{steps}\n   ]\n'
        "  }"
    )


def _of_matrix(job: Job) -> str:
    if not job.cell:
        return ""
    own = f'   "options": {_line(job.options)},\n' if job.options else ""
    return f'   "cell": {_line(job.cell)},\n{own}'


def _fields_text(value: Step | Service, indent: str) -> str:
    fields = ",\n".join(f'{indent} "{name}": {_line(field)}' for name, field in _written(value))
    return f"{indent}{{\n{fields}\n{indent}}}"


def _list(texts: Iterator[str]) -> str:
    inside = ",\n".join(texts)
    return f"[\n{inside}\n ]" if inside else "[]"


# Made once: json.dumps makes an encoder for each call that asks for anything unusual.
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def _line(value: Any) -> str:
    # A harness's settings, the most of a plan, are JSON already when no word is among them.
    if isinstance(value, dict) and not words_of(value):
        return _ENCODER.encode(value)
    return _ENCODER.encode(to_json(value))


def to_json(value: Any) -> Any:
    """Any value of a plan as JSON-like values. A word that is all literal becomes its text, another
    one ``{"parts": […]}`` of texts and of ``{"env": NAME}`` and ``{"secret": NAME}``."""
    if value is None or isinstance(value, _JSON_SCALARS):
        return value
    if isinstance(value, tuple) and value and isinstance(value[0], PARTS):
        text = literal_text(value)
        return {"parts": [_part(part) for part in value]} if text is None else text
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    return _object(value)


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, BundledFile):
        sha256 = hashlib.sha256(value.data).hexdigest()
        return {"path": value.path, "sha256": sha256, "executable": value.executable}
    if isinstance(value, Shell):
        return {"shell": value.text}
    if isinstance(value, Argv):
        return {"argv": [to_json(word) for word in value.words]}
    return {name: to_json(field) for name, field in _written(value)}


# Tuples rather than unions, which are made anew at each use.
_JSON_SCALARS = (str, int, float, bool)
# What no field's value is: that field is always written.
_ALWAYS = object()
_FIELDS: dict[type, tuple[tuple[str, object], ...]] = {}


def _written(value: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a part of the plan that ``plan.json`` has, with their values."""
    kind = type(value)
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(
            (field.name, field.default if field.metadata.get("sparse") else _ALWAYS)
            for field in dataclasses.fields(kind)
        )
    for name, left_out in _FIELDS[kind]:
        field = getattr(value, name)
        if left_out is _ALWAYS or field != left_out:
            yield name, field


def _part(part: Literal | RuntimeEnv | Secret) -> Any:
    if isinstance(part, Literal):
        return part.text
    default = {} if part.default is None else {"default": part.default}
    if isinstance(part, RuntimeEnv):
        return {"env": part.name, **default}
    return {"secret": part.name, "scope": part.scope, **default}


def step_words(step: Step) -> Iterator[Word]:
    """Every word of a step."""
    yield from words_of([step.image, step.model_url, step.model_id, step.run_config])
    yield from words_of([var.value for var in step.env])
    yield from words_of([mount.source for mount in (*step.mounts, *_dataset(step))])


def service_words(service: Service) -> Iterator[Word]:
    """Every word of a service."""
    yield from words_of([service.image, service.model_id])
    for command in (service.command, service.head_command, service.worker_command):
        if isinstance(command, Argv):
            yield from command.words
    yield from words_of([var.value for var in service.env])
    yield from words_of([mount.source for mount in service.mounts])


def export_words(plan: Plan) -> Iterator[Word]:
    """Every word of exporting."""
    if plan.export is not None:
        yield from words_of([plan.export.output_dir, *(var.value for var in plan.export.env)])


def _dataset(step: Step) -> tuple[Any, ...]:
    return (step.dataset,) if step.dataset else ()
