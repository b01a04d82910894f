"""Two runs: which test is used, what it finds, and when a gate is shut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from export.made import answers, lm_eval, results_yml

from evalc.export.comparing import Held, compare, gate, name_of
from evalc.export.reading import read_run
from evalc.export.significance import Method

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.export.comparing import Compared, Gated


def compared(first: Path, second: Path) -> Compared:
    (one,) = compare(read_run(first), read_run(second))
    return one


def shut(first: Path, second: Path, max_drop: float = 0.01) -> list[Gated]:
    return gate(compare(read_run(first), read_run(second)), max_drop, 0.95)


def test_the_same_questions_are_paired(tmp_path: Path) -> None:
    right = answers(100, 60)
    lm_eval(tmp_path / "a" / "one", "one", right)
    changed = list(right)
    for number in [n for n, one in enumerate(right) if one == 1][:12]:
        changed[number] = 0.0
    lm_eval(tmp_path / "b" / "one", "one", changed)
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found.difference is not None
    assert found.difference.method is Method.MCNEMAR
    assert found.difference.value == -0.12
    # Twelve fell and none rose: 2 / 2**12. Two shares of a hundred would tell nothing.
    assert found.difference.p == 2 / 2**12
    assert found.verdict == "worse"
    assert name_of(found.key) == "one/exact_match"


def test_other_questions_are_not_paired_and_it_is_said(tmp_path: Path) -> None:
    lm_eval(tmp_path / "a" / "one", "one", answers(100, 60))
    lm_eval(tmp_path / "b" / "one", "one", answers(80, 40))
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found.difference is not None
    assert found.difference.method is Method.TWO_PROPORTIONS
    assert "different questions" in found.note


def test_values_that_are_no_shares_are_paired_by_student(tmp_path: Path) -> None:
    one = [0.1 * n for n in range(10)]
    lm_eval(tmp_path / "a" / "one", "one", one, metric="f1")
    lm_eval(
        tmp_path / "b" / "one",
        "one",
        [x + 0.5 + 0.01 * (n % 3) for n, x in enumerate(one)],
        metric="f1",
    )
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found.difference is not None
    assert found.difference.method is Method.PAIRED_T
    assert found.verdict == "better"


def test_a_score_that_is_no_mean_of_its_answers_is_not_paired(tmp_path: Path) -> None:
    for run in ("a", "b"):
        lm_eval(tmp_path / run / "one", "one", answers(20, 10))
        results_yml(
            tmp_path / run / "one", {"one": {"exact_match": {"none": (40.2, {"stderr": 2.0})}}}
        )
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found.difference is not None
    assert found.difference.method is Method.Z
    assert "not the mean of its answers" in found.note


@pytest.mark.parametrize(
    ("metric", "score"),
    # The second is what nemo-evaluator's container of lm-eval writes.
    [("exact_match", "strict"), ("exact_match__none", "exact_match__none")],
)
def test_samples_are_found_by_lm_evals_own_words(tmp_path: Path, metric: str, score: str) -> None:
    for run, right in (("a", 15), ("b", 5)):
        lm_eval(tmp_path / run / "one", "one", answers(20, right))
        scores: dict[str, Any] = {metric: {score: (right / 20, {})}}
        results_yml(tmp_path / run / "one", {"one": scores})
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found.difference is not None
    assert found.difference.method is Method.MCNEMAR
    assert found.higher_is_better


def test_without_noise_there_is_no_verdict(tmp_path: Path) -> None:
    for run, value in (("a", 0.5), ("b", 0.4)):
        results_yml(tmp_path / run / "one", {"one": {"elo": {"elo": (value, {})}}})
    found = compared(tmp_path / "a", tmp_path / "b")
    assert found.difference is None
    assert found.verdict == "unknown"
    assert [one.held for one in shut(tmp_path / "a", tmp_path / "b", 0.05)] == [Held.FELL]
    # Exactly as much as is allowed, and what binary fractions add to that, is not more.
    assert [one.held for one in shut(tmp_path / "a", tmp_path / "b", 0.1)] == [Held.HELD]


def test_a_fall_within_its_noise_passes_and_one_beyond_does_not(tmp_path: Path) -> None:
    for run, right in (("a", 700), ("b", 680), ("c", 600)):
        stats = {"count": 1000}
        results_yml(tmp_path / run / "one", {"one": {"acc": {"acc": (right / 1000, stats)}}})
    assert [one.held for one in shut(tmp_path / "a", tmp_path / "b")] == [Held.HELD]
    assert [one.held for one in shut(tmp_path / "a", tmp_path / "c")] == [Held.FELL]
    assert [one.held for one in shut(tmp_path / "a", tmp_path / "c", 0.2)] == [Held.HELD]
    assert [one.held for one in shut(tmp_path / "c", tmp_path / "a")] == [Held.HELD]


def test_perplexity_that_rises_has_fallen(tmp_path: Path) -> None:
    for run, value in (("a", 10.0), ("b", 12.0)):
        stats = {"stderr": 0.1}
        results_yml(tmp_path / run / "one", {"one": {"word_perplexity": {"w": (value, stats)}}})
    assert [one.held for one in shut(tmp_path / "a", tmp_path / "b")] == [Held.FELL]
    assert [one.held for one in shut(tmp_path / "b", tmp_path / "a")] == [Held.HELD]
    assert compared(tmp_path / "a", tmp_path / "b").verdict == "worse"


def test_what_is_missing_or_new(tmp_path: Path) -> None:
    good = {"acc": {"acc": (0.5, {"count": 10})}}
    bad: dict[str, Any] = {"acc": {"acc": (float("nan"), {})}}
    results_yml(tmp_path / "a" / "one", {"one": good})
    results_yml(tmp_path / "a" / "two", {"two": good})
    results_yml(tmp_path / "b" / "one", {"one": bad})
    results_yml(tmp_path / "b" / "three", {"three": good})
    found = {one.compared.key.task: one.held for one in shut(tmp_path / "a", tmp_path / "b")}
    assert found == {"one": Held.MISSING, "two": Held.MISSING, "three": Held.NEW}
