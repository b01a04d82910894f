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
def explain_command(*, requests: tuple[Request, ...], key: str) -> int:
    """Tell where a value comes from.

    Prints the value of KEY (written a.b.c, or a.b[0].c) and everything that set it, the newest
    first: files, overrides, built-in defaults, older names of the key, and interpolations.
    """
    from evalc import compiler

    if len(requests) > 1:
        raise UsageError("one config is explained at a time")
    say(history.as_text(compiler.explain(requests[0], key)))
    return 0
