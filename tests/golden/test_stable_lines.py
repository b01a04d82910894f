"""A task that is added changes its own folder and what tells of all tasks, and there only lines that
count them: a reviewer sees the task, and nothing else.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from golden.examples import EXAMPLES, ROOT

from evalc.bundle.diff import texts
from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.bundle import Bundle

OF_ALL = {
    "lepton.json",
    "manifest.json",
    "plan.json",
    "config.yaml",
    "README.md",
    "export.sh",
    "run_all.sh",
    "run_all.sequential.sh",
    "submit_all.sh",
    "sbatch_all.sh",
    "sbatch_array.sh",
    "sbatch_export.sh",
}
# The job of all tasks of a cell.
OF_A_CELL = re.compile(r"([^/]+)/sbatch_\1\.sh")
# Lines that tell how many tasks there are, what they need together, which is the first, or digests.
COUNTS = re.compile(
    r"[0-9] (tasks?|jobs?)\b|--array=|sha256|^-cd \S+ && sbatch |^-_(secrets|needs)=|\"secrets\": \[\]"
    r"|^-  \"digest\": |^-curl -fsS -X POST |removes the endpoint"
)
TASK = """\
    - name: added
      container: python:3.12-slim
      command: echo added
      env_vars: {ADDED_TOKEN: host:ADDED_TOKEN}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples, and of the files that they name."""
    copy = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "examples", copy, dirs_exist_ok=True)
    return copy


def with_task(folder: Path, name: str, *, first: bool) -> tuple[Bundle, Bundle]:
    """The bundle of an example, and that of the same config with a task more."""
    config = folder / f"{name}.yaml"
    text = EXAMPLES[name].read_text()
    config.write_text(text)
    before = compile(Request(config)).bundle
    head, tasks, rest = re.split(r"(?m)^(  tasks:.*\n)", text)
    items = re.match(r"(?:    .*\n|  #.*\n|\s*\n)*", rest)
    assert items
    end = 0 if first else items.end()
    config.write_text("".join((head, tasks, rest[:end], TASK, rest[end:])))
    return before, compile(Request(config)).bundle


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_task_more_is_seen_and_nothing_else(folder: Path, name: str, first: bool) -> None:
    before, after = with_task(folder, name, first=first)
    for file in texts(before.files, after.files):
        # In a matrix, each cell has the task.
        own = file.path.partition("/")[0].rpartition(".")[2] == "added"
        assert file.kind == ("added" if own else "changed"), file.path
        assert own or file.path in OF_ALL or OF_A_CELL.fullmatch(file.path), "\n".join(file.lines)
        # In JSON, what was last gets a comma.
        gone = [line for line in file.lines[3:] if line.startswith("-")]
        came = {line[1:] for line in file.lines[3:] if line.startswith("+")}
        changed = [
            line for line in gone if not COUNTS.search(line) and f"{line[1:]}," not in came
        ]
        assert changed == [], file.path
