"""The patch of two bundles: git takes it for what it says."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bundle.bundles import put, tree

from evalc.bundle import File
from evalc.bundle.diff import texts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OLD = {
    "a/changed.sh": File(b"one\ntwo\nthree\n", 0o755),
    "a/gone.txt": File(b"gone\n"),
    "becomes a program": File(b"#!/bin/sh\n"),
    "empty": File(b""),
    "no end": File(b"one\ntwo"),
    "same": File(b"same\n"),
    "odd": File("a\x0cb\x85c\u2028d\r\n".encode()),
}
NEW = {
    "a/changed.sh": File(b"one\n2\nthree\nfour\n", 0o755),
    "becomes a program": File(b"#!/bin/sh\n", 0o755),
    "new/file.txt": File(b"new\n"),
    "new/empty": File(b""),
    "empty": File(b"no more\n"),
    "no end": File(b"one\n2"),
    "same": File(b"same\n"),
    "odd": File("a\x0cb\x85c\u2028e\r\n".encode()),
}


def write(folder: Path, files: Mapping[str, File]) -> None:
    put(folder, {path: file.data for path, file in files.items()})
    for path, file in files.items():
        (folder / path).chmod(file.mode)


def test_git_makes_the_new_bundle_of_the_old_one(tmp_path: Path) -> None:
    write(tmp_path / "there", OLD)
    lines = [line for file in texts(OLD, NEW) for line in file.lines]
    patch = "\n".join([*lines, ""])
    subprocess.run(["git", "apply", "-"], cwd=tmp_path / "there", input=patch.encode(), check=True)
    write(tmp_path / "expected", NEW)
    assert tree(tmp_path / "there") == tree(tmp_path / "expected")


def test_what_differs_is_counted() -> None:
    found = {file.path: (file.kind, file.added, file.removed) for file in texts(OLD, NEW)}
    assert found == {
        "a/changed.sh": ("changed", 2, 1),
        "a/gone.txt": ("removed", 0, 1),
        "becomes a program": ("changed", 0, 0),
        "empty": ("changed", 1, 0),
        "new/empty": ("added", 0, 0),
        "new/file.txt": ("added", 1, 0),
        "no end": ("changed", 1, 1),
        "odd": ("changed", 1, 1),
    }


def test_lines_that_look_like_heads_count() -> None:
    (found,) = texts({"x": File(b"-- a\n")}, {"x": File(b"++ b\n")})
    assert (found.added, found.removed) == (1, 1)


def test_what_is_no_text_is_not_shown() -> None:
    for data in (b"\xff\x00", b"a\0b"):
        (found,) = texts({"x": File(b"a\n")}, {"x": File(data)})
        assert found.lines == ("diff --git a/x b/x", "Binary files a/x and b/x differ")
        assert (found.added, found.removed) == (0, 0)


def test_nothing_differs() -> None:
    assert texts(OLD, OLD) == ()
