"""Config -> plan.

Takes the composed, validated and normalised config, so it reads values without checking their types
again; what it does check is what no schema can say: names, references, and keys that are right by
themselves and wrong together. Every problem is collected before any is raised.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from evalc.plan.env import name_fault
from evalc.plan.gpus import gpus_in_gres
from evalc.plan.model import Export, Job, Plan, Resources, Retry
from evalc.plan.origin import Origin
from evalc.plan.pinning import pinned
from evalc.plan.problems import BadEnvName, Contradiction, SecretOutsideEnv
from evalc.plan.services import ServiceReader
from evalc.plan.settings import SETTINGS, without_free_keys
from evalc.plan.steps import StepReader
from evalc.plan.walltime import parse_walltime
from evalc.source import Sequence
from evalc.source.nodes import MARK, scalars
from evalc.words import RuntimeEnv, literal

if TYPE_CHECKING:
    from evalc.errors import Problem
    from evalc.plan.model import Service, Step
    from evalc.source import Mapping, Path

# Keys of execution whose meaning stands in the whole plan: see evalc.plan.airgap.
_AIRGAP = ("image_mirror", "offline")
# Keys of execution that the plan has places of its own for.
_ELSEWHERE = frozenset(
    ("type", "output_dir", "memory_limit", "cpus", "sharing", "pin_images", *_AIRGAP)
)
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY", re.IGNORECASE
)
# Where copies of results go where the config does not say; the same as of 'evalc export'.
_EXPORTED = "./exported-results"


def lower(
    root: Mapping, *, name: str, base: str, selected: tuple[str, ...], cell: str = ""
) -> Lowered:
    """The plan of a config, or of the ``cell`` of a matrix.

    ``base`` is the folder of the primary config, for files named on the command line; ``selected``
    are the tasks that ``-t`` picks (all, when empty). A config with stand-ins for what is wrong in
    it is lowered as well as it can be. What a cell has is not called after it yet: see
    :mod:`evalc.plan.cells`.
    """
    lowering = _Lowering(root, name, base, cell)
    plan = lowering.plan(selected)
    if lowering.flag("execution", "pin_images"):
        plan, unpinned = pinned(plan)
        lowering.problems += unpinned
    if any(lowering.node("execution", key) for key in _AIRGAP):
        from evalc.plan.airgap import for_airgap  # noqa: PLC0415 - most clusters have a network

        # After the digests: a mirror has the same by other names.
        plan = for_airgap(plan, lowering)
    # What several parts of the plan read (the top-level env_vars) is reported once.
    problems = tuple(dict.fromkeys(lowering.problems))
    return Lowered(plan, problems, tuple(lowering.left_out), lowering.selectable)


class Lowered:
    """A plan, and what is wrong or worth a warning.

    With an error among the ``problems``, the plan is no more than a means to find others:
    ``left_out`` are steps whose task is not known, or has another's name. ``selectable`` are the
    names by which ``-t`` may pick tasks.
    """

    def __init__(
        self,
        plan: Plan,
        problems: tuple[Problem, ...],
        left_out: tuple[Step, ...],
        selectable: frozenset[str],
    ) -> None:
        self.plan = plan
        self.problems = problems
        self.left_out = left_out
        self.selectable = selectable


class _Lowering(StepReader):
    def __init__(self, root: Mapping, name: str, base: str, cell: str) -> None:
        super().__init__(root, base, cell)
        self.name = name

    def plan(self, selected: tuple[str, ...]) -> Plan:
        self._secrets_outside_env()
        services = ServiceReader(self.root, self.base, self.problems).services()
        chosen = self.select(list(self.steps(services)), selected)
        left_out = set(map(id, self.left_out))
        steps = [step for step in chosen if id(step) not in left_out]
        resources, retry = self._resources(services), self._retry()
        if self._shares(services):
            # Among those of other cells it is called after its own.
            id_ = "" if self.cell else self.name
            jobs: tuple[Job, ...] = (Job(id_, tuple(steps), services, resources, retry),)
        else:
            jobs = tuple(Job(step.id, (step,), services, resources, retry) for step in steps)
        execution = self.mapping("execution")
        return Plan(
            name=self.name,
            backend=self.backend,
            output_dir=self.word("execution", "output_dir") or literal("results"),
            jobs=jobs,
            options={
                **{
                    key: value
                    for key, value in (execution.plain() if execution else {}).items()
                    if key not in _ELSEWHERE and not key.startswith("x-")
                },
                **(self._of_lepton() if self.on_lepton else {}),
            },
            origin=Origin(self.root),
            cell=self.cell,
            export=self._export(),
        )

    def _export(self) -> Export | None:
        """None where no destination is named, and on Lepton, where nothing could do it."""
        destinations = self.node("execution", "auto_export", "destinations")
        if self.on_lepton or not isinstance(destinations, Sequence) or not destinations.items:
            return None
        return Export(
            output_dir=self.word("export", "local", "output_dir") or literal(_EXPORTED),
            copy_logs=self._switch("export", "local", "copy_logs", default=False),
            copy_artifacts=self._switch("export", "local", "copy_artifacts", default=True),
            only_required=self._switch("export", "local", "only_required", default=True),
            env=tuple(self.env(("export", "env_vars"))),
        )

    def _switch(self, *path: str, default: bool) -> bool:
        """A boolean, or the default."""
        return self.flag(*path) if self.text(*path) else default

    def _of_lepton(self) -> dict[str, Any]:
        """What the Lepton backend alone reads, and stands elsewhere than under ``execution``."""
        endpoint = self.mapping("deployment", "lepton_config")
        return {
            "sharing": self.text("execution", "sharing") or "per_task",
            "lepton_config": without_free_keys(endpoint.plain()) if endpoint else {},
            # Where it lacks it has been asked for, and is there as far as the backend knows.
            "deployment_name": self.text("target", "api_endpoint", "deployment_name")
            or (MARK if self.is_looked_up() else ""),
        }

    def _shares(self, services: tuple[Service, ...]) -> bool:
        """Whether all steps are one job."""
        sharing = self.text("execution", "sharing")
        if self.on_cluster:
            return sharing == "shared"
        if self.on_lepton:
            # What is shared there is an endpoint, which is no part of a job.
            return False
        return bool(services) and sharing != "per_task"

    def _resources(self, services: tuple[Service, ...]) -> Resources:
        return Resources(
            nodes=max(1, sum(service.nodes for service in services)),
            cpus=cast("float | None", self.number("execution", "cpus")),
            memory=self.text("execution", "memory_limit") or None,
            gpus=services[0].gpus if services else None,
            walltime=self._walltime(),
            gpus_per_node=self._gpus_per_node(services),
        )

    def _walltime(self) -> int | None:
        if self.on_lepton:
            timeout = self.number("execution", "evaluation_tasks", "timeout")
            return None if timeout is None else int(timeout)
        return self._time("execution", "walltime") if self.on_cluster else None

    def _gpus_per_node(self, services: tuple[Service, ...]) -> int | None:
        if not self.on_cluster:
            return None
        given = self.number("execution", "gpus_per_node")
        gres = self.text("execution", "gres")
        if given is not None or not gres:
            return None if given is None else int(given)
        node = self.node("execution", "gres")
        is_default = node is not None and node.source.kind == "builtin"
        if is_default and not any(service.gpus for service in services):
            return None
        return gpus_in_gres(gres)

    def _retry(self) -> Retry:
        if self.on_lepton:
            again = self.count("execution", "evaluation_tasks", "max_failure_retry", default=0)
            return Retry(attempts=1 + again, failed=again)
        if not self.on_cluster:
            return Retry()
        total = self._time("execution", "max_walltime")
        if self.text("execution", "resume", "strategy") in ("", "none"):
            return Retry(total=total)
        return Retry(
            attempts=self.count("execution", "resume", "attempts"),
            failed=self.count("execution", "resume", "failed", default=0),
            out_of_memory=self.count("execution", "resume", "out_of_memory", default=0),
            idle=self.count("execution", "resume", "idle", default=0),
            total=total,
        )

    def _time(self, *path: str | int) -> int | None:
        """A time limit of Slurm's, in seconds; None for no limit."""
        text = self.text(*path)
        try:
            return parse_walltime(text) if text else None
        except ValueError as error:
            at = self.value_at(*path)
            self.problems.append(Contradiction(what=str(error), location=at))
            return None

    def _secrets_outside_env(self) -> None:
        for path, node in scalars(self.root):
            if not isinstance(node.value, tuple) or _is_variable(path):
                continue
            for part in node.value:
                if isinstance(part, RuntimeEnv) and _SECRET_NAME.search(part.name):
                    self.problems.append(SecretOutsideEnv(name=part.name, location=node.location))
                elif isinstance(part, RuntimeEnv) and name_fault(part.name):
                    fault = BadEnvName(
                        name=part.name, why=name_fault(part.name), location=node.location
                    )
                    self.problems.append(fault)


def _is_variable(path: Path) -> bool:
    """Whether a value stands in a block of environment variables, and not in some setting that a
    harness calls so."""
    return len(path) > 1 and path[-2] == "env_vars" and SETTINGS not in path
