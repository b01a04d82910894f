"""``evalc diff``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalc.cli.failures import USAGE, report_problems
from evalc.cli.options import config_dir_option, override_option, task_option
from evalc.cli.output import page_of, say
from evalc.cli.report.as_json import dumps
from evalc.errors import ConfigError

if TYPE_CHECKING:
    from evalc.bundle.diff import Side
    from evalc.cli.report.changes.comparison import Comparison

EPILOG = """
\b
Examples:
  evalc diff golden/cluster cluster.yaml
  evalc diff build/old build/new --brief
  evalc diff monday.yaml tuesday.yaml -o execution.account=nlp
  evalc diff golden/cluster cluster.yaml --format markdown > comment.md

\b
OLD and NEW are each a bundle's folder or a config, compiled in memory
with these options. What goes into a pipe is a patch for 'git apply'.

\b
--format json prints an object:
  old, new: label, compiler, edited
  changes:  of, what, kind, before, after, names, total, text
  files:    path, kind, added, removed, patch

\b
Exit codes, as of diff(1):
  0  nothing differs
  1  something does
  2  a config is wrong, or what is named is no bundle and no config
  3  evalc itself failed
"""


@click.command("diff", epilog=EPILOG)
@click.argument("old", type=click.Path(path_type=Path), metavar="OLD")
@click.argument("new", type=click.Path(path_type=Path), metavar="NEW")
@override_option
@task_option
@config_dir_option
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "github", "markdown"]),
    default="text",
    show_default=True,
    help="For people, for programs, for a GitHub workflow, or a pull request's comment.",
)
@click.option("--brief", is_flag=True, help="Only what means something, not the text.")
def diff_command(
    *,
    old: Path,
    new: Path,
    overrides: tuple[str, ...],
    tasks: tuple[str, ...],
    config_dirs: tuple[Path, ...],
    style: str,
    brief: bool,
) -> int:
    """Tell what differs between two bundles or configs.

    First what means something: tasks, walltimes, GPU hours, images, secrets, settings; then the
    text of the files. Nothing is written.
    """
    from evalc.cli.report.changes.comparison import compare

    try:
        before, after = (_side(path, overrides, tasks, config_dirs) for path in (old, new))
    except ConfigError as error:
        # Not 1, which says that both could be read, and differ.
        report_problems(error.problems)
        return USAGE
    comparison = compare(before, after)
    text = _render(comparison, style, brief=brief)
    if text:
        say(text)
    return int(comparison.differs)


def _side(
    path: Path, overrides: tuple[str, ...], tasks: tuple[str, ...], config_dirs: tuple[Path, ...]
) -> Side:
    from evalc import compiler
    from evalc.bundle.diff import read_side, side_of

    if path.is_dir():
        return read_side(path, str(path))
    request = compiler.Request(path, overrides, tasks, config_dirs)
    return side_of(compiler.compile(request).bundle, str(path))


def _render(comparison: Comparison, style: str, *, brief: bool) -> str:
    from evalc.cli.report.changes import as_github, as_json, as_markdown, as_text

    if style == "json":
        return dumps(as_json.as_object(comparison, brief=brief))
    if style == "markdown":
        return as_markdown.render(comparison, brief=brief)
    if style == "github":
        return as_github.render(comparison, brief=brief)
    return (
        as_text.render(comparison, page_of(sys.stdout), brief=brief) if comparison.differs else ""
    )
