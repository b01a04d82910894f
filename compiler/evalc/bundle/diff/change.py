"""One thing that two bundles mean differently, as data."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Of(enum.Enum):
    """What kind of thing has changed."""

    BUNDLE = "bundle"
    EXECUTION = "execution"
    JOB = "job"
    TASK = "task"
    SERVER = "server"


class Missing(enum.Enum):
    """Stands where there was, or is, no value at all; None is a value of a plan."""

    MISSING = "missing"


MISSING = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Change:
    """A value that differs between two bundles, or something that only one of them has.

    ``what`` names the value: ``walltime``, ``secret``, ``env.HF_TOKEN``, ``execution.partition``.
    ``names`` are the jobs, tasks or servers that it holds for, in the order of the newer plan, and
    ``total`` is how many of their kind both bundles have. ``before`` and ``after`` are as
    ``plan.json`` writes them, or :data:`MISSING`; a list of things that came or went is one change
    a thing.
    """

    of: Of
    what: str
    before: Any = MISSING
    after: Any = MISSING
    names: tuple[str, ...] = ()
    total: int = 0

    @property
    def kind(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        if self.before is MISSING:
            return "added"
        return "removed" if self.after is MISSING else "changed"
