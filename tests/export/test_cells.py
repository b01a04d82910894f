"""The cells of a matrix: beside each other in a report, and each by its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from export.made import answers, bundle, ended, lm_eval

from evalc.cli.results.finding import find_runs
from evalc.errors import UsageError
from evalc.export.cells import by_cell
from evalc.export.comparing import compare
from evalc.export.reading import read_run
from evalc.export.report import as_json, terminal
from evalc.export.table import tabulate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two cells with two tasks each; the names of one cell begin with the other's."""
    cells = {"qwen": 70, "qwen.long": 50}
    tasks = [f"{cell}.h.{task}" for cell in cells for task in ("one", "two")]
    folder = bundle(tmp_path / "run", tasks, backend="slurm")
    plan = json.loads((folder / "plan.json").read_text())
    for job in plan["jobs"]:
        job["cell"] = "qwen.long" if ".long." in job["id"] else "qwen"
    (folder / "plan.json").write_text(json.dumps(plan))
    for cell, right in cells.items():
        lm_eval(folder / f"{cell}.h.one", "one", answers(100, right))
        ended(folder / f"{cell}.h.one")
    return folder


def test_cells_stand_side_by_side_under_the_names_of_the_tasks(run: Path) -> None:
    table = tabulate(by_cell(read_run(run)), baseline="qwen")
    assert table.titles == ("qwen", "qwen.long")
    assert [row.key.task for row in table.rows] == ["h.one"]
    (row,) = table.rows
    assert [cell.score.value for cell in row.cells if cell.score] == [0.7, 0.5]
    # Both were asked the same questions.
    assert row.cells[1].compared
    assert row.cells[1].compared.difference
    assert [(title, task.id) for title, task, _ in table.lacking()] == [
        ("qwen", "h.two"),
        ("qwen.long", "h.two"),
    ]
    assert "h.one/exact_match" in terminal.render(table, 200, colour=False)
    written = as_json.table_object(table)
    ids = [one["run"] for one in written["runs"]]
    assert [one.partition(":")[2] for one in ids] == ["qwen", "qwen.long"]
    assert [one["run"] for one in written["scores"][0]["runs"]] == ids


def test_a_run_without_a_matrix_is_as_it_was(tmp_path: Path) -> None:
    found = read_run(bundle(tmp_path / "run", ["h.one"]))
    assert by_cell(found) == [found]


def test_one_cell_by_its_name(run: Path) -> None:
    first, second = find_runs([f"{run}:qwen", f"{run}:qwen.long"], cells=True)
    (one,) = compare(first, second)
    assert (one.first and one.first.value, one.second and one.second.value) == (0.7, 0.5)
    with pytest.raises(UsageError, match="has no cell 'qwenn'") as caught:
        find_runs([f"{run}:qwenn"], cells=True)
    assert caught.value.hint == "did you mean 'qwen'?"
    # Elsewhere a colon means nothing.
    with pytest.raises(UsageError):
        find_runs([f"{run}:qwen"])
