"""Whether the client of the platform would take a job or an endpoint as it is compiled.

``schemas/lepton`` holds what leptonai's own models say, but for one thing: the client drops a key
that it does not know, and the schemas refuse it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from evalc.emit import jsontext
from evalc.resources import read_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonschema import Draft7Validator

# Texts that may be anything, and take most of the time.
_FREE = ("command", "value", "image")


class Fault(NamedTuple):
    """What is wrong at a ``path`` of a body, in words."""

    path: tuple[str | int, ...]
    what: str


def faults(kind: str, bodies: Iterable[dict[str, Any]]) -> Iterator[Fault]:
    """What is wrong with bodies of a kind, ``job`` or ``deployment``; of several that are alike,
    once."""
    seen: set[str] = set()
    for body in bodies:
        value = jsontext.plain(body)
        form = json.dumps(_form(value))
        if form in seen:
            continue
        seen.add(form)
        for error in _validator(kind).iter_errors(value):
            yield Fault(tuple(error.absolute_path), error.message)


def _form(value: Any) -> Any:
    """A body without its free texts."""
    if isinstance(value, dict):
        return {key: _kind(item) if key in _FREE else _form(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_form(item) for item in value]
    return value


def _kind(value: Any) -> Any:
    return (
        [type(item).__name__ for item in value] if isinstance(value, list) else type(value).__name__
    )


@lru_cache(maxsize=2)
def _validator(kind: str) -> Draft7Validator:
    # Imported for Lepton alone: it takes as long as compiling a small config.
    from jsonschema import Draft7Validator

    return Draft7Validator(read_schema(f"lepton/{kind}"))
