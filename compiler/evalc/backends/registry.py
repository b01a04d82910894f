"""Finds backends by name.

Our own are looked up in a table, so that compiling does not have to scan the metadata of every
installed package; a name that is not in it is looked for in the entry points, where ours stand too.
"""

from __future__ import annotations

import contextlib
import importlib
from functools import cache
from typing import TYPE_CHECKING, cast

from evalc.emit.quoting import Refused
from evalc.errors import EvalcError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evalc.backends.base import Backend

GROUP = "evalc.backends"
_OWN = {
    "lepton": "evalc.backends.lepton:LeptonBackend",
    "local": "evalc.backends.local:LocalBackend",
    "slurm": "evalc.backends.slurm:SlurmBackend",
}


class UnknownBackend(LookupError):
    """No backend of that name is installed."""


class BrokenBackend(RuntimeError):
    """A third party's backend could not be loaded; the text says which and why."""


class FailedBackend(EvalcError):
    """A third party's backend raised what none may; the text says which, where and what."""

    hint = "this is a bug of the package that brings it; EVALC_DEBUG=1 shows the traceback"

    def __init__(self, name: str, method: str, error: Exception) -> None:
        said = " ".join(str(error).split()) or "no message"
        super().__init__(
            f"the backend '{name}' failed: {method}() raised {type(error).__name__}: {said}"
        )


@contextlib.contextmanager
def blaming(name: str, method: str) -> Iterator[None]:
    """Around a call of a backend's method: what a third party's raises names that backend.

    Raises :class:`FailedBackend`, or what backends may raise.
    """
    try:
        yield
    except Exception as error:
        if name in _OWN or isinstance(error, EvalcError | Refused):
            raise
        raise FailedBackend(name, method, error) from error


@cache
def get(name: str) -> Backend:
    """The backend that ``execution.type: name`` means.

    Raises :class:`UnknownBackend` or :class:`BrokenBackend`.
    """
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        return cast("Backend", getattr(importlib.import_module(module), attribute)())
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=name):
        try:
            return cast("Backend", entry.load()())
        except Exception as error:
            raise BrokenBackend(f"the backend '{name}' ({entry.value}): {error}") from error
    raise UnknownBackend(name)


def names() -> tuple[str, ...]:
    """Every installed backend's name, sorted."""
    from importlib.metadata import entry_points

    return tuple(sorted({*_OWN, *(entry.name for entry in entry_points(group=GROUP))}))


def group_folders() -> list[tuple[str, Path]]:
    """The folders of config groups that backends bring, each with the backend's name.

    Of other packages alone: ours are a part of evalc's own groups.
    """
    found = []
    for name, backend in working().items():
        if name not in _OWN:
            with blaming(name, "config_groups"):
                folder = backend.config_groups()
            if folder is not None:
                found.append((name, folder))
    return found


def working() -> dict[str, Backend]:
    """Every installed backend that can be loaded, by name; what is broken is left out."""
    found = {}
    for name in names():
        with contextlib.suppress(BrokenBackend):
            found[name] = get(name)
    return found
