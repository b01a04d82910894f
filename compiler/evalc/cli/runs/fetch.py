"""``evalc fetch``."""

from __future__ import annotations

from pathlib import Path

import click

from evalc.cli.options import Target
from evalc.cli.output import note, say
from evalc.cli.report.as_json import dumps
from evalc.cli.runs.common import tracking

EPILOG = """
\b
Examples:
  evalc fetch k3f
  evalc fetch k3f --to results/k3f --no-logs

\b
Exit codes:
  0  all is here
  1  something could not be fetched; it says what
  2  wrong usage: there is no such run, say
  3  evalc itself failed
  4  the host can't be reached
"""


@click.command("fetch", epilog=EPILOG)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option(
    "--to",
    type=Target(file_okay=False),
    metavar="DIR",
    help="Where they go, by default fetched/RUN; with several runs, the folder that gets one each.",
)
@click.option("--no-logs", is_flag=True, help="Results alone.")
@click.option("--json", "as_json", is_flag=True, help="Say what was fetched as JSON.")
def fetch_command(*, ids: tuple[str, ...], to: Path | None, no_logs: bool, as_json: bool) -> int:
    """Bring results and logs here.

    Only what has changed since the last time is fetched, and what was interrupted goes on where it
    was. A run on this machine is copied.
    """
    from evalc.runner.reading import fetch_run

    with tracking() as database:
        runs = {one.id: one for one in (database.find(id_).invocation for id_ in ids)}
    objects = []
    missing = False
    for id_, invocation in runs.items():
        target = Path("fetched", id_) if to is None else to / id_ if len(runs) > 1 else to
        fetched = fetch_run(invocation, target, logs=not no_logs)
        for name in (*fetched.refused, *fetched.missing):
            missing = True
            note(f"{id_}: not fetched: {name}")
        objects.append(
            {
                "invocation": id_,
                "folder": str(target),
                "files": list(fetched.files),
                "bytes": fetched.size,
                "unchanged": fetched.unchanged,
                "refused": list(fetched.refused),
                "missing": list(fetched.missing),
            }
        )
        if not as_json:
            say(
                f"{id_}: {len(fetched.files)} files ({_size(fetched.size)}) fetched into {target}, "
                f"{fetched.unchanged} were here already"
            )
    if as_json:
        say(dumps(objects))
    return 1 if missing else 0


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
