"""Results in a job's log, which ``templates/lib/tell.sh`` puts there; the reference has the format.

A log is no file: lines may be cut, lost, repeated or out of order, other text may stand before and
behind, and whoever wrote it may have written anything. What is not whole is no result.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_START = b"::evalc "
_LINE = re.compile(
    rb"::evalc (?P<mark>[0-9]{1,12}\.[0-9]{1,5}) "
    rb"(?:end (?P<count>[0-9]{1,4}) (?P<sum>[0-9a-f]{64})"
    rb"|(?P<number>[0-9]{1,4}) (?P<text>[ -~]+?)) ::"
)
_PATH = re.compile(r"logs/stage\.exit|artifacts/(?:results\.yml|[A-Za-z0-9_][A-Za-z0-9._-]*\.json)")
_SPLIT = re.compile(rb"[^\n]*\n|[^\n]+")
# No file is larger than that, unpacked, in bytes.
_LARGEST = 1 << 24
STAGE = "logs/stage.exit"


@dataclass(frozen=True, slots=True)
class Left:
    """What a task has left in its log: ``files`` by their paths in its folder, ``over`` the paths
    of those that were too large. ``when`` is in seconds since 1970."""

    when: int
    files: Mapping[str, bytes]
    over: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the task ended with 0."""
        return self.files[STAGE].split()[1:2] == [b"0"]


@dataclass(slots=True)
class _Block:
    """What one attempt said, as far as it has come."""

    lines: dict[int, bytes] = field(default_factory=dict)
    # How many lines there are, and their SHA-256.
    end: tuple[int, bytes] | None = None


def last_left(log: bytes, task: str, digest: str) -> Left | None:
    """What the last attempt left that came whole; None where none did, or it was of another config
    (``digest``, see the reference)."""
    blocks: dict[bytes, _Block] = {}
    for found in _LINE.finditer(log):
        block = blocks.setdefault(found["mark"], _Block())
        if found["number"] is None:
            block.end = (int(found["count"]), found["sum"])
        else:
            block.lines[int(found["number"])] = found["text"]
    whole = []
    for mark, block in blocks.items():
        if (body := _body(block)) is None:
            continue
        left = _read(body, f"task {task} {digest}", int(mark.partition(b".")[0]))
        if left is not None:
            whole.append(left)
    return max(whole, key=lambda left: left.when, default=None)


def without_marks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A log as people want it, piece by piece, without these lines. Nothing else is held back."""
    held = b""
    inside = False
    for piece in pieces:
        shown = bytearray()
        for line in _SPLIT.findall(held + piece):
            held = b""
            ended = line.endswith(b"\n")
            if not inside and not ended and _START.startswith(line[: len(_START)]):
                held = line
            elif inside or not line.startswith(_START):
                shown += line
                inside = not ended
        if shown or not piece:
            yield bytes(shown)
    if held and not held.startswith(_START):
        yield held


def _body(block: _Block) -> list[str] | None:
    if block.end is None:
        return None
    count, digest = block.end
    if any(number not in block.lines for number in range(1, count + 1)):
        return None
    lines = [block.lines[number] for number in range(1, count + 1)]
    whole = b"".join(line + b"\n" for line in lines)
    if hashlib.sha256(whole).hexdigest().encode() != digest:
        return None
    return [line.decode("ascii") for line in lines]


def _read(body: list[str], first: str, when: int) -> Left | None:
    if body[:1] != [first]:
        return None
    packed: dict[str, str] = {}
    over = []
    path = ""
    for line in body[1:]:
        word, space, rest = line.partition(" ")
        if not space and path:
            packed[path] += line
        elif word in ("file", "over") and _PATH.fullmatch(rest):
            if word == "over":
                over.append(rest)
            else:
                path = rest
                packed[path] = ""
        else:
            return None
    try:
        files = {path: _unpacked(text) for path, text in packed.items()}
    except ValueError:
        return None
    return Left(when, files, tuple(over)) if STAGE in files else None


def _unpacked(text: str) -> bytes:
    """Raises ValueError for what is damaged, or too large."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        data = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from None
    if not unpacker.eof:
        raise ValueError("not whole")
    return data
