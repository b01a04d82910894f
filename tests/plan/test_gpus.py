"""The GPUs that a text of generic resources names."""

from __future__ import annotations

import pytest

from evalc.plan.gpus import gpus_in_gres


@pytest.mark.parametrize(
    ("gres", "count"),
    [
        ("gpu:8", 8),
        ("gpu", 1),
        ("gpu:a100", 1),
        ("gpu:a100:4", 4),
        ("gpu:a100_80gb:4(S:0-1)", 4),
        ("gpu:4(S:0)", 4),
        ("gres:gpu:2", 2),
        ("gres/gpu:2", 2),
        ("gpu=4", 4),
        ("nvme:1,gpu:a100:2,gpu:t4:1", 3),
        ("nvme:1", 0),
        ("gpumem:80", 0),
        ("", 0),
    ],
)
def test_counts(gres: str, count: int) -> None:
    assert gpus_in_gres(gres) == count
