"""A difference for people: a line for each change, then the files as a patch.

A patch takes no escapes, so lines of files are shown as they are wherever they can't steer a
terminal, and ``git apply`` takes what a pipe gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evalc.cli.report.as_text import visible
from evalc.cli.report.changes.wording import ARROW, plain, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalc.bundle.diff import FileDifference
    from evalc.cli.output import Page
    from evalc.cli.report.changes.comparison import Comparison

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_HEADS = ("diff ", "--- ", "+++ ")


def render(comparison: Comparison, page: Page, *, brief: bool) -> str:
    """What has changed; with the text of the files, unless ``brief``."""
    arrow = ARROW.replace("→", "->") if page.ascii else ARROW
    head = f"{comparison.old.label}{arrow}{comparison.new.label}"
    lines = [_bold(visible(head), page)]
    said = [*comparison.remarks, *(plain(sentence(change)) for change in comparison.changes)]
    lines += [f"  {visible(line).replace(ARROW, arrow)}" for line in said]
    if comparison.files:
        lines.append(f"  {comparison.summary}")
        if not brief:
            lines += ["", *patch(comparison.files, page)]
    return "\n".join(lines)


def patch(files: Iterable[FileDifference], page: Page) -> Iterator[str]:
    """The lines of the patch of all files."""
    for file in files:
        for line in file.lines:
            if page.colour:
                yield _coloured(visible(line.expandtabs()))
            else:
                yield line


def _coloured(line: str) -> str:
    if line.startswith(_HEADS):
        return click.style(line, bold=True)
    return click.style(line, fg=_COLOURS.get(line[:1])) if line[:1] in _COLOURS else line


def _bold(text: str, page: Page) -> str:
    return click.style(text, bold=True) if page.colour else text
