"""GPUs in Slurm's generic resources."""

from __future__ import annotations

import re

# ``gpu``, ``gpu:4``, ``gpu:a100``, ``gpu:a100:4``, ``gpu:a100:4(S:0-1)``, ``gres:gpu:4``
_GPU = re.compile(
    r"(?:gres[:/])?gpu(?:[:=](?![0-9]+(?:[(]|\Z))[^:=(]+)?(?:[:=]([0-9]+))?(?:[(].*)?"
)


def gpus_in_gres(gres: str) -> int:
    """How many GPUs of a node the resources ``gres`` name, such as 4 for ``gpu:a100:4,nvme:1``."""
    found = [_GPU.fullmatch(item) for item in gres.split(",")]
    return sum(int(match[1] or 1) for match in found if match)
