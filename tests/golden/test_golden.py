"""golden/ holds what each example compiles to, so that a change of it is seen in review.

``make golden`` (``pytest tests/golden --update-golden``) compiles it anew.
"""

from __future__ import annotations

import difflib
import shutil
import stat
from typing import TYPE_CHECKING

import pytest
from golden.examples import EXAMPLES, ROOT

import evalc.bundle
from evalc.bundle import Bundle, File

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GOLDEN = ROOT / "golden"
HOW = "if that is right, run `make golden` and review the diff"
MAX_LINES = 60


def test_an_example_compiles_to_its_golden_bundle(
    example: Bundle, pytestconfig: pytest.Config
) -> None:
    folder = GOLDEN / example.name
    if pytestconfig.getoption("update_golden"):
        shutil.rmtree(folder, ignore_errors=True)
        evalc.bundle.write(example, folder, force=False)
    assert folder.is_dir(), f"there is no golden/{example.name}; run `make golden`"
    found = differences(read_tree(folder), example.files)
    assert not found, "\n".join([f"golden/{example.name} differs; {HOW}", *found])


def test_every_golden_bundle_has_an_example(pytestconfig: pytest.Config) -> None:
    stale = sorted(path for path in GOLDEN.iterdir() if path.name not in EXAMPLES)
    if pytestconfig.getoption("update_golden"):
        for path in stale:
            shutil.rmtree(path)
        stale = []
    assert stale == [], HOW


# The comparison itself: what cannot fail would show nothing.

OLD = {"a/run.sh": File(b"echo 1\n", 0o755), "plan.json": File(b"{}\n"), "b": File(b"same\n")}


def test_no_difference_is_found_in_the_same_tree(tmp_path: Path) -> None:
    assert differences(written(tmp_path, OLD), OLD) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"new": File(b"x\n")}, "missing: new"),
        ({"plan.json": None}, "extra: plan.json"),
        ({"a/run.sh": File(b"echo 1\n", 0o644)}, "a/run.sh: a program there, and compiled as none"),
        ({"b": File(b"same\n", 0o755)}, "b: no program there, and compiled as one"),
        ({"b": File(b"other\n")}, "--- golden/b\n+++ compiled/b\n@@ -1 +1 @@\n-same\n+other"),
        ({"b": File(b"same")}, "b: ends without a line break, and did not"),
        ({"b": File(b"\xff\x00")}, "b: 5 bytes there, 2 compiled, and one of them is not text"),
    ],
)
def test_each_kind_of_difference_is_found(
    tmp_path: Path, change: dict[str, File | None], said: str
) -> None:
    new = {path: file for path, file in {**OLD, **change}.items() if file}
    assert "\n".join(differences(written(tmp_path, OLD), new)) == said


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    new = {**OLD, "b": File("".join(f"{n}\n" for n in range(1000)).encode())}
    (found,) = differences(written(tmp_path, OLD), new)
    assert len(found.splitlines()) == MAX_LINES + 1
    assert found.endswith("... and 944 more lines")


def test_what_is_no_file_is_found(tmp_path: Path) -> None:
    written(tmp_path, OLD)
    (tmp_path / "link").symlink_to("b")
    with pytest.raises(AssertionError, match="link is no plain file"):
        read_tree(tmp_path)


def written(folder: Path, files: Mapping[str, File]) -> dict[str, File]:
    for path, file in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(file.data)
        (folder / path).chmod(file.mode)
    return read_tree(folder)


def read_tree(folder: Path) -> dict[str, File]:
    """The files below ``folder``. Of the mode only whether it is a program: git keeps no more."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        assert stat.S_ISREG(path.lstat().st_mode), f"{path} is no plain file"
        mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
        files[path.relative_to(folder).as_posix()] = File(path.read_bytes(), mode)
    return files


def differences(old: Mapping[str, File], new: Mapping[str, File]) -> list[str]:
    """What a person needs to know of how two trees differ."""
    found = [f"missing: {path}" for path in sorted(new.keys() - old.keys())]
    found += [f"extra: {path}" for path in sorted(old.keys() - new.keys())]
    for path in sorted(old.keys() & new.keys()):
        before, after = old[path], new[path]
        if before.mode != after.mode:
            was = before.mode == 0o755
            there, now = ("a program", "none") if was else ("no program", "one")
            found.append(f"{path}: {there} there, and compiled as {now}")
        if before.data != after.data:
            found.append(_text_difference(path, before.data, after.data))
    return found


def _text_difference(path: str, before: bytes, after: bytes) -> str:
    try:
        lines = list(
            difflib.unified_diff(
                before.decode().splitlines(),
                after.decode().splitlines(),
                f"golden/{path}",
                f"compiled/{path}",
                lineterm="",
            )
        )
    except UnicodeDecodeError:
        sizes = f"{len(before)} bytes there, {len(after)} compiled"
        return f"{path}: {sizes}, and one of them is not text"
    if not lines:
        return f"{path}: ends without a line break, and did not"
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"... and {len(lines) - MAX_LINES} more lines"]
    return "\n".join(lines)
