"""Every file of ``examples/invalid`` says in its comments what evalc answers; it must be just that.

``# expect: CODE LINE:COLUMN TEXT``, one line a problem, in the order of the report. TEXT is a part
of what people read. LINE:COLUMN is ``-`` for what stands in a file of evalc's own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evalc.compiler import Request, check
from evalc.config.checking.secrets_lint import secret_kind

if TYPE_CHECKING:
    from evalc.errors import Problem

FOLDER = Path(__file__).parents[2] / "examples" / "invalid"
FILES = sorted(FOLDER.iterdir())
EXPECT = re.compile(r"# expect: (\S+) (-|\d+:\d+) (.+)")


def expected(file: Path) -> list[tuple[str, str, str]]:
    """The code, the place and the text of each problem that ``file`` announces."""
    lines = [line for line in file.read_text().splitlines() if line.startswith("# expect")]
    found = [EXPECT.fullmatch(line) for line in lines]
    assert lines, "the file does not say what is wrong with it"
    assert all(found), "a line does not say: CODE LINE:COLUMN TEXT"
    return [(match[1], match[2], match[3]) for match in found if match]


def place(problem: Problem, file: Path) -> str:
    at = problem.location
    if at is None or at.source.name != str(file):
        return "-"
    return f"{at.line}:{at.column}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_invalid_config_is_reported_as_it_says(file: Path) -> None:
    problems = check(Request(config=file))
    wanted = expected(file)
    assert [(p.code, place(p, file)) for p in problems] == [(code, at) for code, at, _ in wanted]
    for problem, (_, _, text) in zip(problems, wanted, strict=True):
        assert text in f"{problem.message}\n{problem.label}\n{problem.help}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_report_holds_no_secret(file: Path) -> None:
    for problem in check(Request(config=file)):
        for line in f"{problem.message}\n{problem.label}\n{problem.help}".splitlines():
            assert not secret_kind(line)
        if problem.location is not None and not problem.sensitive:
            # What is not sensitive is shown with its line.
            at = problem.location
            assert not secret_kind(at.source.line(at.line))


def test_the_files_cover_what_can_go_wrong() -> None:
    assert len(FILES) >= 30
    assert all(file.suffix == ".yaml" for file in FILES)
    codes = {code for file in FILES for code, _, _ in expected(file)}
    assert codes >= {
        "ambiguous-env",
        "ambiguous-task",
        "bad-env-name",
        "bad-env-value",
        "bad-task-name",
        "bad-value",
        "bad-words",
        "bad-yaml",
        "conflicting-keys",
        "duplicate-key",
        "duplicate-task",
        "missing-key",
        "missing-value",
        "needs-value",
        "reference-cycle",
        "secret-in-config",
        "unknown-key",
        "unknown-task",
        "unsafe-interpolation",
        "wrong-type",
    }
