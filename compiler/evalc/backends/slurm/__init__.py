"""The Slurm backend: sbatch scripts with model servers, shared allocations and auto-resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalc.resources import read_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from evalc.backends.base import Emission
    from evalc.backends.running import Runs
    from evalc.errors import Problem
    from evalc.plan import Plan


class SlurmBackend:
    """See :class:`evalc.backends.base.Backend`."""

    name = "slurm"
    description = "an sbatch script for each job, with pyxis, apptainer or no container"

    # What differs between jobs in their scripts alone.
    job_keys = frozenset(
        (
            "account",
            "comment",
            "cpus_per_task",
            "deployment",
            "endpoint_readiness_timeout",
            "evaluation_gpu_visible",
            "gpus_per_node",
            "gres",
            "max_walltime",
            "memory",
            "mounts",
            "nodes",
            "ntasks_per_node",
            "num_instances",
            "parallelism",
            "partition",
            "proxy",
            "qos",
            "sbatch_extra_flags",
            "walltime",
        )
    )

    def execution_schema(self) -> Mapping[str, Any]:
        return read_schema("execution.slurm")

    def config_groups(self) -> Path | None:
        return None

    def check(self, plan: Plan) -> Iterable[Problem]:
        from evalc.backends.slurm.check import check

        return check(plan)

    def emit(self, plan: Plan) -> Emission:
        from evalc.backends.slurm.emit import emit

        return emit(plan)

    def runs(self) -> Runs:
        """See :func:`evalc.backends.running.runs_of`."""
        from evalc.backends.slurm.runs import SlurmRuns

        return SlurmRuns()
