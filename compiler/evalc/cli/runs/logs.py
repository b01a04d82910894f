"""``evalc logs``."""

from __future__ import annotations

import sys

import click

from evalc.cli.output import note
from evalc.cli.runs.common import jobs_by_run, tracking
from evalc.errors import UsageError

EPILOG = """
\b
Examples:
  evalc logs k3f.2
  evalc logs k3f.2 --server --follow
  evalc logs k3f --slurm --tail 20

\b
Exit codes:
  0  fine
  1  there is no such log yet
  2  wrong usage: there is no such run, say
  3  evalc itself failed
  4  the host can't be reached
"""

_WORDS = {"client": "harness", "server": "server", "job": "job"}


@click.command("logs", epilog=EPILOG)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--client", "what", flag_value="client", default=True, help="The harness's; default.")
@click.option("--server", "what", flag_value="server", help="The model server's, and others'.")
@click.option(
    "--slurm",
    "--job",
    "what",
    flag_value="job",
    help="The script's own: what it started, decided and ended with.",
)
@click.option("-f", "--follow", is_flag=True, help="Show what is added, until Ctrl-C.")
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Only the last N lines of each; 0 for all.",
)
def logs_command(*, ids: tuple[str, ...], what: str, follow: bool, tail: int) -> int:
    """Show the logs of runs, or of single jobs.

    They are read where they are written. Several files are shown with their names.
    """
    from evalc.runner.reading import follow_logs

    with tracking() as database:
        wanted = jobs_by_run([database.find(id_) for id_ in ids])
        if len(wanted) > 1:
            raise UsageError("the logs of several runs can't be shown at once", "name one run")
        ((id_, jobs),) = wanted.items()
        invocation = database.find(id_).invocation
        found = False
        for piece in follow_logs(invocation, jobs, what, tail=tail, follow=follow):
            found = True
            # None is a stream that was closed when the process started.
            if sys.stdout is not None:
                sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
        if not found:
            note(f"{id_}: there is no {_WORDS[what]} log yet; 'evalc status {id_}' tells more")
        return 0 if found else 1
