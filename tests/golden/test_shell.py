"""Every generated shell file is clean for shellcheck, shfmt and bash."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from golden.examples import EXAMPLES, compiled

import evalc.bundle

if TYPE_CHECKING:
    from evalc.bundle import Bundle

TOOLS = Path(sys.executable).parent


@pytest.fixture
def folder(example: Bundle, tmp_path: Path) -> Path:
    evalc.bundle.write(example, tmp_path / "bundle", force=False)
    return tmp_path / "bundle"


def shell_files(bundle: Bundle) -> list[str]:
    """What is named so, or begins as a script of bash."""
    return [
        path
        for path, file in bundle.files.items()
        if path.endswith(".sh") or file.data.startswith(b"#!/usr/bin/env bash\n")
    ]


def is_first(example: Bundle, path: str) -> bool:
    """Whether no example before this one has the same file in the same place."""
    before = itertools.takewhile(lambda name: name != example.name, EXAMPLES)
    return all(compiled(name).files.get(path) != example.files[path] for name in before)


def run(folder: Path, *command: str | Path) -> str:
    """What a tool says; nothing when it is content."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0 or done.stdout or done.stderr
    return done.stdout + done.stderr


def test_shellcheck_finds_nothing(example: Bundle, folder: Path) -> None:
    # The libraries are in all bundles of a backend, and take it ten seconds.
    files = [path for path in shell_files(example) if is_first(example, path)]
    assert files
    assert run(folder, TOOLS / "shellcheck", "--norc", "--external-sources", *files) == ""


def test_bash_reads_every_file(example: Bundle, folder: Path) -> None:
    for path in shell_files(example):
        assert run(folder, "bash", "-n", path) == ""


def test_shfmt_would_change_nothing(example: Bundle, folder: Path) -> None:
    assert run(folder, TOOLS / "shfmt", "-i", "2", "-ci", "-d", *shell_files(example)) == ""


def test_scripts_are_programs_and_what_is_sourced_is_not(example: Bundle) -> None:
    for path in shell_files(example):
        file = example.files[path]
        assert (file.mode == 0o755) == file.data.startswith(b"#!"), path


def test_the_tools_find_mistakes(tmp_path: Path) -> None:
    (tmp_path / "bad.sh").write_text("#!/usr/bin/env bash\nif true;then\n  echo $1\nfi\n")
    assert "SC2086" in run(tmp_path, TOOLS / "shellcheck", "--norc", "bad.sh")
    assert "-if true;then" in run(tmp_path, TOOLS / "shfmt", "-i", "2", "-ci", "-d", "bad.sh")
    (tmp_path / "worse.sh").write_text("if true; then\n")
    assert "syntax error" in run(tmp_path, "bash", "-n", "worse.sh")
