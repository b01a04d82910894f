"""The backend for NVIDIA DGX Cloud Lepton: JSON of jobs and endpoints, and what submits it."""

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


class LeptonBackend:
    """See :class:`evalc.backends.base.Backend`."""

    name = "lepton"
    description = "a job for each task and endpoints for the model, as JSON, on DGX Cloud Lepton"

    # What differs between jobs and endpoints in their JSON alone.
    job_keys = frozenset(
        (
            "deployment_name",
            "endpoint_readiness_timeout",
            "evaluation_tasks",
            "lepton_config",
            "lepton_platform",
        )
    )

    def execution_schema(self) -> Mapping[str, Any]:
        return read_schema("execution.lepton")

    def config_groups(self) -> Path | None:
        return None

    def check(self, plan: Plan) -> Iterable[Problem]:
        from evalc.backends.lepton.check import check

        return check(plan)

    def emit(self, plan: Plan) -> Emission:
        from evalc.backends.lepton.emit import emit

        return emit(plan)

    def runs(self) -> Runs:
        """How bundles are submitted and followed. Raises
        :class:`~evalc.backends.lepton.runs.platform.ClientMissing`."""
        from evalc.backends.lepton.runs import LeptonRuns

        return LeptonRuns()
