"""Ways to run evalc: in this process, as a program, and in a line of bash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import sh

from evalc.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = """\
defaults:
  - execution: local
  - deployment: none
  - _self_
execution:
  engine: none
  output_dir: results
target:
  api_endpoint:
    url: http://127.0.0.1:8080/v1/chat/completions
    model_id: tiny
evaluation:
  tasks:
    - name: hello
      command: echo hello
"""


class Result(NamedTuple):
    """What a command did: its exit code, and what it wrote to the two streams."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("EVALC_DEBUG", "_EVALC_COMPLETE", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def evalc(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process."""

    def run(*args: str | Path) -> Result:
        code = main([os.fspath(arg) for arg in args])
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def program() -> Path:
    """The console script."""
    return Path(sys.executable).with_name("evalc")


@pytest.fixture
def process(program: Path) -> Callable[..., Result]:
    """Run a command line as a program of its own, its streams pipes."""

    def run(*args: str | Path, **env: str) -> Result:
        done = sh.Command(str(program))(
            *map(str, args),
            _return_cmd=True,
            _tty_out=False,
            _ok_code=list(range(256)),
            _env={**os.environ, **env},
        )
        return Result(done.exit_code, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def shell(program: Path) -> Callable[[str], Result]:
    """Run a line of bash in which ``evalc`` is ours; the exit code is its first program's."""

    def run(line: str) -> Result:
        done = subprocess.run(
            ["bash", "-c", line + "\nexit ${PIPESTATUS[0]}"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A config that is fine, named as a user in its folder would."""
    (tmp_path / "good.yaml").write_text(GOOD)
    return Path("good.yaml")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A config with one unknown key, on line 6."""
    (tmp_path / "bad.yaml").write_text(GOOD.replace("engine:", "engin:"))
    return Path("bad.yaml")
