"""The table of ``--watch`` on terminals of all sizes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import pytest
from rich.cells import cell_len
from rich.console import Console

from evalc.backends.running import Sight, State
from evalc.cli.report.live import table

if TYPE_CHECKING:
    from evalc.runner.database import Invocation, JobRow

    Line = tuple[Invocation, JobRow, Sight]

WHY = "the harness failed (exit code 7); it failed, and execution.resume.failed allows no more"


class Named:
    """As much of a run and of a job as a table shows."""

    def __init__(self, id_: str, number: int = 0) -> None:
        self.id = id_
        self.number = number


def line(number: int, job: str, state: State, reason: str = "", **seen: Any) -> Line:
    return cast("Line", (Named("k3fw8t2q"), Named(job, number), Sight(state, reason, **seen)))


LINES = [
    line(1, "lm-evaluation-harness.ifeval", State.COMPLETED, attempt=2, attempts=10,
         began=0.0, ended=18760.0, node="n4", done=541, total=541),
    line(2, "lm-evaluation-harness.mmlu_pro", State.RUNNING, attempt=3, attempts=10, node="n2"),
    line(10, "harness.漢字の名前のタスク", State.FAILED, WHY, attempt=1, attempts=10),
]  # fmt: skip


def shown(width: int, height: int = 24, lines: list[Line] = LINES) -> list[str]:
    page = io.StringIO()
    Console(file=page, width=width, height=height).print(table(lines, width, height))
    return page.getvalue().splitlines()


@pytest.mark.parametrize("width", range(36, 200, 4))
def test_what_matters_is_whole_at_any_width(width: int) -> None:
    rows = shown(width)
    assert max(map(cell_len, rows)) <= width
    assert rows[0].split()[:3] == ["ID", "JOB", "STATE"]
    for number, (_, job, sight) in enumerate(LINES, 1):
        id_, name, state, *_ = rows[number].split()
        assert (id_, state) == (f"k3fw8t2q.{job.number}", sight.state.value)
        assert job.id.endswith(name.removeprefix("…"))
        assert len(name) > 4
    assert "1 running, 1 completed, 1 failed" in " ".join(row.strip() for row in rows[4:])


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, "ID JOB STATE"),
        (60, "ID JOB STATE REASON"),
        (80, "ID JOB STATE ELAPSED SAMPLES REASON"),
        (120, "ID JOB STATE ATTEMPT ELAPSED SAMPLES NODE REASON"),
    ],
)
def test_what_goes_first(width: int, columns: str) -> None:
    assert shown(width)[0].split() == columns.split()


def test_what_says_nothing_takes_no_room() -> None:
    rows = shown(60, lines=[line(1, "alpha", State.RUNNING, began=0.0, done=3)])
    assert rows[0].split() == ["ID", "JOB", "STATE", "ELAPSED", "SAMPLES"]


def test_a_long_reason_leaves_room_for_all_jobs() -> None:
    lines = [line(n, f"task{n}", State.FAILED, WHY) for n in range(1, 13)]
    rows = shown(60, height=17, lines=lines)
    assert len(rows) == 14
    assert sum("harness failed" in row and "…" in row for row in rows) == 12
    assert len(shown(60, height=60, lines=lines)) == 1 + 3 * 12 + 1


def test_of_many_jobs_those_that_are_over_are_counted() -> None:
    lines = [line(n, "x", State.COMPLETED) for n in range(500)]
    lines += [line(n, "y", State.RUNNING) for n in range(500, 1000)]
    rows = shown(80, lines=lines)
    assert len(rows) <= 23
    assert all("running" in row for row in rows[1:-1])
    assert rows[-1].strip() == "500 running, 500 completed; 980 not shown"
