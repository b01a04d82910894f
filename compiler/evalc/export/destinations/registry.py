"""Finds exporters by name: ours in a table, others in the entry points ``evalc.exporters``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from evalc.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from evalc.export.destinations.base import Exporter

GROUP = "evalc.exporters"
_OWN = {
    "local": "evalc.export.destinations.local:LocalExporter",
    "mlflow": "evalc.export.destinations.mlflow:MlflowExporter",
    "wandb": "evalc.export.destinations.wandb:WandbExporter",
    "gsheets": "evalc.export.destinations.gsheets:GsheetsExporter",
}


def get(name: str) -> Exporter:
    """The exporter of that name. Raises :class:`~evalc.errors.UsageError`."""
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        return cast("Exporter", getattr(importlib.import_module(module), attribute)())
    from importlib.metadata import entry_points  # noqa: PLC0415 - ours need no look around

    for entry in entry_points(group=GROUP, name=name):
        try:
            return cast("Exporter", entry.load()())
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"the exporter '{name}' ({entry.value}): {error}") from error
    known = names()
    hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
    raise UsageError(f"there is no destination '{name}'", hint)


def names() -> tuple[str, ...]:
    """Every installed exporter's name: ours, then others."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - as above

    others = {entry.name for entry in entry_points(group=GROUP)} - _OWN.keys()
    return (*_OWN, *sorted(others))
