"""What a backend is. A third party's package provides one through the entry point group
``evalc.backends``: the name of the entry is the value of ``execution.type``, and it loads a class
(or any callable without arguments) that gives an object with the attributes of :class:`Backend`.

Ours use nothing that is not in here, in :mod:`evalc.plan`, :mod:`evalc.words` and
:mod:`evalc.emit`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from evalc.errors import Problem
    from evalc.plan import Plan


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of the bundle: its path in it (with ``/``), its bytes, and whether it is a program."""

    path: str
    data: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What a bundle needs where it runs.

    ``secrets`` and ``runtime_env`` are names of environment variables, ``tools`` are programs.
    """

    images: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    runtime_env: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Emission:
    """What a backend makes of a plan.

    ``run_hint`` is the command that runs it all, for people. ``gpu_hours`` is what each job may
    cost at worst, by its id, where the backend can tell; None: nothing limits it.
    """

    artifacts: tuple[Artifact, ...]
    needs: Needs
    run_hint: str
    gpu_hours: Mapping[str, float | None] = field(default_factory=dict)


class Backend(Protocol):
    """Turns plans into artifacts. Stateless; every method is pure.

    One that reads some options of a plan from each of its jobs (:attr:`evalc.plan.Job.options`)
    names them in an attribute ``job_keys``, a frozenset: these may differ between the cells of a
    matrix. Without it all jobs have the same options.
    """

    name: str
    description: str

    def execution_schema(self) -> Mapping[str, Any]:
        """The JSON Schema (draft-07) of ``execution`` for this backend, ``type`` included."""

    def config_groups(self) -> Path | None:
        """A folder of config groups to be found after evalc's own (``execution/<name>.yaml``).

        Asked for when a config names a group's option that nothing else has, and when it says
        ``execution: {type: <name>}``: the file of that name holds the defaults."""

    def check(self, plan: Plan) -> Iterable[Problem]:
        """What is wrong, or of no effect, in a plan for this backend.

        Of a matrix, it is asked of the plan of each cell (:attr:`evalc.plan.Plan.cell`), whose
        names are the config's still: the job of all its tasks has an empty id."""

    def emit(self, plan: Plan) -> Emission:
        """The plan as files. Raises :class:`~evalc.emit.quoting.Refused` for a value that a file
        can't hold."""
