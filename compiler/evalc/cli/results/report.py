"""``evalc report``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from evalc.cli.output import note, page_of, say
from evalc.cli.report.as_json import dumps

EPILOG = """
\b
Examples:
  evalc report k3f
  evalc report k3f m2q --baseline k3f
  evalc report runs/a runs/b --format html --output report.html

\b
Exit codes:
  0  every task has results
  1  a task has none: it failed, runs, or left nothing that can be read
  2  wrong usage: there is no such run or folder, say
  3  evalc itself failed
  4  the run's host can't be reached
"""


@click.command("report", epilog=EPILOG)
@click.argument("names", nargs=-1, required=True, metavar="ID|DIR...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "html", "json"]),
    default="terminal",
    show_default=True,
    help="html is one file that needs nothing else.",
)
@click.option(
    "--baseline",
    metavar="NAME",
    help="Compare the others with this run: its id, folder or model. Over the same questions where "
    "there are samples, else by counts or standard errors; each difference says by which test.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="WORD",
    help="Only scores with WORD in their names; may be repeated.",
)
@click.option(
    "-O",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there, not to standard output.",
)
def report_command(
    *,
    names: tuple[str, ...],
    form: str,
    baseline: str | None,
    metrics: tuple[str, ...],
    output: Path | None,
) -> int:
    """Show the results of runs side by side.

    Scores with their standard errors, the best of each, what is missing or failed and why, and what
    each attempt took. A run is an id, or a folder: a bundle's in which scripts ran, one that was
    fetched, or any with TASK/artifacts/results.yml. The cells of a matrix stand side by side;
    ID:CELL is one of them.
    """
    from evalc.cli.results.finding import find_runs
    from evalc.export.cells import by_cell
    from evalc.export.table import tabulate

    runs = [part for run in find_runs(names, cells=True) for part in by_cell(run)]
    table = tabulate(runs, baseline, metrics)
    if form == "json":
        from evalc.export.report.as_json import table_object

        text = dumps(table_object(table))
    elif form == "html":
        from evalc.export.report import html

        text = html.render(table)
    elif form == "markdown":
        from evalc.export.report import markdown

        text = markdown.render(table)
    else:
        from evalc.export.report import terminal

        page = page_of(None if output else sys.stdout)
        text = terminal.render(table, page.width, colour=page.colour)
    if output is None:
        say(text.rstrip("\n"))
    else:
        output.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        note(f"written {output}")
    return 1 if any(True for _ in table.lacking()) else 0
