"""What tests have the server do wrong."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass


@dataclass
class Fault:
    """What happens to the next ``count`` requests that match.

    ``method`` and ``path`` are regular expressions for the whole of each; the path is that after
    the workspace's URL, without a query. ``kind`` is one of

    - ``status``: it is answered with ``code`` (and ``retry_after``, in seconds), and nothing is done;
    - ``lost``: it is done, and the connection ends without an answer ``seconds`` later;
    - ``broken``: it is done, and half of the answer's body is missing, which its length denies;
    - ``slow``: it is done ``seconds`` later.
    """

    kind: str
    method: str = ".*"
    path: str = ".*"
    count: int = 1
    code: int = 500
    seconds: float = 0.0
    retry_after: int | None = None


class Faults:
    """Those that are still to come."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def next(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, one time less after that."""
        with self._lock:
            for fault in self._faults:
                if (
                    fault.count > 0
                    and re.fullmatch(fault.method, method)
                    and re.fullmatch(fault.path, path)
                ):
                    fault.count -= 1
                    return fault
        return None
