"""``evalc kill``."""

from __future__ import annotations

import click

from evalc.cli.output import note, say
from evalc.cli.report.as_json import dumps
from evalc.cli.runs.common import named, tracking

EPILOG = """
\b
Examples:
  evalc kill k3f
  evalc kill k3f.2 k3f.3

\b
Exit codes:
  0  nothing of it runs or waits any more
  1  something could not be stopped; it says what
  2  wrong usage: there is no such run, say
  3  evalc itself failed
  4  the host can't be reached
"""


@click.command("kill", epilog=EPILOG)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--json", "as_json", is_flag=True, help="Say what was done as JSON.")
def kill_command(*, ids: tuple[str, ...], as_json: bool) -> int:
    """Stop runs, or single jobs of them, for good.

    Everything that belongs to a job is stopped: the attempt that runs, those that wait to go on
    after it, servers and containers. What it has done so far stays; 'evalc resume' goes on from it.
    """
    from evalc.runner.reaching import HostLost
    from evalc.runner.stopping import stop

    with tracking() as database:
        objects = []
        left = False
        lost: HostLost | None = None
        for invocation, jobs in named(database, ids):
            id_ = invocation.id
            numbers = {job.id: job.number for job in invocation.jobs}
            try:
                done = stop(database, invocation, jobs)
            except HostLost as error:
                # The others are stopped all the same.
                lost = error
                note(f"{id_}: {error}")
                continue
            for stopped in done:
                name = f"{id_}.{numbers[stopped.job]}"
                left = left or not stopped.done
                what = "; ".join(stopped.what) or "nothing was there to stop"
                objects.append({"id": name, "done": stopped.done, "what": list(stopped.what)})
                if not as_json:
                    (say if stopped.done else note)(f"{name}  {stopped.job}: {what}")
        if as_json:
            say(dumps(objects))
        if lost is not None:
            return lost.exit_code
        return 1 if left else 0
