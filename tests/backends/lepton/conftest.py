"""The fixture ``lab``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from backends.lepton.lab import Lab

if TYPE_CHECKING:
    from pathlib import Path

    from lepton import Lepton


@pytest.fixture
def lab(lepton: Lepton, tmp_path: Path) -> Lab:
    lepton.secrets(DOOR="open sesame")
    return Lab(lepton, tmp_path / "a folder")
