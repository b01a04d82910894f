"""The fixture ``example``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from golden.examples import EXAMPLES, compiled

if TYPE_CHECKING:
    from evalc.bundle import Bundle


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Bundle:
    """The bundle of each example in turn; its name is the example's."""
    return compiled(request.param)
