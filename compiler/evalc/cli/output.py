"""Writing to the two standard streams, whatever they are.

Data goes to standard output, messages to standard error. A stream may be closed, full, a pipe that
nobody reads, or unable to encode a character; none of that may end in a traceback.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from typing import TextIO

PIPED_WIDTH = 120
_MIN_WIDTH = 40


@dataclass(frozen=True)
class Page:
    """What a text is laid out for.

    ``width`` is in terminal columns. With ``ascii``, the stream can't be trusted with other
    characters.
    """

    width: int = PIPED_WIDTH
    colour: bool = False
    ascii: bool = False


def page_of(stream: TextIO | None) -> Page:
    """The page that ``stream`` is: its width, and colour where a person looks at it.

    NO_COLOR (https://no-color.org) and ``TERM=dumb`` turn colour off.
    """
    if stream is None:
        return Page()
    width = PIPED_WIDTH
    with contextlib.suppress(OSError, ValueError):
        # A terminal that does not know its size says 0.
        width = os.get_terminal_size(stream.fileno()).columns or PIPED_WIDTH
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Page(
        width=max(width, _MIN_WIDTH),
        colour=stream.isatty() and not plain,
        ascii=not (stream.encoding or "").lower().startswith("utf"),
    )


def say(text: str) -> None:
    """Write ``text`` and a line end to standard output. Raises OSError."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Write ``text`` and a line end to standard error. Raises OSError."""
    _write(sys.stderr, text)


def _write(stream: TextIO | None, text: str) -> None:
    # None is a stream that was closed when the process started (`>&-`).
    if stream is not None:
        stream.write(text + "\n")
        stream.flush()


def tolerate_any_text() -> None:
    """Let both streams show what they can't encode as an escape, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_lost_output() -> None:
    """Point a stream that can't be written at nothing.

    What it did not take is still buffered, and the interpreter would try (and fail) to write it
    once more when it ends.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, stream.fileno())
                os.close(nothing)
