"""Where runs are, and by which backend: what a command needs before it can ask or do anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalc.backends import registry
from evalc.backends.running import Unreachable, runs_of
from evalc.errors import EvalcError, UsageError
from evalc.runner.database.processes import machine_name
from evalc.runner.transport import connect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalc.backends.running import Runs
    from evalc.bundle.read import StoredBundle
    from evalc.runner.database import Invocation
    from evalc.runner.transport import StreamingHost


class NoRunner(EvalcError):
    """The bundle's backend can't be submitted to by evalc."""

    exit_code = 2

    def __init__(self, backend: str, hint: str) -> None:
        self.backend = backend
        self.hint = hint
        super().__init__(f"evalc can't submit bundles for '{backend}'")


class HostLost(EvalcError):
    """A host can't be reached, or was lost before it had answered."""

    exit_code = 4

    def __init__(self, invocation: str, cause: Unreachable) -> None:
        self.invocation = invocation
        self.cause = cause
        super().__init__(str(cause))


class MissingSecrets(EvalcError):
    """Environment variables whose values the jobs need are not set here."""

    exit_code = 1

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.hint = "export them and try again"
        super().__init__(f"not set in the environment: {', '.join(self.names)}")


def runs_for(backend: str, hint: str = "") -> Runs:
    """How bundles of a backend are run. Raises :class:`NoRunner`."""
    try:
        runs = runs_of(registry.get(backend))
    except (registry.UnknownBackend, registry.BrokenBackend):
        runs = None
    if runs is None:
        raise NoRunner(backend, hint or "install the package that has this backend")
    return runs


def host_of(invocation: Invocation) -> StreamingHost:
    """Where an invocation's folder is.

    Raises :class:`~evalc.backends.running.Unreachable` for one on another machine, which shares
    the database with this one.
    """
    if invocation.hostname is None and invocation.machine != machine_name():
        raise Unreachable(invocation.machine, "it runs there, without ssh; ask there")
    return connect(invocation.hostname, invocation.username, invocation.ssh_key)


def address_of(
    options: Mapping[str, Any], to: str | None, environ: Mapping[str, str]
) -> tuple[str | None, str | None]:
    """Host and user, of the command line or of the config."""
    username = text_of(options.get("username"), environ)
    if to is None:
        return text_of(options.get("hostname"), environ), username
    user, at, hostname = to.rpartition("@")
    return hostname, user if at else username


def output_folder(bundle: StoredBundle, environ: Mapping[str, str], *, remote: bool) -> str:
    """A bundle's ``output_dir``: absolute here, as it stands for another machine.

    Raises :class:`MissingSecrets` and :class:`~evalc.errors.UsageError`.
    """
    folder = text_of(bundle.output_dir, environ) or "."
    if not folder.isprintable():
        raise UsageError(f"output_dir can't be {folder!r}", "give a path that can be printed")
    if remote:
        return folder
    try:
        path = Path(folder).expanduser().absolute()
    except RuntimeError:
        raise UsageError(f"there is no home for output_dir {folder}") from None
    there = next((part for part in (path, *path.parents) if os.path.lexists(part)), path)
    if os.path.lexists(there) and not there.is_dir():
        where = "it" if there == path else there
        raise UsageError(
            f"execution.output_dir is {path}, and {where} is no folder",
            "set it to a folder, which need not be there yet",
        )
    return str(path)


def text_of(word: Any, environ: Mapping[str, str]) -> str | None:
    """A word of a plan's JSON, with what the environment tells; None for null."""
    if word is None or isinstance(word, str):
        return word
    texts = []
    for part in word["parts"]:
        if isinstance(part, str):
            texts.append(part)
            continue
        value = environ.get(part["env"], part.get("default"))
        if value is None:
            raise MissingSecrets([part["env"]])
        texts.append(value)
    return "".join(texts)
