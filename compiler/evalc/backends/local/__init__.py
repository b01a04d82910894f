"""The local backend: plain bash for docker, podman, or the host itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalc.backends.local.check import check
from evalc.backends.local.emit import emit
from evalc.resources import read_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from evalc.backends.base import Emission
    from evalc.backends.local.runs import LocalRuns
    from evalc.errors import Problem
    from evalc.plan import Plan


class LocalBackend:
    """See :class:`evalc.backends.base.Backend`."""

    name = "local"
    description = "run_all.sh and a run.sh for each task, with docker, podman or no container"

    # What differs between jobs in their scripts alone.
    job_keys = frozenset(("docker_args", "endpoint_readiness_timeout", "mounts", "shm_size"))

    def execution_schema(self) -> Mapping[str, Any]:
        return read_schema("execution.local")

    def config_groups(self) -> Path | None:
        return None

    def check(self, plan: Plan) -> Iterable[Problem]:
        return check(plan)

    def emit(self, plan: Plan) -> Emission:
        return emit(plan)

    def runs(self) -> LocalRuns:
        from evalc.backends.local.runs import LocalRuns

        return LocalRuns()
