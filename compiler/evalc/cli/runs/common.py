"""What the commands that deal with runs share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from evalc.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalc.runner.database import Database, Found, Invocation


EXIT_CODES = """
\b
Exit codes:
  0  every job has completed
  1  a job has failed or was cancelled
  2  wrong usage: there is no such run, say
  3  evalc itself failed
  4  a job is not over yet, or nobody could be asked
"""


@contextmanager
def tracking(*, ask: bool = True) -> Iterator[Database]:
    """The database; unless no host is to be asked, after what an interrupted evalc left half done
    has been looked into."""
    from evalc.runner.database import Database

    with Database.open() as database:
        if ask and database.unsettled():
            from evalc.runner.submitting import settle

            settle(database, note)
        yield database


def chosen(database: Database, ids: Sequence[str]) -> list[Found]:
    """The runs and jobs that were named, or, without names, all that is not known to be over."""
    from evalc.runner.database import Found

    if ids:
        return [database.find(id_) for id_ in ids]
    return [Found(one) for one in reversed(database.unfinished())]


def named(database: Database, ids: Sequence[str]) -> list[tuple[Invocation, Sequence[str]]]:
    """The runs that were named, each with the ids of its jobs, none for all of them."""
    found = [database.find(id_) for id_ in ids]
    runs = {one.invocation.id: one.invocation for one in found}
    whole = {one.invocation.id for one in found if one.job is None}
    return [(runs[id_], () if id_ in whole else jobs) for id_, jobs in jobs_by_run(found).items()]


def jobs_by_run(found: Sequence[Found]) -> dict[str, list[str]]:
    """Of each run that was named, the ids of the jobs; all of them where none was named."""
    wanted: dict[str, dict[str, None]] = {}
    for one in found:
        jobs = [one.job] if one.job else list(one.invocation.jobs)
        wanted.setdefault(one.invocation.id, {}).update(dict.fromkeys(job.id for job in jobs))
    return {id_: list(names) for id_, names in wanted.items()}
