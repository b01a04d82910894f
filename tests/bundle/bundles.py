"""Bundles made by hand, and folders as values."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from evalc.backends.base import Needs
from evalc.bundle import Bundle, File

if TYPE_CHECKING:
    from collections.abc import Mapping

Tree = dict[str, tuple[bytes, int]]


def bundle(files: Mapping[str, bytes], programs: tuple[str, ...] = ()) -> Bundle:
    """A bundle of these files and a manifest of them."""
    made = {path: File(data, 0o755 if path in programs else 0o644) for path, data in files.items()}
    manifest = {"files": {path: {"mode": f"{file.mode:04o}"} for path, file in made.items()}}
    manifest["contents"] = {path: data.decode("latin-1") for path, data in files.items()}  # type: ignore[misc]
    made["manifest.json"] = File(json.dumps(manifest).encode())
    return Bundle("test", dict(sorted(made.items())), Needs(), "bash run_all.sh")


def tree(folder: Path) -> Tree:
    """Every file below ``folder``, with its content and mode; an empty folder as ``name/``."""
    found: Tree = {}
    for name, folders, files in os.walk(folder):
        for file in files:
            path = Path(name, file)
            mode = path.lstat().st_mode & 0o777
            found[str(path.relative_to(folder))] = (path.read_bytes(), mode)
        if not folders and not files and name != str(folder):
            found[f"{Path(name).relative_to(folder)}/"] = (b"", 0)
    return found


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def expected(made: Bundle, results: Mapping[str, bytes] | None = None) -> Tree:
    """What ``tree`` gives for a bundle that was written, with what runs left in it."""
    found = {path: (file.data, file.mode) for path, file in made.files.items()}
    return {**found, **{path: (data, 0o644) for path, data in (results or {}).items()}}


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        (folder / path).chmod(0o644)


OLD = bundle(
    {
        "README.md": b"old\n",
        "lib/common.sh": b"# the same\n",
        "run_all.sh": b"#!/usr/bin/env bash\necho old\n",
        "gone/run.sh": b"#!/usr/bin/env bash\n",
        "stays/run.sh": b"#!/usr/bin/env bash\necho old\n",
        "stays/files/deep/data.txt": b"1\n",
        "empty/only/ours.txt": b"",
    },
    programs=("run_all.sh", "gone/run.sh", "stays/run.sh"),
)
NEW = bundle(
    {
        "README.md": b"new\n",
        "lib/common.sh": b"# the same\n",
        "run_all.sh": b"#!/usr/bin/env bash\necho new\n",
        "stays/run.sh": b"#!/usr/bin/env bash\necho new\n",
        "added/run.sh": b"#!/usr/bin/env bash\n",
    },
    programs=("run_all.sh", "stays/run.sh", "added/run.sh"),
)
# What a run leaves, in folders of tasks that stay and that go.
RESULTS = {
    "stays/artifacts/results.yml": b"results: {}\n",
    "stays/artifacts/cache/1": b"x",
    "stays/logs/stage.exit": b"2024-01-01T00:00:00Z 0\n",
    "gone/artifacts/results.yml": b"results: {}\n",
    "logs/lock": b"1 2\n",
    "notes of mine.txt": b"keep\n",
    "stays/files/deep/mine.txt": b"keep\n",
}
