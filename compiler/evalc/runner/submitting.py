"""A bundle on disk -> jobs on a host, recorded at each step.

The order is what makes it safe to be killed anywhere: first the intent is recorded, then the folder
appears on the host, whole or not at all, then the backend starts what is not there yet. Whoever
comes next finds out from the folder how far it went.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from evalc.backends.running import Unreachable, remote_of
from evalc.bundle.read import secrets_of
from evalc.errors import EvalcError, UsageError
from evalc.runner import folders
from evalc.runner.database import Submission
from evalc.runner.reaching import (
    HostLost,
    MissingSecrets,
    address_of,
    host_of,
    output_folder,
    runs_for,
    text_of,
)
from evalc.runner.transport import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from evalc.backends.running import Host, Runs
    from evalc.bundle.read import StoredBundle
    from evalc.runner.database import Database, Invocation

    Said = Callable[[str], None]


# Whether the folder $1 is there. Who was killed may have left an ssh that still brings it: in the
# first minute, something may still appear, and what has appeared is waited for.
_LOOK = """\
for ((try = 0; try < 600; try++)); do
  [ ! -f "$1/manifest.json" ] || exit 0
  parts=("$1".part-*)
  [ -e "${parts[0]}" ] || { [ -n "$2" ] && [ "$try" -lt 30 ]; } || exit 1
  sleep 0.1
done
exit 2
"""
_NOT_THERE = 1
_FRESH = 60


class EditedBundle(EvalcError):
    """Files of a bundle are not as they were compiled."""

    exit_code = 1

    def __init__(self, path: Path, files: Sequence[str]) -> None:
        self.path = path
        self.files = tuple(files)
        named = ", ".join(self.files[:3])
        more = f" and {len(self.files) - 3} more" if len(self.files) > 3 else ""
        self.hint = "--allow-edited submits it all the same; 'evalc compile --force' restores it"
        super().__init__(f"{path} was edited since it was compiled: {named}{more}")


class NotThere(EvalcError):
    """The folder of a run can't be read on its host; ``why`` is what was said there."""

    exit_code = 1

    def __init__(self, invocation: Invocation, host: str, why: str) -> None:
        self.invocation = invocation
        self.why = " ".join(why.split()) or "its plan.json is damaged"
        self.hint = "if it is gone for good, submit the bundle anew"
        super().__init__(f"can't read {invocation.folder} on {host}: {self.why}")


class NotOurs(EvalcError):
    """A run can't be resumed: nothing of it was ever there, or another process is at it."""

    exit_code = 1

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.hint = f"see 'evalc status {invocation.id}'"
        super().__init__(
            f"{invocation.id} was never submitted, or another evalc is submitting it now"
        )


class Interrupted(HostLost):
    """The host, or its scheduler, was lost while a bundle was being submitted to it."""

    def __init__(self, invocation: str, cause: Unreachable) -> None:
        super().__init__(invocation, cause)
        self.hint = f"'evalc status {invocation}' tells what is there; 'evalc resume' goes on"

    def __str__(self) -> str:
        return f"{self.invocation} was not wholly submitted to {self.cause.host}: {self.cause.why}"


def check(
    bundle: StoredBundle, *, allow_edited: bool, environ: Mapping[str, str]
) -> tuple[Runs, dict[str, str]]:
    """How the bundle is run, and the values of its secrets, when nothing here speaks against that.

    Raises :class:`EditedBundle`, :class:`~evalc.runner.reaching.MissingSecrets` and
    :class:`~evalc.runner.reaching.NoRunner`.
    """
    runs = runs_for(bundle.backend, f"run it by hand: cd {bundle.path} && {bundle.run_hint}")
    if bundle.edited and not allow_edited:
        raise EditedBundle(bundle.path, bundle.edited)
    return runs, _values(bundle.secrets, environ)


def submit(
    database: Database,
    bundle: StoredBundle,
    *,
    to: str | None,
    allow_edited: bool,
    environ: Mapping[str, str],
    said: Said,
) -> Invocation:
    """Submits a bundle; what became of it, as the database now has it.

    ``to`` is ``[USER@]HOST`` in the place of the config's ``hostname``. Raises, before anything is
    done, :class:`EditedBundle`, :class:`MissingSecrets`, :class:`NoRunner`,
    :class:`~evalc.errors.UsageError` and what :meth:`Remote.ready` raises; and
    :class:`Interrupted` when the host is lost in the middle.
    """
    runs, secrets = check(bundle, allow_edited=allow_edited, environ=environ)
    remote = remote_of(runs)
    if remote is not None:
        if to is not None:
            raise UsageError(
                f"bundles for '{bundle.backend}' are submitted from this machine",
                "leave out --host",
            )
        remote.ready()
    hostname, username = address_of(bundle.options, to, environ)
    key = text_of(bundle.options.get("ssh_key_path"), environ)
    host = connect(hostname, username, key)
    try:
        results = _results_folder(host, bundle, environ, remote=hostname is not None)
    except Unreachable as error:
        raise HostLost("", error) from None
    stamp = time.strftime("%Y-%m-%d-%H-%M-%S")
    invocation = database.intend(
        name=bundle.name,
        backend=bundle.backend,
        compiler=bundle.compiler,
        digest=bundle.digest,
        bundle=str(bundle.path.resolve()),
        hostname=hostname,
        username=username,
        ssh_key=key,
        folder=lambda id_: f"{results}/{stamp}-{id_}",
        options=bundle.options,
        edited=bool(bundle.edited),
        jobs=bundle.jobs,
    )
    with _telling(invocation, said):
        try:
            private = runs.secrets_files(invocation.run, secrets)
            said(f"copying the bundle to {host.name}:{invocation.folder}")
            folders.upload(host, bundle.path, invocation.folder, private)
        except Unreachable as error:
            raise Interrupted(invocation.id, error) from None
        except EvalcError as error:
            database.abandon(invocation.id, str(error))
            raise
        database.advance(invocation.id, Submission.UPLOADED)
        return _start(database, runs, host, invocation, (), again=False, secrets=secrets, said=said)


def resume(
    database: Database,
    invocation: Invocation,
    jobs: Sequence[str],
    *,
    environ: Mapping[str, str],
    said: Said,
) -> Invocation:
    """Starts what has stopped without being finished; ``jobs`` are ids, none for all of them.

    Raises as :func:`submit`, and :class:`NotThere` for a run whose folder is gone.
    """
    runs = runs_for(invocation.backend)
    try:
        host = host_of(invocation)
        ran = host.bash('cat -- "$1/plan.json"', invocation.folder)
    except Unreachable as error:
        raise HostLost(invocation.id, error) from None
    try:
        plan = json.loads(ran.out)
    except (ValueError, RecursionError):
        raise NotThere(invocation, host.name, ran.err) from None
    secrets = _values(secrets_of(plan), environ)
    if not database.reopen(invocation.id):
        raise NotOurs(invocation)
    # What another job needed and has forgotten stays forgotten.
    chosen = tuple(job for job in invocation.run.jobs if not jobs or job.id in jobs)
    only = replace(invocation.run, jobs=chosen)
    with _telling(invocation, said):
        try:
            folders.send_private(host, invocation.folder, runs.secrets_files(only, secrets))
        except Unreachable as error:
            raise Interrupted(invocation.id, error) from None
        return _start(
            database, runs, host, invocation, jobs, again=True, secrets=secrets, said=said
        )


def settle(database: Database, said: Said) -> None:
    """Finds out what became of submissions that were cut short, and records it.

    Nothing is started: what was not submitted is said to be so, and 'evalc resume' does it. A host
    that can't be reached is left for the next time.
    """
    for invocation in database.unsettled():
        if not database.claim(invocation.id):
            continue
        try:
            host = host_of(invocation)
            fresh = time.time() - invocation.created < _FRESH
            there = host.bash(_LOOK, invocation.folder, "fresh" if fresh else "").code
            if there == 0:
                database.advance(invocation.id, Submission.UPLOADED)
                sights = runs_for(invocation.backend).poll(host, [invocation.run])
                database.record(invocation.id, sights[invocation.id])
                database.advance(invocation.id, Submission.SUBMITTED)
                said(f"{invocation.id}: its submission was interrupted; 'evalc status' tells more")
            elif there == _NOT_THERE and invocation.submission is Submission.INTENDED:
                database.abandon(invocation.id, "its submission was interrupted before it began")
                said(f"{invocation.id}: its submission was interrupted; nothing was submitted")
            else:
                # Its jobs may run all the same.
                said(
                    f"{invocation.id}: its submission was interrupted, and its folder is not on "
                    f"{host.name} now"
                )
        except (Unreachable, EvalcError) as error:
            # One that can't be looked into must not stop what is asked of others.
            said(f"{invocation.id} was interrupted while it was submitted; no look at it: {error}")


@contextmanager
def _telling(invocation: Invocation, said: Said) -> Iterator[None]:
    """Who presses Ctrl-C in the middle is told where that leaves the run."""
    try:
        yield
    except KeyboardInterrupt:
        id_ = invocation.id
        said(
            f"{id_}: interrupted; 'evalc status {id_}' tells what is there, 'evalc resume' goes on"
        )
        raise


def _start(
    database: Database,
    runs: Runs,
    host: Host,
    invocation: Invocation,
    jobs: Sequence[str],
    *,
    again: bool,
    secrets: Mapping[str, str],
    said: Said,
) -> Invocation:
    try:
        sights = runs.submit(host, invocation.run, jobs, again=again, env=secrets, said=said)
    except Unreachable as error:
        raise Interrupted(invocation.id, error) from None
    database.record(invocation.id, sights)
    database.advance(invocation.id, Submission.SUBMITTED)
    return database.find(invocation.id).invocation


def _values(secrets: Mapping[str, bool], environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets that are set; raises :class:`MissingSecrets` for those that must be."""
    missing = [name for name, required in secrets.items() if required and name not in environ]
    if missing:
        raise MissingSecrets(missing)
    return {name: environ[name] for name in secrets if name in environ}


def _results_folder(
    host: Host, bundle: StoredBundle, environ: Mapping[str, str], *, remote: bool
) -> str:
    """The folder that gets a folder for each run, absolute.

    A relative one counts from here, or from the home on another machine.
    """
    folder = output_folder(bundle, environ, remote=remote)
    if not remote:
        return folder
    # Asked in any case: a host that can't be reached is nothing to remember.
    home = host.bash('printf %s "$HOME"').out
    return str(PurePosixPath(home, folder.removeprefix("~/")))
