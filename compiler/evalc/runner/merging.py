"""Several logs as one stream, in the form that ``tail`` has for several files."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    # A name and a piece of its log; None is its end.
    Came = tuple[str, bytes | Exception | None]


def one_after_another(logs: Mapping[str, Iterator[bytes]]) -> Iterator[bytes]:
    """Each log after its name; one with nothing in it is left out."""
    for name, pieces in logs.items():
        title = _title(name)
        for piece in pieces:
            yield title + piece
            title = b""


def beside_each_other(logs: Mapping[str, Iterator[bytes]]) -> Iterator[bytes]:
    """What comes of all logs, as it comes, up to the end of the last; each time another one goes
    on, after its name. Lines stay whole. Raises what one of them raises."""
    came: queue.SimpleQueue[Came] = queue.SimpleQueue()
    for name, pieces in logs.items():
        threading.Thread(target=_pump, args=(name, pieces, came), daemon=True).start()
    begun = dict.fromkeys(logs, b"")
    last = ""
    while begun:
        name, piece = came.get()
        if isinstance(piece, Exception):
            raise piece
        if piece is None:
            whole = begun.pop(name)
            whole += b"\n" if whole else b""
        else:
            whole, newline, begun[name] = (begun[name] + piece).rpartition(b"\n")
            whole += newline
        if whole:
            yield whole if name == last else _title(name) + whole
            last = name


def _title(name: str) -> bytes:
    return f"==> {name} <==\n".encode()


def _pump(name: str, pieces: Iterator[bytes], came: queue.SimpleQueue[Came]) -> None:
    try:
        for piece in pieces:
            came.put((name, piece))
    except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for it
        came.put((name, error))
    else:
        came.put((name, None))
