"""An ``output_dir`` that is a file is told in one line, before anything is recorded or copied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.conftest import Result

    Run = Callable[..., Result]


@pytest.fixture(params=["taken", "taken/deep"])
def config(
    request: pytest.FixtureRequest, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("EVALC_HOME", str(tmp_path / "home"))
    Path("taken").write_text("mine")
    good.write_text(good.read_text().replace("output_dir: results", f"output_dir: {request.param}"))
    return good


def said(text: str) -> str:
    (line,) = [line for line in text.splitlines() if "execution.output_dir is " in line]
    return line


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_submit(evalc: Run, config: Path, options: tuple[str, ...]) -> None:
    assert evalc("compile", config, "--out", "out", "-q").code == 0
    result = evalc("submit", "out", *options)
    assert result.code == 2
    assert result.out == ""
    assert said(result.err).endswith(" is no folder")
    assert Path("taken").read_text() == "mine"


def test_doctor(evalc: Run, config: Path) -> None:
    result = evalc("doctor", config)
    assert result.code == 1
    assert said(result.out).startswith("WRONG execution.output_dir is ")
