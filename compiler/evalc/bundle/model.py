"""A bundle in memory: every file's bytes and mode, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalc.backends.base import Needs

MANIFEST = "manifest.json"
PLAN = "plan.json"
SCHEMA_VERSION = 1  # of the manifest
FILE_MODE = 0o644
PROGRAM_MODE = 0o755


@dataclass(frozen=True, slots=True)
class File:
    """A file's content and permission bits."""

    data: bytes = field(repr=False)
    mode: int = FILE_MODE


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a compilation makes.

    ``files`` is sorted by path (relative, with ``/``). ``gpu_hours`` is what each job may cost at
    worst, where the backend can tell; None: nothing limits it.
    """

    name: str
    files: Mapping[str, File]
    needs: Needs
    run_hint: str
    gpu_hours: Mapping[str, float | None] = field(default_factory=dict)
