"""Where a value comes from, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.cli.report.as_text import visible
from evalc.cli.report.places import place
from evalc.cli.report.table import columns
from evalc.emit import yamltext

if TYPE_CHECKING:
    from evalc.config.explaining import Explanation, Step


# A block of values is one step too, and its text as long as the block.
_LONGEST = 60


def as_text(explanation: Explanation) -> str:
    """The value as YAML, a blank line, and a line for each step, the newest first."""
    key = visible(explanation.key)
    value = yamltext.dump(explanation.value).rstrip("\n")
    is_block = isinstance(explanation.value, dict | list) and bool(explanation.value)
    lines = [f"{key}:", *_indented(value)] if is_block else [f"{key}: {value}"]
    if explanation.cells:
        lines.insert(0, f"# {', '.join(explanation.cells)}")
    if explanation.steps:
        lines += ["", *_indented(columns(_row(step) for step in explanation.steps))]
    return "\n".join(lines)


def _row(step: Step) -> tuple[str, str, str]:
    text = visible(step.text)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 3]}..."
    return (step.kind, visible(place(step.location)), text)


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.split("\n")]
