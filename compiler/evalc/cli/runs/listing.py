"""``evalc ls runs``."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from evalc.cli.output import say
from evalc.cli.report import runs as shown
from evalc.cli.report.as_json import dumps
from evalc.cli.report.table import columns
from evalc.cli.runs.common import tracking

if TYPE_CHECKING:
    from evalc.runner.database import Invocation

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_HEADINGS = ("ID", "NAME", "BACKEND", "HOST", "SUBMITTED", "JOBS")
EPILOG = """
\b
Examples:
  evalc ls runs
  evalc ls runs --since 2d --backend slurm --json
"""


def _since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([mhdw])", value)
    if not found:
        raise click.BadParameter(f"{value!r} is no span of time: 30m, 12h, 2d, 1w")
    return time.time() - int(found[1]) * _SECONDS[found[2]]


@click.command("runs", epilog=EPILOG)
@click.option(
    "--since", callback=_since, metavar="SPAN", help="Only those of the last 30m, 12h, 2d, 1w."
)
@click.option("--backend", metavar="NAME", help="Only those of this backend.")
@click.option("--json", "as_json", is_flag=True, help="As a list of JSON objects.")
def runs_command(*, since: float | None, backend: str | None, as_json: bool) -> int:
    """List the runs that were submitted.

    The newest come first, with what was last seen of their jobs; no host is asked.
    """
    with tracking(ask=False) as database:
        found = database.listing(since, backend)
    if as_json:
        objects = [shown.invocation_object(one, [job.sight for job in one.jobs]) for one in found]
        say(dumps(objects))
    elif found:
        say(columns([_HEADINGS, *map(_row, found)]))
    return 0


def _row(invocation: Invocation) -> tuple[str, ...]:
    return (
        invocation.id,
        invocation.name,
        invocation.backend,
        invocation.hostname or "",
        shown.ago(invocation.created),
        shown.summary(job.sight.state for job in invocation.jobs),
    )
