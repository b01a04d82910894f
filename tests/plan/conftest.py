"""The fixture ``config``: compile a text, as a plan or as the problems that it has."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from plan.configs import Config

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Writes configs into a folder of its own."""
    return Config(tmp_path)


@pytest.fixture
def hosted(config: Config) -> Config:
    """For configs of which only the tasks matter: an endpoint is there."""
    config.above = dedent(
        """\
        target: {api_endpoint: {url: "http://x/v1/chat/completions", model_id: a model}}
        """
    )
    return config
