"""``evalc check``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from evalc.cli.failures import report_failure
from evalc.cli.options import config_options, folders, golden_option, pin_option, task_option
from evalc.cli.output import page_of, say
from evalc.cli.progress import Progress
from evalc.cli.report import as_github, as_json, as_text
from evalc.cli.report.places import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from evalc.compiler import Request
    from evalc.errors import Problem

EPILOG = """
\b
Examples:
  evalc check cluster.yaml
  evalc check configs/*.yaml --format github
  evalc check cluster.yaml -t gsm8k --format json | jq '.[].message'
  evalc check --golden golden configs/*.yaml

\b
--format json prints a list of objects:
  code, severity (error or warning), message, label, help,
  file, line, column, end_line, end_column (from 1, end exclusive; or null)
  and, of a golden bundle, difference (as 'evalc diff --format json' prints)

\b
Exit codes:
  0  fine; there may be warnings
  1  a config is wrong, or a golden bundle is not what it compiles to
  2  wrong usage
  3  evalc itself failed
"""


@click.command("check", epilog=EPILOG)
@config_options
@task_option
@golden_option
@pin_option
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, or as annotations of a GitHub workflow.",
)
def check_command(*, requests: tuple[Request, ...], golden: Path | None, style: str) -> int:
    """Say everything that is wrong with configs.

    Every problem of every file is shown at once, sorted by place. With --golden, also how each
    config's bundle differs from the one that is committed. Nothing is written.
    """
    progress = Progress(len(requests))
    committed = [None] * len(requests) if golden is None else folders(requests, golden)
    results = [
        _check(request, folder, progress)
        for request, folder in zip(requests, committed, strict=True)
    ]
    problems = _distinct(problem for found, _ in results for problem in found)
    codes = [code for _, code in results]
    text = _render(problems, style, checked=codes.count(0))
    if text:
        say(text)
    return max(*codes, int(any(problem.severity == "error" for problem in problems)))


def _check(
    request: Request, committed: Path | None, progress: Progress
) -> tuple[Sequence[Problem], int]:
    """A config's problems; and the exit code when it could not be checked, which is reported."""
    from evalc import compiler

    try:
        with progress.step(f"checking {request.config}"):
            if committed is None:
                return compiler.check(request), 0
            from evalc.cli.golden import check_with_golden

            return check_with_golden(request, committed), 0
    except Exception as error:  # noqa: BLE001 - the other configs are checked all the same
        return (), report_failure(error)


def _distinct(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once: configs that share a file share its problems."""
    seen = {(_place(problem), problem.code, problem.message): problem for problem in problems}
    return list(seen.values())


def _place(problem: Problem) -> tuple[str, int, int]:
    at = problem.location
    return (name_of(at.source), at.line, at.column) if at else ("", 0, 0)


def _render(problems: list[Problem], style: str, *, checked: int) -> str:
    if style == "json":
        return as_json.render_all(problems)
    if style == "github":
        found = as_github.render_all(problems)
    else:
        found = as_text.render_all(problems, page_of(sys.stdout))
        found += "\n" if found else ""
    # A config that could not be read was not checked, and has been reported.
    last = as_text.summary(problems, checked) if problems or checked else ""
    return "\n".join(filter(None, (found, _patches(problems, style), last)))


def _patches(problems: list[Problem], style: str) -> str:
    """The text of all golden bundles that differ."""
    if all(problem.code != "golden-differs" for problem in problems):
        return ""
    from evalc.cli.golden import patches

    return patches(problems, style, page_of(sys.stdout))
