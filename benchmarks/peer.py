"""The peer that evalc is compared with, in a virtual environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAME = "nemo-evaluator-launcher"
VERSION = "0.2.6"
VENV = Path(__file__).resolve().parent.parent / "build" / "benchmark-peer"


class CannotMeasureError(Exception):
    """Something that has to work before it can be timed does not."""


def script(venv: Path) -> str:
    """Its console script, of the version that is compared; installs it when it is absent.

    Raises CannotMeasureError when another version is there.
    """
    found = venv / "bin" / NAME
    if not found.exists():
        sys.stderr.write(f"installing {NAME} {VERSION} in {venv}\n")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, f"{NAME}=={VERSION}"], check=True)
    ask = f"from importlib.metadata import version; print(version({NAME!r}))"
    version = subprocess.run(
        [str(venv / "bin" / "python"), "-c", ask], capture_output=True, text=True, check=False
    ).stdout.strip()
    if version != VERSION:
        raise CannotMeasureError(f"{venv} has {NAME} {version or 'not at all'}, not {VERSION}")
    return str(found)
