"""Keys as people write them: ``a.b[0].c``."""

from __future__ import annotations

import re

# One step: a name up to the next dot or bracket, or whatever stands in brackets.
_STEP = re.compile(r"(?:^|\.)([^.\[]*)|\[(.*?)\]")


def split_key(key: str) -> list[str]:
    """The steps of a key: ``a.b[0]`` and ``a.b.0`` are both ``["a", "b", "0"]``.

    >>> split_key("[a].b")
    ['a', 'b']
    """
    steps = [name or bracketed for name, bracketed in _STEP.findall(key)]
    return steps[1:] if key.startswith("[") else steps


def list_index(step: str) -> int | None:
    """The index that a step means in a list, or None when it is not a number."""
    try:
        return int(step)
    except ValueError:
        return None
