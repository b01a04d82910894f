"""Finds backends by name.

Our own are looked up in a table, so that compiling does not have to scan the metadata of every
installed package; a name that is not in it is looked for in the entry points, where ours stand too.
"""

from __future__ import annotations

import contextlib
import importlib
from functools import cache
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
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
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise BrokenBackend(f"the backend '{name}' ({entry.value}): {error}") from error
    raise UnknownBackend(name)


def names() -> tuple[str, ...]:
    """Every installed backend's name, sorted."""
    from importlib.metadata import entry_points

    return tuple(sorted({*_OWN, *(entry.name for entry in entry_points(group=GROUP))}))


def working() -> dict[str, Backend]:
    """Every installed backend that can be loaded, by name; what is broken is left out."""
    found = {}
    for name in names():
        with contextlib.suppress(BrokenBackend):
            found[name] = get(name)
    return found
