"""Print the scores of a run as a table.

    scores.py RUN_DIR       a run directory: RUN_DIR/TASK/artifacts/results.yml

Exit status: 0 printed, 1 there are no scores or a file of them cannot be read, 2 wrong usage.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import yaml
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator


class Score(NamedTuple):
    """One score; `stderr` is its standard error, `samples` how many are behind it."""

    task: str
    metric: str
    name: str
    value: float
    stderr: float | None
    samples: int | None


def main() -> None:
    """Print the table for the run directory that the command line names."""
    if len(sys.argv) != 2:
        fail("usage: scores.py RUN_DIR", status=2)
    run_dir = Path(sys.argv[1])
    files = sorted(run_dir.glob("*/artifacts/results.yml"))
    scores = [score for path in files for score in read_file(path)]
    if not scores:
        fail(f"no scores in {run_dir}: no <task>/artifacts/results.yml holds any")
    print_table(scores)


def read_file(path: Path) -> list[Score]:
    """Read the scores of one results.yml, or end the program with the reason why not."""
    try:
        return list(find_scores(yaml.safe_load(path.read_text(encoding="utf-8"))))
    except (OSError, yaml.YAMLError) as error:
        fail(f"cannot read {path}: {' '.join(str(error).split())}")
    except (AttributeError, KeyError, TypeError, ValueError):
        fail(f"{path} does not have the shape of a results.yml")


def find_scores(content: dict[str, Any]) -> Iterator[Score]:
    """Find the scores in the content of a results.yml.

    Raises AttributeError, KeyError, TypeError or ValueError if it has another shape.
    """
    for task, result in content["results"]["tasks"].items():
        for metric, entry in result["metrics"].items():
            for name, score in entry["scores"].items():
                stats = score.get("stats", {})
                stderr = stats.get("stderr")
                yield Score(
                    task,
                    metric,
                    name,
                    float(score["value"]),
                    None if stderr is None else float(stderr),
                    stats.get("count"),
                )


def print_table(scores: list[Score]) -> None:
    """Print one line a score."""
    table = Table(title="Scores")
    for heading in ("Task", "Metric", "Score"):
        table.add_column(heading)
    for heading in ("Value", "Std. error", "Samples"):
        table.add_column(heading, justify="right")
    for score in scores:
        table.add_row(
            score.task,
            score.metric,
            score.name,
            f"{score.value:.3f}",
            "-" if score.stderr is None else f"{score.stderr:.3f}",
            "-" if score.samples is None else str(score.samples),
        )
    # Rich would also go by variables such as FORCE_COLOR, which many a CI sets.
    Console(force_terminal=sys.stdout.isatty()).print(table)


def fail(reason: str, status: int = 1) -> NoReturn:
    """End the program with one line about the reason."""
    print(f"scores.py: {reason}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
