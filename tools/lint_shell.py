"""Lint the shell files of the project with shellcheck, shfmt and bash -n.

Generated bundles (golden/) are linted by the tests, which know how their parts belong together.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "templates/lib",
    "templates/pack",
    "templates/runner",
    "tools",
    "tests",
    "examples",
    ".ci",
)
# Two spaces, and the patterns of a case one step in.
STYLE = ("-i", "2", "-ci")


def shell_files() -> list[Path]:
    """Shell files by their name or first line, sorted."""
    found: list[Path] = []
    for folder in FOLDERS:
        paths = sorted(path for path in (ROOT / folder).rglob("*") if path.is_file())
        found += [path for path in paths if path.suffix == ".sh" or _has_bash_line(path)]
    return found


def _has_bash_line(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline(64).strip() == b"#!/usr/bin/env bash"


def main() -> int:
    """Exit with 1 when a tool finds something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="let shfmt mend what it can")
    write = parser.parse_args().write
    files = [str(path) for path in shell_files()]
    tools = Path(sys.executable).parent
    worst = subprocess.call([tools / "shfmt", *STYLE, "-w" if write else "-d", *files])
    worst |= subprocess.call([tools / "shellcheck", "--external-sources", *files])
    for file in files:
        worst |= subprocess.call(["bash", "-n", file])
    return 1 if worst else 0


if __name__ == "__main__":
    sys.exit(main())
