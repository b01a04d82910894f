"""What Slurm itself says to every generated script of the examples, and how long a script is."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from golden.examples import EXAMPLES, compiled

import evalc.bundle

if TYPE_CHECKING:
    from pathlib import Path

    from clusters import Cluster

    from evalc.bundle import Bundle

NAMES = [name for name in EXAMPLES if name.startswith("slurm_")]
MAX_LINES = 200
# The sites of the examples are invented; the tests' cluster has neither their partitions nor their
# qualities of service, and GPUs of no type. All else that a script asks for is for Slurm to judge.
HERE = ("--partition=batch", "--qos=normal")
UNTYPED = {"slurm_nim": ("--gres=gpu:2",)}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each example for Slurm in turn."""
    found: str = request.param
    return found


def written(name: str, folder: Path) -> Path:
    evalc.bundle.write(compiled(name), folder / name, force=False)
    return folder / name


def manifest(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(compiled(name).files["manifest.json"].data)
    return loaded


def batch_scripts(bundle: Bundle) -> list[str]:
    return [path for path in bundle.files if path.rpartition("/")[2].startswith("sbatch_")]


def test_every_example_for_slurm_is_looked_at() -> None:
    backends = {name: manifest(name)["backend"] for name in EXAMPLES}
    assert [name for name, backend in backends.items() if backend == "slurm"] == NAMES
    assert len(NAMES) >= 9


def test_a_script_is_short_enough_to_be_read(name: str) -> None:
    scripts = batch_scripts(compiled(name))
    assert scripts
    lengths = {path: compiled(name).files[path].data.count(b"\n") for path in scripts}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_slurm_takes_every_script(slurm: Cluster, tmp_path: Path) -> None:
    """As ``cd <task> && sbatch sbatch_<task>.sh`` by hand."""
    refused = {}
    for name in NAMES:
        folder = written(name, tmp_path)
        options = (*HERE, *UNTYPED.get(name, ()))
        for path in batch_scripts(compiled(name)):
            script = folder / path
            ran = slurm("sbatch", "--test-only", *options, script.name, cwd=script.parent)
            if ran.returncode != 0 or "to start at" not in ran.stderr:
                refused[path] = ran.stderr
    assert refused == {}
    assert slurm.queue() == []


def test_submit_all_asks_slurm(slurm: Cluster, tmp_path: Path) -> None:
    """It hides the user's own settings from sbatch, so that what is not so here is said in its
    place, by a stand-in that passes all on."""
    stand_in = tmp_path / "bin" / "sbatch"
    stand_in.parent.mkdir()
    real = slurm("sh", "-c", "command -v sbatch").stdout.strip()
    for name in NAMES:
        options = " ".join((*HERE, *UNTYPED.get(name, ())))
        stand_in.write_text(f'#!/bin/sh\nexec {real} {options} "$@"\n')
        stand_in.chmod(0o755)
        submit_all = written(name, tmp_path) / "submit_all.sh"
        path = f"{stand_in.parent}:{slurm.env['PATH']}"
        ran = slurm("bash", submit_all, "--test-only", env={"PATH": path})
        assert ran.returncode == 0, ran.stderr
        # Each job by itself, where there is an array, all as one, and the one that exports.
        more = ("sbatch_array.sh", "sbatch_export.sh")
        scripts = len(manifest(name)["jobs"])
        scripts += sum((submit_all.parent / one).exists() for one in more)
        assert ran.stderr.count("to start at") == scripts, ran.stderr
    # Without it, Slurm says that there is no such partition.
    ran = slurm("bash", submit_all, "--test-only")
    assert ran.returncode == 1
    assert "nvalid partition" in ran.stderr
    assert slurm.queue() == []


def test_a_dry_run_prints_commands_that_work(name: str, tmp_path: Path) -> None:
    """Each is run, from elsewhere, with a stand-in for sbatch that looks for the script."""
    folder = written(name, tmp_path)
    stand_in = tmp_path / "bin" / "sbatch"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\n[ "$1" = --parsable ] && head -n 1 -- "$2"\n')
    stand_in.chmod(0o755)
    ran = run(tmp_path, "bash", str(folder / "submit_all.sh"), "--dry-run")
    assert ran.returncode == 0, ran.stderr
    before = sorted(folder.rglob("*"))
    commands = ran.stdout.splitlines()
    as_array = (folder / "sbatch_array.sh").exists()
    exports = (folder / "sbatch_export.sh").exists()
    assert len(commands) == (1 if as_array else len(manifest(name)["jobs"])) + exports
    for command in commands:
        told = run(tmp_path, "bash", "-c", command)
        assert (told.returncode, told.stdout) == (0, "#!/usr/bin/env bash\n"), told.stderr
    assert sorted(folder.rglob("*")) == before


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in ``folder``, with the stand-ins of ``bin`` in it before all else."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
