"""What all tests share: engines, a Slurm cluster, hypothesis' profiles, ``--update-golden``."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["engines", "clusters", "sshd", "lepton"]

# Who starts the tests in the background has them, and all that they start, deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples at every run, so that a failure means that the code has changed.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# For looking further by hand: HYPOTHESIS_PROFILE=search pytest tests/properties
settings.register_profile(
    "search", settings.get_profile("ci"), derandomize=False, max_examples=2000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--update-golden``."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="compile the examples into golden/ anew, and remove what no example compiles to",
    )
