"""Values of files that may hold anything: of the kind that is wanted, or none."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from evalc.errors import EvalcError

if TYPE_CHECKING:
    from pathlib import Path

# A file with the results of a thousand subtasks has 2 MB; what is far larger is something else.
MAX_BYTES = 64 << 20


class Unreadable(EvalcError):
    """A file can't be read, or does not hold what it should; the text says why, in a few words."""

    exit_code = 1


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises :class:`Unreadable`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Unreadable(f"is larger than {MAX_BYTES >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror}") from None


def read_yaml(path: Path) -> Any:
    """YAML's value, as PyYAML writes it. Raises :class:`Unreadable`."""
    import yaml  # noqa: PLC0415 - runs of lm-eval alone have none

    data = read_bytes(path)
    if not data.strip():
        raise Unreadable("is empty")
    # Whoever writes YAML or JSON ends its last line, but a hand may forget it. A file that is cut
    # within a number is still valid YAML, with another number in it.
    if not data.endswith(b"\n") and not data.rstrip().endswith(b"}"):
        raise Unreadable("is cut off: its last line has no end")
    try:
        return yaml.load(data, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise Unreadable(f"is no valid YAML{line}; it may be cut off") from None


def read_json(path: Path) -> Any:
    """JSON's value. Raises :class:`Unreadable`."""
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        line = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"is no valid JSON{line}; it may be cut off") from None


def mapping(value: Any) -> dict[str, Any]:
    """A mapping with texts as its keys; empty for anything else."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def number(value: Any) -> float | None:
    """A number, NaN and the infinite ones too; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def error_of(value: Any) -> float | None:
    """A standard error: finite, and 0 or more; None for what is none."""
    found = number(value)
    return found if found is not None and math.isfinite(found) and found >= 0 else None


def count_of(value: Any) -> int | None:
    """A count of samples, 1 or more; None for what is none."""
    found = number(value)
    if found is None or not math.isfinite(found) or found < 1 or found != int(found):
        return None
    return int(found)


def text(value: Any) -> str:
    """A text in one line, nothing that would steer a terminal in it; empty for what is none."""
    if not isinstance(value, str | int | float):
        return ""
    return "".join(c if c.isprintable() else " " for c in str(value)).strip()
