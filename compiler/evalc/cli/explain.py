"""``evalc explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evalc.cli.options import SUFFIXES, config_options
from evalc.cli.output import say
from evalc.cli.report import history
from evalc.errors import UsageError

if TYPE_CHECKING:
    from evalc.compiler import Request

EPILOG = """
\b
Examples:
  evalc explain cluster.yaml execution.walltime
  evalc explain cluster.yaml evaluation.tasks
  evalc explain cluster.yaml deployment.port -o deployment.port=8080
  evalc explain --config-dir configs --config-name cluster execution.type
  evalc explain models.yaml execution.nodes --cell llama-70b

\b
Exit codes:
  0  fine
  1  the config is wrong
  2  wrong usage, or there is no such key
  3  evalc itself failed
"""


def _no_file(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """A KEY, and not the CONFIG of somebody who has left the key out."""
    if value.endswith(SUFFIXES):
        raise UsageError(f"no key is named after {value}", "write evalc explain CONFIG KEY")
    return value


@click.command("explain", epilog=EPILOG)
@config_options
@click.argument("key", callback=_no_file)
@click.option(
    "--cell",
    "cells",
    multiple=True,
    metavar="CELL",
    help="Only this cell of a matrix; may be repeated.",
)
def explain_command(*, requests: tuple[Request, ...], key: str, cells: tuple[str, ...]) -> int:
    """Tell where a value comes from.

    Prints the value of KEY (written a.b.c, or a.b[0].c) and everything that set it, the newest
    first: files, overrides, built-in defaults, older names of the key, and interpolations. Where
    the cells of a matrix differ, each value is told with its cells.
    """
    from evalc import compiler

    if len(requests) > 1:
        raise UsageError("one config is explained at a time")
    found = compiler.explain(requests[0], key, cells)
    say("\n\n".join(history.as_text(explanation) for explanation in found))
    return 0
