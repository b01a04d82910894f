"""A config to start from: commented text for a backend and a deployment.

The parts are files of this folder, ``execution.BACKEND.yaml`` (``execution.BACKEND.TYPE.yaml`` for
one deployment alone) and ``deployment.TYPE.yaml`` (``deployment.TYPE.BACKEND.yaml``), so that they
are read and edited as what they are. ``more.BACKEND.yaml`` is what a backend's deployments have
below ``deployment`` besides. Each is right as it stands: ``evalc check`` has nothing against any of
the configs.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDER = Path(__file__).parent
# What the built-in groups call the defaults of a backend.
_GROUPS = {"local": "local"}
# Deployments that need what a backend does not have.
_ELSEWHERE = frozenset((("local", "vllm_ray"), ("lepton", "vllm_ray")))


@cache
def backends() -> tuple[str, ...]:
    """The values of ``execution.type`` that there is a part for, sorted."""
    return _parts("execution")


@cache
def deployments(backend: str) -> tuple[str, ...]:
    """The values of ``deployment.type`` that a backend can start, sorted."""
    return tuple(d for d in _parts("deployment") if (backend, d) not in _ELSEWHERE)


def starting_config(backend: str, deployment: str, tasks: Sequence[str]) -> str:
    """The text of a config. ``tasks`` are names of the catalogue, one or more."""
    group = _GROUPS.get(backend, f"{backend}/default")
    head = (
        "# `evalc check` says what is wrong, `evalc explain FILE KEY` where a value comes from,\n"
        "# `evalc schema config` all keys there are.\n"
        "defaults:\n"
        f"  - execution: {group}\n"
        f"  - deployment: {deployment}\n"
        "  - _self_\n"
    )
    listed = "".join(f"    - name: {task}\n" for task in tasks)
    served = _read(f"deployment.{deployment}.{backend}", f"deployment.{deployment}")
    if deployment != "none" and (_FOLDER / f"more.{backend}.yaml").is_file():
        served += _read(f"more.{backend}")
    parts = (
        head,
        _read(f"execution.{backend}.{deployment}", f"execution.{backend}"),
        served,
        _read("evaluation") + listed,
    )
    return "\n".join(parts)


def _parts(kind: str) -> tuple[str, ...]:
    names = (path.stem.partition(".")[2] for path in _FOLDER.glob(f"{kind}.*.yaml"))
    return tuple(sorted(name for name in names if "." not in name))


def _read(*names: str) -> str:
    """The first of these parts that there is."""
    paths = [_FOLDER / f"{name}.yaml" for name in names]
    return next(path for path in paths if path.is_file()).read_text(encoding="utf-8")
