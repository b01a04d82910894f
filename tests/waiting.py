"""Waiting in tests for what another process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds that anything may take on a machine with much else to do, before a test gives up.
PATIENCE = 90.0


def wait_for(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Waits until ``what`` gives something true, and gives that."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"still not true after {seconds} s"
        time.sleep(0.02)
    return found
