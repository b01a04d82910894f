"""Slurm's forms of a time limit (``man sbatch``, ``--time``)."""

from __future__ import annotations

import re

_NO_LIMIT = frozenset(("infinite", "unlimited"))
_FORM = re.compile(r"(?:([0-9]+)-)?([0-9]+)(?::([0-9]+))?(?::([0-9]+))?")
# Slurm keeps a limit as minutes in 32 bits, of which the two highest numbers have meanings.
MAX_SECONDS = (2**32 - 3) * 60
_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def parse_walltime(value: str | int) -> int | None:
    """A time limit in seconds; None for no limit, which Slurm also writes as 0.

    Takes ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``,
    ``days-hours:minutes``, ``days-hours:minutes:seconds``, ``infinite`` and ``UNLIMITED``, and
    numbers, which are minutes. As in Slurm, a part may be larger than a clock shows (``90:00``).
    Raises :class:`ValueError` for anything else, and for more than Slurm can hold.
    """
    text = str(value)
    if text.lower() in _NO_LIMIT:
        return None
    found = _FORM.fullmatch(text) if text.isascii() else None
    if found is None:
        raise ValueError(f"'{text}' is none of the forms that Slurm takes")
    seconds = _seconds(*found.groups())
    if seconds > MAX_SECONDS:
        raise ValueError(f"'{text}' is longer than Slurm can hold")
    return seconds or None


def _seconds(days: str | None, first: str, second: str | None, third: str | None) -> int:
    one, two, three = int(first), int(second or 0), int(third or 0)
    if days is not None:
        return int(days) * _DAY + one * _HOUR + two * _MINUTE + three
    if third is not None:
        return one * _HOUR + two * _MINUTE + three
    return one * _MINUTE + two


def format_walltime(seconds: int | None) -> str:
    """A time limit as ``squeue`` shows it: ``[days-]hours:minutes:seconds``, or ``UNLIMITED``."""
    if seconds is None:
        return "UNLIMITED"
    days, rest = divmod(seconds, _DAY)
    hours, rest = divmod(rest, _HOUR)
    clock = f"{hours:02}:{rest // _MINUTE:02}:{rest % _MINUTE:02}"
    return f"{days}-{clock}" if days else clock
