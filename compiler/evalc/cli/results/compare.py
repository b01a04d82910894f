"""``evalc compare`` and ``evalc gate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evalc.cli.output import say
from evalc.cli.report.as_json import dumps
from evalc.errors import UsageError

if TYPE_CHECKING:
    from evalc.export.comparing import Compared, Gated
    from evalc.export.model import RunResult

COMPARE_EPILOG = """
\b
Examples:
  evalc compare k3f m2q
  evalc compare runs/before runs/after --json

\b
Exit codes:
  0  the scores are compared, whatever they say; 'evalc gate' judges
  2  wrong usage: there is no such run, or the two have no score in common
  3  evalc itself failed
  4  a run's host can't be reached
"""
GATE_EPILOG = """
A score has fallen when its true value is worse in B than in A by more than --max-drop, with the
confidence of --confidence. What is tested is the one-sided hypothesis that the true drop is
--max-drop at most; the p-values of all scores are corrected by Holm's method, so that where nothing
has got worse by more, the chance that the gate fails is at most 1 - confidence in all. A score
without a known standard error or count is taken as exact: it has fallen when the values differ by
more than --max-drop.

The noise of a difference is that of the same questions (paired) where both runs have samples of
them, else of two shares, else of the two standard errors; docs/reference.md tells more.

\b
Examples:
  evalc gate main candidate --max-drop 0.01
  evalc gate runs/main runs/candidate --metric exact_match --json

\b
Exit codes:
  0  no score has really fallen
  1  one has, or B lacks a score that A has
  2  wrong usage: there is no such run, or the two have no score in common
  3  evalc itself failed
  4  a run's host can't be reached
"""

_metrics = click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="WORD",
    help="Only scores with WORD in their names; may be repeated.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="As a JSON object.")


@click.command("compare", epilog=COMPARE_EPILOG)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@_metrics
@_as_json
def compare_command(*, first: str, second: str, metrics: tuple[str, ...], as_json: bool) -> int:
    """Tell how the scores of two runs differ.

    For each score: B minus A, its 95 % interval, and whether it is more than noise (p < 0.05), by a
    test of the same questions where both runs have samples, else of two shares, else of the
    standard errors. A and B are ids or folders.
    """
    runs, compared = _compared(first, second, metrics)
    if as_json:
        from evalc.export.report.as_json import compared_object, key_object, score_object

        say(
            dumps(
                {
                    "schema_version": 1,
                    "first": runs[0].id,
                    "second": runs[1].id,
                    "scores": [
                        {
                            **key_object(one.key),
                            "first": score_object(one.first),
                            "second": score_object(one.second),
                            **compared_object(one),
                        }
                        for one in compared
                    ],
                }
            )
        )
    else:
        say(_text(runs, compared))
    return 0


@click.command("gate", epilog=GATE_EPILOG)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    default=0.01,
    show_default=True,
    metavar="NUMBER",
    help="How much worse a score may really get, in its own unit: 0.01 of a share is a percentage "
    "point.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0.5, 1, max_open=True),
    default=0.95,
    show_default=True,
    metavar="SHARE",
    help="How sure it has to be that a score has fallen.",
)
@click.option("--allow-missing", is_flag=True, help="Let pass scores of A that B does not have.")
@_metrics
@_as_json
def gate_command(
    *,
    first: str,
    second: str,
    max_drop: float,
    confidence: float,
    allow_missing: bool,
    metrics: tuple[str, ...],
    as_json: bool,
) -> int:
    """Fail when a score has really fallen from run A to run B."""
    from evalc.export.comparing import Held, gate

    runs, compared = _compared(first, second, metrics)
    found = gate(compared, max_drop, confidence)
    bad = {Held.FELL} if allow_missing else {Held.FELL, Held.MISSING}
    passed = not any(one.held in bad for one in found)
    if as_json:
        from evalc.export.report.as_json import gated_object

        say(
            dumps(
                {
                    "schema_version": 1,
                    "passed": passed,
                    "first": runs[0].id,
                    "second": runs[1].id,
                    "max_drop": max_drop,
                    "confidence": confidence,
                    "allow_missing": allow_missing,
                    "scores": [gated_object(one) for one in found],
                }
            )
        )
    else:
        say(_verdict(found, passed=passed))
    return 0 if passed else 1


def _compared(
    first: str, second: str, metrics: tuple[str, ...]
) -> tuple[list[RunResult], list[Compared]]:
    from evalc.cli.results.finding import find_runs
    from evalc.export.comparing import compare

    runs = find_runs([first, second], cells=True)
    compared = compare(runs[0], runs[1], metrics)
    if not any(one.first or one.second for one in compared):
        hint = f"'evalc report {first} {second}' tells what is there"
        raise UsageError("there is nothing to compare: neither run has such scores", hint)
    if not any(one.first and one.second for one in compared):
        hint = f"'evalc report {first} {second}' tells what each has"
        raise UsageError("the two runs have no score in common", hint)
    return runs, compared


def _text(runs: list[RunResult], compared: list[Compared]) -> str:
    from evalc.cli.report.table import columns
    from evalc.export.comparing import name_of
    from evalc.export.report import words

    names = [f"{run.model or run.name} ({run.id})" for run in runs]
    rows = [("SCORE", *names, "DIFFERENCE [95 % INTERVAL]")]
    rows += [
        (
            name_of(one.key),
            words.score(one.first),
            words.score(one.second),
            words.difference(one) or one.note,
        )
        for one in compared
    ]
    notes = {
        f"{name_of(one.key)}: {one.note}" for one in compared if one.note and one.change is not None
    }
    return "\n".join([columns(rows), *([""] if notes else []), *sorted(notes)])


def _verdict(found: list[Gated], *, passed: bool) -> str:
    from evalc.cli.report.table import columns
    from evalc.export.comparing import name_of
    from evalc.export.report import words

    rows = []
    for one in found:
        said = words.difference(one.compared) or one.compared.note
        corrected = "" if one.p is None else f"gate {words.p_value(one.p)}"
        rows.append((one.held.value, name_of(one.compared.key), corrected, said))
    return f"{columns(rows)}\n\n{'passed' if passed else 'FAILED'}"
