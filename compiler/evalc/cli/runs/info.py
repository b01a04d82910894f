"""``evalc info``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from evalc.cli.output import say
from evalc.cli.report import runs as shown
from evalc.cli.report.as_json import dumps
from evalc.cli.report.table import columns
from evalc.cli.runs.common import tracking

if TYPE_CHECKING:
    from evalc.runner.database import Attempt, Event, Invocation

EPILOG = """
\b
Examples:
  evalc info k3f
  evalc info k3f --json
"""


@click.command("info", epilog=EPILOG)
@click.argument("id_", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def info_command(*, id_: str, as_json: bool) -> int:
    """Tell all that is recorded of a run.

    Where it is, what was last seen of its jobs, their attempts, and what happened to it.

    No host is asked; 'evalc status' does that.
    """
    with tracking(ask=False) as database:
        invocation = database.find(id_).invocation
        attempts = database.attempts(invocation.id)
        events = database.events(invocation.id)
    if as_json:
        whole = shown.invocation_object(invocation, [job.sight for job in invocation.jobs])
        whole["attempts"] = [
            {
                "job": attempt.job,
                "native_id": attempt.native,
                "first_seen": attempt.first_seen,
                "state": attempt.state.value,
            }
            for attempt in attempts
        ]
        whole["events"] = [
            {"at": event.at, "job": event.job, "what": event.what, "text": event.text}
            for event in events
        ]
        say(dumps(whole))
    else:
        say(_text(invocation, attempts, events))
    return 0


def _text(invocation: Invocation, attempts: list[Attempt], events: list[Event]) -> str:
    where = f"{invocation.hostname}:" if invocation.hostname else ""
    facts = [
        ("run", invocation.id),
        ("name", invocation.name),
        ("backend", invocation.backend),
        ("submitted", _time(invocation.created)),
        ("folder", f"{where}{invocation.folder}"),
        ("bundle", invocation.bundle + (" (edited)" if invocation.edited else "")),
        ("digest", invocation.digest),
        ("compiled by", f"evalc {invocation.compiler}"),
    ]
    parts = [columns(facts)]
    now = time.time()
    jobs = [
        (f"  {cells[0]}", *cells[1:5], cells[7])
        for job in invocation.jobs
        if (cells := shown.row(invocation, job, job.sight, now))
    ]
    parts.append(f"jobs, as last seen:\n{columns(jobs)}")
    if attempts:
        rows = [
            (f"  {one.job}", one.native, _time(one.first_seen), one.state.value) for one in attempts
        ]
        parts.append(f"attempts:\n{columns(rows)}")
    rows = [
        (f"  {_time(one.at)}", one.job or "", one.what, shown.one_line(one.text)) for one in events
    ]
    parts.append(f"history:\n{columns(rows)}")
    return "\n\n".join(parts)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
