"""Results that come through the log: what jobs write, what becomes of it on its way, what is read."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from evalc.backends.lepton.runs import inlog
from evalc.backends.lepton.runs.inlog import last_left, without_marks
from evalc.resources import template_dir

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "0123456789abcdef"
# $1 is the task's folder, $2 the job's own, $3 evalc's library.
SAYS = """\
set -euo pipefail
_bundle_dir=$2
. "$2/lib/common.sh"
. "$3/tell.sh"
evalc_tell_results alpha "$1"
"""


def said(folder: Path, *, stage: str = "2026-01-02T03:04:05Z 0", path: str | None = None) -> bytes:
    """What a job prints whose task has these files."""
    task, bundle = folder / "task", folder / "bundle"
    for one in (task / "logs", task / "artifacts", bundle / "lib"):
        one.mkdir(parents=True, exist_ok=True)
    library = template_dir() / "lib"
    (bundle / "lib/common.sh").write_bytes((library / "common.sh").read_bytes())
    (task / "logs/stage.exit").write_text(f"{stage}\n")
    (task / "logs/digest").write_text(f"{DIGEST}\n")
    done = subprocess.run(
        ["bash", "-c", SAYS, "job", task, bundle, library],
        env={"PATH": path or os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def results(folder: Path, text: bytes = b"results: {a: sm\xc3\xb8r}\n") -> None:
    (folder / "task/artifacts").mkdir(parents=True)
    (folder / "task/artifacts/results.yml").write_bytes(text)


def left(log: bytes) -> dict[str, bytes] | None:
    found = last_left(log, "alpha", DIGEST)
    return dict(found.files) if found else None


def test_what_a_job_writes_is_read(tmp_path: Path) -> None:
    text = b"results: {a: sm\xc3\xb8r}\n" + os.urandom(30_000)
    results(tmp_path, text)
    log = said(tmp_path)
    assert len(log.splitlines()) > 30
    # What a pipe takes in one piece, and no log cuts.
    assert max(map(len, log.splitlines())) < 1024
    assert left(log) == {
        "artifacts/results.yml": text,
        "logs/stage.exit": b"2026-01-02T03:04:05Z 0\n",
    }
    assert last_left(log, "beta", DIGEST) is None
    assert last_left(log, "alpha", DIGEST[::-1]) is None


def test_what_a_log_does_to_it(tmp_path: Path) -> None:
    results(tmp_path, os.urandom(5000))
    log = said(tmp_path)
    whole = left(log)
    assert whole
    lines = log.splitlines(keepends=True)
    # Times before the lines, carriage returns behind, other text between and in front.
    assert left(b"50% done" + b"noise ::evalc\n".join(b"12:00 " + one for one in lines)) == whole
    assert left(log.replace(b"\n", b"\r\n")) == whole
    # Out of order, and twice.
    assert left(b"".join(reversed(lines)) + log) == whole
    for number, line in enumerate(lines[1:], 1):
        others = [*lines[:number], *lines[number + 1 :]]
        cut = [*lines[:number], line[: len(line) // 2] + b"\n", *lines[number + 1 :]]
        half = len(line) // 2
        torn = [*lines[:number], line[:half] + b"other " + line[half:], *lines[number + 1 :]]
        for damaged in (others, cut, torn):
            assert left(b"".join(damaged)) is None
    # One lost byte of base64 is nobody's end of line.
    assert left(re.sub(rb"(::evalc \S+ 5 .{20}).", rb"\1", log)) is None


def test_the_last_attempt_that_came_whole_counts(tmp_path: Path) -> None:
    results(tmp_path, b"old\n")
    first = said(tmp_path)
    (tmp_path / "task/artifacts/results.yml").write_bytes(b"new\n")
    second = re.sub(rb"::evalc \d+", rb"::evalc 99999999999", said(tmp_path))
    for log in (first + second, second + first):
        assert (left(log) or {})["artifacts/results.yml"] == b"new\n"
    assert (left(first + second[:-20]) or {})["artifacts/results.yml"] == b"old\n"


def test_a_failure_tells_how_it_ended_alone(tmp_path: Path) -> None:
    results(tmp_path)
    stage = "2026-01-02T03:04:05Z 3 the harness failed"
    assert left(said(tmp_path, stage=stage)) == {"logs/stage.exit": f"{stage}\n".encode()}


def test_what_is_too_large_is_named(tmp_path: Path) -> None:
    results(tmp_path, os.urandom(60_000))
    log = said(tmp_path)
    found = last_left(log, "alpha", DIGEST)
    assert found is not None
    assert (list(found.files), found.over) == (["logs/stage.exit"], ("artifacts/results.yml",))
    assert len(log) < 1000


def test_json_of_a_command_of_ones_own(tmp_path: Path) -> None:
    results(tmp_path)
    made = tmp_path / "task/artifacts"
    (made / "scores.json").write_text("{}")
    (made / "a b.json").write_text("{}")
    (made / "elsewhere.json").symlink_to("/etc/hostname")
    (made / "more.json").write_bytes(os.urandom(80_000))
    assert "artifacts/scores.json" not in (left(said(tmp_path)) or {})
    (tmp_path / "task/command.sh").write_text("true\n")
    found = last_left(said(tmp_path), "alpha", DIGEST)
    assert found is not None
    names = {"artifacts/results.yml", "artifacts/scores.json", "logs/stage.exit"}
    assert (set(found.files), found.over) == (names, ("artifacts/more.json",))


def test_an_image_without_gzip_says_nothing(tmp_path: Path) -> None:
    results(tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cat", "sed", "bash"):
        (tools / name).symlink_to(f"/bin/{name}")
    assert said(tmp_path, path=str(tools)) == b""


def forged(*body: str) -> bytes:
    whole = "".join(f"{line}\n" for line in body).encode()
    lines = [f"::evalc 1.1 {n} {line} ::\n" for n, line in enumerate(body, 1)]
    end = f"::evalc 1.1 end {len(body)} {hashlib.sha256(whole).hexdigest()} ::\n"
    return ("".join(lines) + end).encode()


def packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data)).decode()


@pytest.mark.parametrize(
    "body",
    [
        ["file artifacts/../../x.json", packed(b"x")],
        ["file artifacts/.hidden.json", packed(b"x")],
        ["file /etc/x.json", packed(b"x")],
        ["file artifacts/x.sh", packed(b"x")],
        ["file artifacts/x.json", "no base64"],
        ["file artifacts/x.json", "bm8gZ3ppcA=="],
        ["file artifacts/x.json", packed(bytes(inlog._LARGEST + 1))],
        [packed(b"x")],
    ],
)
def test_a_log_may_hold_anything(body: list[str]) -> None:
    """Whoever evaluates may print what looks like it."""
    stage = ("file logs/stage.exit", packed(b"T 0\n"))
    head = f"task alpha {DIGEST}"
    assert left(forged(head, *stage)) is not None
    assert left(forged(head, *stage, "file artifacts/x.json", packed(b"x"))) is not None
    assert left(forged(head, *body, *stage)) is None
    assert left(forged(head)) is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 10_000])
def test_people_do_not_see_it(size: int, tmp_path: Path) -> None:
    results(tmp_path, os.urandom(3000))
    text = b"begun sm\xc3\xb8r\n10%\r20%\r::evalc is not at a line's beginning\n::eval\n"
    log = text + said(tmp_path) + b"more\n::ev"
    pieces = [log[at : at + size] for at in range(0, len(log), size)]
    assert b"".join(without_marks([b"", *pieces])) == text + b"more\n::ev"
    # A line without its end is seen at once.
    assert list(without_marks([b"", b"50%"])) == [b"", b"50%"]
