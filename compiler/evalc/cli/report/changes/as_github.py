"""A difference in the log of a GitHub workflow: one annotation with all that it means, and the
patch in a group that can be unfolded.

The runner reads commands out of everything that a step prints, also out of the files of a bundle;
it is told to stop that for the patch, until a word comes that the patch can't hold
(https://docs.github.com/actions/reference/workflow-commands-for-github-actions).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from evalc.cli.report.as_github import annotation
from evalc.cli.report.changes.wording import plain, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.cli.report.changes.comparison import Comparison


def render(comparison: Comparison, *, brief: bool) -> str:
    """The annotation and the group; empty when nothing differs."""
    return "\n".join(_lines(comparison, brief=brief)) if comparison.differs else ""


def _lines(comparison: Comparison, *, brief: bool) -> Iterator[str]:
    title = f"{comparison.old.label} → {comparison.new.label}"
    said = [*comparison.remarks, *(plain(sentence(change)) for change in comparison.changes)]
    if comparison.files:
        said.append(comparison.summary)
    yield annotation("notice", {"title": f"evalc diff: {title}"}, "\n".join(said))
    if comparison.files and not brief:
        yield from group(title, [line for file in comparison.files for line in file.lines])


def group(title: str, lines: list[str]) -> Iterator[str]:
    """Lines that the runner shows in a group, and reads no commands out of."""
    token = hashlib.sha256("\n".join(lines).encode(errors="replace")).hexdigest()
    yield f"::group::{' '.join(title.split())}"
    yield f"::stop-commands::{token}"
    yield from lines
    yield f"::{token}::"
    yield "::endgroup::"
