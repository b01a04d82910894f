"""How long the platform may still do what a request asked for that was not answered."""

from __future__ import annotations

import math
import os

from evalc.errors import UsageError

# As in submit_all.sh.
_SETTLE = 30.0
# Where there was an answer, if only that something went wrong, it is there soon, or it never comes.
SETTLE_ANSWERED = 2.0


def settle() -> float:
    """In seconds after the request; tests ask for less. Raises as :func:`seconds`."""
    return seconds("EVALC_SETTLE_SECONDS", _SETTLE)


def seconds(variable: str, default: float) -> float:
    """What a variable of the environment says. Raises :class:`~evalc.errors.UsageError`."""
    text = os.environ.get(variable) or str(default)
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise UsageError(f"{variable} is no number of seconds: {text!r}", f"unset {variable}")
    return found
