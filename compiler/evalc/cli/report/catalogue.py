"""What the catalogue has of a task, for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evalc.cli.report.table import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evalc.catalog import Task


def as_text(task: Task) -> str:
    """Its name, facts of it and of its harness, and its parameters, dotted as ``-o`` has them."""
    facts = [
        ("endpoint", ", ".join(task.endpoint_types)),
        ("needs", ", ".join(task.required_capabilities)),
        ("image", task.image),
        ("digest", task.harness.digest),
        ("runs on", "x86-64" if task.harness.arch == "amd" else "x86-64, arm64"),
        ("harness", task.harness.url or ""),
    ]
    lines = [task.qualified_name, _indented(columns(fact for fact in facts if fact[1]))]
    params = list(_dotted(task.params, "config.params"))
    if params:
        lines += ["  defaults:", _indented(columns(params), "    ")]
    return "\n".join(lines)


def _indented(text: str, by: str = "  ") -> str:
    return "\n".join(by + line for line in text.splitlines())


def _dotted(params: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for key, value in params.items():
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{above}.{key}")
        else:
            text = json.dumps(value, ensure_ascii=False)
            yield f"{above}.{key}", text
