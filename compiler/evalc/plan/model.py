"""The plan's types. Frozen, and neutral between backends where the backends agree.

A *job* is what a backend schedules. It has *services* (model servers that live as long as the job)
and *steps* (one evaluation task each). One service may serve many steps.

Text that a machine may only know at run time is a :data:`~evalc.words.Word`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from evalc.words import PARTS, Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evalc.plan.origin import Origin

# Marks a field that plan.json leaves out where it has its default: most plans never use it.
SPARSE = {"sparse": True}


@dataclass(frozen=True, slots=True)
class EnvVar:
    """One environment variable of a service or a step."""

    name: str
    value: Word


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory or file of the host that a container sees at ``target``."""

    source: Word
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Shell:
    """Bash text that the user wrote as a command. The only text of a config that is executed."""

    text: str


@dataclass(frozen=True, slots=True)
class Argv:
    """A program and its arguments, one word each, that no shell ever reads."""

    words: tuple[Word, ...]


Command: TypeAlias = "Shell | Argv"


@dataclass(frozen=True, slots=True)
class BundledFile:
    """A file that the config names and the bundle carries.

    ``path`` is below its owner's ``files/``.
    """

    path: str
    data: bytes = field(repr=False)
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """What a job asks for. None means that the backend's own default holds.

    ``nodes`` are those of all its services together. ``memory`` is text in the backend's form
    (``16g``), ``gpus`` is a count or ``all``, ``walltime`` is in seconds. ``gpus_per_node`` counts
    the GPUs that it holds on each node.
    """

    nodes: int = 1
    cpus: float | None = None
    memory: str | None = None
    gpus: str | None = None
    walltime: int | None = None
    gpus_per_node: int | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job is tried, and when not again.

    ``attempts`` counts the first one too. ``failed`` and ``out_of_memory`` are how many of the
    further ones may follow an attempt that ended so. ``idle`` is after how many attempts in a row
    without progress it stops (0: never for that reason), ``total`` is how long all attempts may
    run together, in seconds (None: no limit).
    """

    attempts: int = 1
    failed: int = field(default=0, metadata=SPARSE)
    out_of_memory: int = field(default=0, metadata=SPARSE)
    idle: int = field(default=0, metadata=SPARSE)
    total: int | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Service:
    """A server that a job's steps talk to.

    ``port`` is a TCP port, ``readiness_timeout`` is in seconds, ``endpoints`` maps an endpoint type
    to its URL path, ``gpus`` is ``all``, a count, or None.

    ``instances`` servers of the same kind share ``nodes`` machines evenly; ``tasks`` processes are
    started for them, all together. Where an instance has several nodes, ``head_command`` runs on
    its first one before the server, and ``worker_command`` on the others instead of it; without
    them every process runs ``command``. ``env_prefix`` begins the variables that tell steps its
    addresses; it is empty for the model that is evaluated. ``mirrored`` is the name of ``image``
    where it comes from, when ``execution.image_mirror`` has put another in its place.
    """

    name: str
    type: str
    image: Word | None
    command: Command
    pre_cmd: str
    model_id: Word
    port: int
    health_path: str
    readiness_timeout: int
    endpoints: Mapping[str, str]
    gpus: str | None = None
    env: tuple[EnvVar, ...] = ()
    mounts: tuple[Mount, ...] = ()
    files: tuple[BundledFile, ...] = ()
    nodes: int = field(default=1, metadata=SPARSE)
    instances: int = field(default=1, metadata=SPARSE)
    tasks: int = field(default=1, metadata=SPARSE)
    env_prefix: str = field(default="", metadata=SPARSE)
    head_command: Argv | None = field(default=None, metadata=SPARSE)
    worker_command: Argv | None = field(default=None, metadata=SPARSE)
    mirrored: Word | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation task.

    ``id`` names its directory. ``command`` is the user's own program, or None for a harness that is
    called by the containers' contract (``nemo-evaluator run_eval --run_config``). ``run_config`` is
    JSON-like; a leaf may be a Word. ``mirrored`` is as a service's.
    """

    id: str
    task: str
    harness: str | None
    image: Word | None
    command: Shell | None
    pre_cmd: str
    post_cmd: str
    endpoint_type: str
    model_url: Word
    model_id: Word
    api_key_name: str | None
    limit_samples: str | None
    run_config: Mapping[str, Any]
    dataset: Mount | None = None
    env: tuple[EnvVar, ...] = ()
    mounts: tuple[Mount, ...] = ()
    files: tuple[BundledFile, ...] = ()
    mirrored: Word | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Job:
    """What a backend schedules: its services, and the steps that use them.

    ``cell`` is the name of the cell of the config's ``matrix`` that it is of, and begins the ids of
    its steps and the names of its services; empty without a matrix. ``options`` are those of the
    plan's that are not the same for all jobs; None where all are.
    """

    id: str
    steps: tuple[Step, ...]
    services: tuple[Service, ...] = ()
    resources: Resources = Resources()
    retry: Retry = Retry()
    cell: str = field(default="", metadata=SPARSE)
    options: Mapping[str, Any] | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Export:
    """What exporting results by itself needs to know beside ``options["auto_export"]``.

    ``env`` is what the exporters find in their environment. The rest is about copies of files, the
    destination ``local``: where they go, and which, see ``export.local`` in the config's schema.
    """

    output_dir: Word
    copy_logs: bool = False
    copy_artifacts: bool = True
    only_required: bool = True
    env: tuple[EnvVar, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a backend needs to know.

    ``options`` are the validated keys of ``execution`` that only this backend understands.
    ``export`` is None where nothing is exported by itself.
    ``origin`` finds where a value was written, for a backend that must refuse one; it is not part
    of the plan's meaning.

    The plan of a ``matrix`` is made of the plans of its cells, which ``parts`` are: each has the
    jobs of its ``cell`` alone, with all options that hold for them. The ``options`` of the whole
    are what all cells have in common.
    """

    name: str
    backend: str
    output_dir: Word
    jobs: tuple[Job, ...]
    options: Mapping[str, Any]
    origin: Origin = field(repr=False, compare=False)
    export: Export | None = None
    cell: str = ""
    parts: tuple[Plan, ...] = field(default=(), repr=False)

    @property
    def cells(self) -> tuple[Plan, ...]:
        """The plans of the cells; without a matrix, the plan itself is all there is."""
        return self.parts or (self,)

    @property
    def steps(self) -> Iterator[Step]:
        """Every step of every job."""
        return (step for job in self.jobs for step in job.steps)

    @property
    def services(self) -> tuple[Service, ...]:
        """Every distinct service, by name."""
        return tuple({s.name: s for job in self.jobs for s in job.services}.values())


def words_of(value: Any) -> list[Word]:
    """Every Word in a value of a plan, however deep."""
    found: list[Word] = []
    _collect_words(value, found)
    return found


def _collect_words(value: Any, found: list[Word]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            if type(item) is not str:
                _collect_words(item, found)
    elif isinstance(value, tuple) and value and isinstance(value[0], PARTS):
        found.append(value)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect_words(item, found)
