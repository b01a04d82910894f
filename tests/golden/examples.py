"""The examples, each compiled once a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does

if TYPE_CHECKING:
    from evalc.bundle import Bundle

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples").glob("*.yaml"))}


@lru_cache
def compiled(name: str) -> Bundle:
    return compile(Request(EXAMPLES[name])).bundle
