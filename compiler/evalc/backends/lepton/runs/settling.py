"""How long the platform may still do what a request asked for that was not answered."""

from __future__ import annotations

import os

# As in submit_all.sh.
_SETTLE = 30.0
# Where there was an answer, if only that something went wrong, it is there soon, or it never comes.
SETTLE_ANSWERED = 2.0


def settle() -> float:
    """In seconds after the request; tests ask for less."""
    return float(os.environ.get("EVALC_SETTLE_SECONDS") or _SETTLE)
