"""``evalc check``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import sh

Run = Callable[..., Any]

WRONG = """\
error[unknown-key]: 'engin' is not a key of execution (local)
 --> bad.yaml:6:3
  |
6 |   engin: none
  |   ^^^^^ did you mean 'engine'?
"""


def test_a_good_config(evalc: Run, good: Path) -> None:
    assert evalc("check", good) == (0, "1 config is fine\n", "")


def test_nothing_is_written(evalc: Run, good: Path) -> None:
    evalc("check", good)
    assert [path.name for path in Path().iterdir()] == ["good.yaml"]


def test_a_bad_config(evalc: Run, bad: Path) -> None:
    assert evalc("check", bad) == (1, f"{WRONG}\n1 error in 1 file\n", "")


def test_every_problem_of_every_file(evalc: Run, good: Path, bad: Path) -> None:
    Path("worse.yaml").write_text(good.read_text().replace("engine:", "engin:") + "frob: 1\n")
    result = evalc("check", bad, good, "worse.yaml")
    assert result.code == 1
    places = [line for line in result.out.splitlines() if "-->" in line]
    assert places == [" --> bad.yaml:6:3", " --> worse.yaml:6:3", "  --> worse.yaml:16:1"]
    assert result.out.endswith("\n\n3 errors in 2 files\n")


def test_a_config_that_is_named_twice_has_its_problems_once(evalc: Run, bad: Path) -> None:
    assert evalc("check", bad, bad).out.endswith("\n1 error in 1 file\n")


def test_a_missing_file_does_not_hide_the_others(evalc: Run, good: Path, bad: Path) -> None:
    result = evalc("check", "missing.yaml", bad, good)
    assert result.code == 2
    assert result.err == "error: there is no file missing.yaml\n"
    assert result.out == f"{WRONG}\n1 error in 1 file\n"


def test_a_missing_file_alone_is_not_called_fine(evalc: Run) -> None:
    assert evalc("check", "missing.yaml") == (2, "", "error: there is no file missing.yaml\n")


def test_overrides_are_checked(evalc: Run, good: Path) -> None:
    result = evalc("check", good, "-o", "execution.engine=dokcer")
    assert result.code == 1
    assert "execution.engine=dokcer" in result.out


def test_tasks_are_checked(evalc: Run, good: Path) -> None:
    assert evalc("check", good, "-t", "hello").code == 0
    result = evalc("check", good, "-t", "helo")
    assert result.code in {1, 2}
    assert "helo" in result.out + result.err


def test_json(evalc: Run, good: Path, bad: Path) -> None:
    assert evalc("check", good, "--format", "json") == (0, "[]\n", "")
    result = evalc("check", bad, "--format", "json")
    assert (result.code, result.err) == (1, "")
    assert json.loads(result.out) == [
        {
            "code": "unknown-key",
            "severity": "error",
            "message": "'engin' is not a key of execution (local)",
            "label": "did you mean 'engine'?",
            "help": "",
            "file": "bad.yaml",
            "line": 6,
            "column": 3,
            "end_line": 6,
            "end_column": 8,
        }
    ]


def test_github(evalc: Run, good: Path, bad: Path) -> None:
    assert evalc("check", good, "--format", "github") == (0, "1 config is fine\n", "")
    assert evalc("check", bad, "--format", "github") == (
        1,
        (
            "::error file=bad.yaml,line=6,endLine=6,col=3,endColumn=7,title=evalc%3A unknown-key"
            "::'engin' is not a key of execution (local)%0Adid you mean 'engine'?\n"
            "1 error in 1 file\n"
        ),
        "",
    )


def test_what_can_not_be_read_does_not_hide_the_others(evalc: Run, bad: Path) -> None:
    Path("folder").mkdir()
    Path("dangling.yaml").symlink_to("nowhere")
    Path("bytes.yaml").write_bytes(b"a: \xff")
    result = evalc("check", "folder", "dangling.yaml", "bytes.yaml", bad)
    assert result.code == 2
    assert "error: folder is a directory" in result.err
    assert "error: there is no file dangling.yaml" in result.err
    assert "bytes.yaml:1:4" in result.out
    assert "did you mean 'engine'?" in result.out


@pytest.mark.parametrize(
    ("override", "label"),
    [
        ("execution.endpoint_readiness_timeout=010", "^^^ write 10"),
        ("execution.endpoint_readiness_timeout='10'", "^^^^ remove the quotes"),
        ("+x-a=1\n", "a line break has no meaning here"),
        ("target.api_endpoint.url='http://a b'", "write a space as %20"),
        ("target.api_endpoint.url=localhost:8000/v1", "write http://HOST:PORT/PATH"),
        ("target.api_endpoint.url='http:///v1'", "does not begin with http:// and a host"),
        # A word that stands elsewhere too, in a group of evalc's.
        ("target.api_endpoint.url=local", "1 | target.api_endpoint.url=local"),
        ('execution.output_dir="a\tb"', "a path with a line break or another control character"),
    ],
)
def test_what_is_said_of_an_override(evalc: Run, good: Path, override: str, label: str) -> None:
    result = evalc("check", good, "-o", override)
    assert result.code == 1
    assert label in result.out


@pytest.mark.parametrize("text", ["", "\n", "# later\n", "{}\n", "---\n"])
def test_an_empty_config_is_the_users(evalc: Run, text: str) -> None:
    """And not evalc's own defaults, which are all that such a config has."""
    Path("empty.yaml").write_text(text)
    result = evalc("check", "empty.yaml", "--format", "github")
    assert result.code == 1
    assert "::error file=empty.yaml,line=1,endLine=1,col=1," in result.out
    for key in ("'evaluation'", "'evaluation.tasks'", "'target.api_endpoint'", "'deployment'"):
        assert key in result.out


@pytest.mark.parametrize("before", ["x-a: 1\n", ""])
def test_a_config_whose_evaluation_is_deleted(evalc: Run, before: str) -> None:
    Path("c.yaml").write_text(f"{before}evaluation:\n  tasks:\n    - name: ifeval\n")
    result = evalc("check", "c.yaml", "-o", "~evaluation")
    assert result.code == 1
    assert "--> c.yaml:1:1" in result.out
    assert "needs the key 'evaluation'" in result.out


@pytest.fixture
def on_a_terminal(program: Path) -> Callable[..., str]:
    """What evalc prints on a terminal of 80 columns."""

    def run(*args: str, **env: str) -> str:
        done = sh.Command(str(program))(
            *args,
            _tty_out=True,
            _tty_size=(24, 80),
            _ok_code=[0, 1],
            _env={**os.environ, "TERM": "xterm", **env},
        )
        return str(done).replace("\r\n", "\n")

    return run


def test_colour_is_for_terminals(bad: Path, process: Run, on_a_terminal: Run) -> None:
    plain = f"{WRONG}\n1 error in 1 file\n"
    coloured = on_a_terminal("check", str(bad))
    assert coloured.startswith(click.style("error[unknown-key]", fg="bright_red", bold=True))
    assert click.unstyle(coloured) == plain
    assert on_a_terminal("check", str(bad), NO_COLOR="1") == plain
    assert on_a_terminal("check", str(bad), TERM="dumb") == plain
    assert process("check", bad).out == plain


def test_long_lines_fit(process: Run, on_a_terminal: Run, good: Path) -> None:
    Path("long.yaml").write_text(good.read_text() + "export: {" + "x: {}, " * 40 + "frob: {}}\n")
    arguments = ["check", "long.yaml"]
    shown = {80: on_a_terminal(*arguments, NO_COLOR="1"), 120: process(*arguments).out}
    for width, text in shown.items():
        lines = [line for line in text.splitlines() if line.startswith("16 |")]
        assert lines
        assert all(width - 20 < len(line) <= width for line in lines)
