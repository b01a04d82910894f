"""A difference as a comment for a pull request, in GitHub's Markdown.

It begins with a mark (an HTML comment) by which a workflow finds the comment that it wrote before,
to replace it. Whatever comes from configs stands in code spans and fenced blocks, which nothing in
it can end, so it makes no links, mentions or headings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalc.cli.report.as_text import visible
from evalc.cli.report.changes.wording import Value, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evalc.cli.report.changes.comparison import Comparison
    from evalc.cli.report.changes.wording import Sentence

MARK = "<!-- evalc diff -->"
# GitHub takes 65,536 characters in a comment. Several differences may be joined into one.
LONGEST = 60_000


def render(comparison: Comparison, *, brief: bool) -> str:
    """The comment, of at most LONGEST characters."""
    title = f"### {_code(comparison.old.label)} → {_code(comparison.new.label)}"
    lines = [MARK, title, ""]
    lines += [f"- {_escaped(remark)}" for remark in comparison.remarks]
    lines += [f"- {_marked(sentence(change))}" for change in comparison.changes]
    if not comparison.differs:
        lines.append("Nothing differs.")
    said = _cut(lines, LONGEST // 2, "- … and {} more")
    if comparison.files and not brief:
        said += ["", *_details(comparison, LONGEST - len("\n".join(said)))]
    elif comparison.files:
        said += ["", f"{comparison.summary}."]
    return "\n".join(said)


def _details(comparison: Comparison, room: int) -> list[str]:
    lines = [visible(line.expandtabs()) for file in comparison.files for line in file.lines]
    shown = _cut(lines, room - 500, "… and {} more lines")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", "\n".join(shown))), default=2))
    fence = max(fence, "```", key=len)
    return [
        f"<details><summary>{comparison.summary}</summary>",
        "",
        f"{fence}diff",
        *shown,
        fence,
        "",
        "</details>",
    ]


def _cut(lines: Sequence[str], room: int, more: str) -> list[str]:
    """As many lines as there is room for, in characters, and how many there are besides."""
    shown: list[str] = []
    for number, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return [*shown, more.format(f"{len(lines) - number:,}")]
        shown.append(line)
    return shown


def _marked(pieces: Sentence) -> str:
    return "".join(_code(piece) if isinstance(piece, Value) else piece for piece in pieces)


def _code(text: str) -> str:
    """A code span that holds any text: https://spec.commonmark.org/0.31.2/#code-spans."""
    text = visible(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~@&])", r"\\\1", visible(text))


def joined(comments: Iterable[str]) -> str:
    """Several comments as one."""
    return "\n\n".join(comments)
