"""The fixture ``lab``: configs for Slurm, compiled and run on the tests' cluster."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from backends.slurm.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clusters import Cluster


@pytest.fixture
def lab(slurm: Cluster, stand_ins: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """With engine ``none``, or the one that the test is parametrised with."""
    name = re.sub(r"\W+", "-", request.node.name)
    folder = slurm.folder / name
    yield Lab(slurm, folder, stand_ins, getattr(request, "param", "none"))
    slurm.restore()
    shutil.rmtree(folder, ignore_errors=True)
