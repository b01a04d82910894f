"""A line on a terminal that says what takes so long."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.status import Status

# Below this, in seconds, nobody wonders.
PATIENCE = 1.0


class Progress:
    """Shows the current one of ``steps`` on standard error, on a terminal, once it takes long.

    The clock starts here, so that many short steps count as one long wait.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._started = time.monotonic()
        self._shown = sys.stderr is not None and sys.stderr.isatty()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Do one step; its line is gone when it ends, so that others may write."""
        self._done += 1
        if not self._shown:
            yield
            return
        counter = f"[{self._done}/{self._steps}] " if self._steps > 1 else ""
        line = _Line(counter + what, PATIENCE - (time.monotonic() - self._started))
        try:
            yield
        finally:
            line.close()


class _Line:
    """A status line that appears by itself after ``delay`` seconds, unless it is closed before."""

    def __init__(self, text: str, delay: float) -> None:
        self._text = text
        self._status: Status | None = None
        self._timer = threading.Timer(max(0.0, delay), self._appear)
        self._timer.daemon = True
        self._timer.start()

    def _appear(self) -> None:
        # Imported on the waiting thread: whoever does not wait does not pay for it.
        from rich.console import Console
        from rich.markup import escape

        # Streams stay as they are: only this line is rich's.
        status = Console(stderr=True).status(escape(self._text), spinner="line")
        status.start()
        self._status = status

    def close(self) -> None:
        self._timer.cancel()
        # It may be about to appear.
        self._timer.join()
        if self._status is not None:
            self._status.stop()
