"""Numbers and findings in words, as all kinds of reports say them."""

from __future__ import annotations

import time
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.export.comparing import Compared
    from evalc.export.model import Score
    from evalc.export.table import Cost

VERDICTS = {"better": "better", "worse": "worse", "same": "no clear difference", "unknown": ""}


def value(number: float) -> str:
    """A score: three decimals of a share, four digits of anything else."""
    return f"{number:.3f}" if abs(number) < 10 else f"{number:.4g}"


def score(one: Score | None) -> str:
    """A score with its standard error; ``-`` where there is none."""
    if one is None:
        return "-"
    return value(one.value) + ("" if one.stderr is None else f" ±{value(one.stderr)}")


def change(number: float) -> str:
    """A difference, with its sign."""
    return f"{'+' if number >= 0 else '-'}{value(abs(number))}"


def p_value(p: float) -> str:
    """``p=0.034``."""
    return "p<0.001" if p < 0.001 else f"p={p:.3f}"


def difference(one: Compared) -> str:
    """A difference with its interval, and how sure it is; empty where a score lacks."""
    if one.change is None:
        return ""
    if one.difference is None:
        return f"{change(one.change)}, no standard errors to judge it by"
    low, high = one.difference.interval()
    return (
        f"{change(one.change)} [{change(low)}, {change(high)}] {p_value(one.difference.p)} "
        f"{VERDICTS[one.verdict]}, {one.difference.method.value}"
    )


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in {"W", "F"} for c in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def hours(number: float | None) -> str:
    """GPU hours; ``?`` where nobody knows."""
    return "?" if number is None else f"{number:.2f}"


def total(costs: Sequence[Cost]) -> str:
    """The GPU hours of all attempts: ``at least`` where not all are known."""
    known = [cost.gpu_hours for cost in costs if cost.gpu_hours is not None]
    if not known:
        return "?"
    return ("" if len(known) == len(costs) else "at least ") + hours(sum(known))


def duration(seconds: float | None) -> str:
    """A time in hours, minutes and seconds; ``?`` where nobody knows."""
    if seconds is None:
        return "?"
    minutes, left = divmod(int(seconds), 60)
    whole, minutes = divmod(minutes, 60)
    return f"{whole}:{minutes:02}:{left:02}"


def when(seconds: float | None) -> str:
    """A time of day, in UTC; empty where nobody knows."""
    if seconds is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))
