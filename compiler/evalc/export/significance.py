"""Whether a difference between two scores is more than noise.

A :class:`Difference` has a p-value by the usual test, and a distribution of the true difference for
intervals and for asking whether it is beyond a limit. For shares of right answers these are not the
textbook's simplest ones, which are wrong for few answers, and claim certainty where all are right:

- paired shares: McNemar's exact test; the interval of Bonett and Price (2012)
- two shares: the pooled z-test; the interval of Agresti and Caffo (2000)
- paired values: Student's t
- two values with standard errors: z
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NORMAL = NormalDist()
# Where a binomial's sum is longer, its normal approximation is as good.
_EXACT = 2000


class Method(enum.Enum):
    """By which test a difference was judged; its value is what people see."""

    MCNEMAR = "paired (McNemar, exact)"
    PAIRED_T = "paired (t)"
    TWO_PROPORTIONS = "two proportions (z)"
    Z = "standard errors (z)"


@dataclass(frozen=True, slots=True)
class Difference:
    """The second score minus the first.

    ``p`` is the two-sided p-value of no difference. ``centre``, ``spread`` and ``freedom`` are the
    estimate, its standard error, and the degrees of freedom (None: normal) for intervals.
    """

    value: float
    p: float
    centre: float
    spread: float
    method: Method
    freedom: int | None = None

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Where the true difference is, at this level of confidence."""
        half = self.spread * _quantile((1 + level) / 2, self.freedom)
        return self.centre - half, self.centre + half

    def p_below(self, limit: float) -> float:
        """The one-sided p-value of the true difference being ``limit`` or more: when it is small,
        the difference is below the limit."""
        if self.spread == 0:
            # Beyond what adding and taking away of decimal fractions leaves.
            return 0.0 if self.centre < limit - 1e-12 else 1.0
        return _below((self.centre - limit) / self.spread, self.freedom)


def of_pairs(pairs: Iterable[tuple[float, float]]) -> Difference | None:
    """Of the same questions, answered twice; None for fewer than two."""
    count, total, squares = 0, 0.0, 0.0
    rose, fell = 0, 0
    binary = True
    for before, after in pairs:
        change = after - before
        count += 1
        # Welford's way: exact enough for a million of them.
        mean_before = total
        total += (change - total) / count
        squares += (change - mean_before) * (change - total)
        rose += change > 0
        fell += change < 0
        binary = binary and before in {0, 1} and after in {0, 1}
    if count < 2:
        return None
    if binary:
        return _paired_shares(count, rose, fell)
    spread = math.sqrt(squares / (count - 1) / count)
    freedom = count - 1
    p = 2 * _below(-abs(total / spread), freedom) if spread else float(total == 0)
    return Difference(total, p, total, spread, Method.PAIRED_T, freedom)


def _paired_shares(count: int, rose: int, fell: int) -> Difference:
    up, down, whole = rose + 1, fell + 1, count + 2
    centre = (up - down) / whole
    spread = math.sqrt((up + down - (up - down) ** 2 / whole) / whole**2)
    p = mcnemar(rose, fell)
    return Difference((rose - fell) / count, p, centre, spread, Method.MCNEMAR)


def mcnemar(rose: int, fell: int) -> float:
    """The exact two-sided p-value of ``rose`` and ``fell`` being one coin's heads and tails."""
    count, fewer = rose + fell, min(rose, fell)
    if count == 0:
        return 1.0
    if count > _EXACT:
        return min(1.0, 2 * _NORMAL.cdf((fewer + 0.5 - count / 2) / math.sqrt(count / 4)))
    ways = sum(math.comb(count, k) for k in range(fewer + 1))
    # As whole numbers: 2**-2000 is no float.
    return float(min(1.0, 2 * ways / 2**count))


def of_shares(right: tuple[int, int], counts: tuple[int, int]) -> Difference:
    """Of how many were right, of how many: first and second."""
    shares = [r / n for r, n in zip(right, counts, strict=True)]
    value = shares[1] - shares[0]
    pooled = sum(right) / sum(counts)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1]))
    p = 2 * _NORMAL.cdf(-abs(value) / deviation) if deviation else 1.0
    added = [(r + 1) / (n + 2) for r, n in zip(right, counts, strict=True)]
    variances = [s * (1 - s) / (n + 2) for s, n in zip(added, counts, strict=True)]
    centre, spread = added[1] - added[0], math.sqrt(sum(variances))
    return Difference(value, p, centre, spread, Method.TWO_PROPORTIONS)


def of_values(values: tuple[float, float], errors: tuple[float, float]) -> Difference:
    """Of two values with their standard errors."""
    value, spread = values[1] - values[0], math.hypot(*errors)
    p = 2 * _NORMAL.cdf(-abs(value) / spread) if spread else float(value == 0)
    return Difference(value, p, value, spread, Method.Z)


def right_of(value: float, stderr: float | None, count: int | None) -> int | None:
    """How many answers were right, if the value is a share of ``count``; None if it is none.

    It must be a whole number of answers, and the standard error, if told, that of a share.
    """
    if count is None or not 0 <= value <= 1:
        return None
    right = round(value * count)
    if abs(right - value * count) > 1e-6 * max(count, 1):
        return None
    if stderr is not None and count > 1:
        # lm-eval divides by n - 1, others by n, and some round.
        expected = math.sqrt(value * (1 - value) / (count - 1))
        if abs(stderr - expected) > 0.05 * expected + 1e-4:
            return None
    return right


def holm(ps: Sequence[float]) -> list[float]:
    """p-values as they are when so many were asked for: Holm's step-down (1979)."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted = [1.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


def _below(x: float, freedom: int | None) -> float:
    """The share of a distribution below ``x``: the normal one's, or Student's t."""
    if freedom is None:
        return _NORMAL.cdf(x)
    tail = _beta(freedom / (freedom + x * x), freedom / 2) / 2
    return tail if x < 0 else 1 - tail


def _quantile(share: float, freedom: int | None) -> float:
    """Where a distribution has ``share`` of itself below; ``share`` is above one half."""
    if freedom is None:
        return _NORMAL.inv_cdf(share)
    low, high = 0.0, 1.0
    while _below(high, freedom) < share:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _below(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: float, b: float = 0.5) -> float:
    """The regularised incomplete beta function, by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log1p(-x)
    ) / a  # fmt: skip
    tiny = 1e-300
    c, d = 1.0, 1 / max(1 - (a + b) * x / (a + 1), tiny)
    total = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1 / (1 + numerator * d or tiny)
            c = 1 + numerator / c or tiny
            total *= c * d
        if abs(c * d - 1) < 1e-12:
            break
    return front * total
