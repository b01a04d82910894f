"""What scripts note of a machine for who reads the results: the image that was run, its GPUs."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from backends.local.lab import Lab, in_containers

from evalc.resources import template_dir

if TYPE_CHECKING:
    from pathlib import Path

# What an engine knows of the images that it has, by their digests in registries.
ENGINE = """#!/bin/sh
case $1,$3 in
  inspect,*Config*) echo mirror.example/eval/harness:26.03 ;;
  inspect,*) echo id ;;
  image,*) printf '%s\\n' {digests} ;;
esac
"""


@pytest.mark.parametrize(
    ("digests", "chosen"),
    [
        ("a/other@sha256:1 mirror.example/eval/harness@sha256:2", "mirror.example/eval/harness@sha256:2"),
        ("harness@sha256:3", "harness@sha256:3"),
        ("a/other@sha256:1 b/third@sha256:2", "a/other@sha256:1"),
        ("''", ""),
    ],
)  # fmt: skip
def test_the_digest_of_an_image_that_several_registries_have(
    tmp_path: Path, digests: str, chosen: str
) -> None:
    engine = tmp_path / "engine"
    engine.write_text(ENGINE.format(digests=digests))
    engine.chmod(0o755)
    (tmp_path / "image_digest").write_text("of the run before")
    ran = in_library(tmp_path, f"_engine={engine} && evalc_note_image box")
    assert ran.returncode == 0, ran.stderr
    file = tmp_path / "image_digest"
    assert (file.read_text().strip() if file.exists() else "") == chosen


def test_gpus_are_counted_as_the_driver_lists_them(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for number in range(3):
        (root / f"proc/driver/nvidia/gpus/0000:{number}b:00.0").mkdir(parents=True)
    (root / "proc/self").mkdir()
    (root / "proc/self/stat").touch()

    def counted() -> str:
        assert in_library(tmp_path, f"evalc_note_gpus {root}").returncode == 0
        file = tmp_path / "gpus"
        return file.read_text() if file.exists() else "?"

    assert counted() == "3\n"
    # A driver that lists none, or another's card: a count of before is of no use.
    shutil.rmtree(root / "proc/driver/nvidia/gpus")
    assert counted() == "?"
    (root / "proc/driver/nvidia").rmdir()
    assert counted() == "0\n"
    (root / "sys/class/kfd").mkdir(parents=True)
    assert counted() == "?"
    (root / "sys/class/kfd").rmdir()
    (root / "proc/self/stat").unlink()
    assert counted() == "?"


def in_library(logs: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Bash text after the library of a bundle, whose logs are in that folder."""
    library = template_dir() / "lib"
    return subprocess.run(
        ["bash", "-euc", f'_bundle_dir={library.parent}; . "{library}/local.sh"; _logs={logs}; {text}'],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@in_containers
def test_the_image_that_was_run_is_noted_by_its_digest(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"))
    assert bundle.run().code == 0
    assert lab.box
    known = lab.box(
        "image", "inspect", "-f", "{{range .RepoDigests}}{{println .}}{{end}}", lab.box.image
    )
    noted = bundle.text("alpha", "logs", "image_digest").split()
    assert noted == known.stdout.split()[:1]
