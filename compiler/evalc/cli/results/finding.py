"""Which runs a command line means: ids of submitted ones, or folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalc.cli.output import note
from evalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.export.model import RunResult
    from evalc.runner.database import Database, Invocation


def find_runs(
    names: Sequence[str], *, logs: bool = False, whole: bool = False, cells: bool = False
) -> list[RunResult]:
    """What each name means, in order: a folder, or the id of a run or a job of it. With ``cells``,
    one with ``:CELL`` behind it means that cell of its matrix.

    Of a run on another machine, or of a platform, results are fetched first, into evalc's own
    folder; with ``whole`` all its artifacts, with ``logs`` its logs.
    """
    from evalc.export.cells import only
    from evalc.export.reading import read_run

    found: list[RunResult] = []
    database: Database | None = None
    try:
        for given in names:
            name, cell = _split(given) if cells else (given, "")
            # A folder is meant where one is there: ids have no dots and slashes, and are few.
            if Path(name).is_dir():
                run = read_run(Path(name))
            elif "/" in name:
                raise UsageError(f"there is no folder {name}")
            else:
                if database is None:
                    from evalc.runner.database import Database

                    database = Database.open()
                one = database.find(name)
                folder = _here(one.invocation, database, logs=logs, whole=whole)
                run = read_run(folder, one.invocation.id, one.job.steps if one.job else ())
            found.append(only(run, cell) if cell else run)
    finally:
        if database is not None:
            database.close()
    return found


def _split(name: str) -> tuple[str, str]:
    """A name without the cell behind its last colon, and that cell. Folders may have colons."""
    run, colon, cell = name.rpartition(":")
    return (run, cell) if colon and not Path(name).is_dir() else (name, "")


def _here(invocation: Invocation, database: Database, *, logs: bool, whole: bool) -> Path:
    """The folder of a run on this machine, fetched where results are elsewhere."""
    from evalc.runner.database.processes import machine_name
    from evalc.runner.reading import fetch_results, has_all_in_folder

    is_here = invocation.hostname is None and invocation.machine == machine_name()
    if is_here and has_all_in_folder(invocation):
        return Path(invocation.folder)
    target = database.path.parent / "results" / invocation.id
    fetched = fetch_results(invocation, target, logs=logs, whole=whole)
    for path in (*fetched.refused, *fetched.missing):
        note(f"{invocation.id}: not fetched: {path}")
    return target
