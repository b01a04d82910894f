"""Auxiliary deployments: how tasks name them, and how they are told their addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evalc.plan.model import EnvVar
from evalc.words import Literal, RuntimeEnv, Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalc.plan.model import Service
    from evalc.words import Part

# Variables of these beginnings mean something to Slurm, to the scripts or to a task's own command.
RESERVED_PREFIXES = frozenset(("API", "EVALC", "MASTER", "MODEL", "PRIMARY", "SERVER", "SLURM"))
_REFERENCE = r"auxiliary_deployments\.(?:{names})\.(?:model_id|[a-z]+_url)(?![A-Za-z0-9_])"


def usual_prefix(name: str) -> str:
    """The ``env_prefix`` of the auxiliary deployment ``name``, where it has none of its own."""
    return name.upper().replace("-", "_")


def url_variable(service: Service, endpoint: str) -> str:
    """The environment variable that holds the URL of an auxiliary service's endpoint."""
    return f"{service.env_prefix}_{endpoint.upper()}_URL"


def model_variable(service: Service) -> str:
    """The environment variable that holds the name of an auxiliary service's model."""
    return f"{service.env_prefix}_MODEL_ID"


def variables(services: Iterable[Service]) -> tuple[EnvVar, ...]:
    """What tells a step where its auxiliary services are.

    The URLs depend on the nodes that a job gets, so their values are variables of the same name,
    which the job's script sets.
    """
    found = []
    for service in services:
        if service.env_prefix:
            names = [url_variable(service, endpoint) for endpoint in service.endpoints]
            found += [EnvVar(name, (RuntimeEnv(name),)) for name in names]
            found.append(EnvVar(model_variable(service), service.model_id))
    return tuple(found)


def resolved(settings: dict[str, Any], services: Iterable[Service]) -> dict[str, Any]:
    """A harness's settings with every ``auxiliary_deployments.NAME.chat_url`` (``completions_url``,
    …, ``model_id``) in its texts replaced by what it stands for.

    What names no deployment or no endpoint of one stays as it is: it is text like any other.
    """
    meanings = {
        f"auxiliary_deployments.{service.name}.{field}": word
        for service in services
        if service.env_prefix
        for field, word in _fields(service)
    }
    if not meanings:
        return settings
    names = "|".join(re.escape(s.name) for s in services if s.env_prefix)
    pattern = re.compile(_REFERENCE.format(names=names))
    found = _replaced(settings, pattern, meanings)
    assert isinstance(found, dict)
    return found


def _fields(service: Service) -> Iterable[tuple[str, Word]]:
    yield "model_id", service.model_id
    for endpoint in service.endpoints:
        yield f"{endpoint}_url", (RuntimeEnv(url_variable(service, endpoint)),)


def _replaced(value: Any, pattern: re.Pattern[str], meanings: Mapping[str, Word]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, pattern, meanings) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, pattern, meanings) for item in value]
    if isinstance(value, str):
        return _as_value(_split(value, pattern, meanings), value)
    if isinstance(value, tuple):
        parts: list[Part] = []
        for part in value:
            literal = isinstance(part, Literal)
            parts += _split(part.text, pattern, meanings) if literal else [part]
        return _as_value(parts, value)
    return value


def _split(text: str, pattern: re.Pattern[str], meanings: Mapping[str, Word]) -> list[Part]:
    parts: list[Part] = []
    done = 0
    for found in pattern.finditer(text):
        if found[0] in meanings:
            parts += [Literal(text[done : found.start()]), *meanings[found[0]]]
            done = found.end()
    return [*parts, Literal(text[done:])]


def _as_value(parts: list[Part], value: Any) -> Any:
    """The parts as a setting: the text that they make, or a word where some are not known yet."""
    kept = tuple(part for part in parts if not isinstance(part, Literal) or part.text)
    if not kept:
        return value
    if all(isinstance(part, Literal) for part in kept):
        return "".join(part.text for part in kept if isinstance(part, Literal))
    return kept
