"""A bundle that was run by hand, elsewhere or here -> a run in the database.

The folder is taken as it is: nothing is copied or started, and what has become of its jobs is read
from their journals and stage files, as of every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.bundle.model import MANIFEST
from evalc.bundle.read import NotABundle, read
from evalc.errors import EvalcError
from evalc.runner.database import Submission
from evalc.runner.reaching import host_of, runs_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evalc.bundle.read import StoredBundle
    from evalc.runner.database import Database, Invocation

# What a script leaves where it has run: of a task, and of a job that several tasks share.
_TRACES = ("logs/stage.*", "logs/journal", "artifacts/*")


class NothingRan(EvalcError):
    """A bundle that was never run has no results to import."""

    exit_code = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hint = "give the folder that it was run in"
        super().__init__(f"nothing has run in {path}")


@dataclass(frozen=True, slots=True)
class Imported:
    """A run that was imported. ``known`` tells that it had been before, and was looked at again;
    ``edited`` are files of the bundle that are not as they were compiled."""

    invocation: Invocation
    known: bool
    edited: tuple[str, ...]


def bundles_in(folder: Path) -> list[Path]:
    """The bundle that a folder is, or those right in it, as in one that ``evalc pack`` has made.

    Raises :class:`~evalc.bundle.read.NotABundle` when there is none.
    """
    if (folder / MANIFEST).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    if not found:
        why = "holds no bundle" if folder.is_dir() else "is no folder with a bundle"
        raise NotABundle(folder, why, "give the folder that was brought back")
    return found


def import_run(database: Database, folder: Path) -> Imported:
    """Record the run in a folder, or look at it again when it is recorded already.

    Raises :class:`NothingRan`, :class:`~evalc.bundle.read.NotABundle`, and
    :class:`~evalc.runner.reaching.NoRunner`.
    """
    bundle = read(folder)
    runs = runs_for(bundle.backend)
    if not any(_traces(bundle)):
        raise NothingRan(folder)
    place = str(folder.resolve())
    known = _known(database, bundle, place)
    invocation = known or database.intend(
        name=bundle.name,
        backend=bundle.backend,
        compiler=bundle.compiler,
        digest=bundle.digest,
        bundle=place,
        hostname=None,
        username=None,
        ssh_key=None,
        folder=lambda _id: place,
        options=bundle.options,
        edited=bool(bundle.edited),
        jobs=bundle.jobs,
    )
    if not known:
        database.advance(invocation.id, Submission.UPLOADED)
    sights = runs.poll(host_of(invocation), [invocation.run])
    database.record(invocation.id, sights[invocation.id])
    if not known:
        database.advance(invocation.id, Submission.SUBMITTED)
    database.note(invocation.id, "imported", place)
    return Imported(database.find(invocation.id).invocation, known is not None, bundle.edited)


def _traces(bundle: StoredBundle) -> Iterator[Path]:
    homes = [bundle.path, *(bundle.path / step for job in bundle.jobs for step in job.steps)]
    for home in homes:
        for pattern in _TRACES:
            yield from home.glob(pattern)


def _known(database: Database, bundle: StoredBundle, place: str) -> Invocation | None:
    """The run of this very bundle that is recorded for this place."""
    for invocation in database.listing(backend=bundle.backend):
        where = (invocation.hostname, invocation.folder, invocation.digest)
        if where == (None, place, bundle.digest) and invocation.submission is Submission.SUBMITTED:
            return invocation
    return None
