"""``evalc status``."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from evalc.cli.output import note, page_of, say
from evalc.cli.report import runs as shown
from evalc.cli.report.as_json import dumps
from evalc.cli.report.table import columns
from evalc.cli.runs.common import EXIT_CODES, chosen, jobs_by_run, tracking

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalc.backends.running import Sight, State
    from evalc.runner.database import Database, Invocation, JobRow
    from evalc.runner.watching import Looked

    Line = tuple[Invocation, JobRow, Sight]

EPILOG = (
    """
\b
Examples:
  evalc status
  evalc status k3f --watch
  evalc status k3f.2 --json
"""
    + EXIT_CODES
)


@click.command("status", epilog=EPILOG)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--watch", is_flag=True, help="Go on until all is over; Ctrl-C only stops watching.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch asks.",
)
@click.option("--json", "as_json", is_flag=True, help="As a list of JSON objects, one a run.")
def status_command(*, ids: tuple[str, ...], watch: bool, interval: float, as_json: bool) -> int:
    """Tell what has become of runs: a line for each job.

    An ID is a run's, a job's (RUN.NUMBER), or the beginning of one; without any, all runs that are
    not over. Each cluster is asked once for all of its jobs.
    """
    with tracking() as database:
        found = chosen(database, ids)
        wanted = jobs_by_run(found)
        if not wanted:
            note("nothing is under way; 'evalc ls runs' lists what was")
            if as_json:
                say("[]")
            return 0
        known = tuple({one.invocation.id: one.invocation for one in found}.values())
        if watch:
            return follow(database, known, wanted, interval, as_json=as_json)
        looked = next(looking(database, known))
        lines = list(_lines(looked, wanted))
        if as_json:
            say(dumps(list(_objects(looked, wanted))))
        else:
            say("\n".join([table_text(lines), *_exports(looked.invocations)]))
        return shown.verdict(sight.state for _, _, sight in lines)


def _exports(known: Sequence[Invocation]) -> Iterator[str]:
    """A line for each run that exports its results by itself."""
    from evalc.runner.exports import exports

    for id_, words in exports(known).items():
        yield f"{id_}: export of results: {shown.one_line(words)}"


def follow(
    database: Database,
    known: Sequence[Invocation],
    wanted: Mapping[str, Sequence[str]],
    interval: float,
    *,
    as_json: bool,
) -> int:
    """Goes on until all these jobs are over; the exit code tells what became of them."""
    looks = looking(database, known)
    if as_json:
        return tell_in_the_end(looks, wanted, interval)
    code = watch_until_over(looks, wanted, interval)
    for line in _exports(known):
        say(line)
    return code


def tell_in_the_end(
    looks: Iterator[Looked], wanted: Mapping[str, Sequence[str]], interval: float
) -> int:
    """Waits until all jobs are over and then says so as JSON."""
    looked = next(looks)
    while not _is_over(_lines(looked, wanted)):
        time.sleep(interval)
        looked = next(looks)
    say(dumps(list(_objects(looked, wanted))))
    return shown.verdict(sight.state for _, _, sight in _lines(looked, wanted))


def watch_until_over(
    looks: Iterator[Looked], wanted: Mapping[str, Sequence[str]], interval: float
) -> int:
    """Shows jobs until all are over; on a terminal as a table that changes in place, elsewhere each
    change as a line. The exit code tells what became of them."""
    # A dumb terminal can't go back to a line.
    if sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return _watch_on_terminal(looks, wanted, interval)
    before: dict[str, tuple[str, ...]] = {}
    while True:
        lines = list(_lines(next(looks), wanted))
        for invocation, job, sight in lines:
            cells = shown.row(invocation, job, sight, time.time())
            # The time that has passed is no change.
            change = (*cells[:4], *cells[5:])
            if before.get(cells[0]) != change:
                before[cells[0]] = change
                say("  ".join(cell for cell in cells if cell))
        if _is_over(lines):
            return shown.verdict(sight.state for _, _, sight in lines)
        time.sleep(interval)


def looking(database: Database, known: Sequence[Invocation]) -> Iterator[Looked]:
    """What has become of these runs, each time that it is asked for."""
    from evalc.runner.watching import look

    while True:
        looked = look(database, known)
        known = looked.invocations
        yield looked


def _watch_on_terminal(
    looks: Iterator[Looked], wanted: Mapping[str, Sequence[str]], interval: float
) -> int:
    from rich.console import Console
    from rich.live import Live

    from evalc.cli.report.live import table

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            lines = list(_lines(next(looks), wanted))
            over = _is_over(lines)
            next_look = time.monotonic() + interval
            while True:
                live.update(table(lines, console.width, console.height), refresh=True)
                if over:
                    return shown.verdict(sight.state for _, _, sight in lines)
                left = next_look - time.monotonic()
                if left <= 0:
                    break
                time.sleep(min(1.0, left))


def table_text(lines: Sequence[Line]) -> str:
    """Jobs as a table of plain text, coloured on a terminal; columns that say nothing are left
    out."""
    now = time.time()
    rows = [shown.HEADINGS, *(shown.row(one, job, sight, now) for one, job, sight in lines)]
    used = [
        number for number in range(len(shown.HEADINGS)) if any(cells[number] for cells in rows[1:])
    ]
    text = columns([cells[number] for number in used] for cells in rows)
    if not page_of(sys.stdout).colour:
        return text
    head, *others = text.split("\n")
    coloured = [click.style(head, bold=True)]
    for (_, _, sight), line in zip(lines, others, strict=True):
        word = sight.state.value
        style = shown.STYLES.get(sight.state, shown.FAILED_STYLE)
        look = {"dim": True} if style == "dim" else {"fg": style}
        coloured.append(line.replace(f"  {word}", f"  {click.style(word, **look)}", 1))
    return "\n".join(coloured)


def _lines(looked: Looked, wanted: Mapping[str, Sequence[str]]) -> Iterator[Line]:
    from evalc.runner.watching import as_known

    for invocation in looked.invocations:
        mine = frozenset(wanted[invocation.id])
        for job, sight in zip(invocation.jobs, as_known(looked, invocation), strict=True):
            if job.id in mine:
                yield invocation, job, sight


def _objects(looked: Looked, wanted: Mapping[str, Sequence[str]]) -> Iterator[dict[str, object]]:
    from evalc.runner.exports import exports
    from evalc.runner.watching import as_known

    exported = exports(looked.invocations)
    for invocation in looked.invocations:
        mine = frozenset(wanted[invocation.id])
        whole = shown.invocation_object(invocation, as_known(looked, invocation))
        whole["jobs"] = [job for job in whole["jobs"] if job["job"] in mine]
        if invocation.id in exported:
            whole["export"] = exported[invocation.id]
        yield whole


def _is_over(lines: Iterator[Line] | Sequence[Line]) -> bool:
    states: list[State] = [sight.state for _, _, sight in lines]
    return all(state.is_end for state in states)
