"""Statistics against values that are known from elsewhere (scipy)."""

from __future__ import annotations

import math
import random

import pytest

from evalc.export.significance import (
    Method,
    holm,
    mcnemar,
    of_pairs,
    of_shares,
    of_values,
    right_of,
)


@pytest.mark.parametrize(
    ("rose", "fell", "p"),
    # By the two-sided p-value of scipy.stats.binomtest.
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (8, 2, 0.109375),
        (10, 0, 0.001953125),
        (5, 15, 0.04138946533203125),
    ],
)
def test_mcnemar(rose: int, fell: int, p: float) -> None:
    assert mcnemar(rose, fell) == pytest.approx(p)
    assert mcnemar(fell, rose) == pytest.approx(p)


def test_mcnemar_of_many_agrees_with_its_approximation() -> None:
    assert mcnemar(1050, 949) == pytest.approx(mcnemar(1051, 950), rel=0.02)


def test_paired_values_by_student() -> None:
    before = [1.0, 2.0, 3.0, 4.0, 5.0]
    after = [1.5, 2.1, 3.7, 4.2, 5.9]
    found = of_pairs(zip(before, after, strict=True))
    assert found is not None
    assert found.method is Method.PAIRED_T
    # By hand: the mean is 0.48, the sample variance 0.112; t = 3.2071 of 4 degrees of freedom.
    assert found.value == pytest.approx(0.48)
    assert found.spread == pytest.approx(math.sqrt(0.112 / 5))
    assert found.p == pytest.approx(0.03268, abs=1e-4)
    # The quantile is that of scipy.stats.t.
    low, high = found.interval()
    assert (high - low) / 2 == pytest.approx(2.776445 * found.spread, rel=1e-5)


@pytest.mark.parametrize(
    ("t", "freedom", "p"), [(2.0, 10, 0.07338803), (1.0, 1, 0.5), (0.0, 3, 1.0)]
)
def test_students_tail(t: float, freedom: int, p: float) -> None:
    from evalc.export.significance import _below

    assert 2 * _below(-t, freedom) == pytest.approx(p, rel=1e-6)
    assert _below(t, freedom) == pytest.approx(1 - p / 2, rel=1e-6)


def test_two_shares() -> None:
    # scipy.stats.chi2_contingency without correction is the same test.
    found = of_shares((45, 60), (100, 100))
    assert found.value == pytest.approx(0.15)
    assert found.p == pytest.approx(0.0336720689, rel=1e-6)
    low, high = found.interval()
    assert low == pytest.approx(0.0110, abs=2e-3)
    assert high == pytest.approx(0.2831, abs=2e-3)


def test_all_right_is_no_certainty() -> None:
    found = of_shares((5, 4), (5, 5))
    assert found.interval()[0] < -0.3
    assert found.p_below(-0.01) > 0.05
    same = of_pairs([(1.0, 1.0)] * 5)
    assert same is not None
    assert same.p == 1
    assert same.interval()[0] < 0 < same.interval()[1]


def test_values_with_errors() -> None:
    found = of_values((10.0, 12.0), (0.6, 0.8))
    assert found.p == pytest.approx(0.0455, abs=1e-4)
    assert of_values((1.0, 1.0), (0.0, 0.0)).p == 1
    assert of_values((1.0, 2.0), (0.0, 0.0)).p == 0
    exact = of_values((0.8, 0.7), (0.0, 0.0))
    assert (exact.p_below(-0.1), exact.p_below(-0.09)) == (1.0, 0.0)


def test_too_few_pairs_are_no_difference() -> None:
    assert of_pairs([]) is None
    assert of_pairs([(0.0, 1.0)]) is None


@pytest.mark.parametrize(
    ("value", "stderr", "count", "right"),
    [
        (0.5, None, 30, 15),
        (19 / 30, 0.0894855, 30, 19),
        (0.512345, None, 30, None),
        (0.5, 0.2, 100, None),
        (63.3, None, 100, None),
        (0.5, None, None, None),
        (1.0, 0.0, 10, 10),
    ],
)
def test_what_is_a_share(
    value: float, stderr: float | None, count: int | None, right: int | None
) -> None:
    assert right_of(value, stderr, count) == right


def test_holm() -> None:
    # Four times the least, three times the next, …; none may be less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_a_gate_of_equal_models_seldom_fails() -> None:
    """The promise of the confidence: in at most 5 % of gates, whatever the number of scores."""
    rng = random.Random(7)
    failed = 0
    gates, scores, count = 300, 8, 60
    for _ in range(gates):
        ps = []
        for _ in range(scores):
            right = [sum(rng.random() < 0.7 for _ in range(count)) for _ in range(2)]
            ps.append(of_shares((right[0], right[1]), (count, count)).p_below(-0.0))
        failed += min(holm(ps)) <= 0.05
    assert failed / gates < 0.08
