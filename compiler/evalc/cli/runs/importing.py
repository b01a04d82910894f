"""``evalc import-results``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalc.cli.output import note, say
from evalc.cli.report import runs as shown
from evalc.cli.report.as_json import dumps
from evalc.cli.report.table import columns
from evalc.cli.runs.common import tracking

if TYPE_CHECKING:
    from evalc.runner.importing import Imported

EPILOG = """
\b
Examples:
  evalc import-results results/cluster
  evalc import-results suite     # what 'evalc pack' has made, brought back

\b
Exit codes:
  0  recorded; the exit code of 'evalc status' tells how the jobs have ended
  1  nothing has run there
  2  what is named is no bundle
  3  evalc itself failed
"""


@click.command("import-results", epilog=EPILOG)
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR..."
)
@click.option("--json", "as_json", is_flag=True, help="Say what was recorded as JSON.")
def import_command(*, folders: tuple[Path, ...], as_json: bool) -> int:
    """Record runs that were started by hand, without evalc.

    DIR is a bundle with what its scripts left in it, or a folder of such. It stays where it is, and
    'evalc status', 'info', 'logs' and 'fetch' know it from then on. A second time, it is looked at
    again.
    """
    from evalc.runner.importing import bundles_in, import_run

    bundles = [bundle for folder in folders for bundle in bundles_in(folder)]
    with tracking() as database:
        found = [import_run(database, bundle) for bundle in bundles]
    for one in found:
        if one.edited:
            named = ", ".join(one.edited[:3])
            note(f"{one.invocation.id}: files of the bundle were edited: {named}")
    if as_json:
        say(dumps([_object(one) for one in found]))
    else:
        now = time.time()
        rows = [
            shown.row(one.invocation, job, job.sight, now)
            for one in found
            for job in one.invocation.jobs
        ]
        say(columns([shown.HEADINGS, *rows]))
    return 0


def _object(one: Imported) -> dict[str, object]:
    sights = [job.sight for job in one.invocation.jobs]
    return {**shown.invocation_object(one.invocation, sights), "known": one.known}
