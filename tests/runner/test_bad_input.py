"""What users get wrong, over real ssh: one clear line, the right exit code, and nothing half done."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import engines
import pytest
from cli.test_runs import Laptop
from sshd import HOST
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sshd import Sshd


class Remote(Laptop):
    """evalc on a machine from which ssh leads to another one; both have the same files."""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        there = ("--host", HOST) if arguments[0] in {"run", "submit", "doctor"} else ()
        return super().start(*arguments, *there)


@pytest.fixture
def remote(sshd: Sshd, tmp_path: Path) -> Iterator[Laptop]:
    laptop = Remote(tmp_path)
    laptop.env |= sshd.env
    write(laptop)
    yield laptop
    sshd.restore()


def write(laptop: Laptop, folder: Path | None = None, command: str = "true") -> None:
    laptop.config(
        {"name": "alpha", "command": command},
        execution={"output_dir": str(folder or laptop.folder / "out")},
    )


def refused(laptop: Laptop, *arguments: str, code: int) -> str:
    """What is said of wrong input: an error in one line, with perhaps what to do in another."""
    ran = laptop(*arguments, code=code)
    told = [line for line in ran.stderr.splitlines() if not line.startswith("copying the bundle")]
    assert [line.partition(" ")[0] for line in told] in (["error:"], ["error:", "hint:"]), told
    return ran.stderr


def test_the_host_has_another_key(remote: Laptop, sshd: Sshd) -> None:
    id_ = remote.run()
    wait_for(lambda: remote.states(id_) == ["completed"])
    write(remote, command="sleep 60")
    other = remote.run()
    with sshd.other_host_key():
        words = "its host key is not the one that is known"
        assert words in refused(remote, "run", "suite.yaml", code=4)
        assert words in refused(remote, "fetch", other, code=4)
        assert words in remote("kill", other, code=4).stderr
        told = remote("status", other, code=4).stdout
        assert "unknown" in told
        assert words in told
        # What is over needs nobody to be asked.
        assert "completed" in remote("status", id_).stdout
        assert words in remote("doctor", "suite.yaml", code=4).stdout
    assert remote.states(other) == ["running"]
    remote("kill", other)
    assert len(json.loads(remote("ls", "runs", "--json").stdout)) == 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for a bundle and nothing more."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        engines.cannot_run("a small disk", f"can't be mounted: {mounted.stderr!r}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> Path:
    """Takes all the room that there is."""
    file = disk / "big"
    with file.open("wb", buffering=0) as big:
        try:
            while True:
                big.write(b"x" * 4096)
        except OSError:
            return file


def test_the_disk_there_is_full(remote: Laptop, small_disk: Path) -> None:
    write(remote, small_disk / "out", command="exit 3")
    id_ = remote.run()
    wait_for(lambda: remote.states(id_) == ["failed"])
    (folder,) = (small_disk / "out").iterdir()
    wait_for(lambda: not (folder / "logs" / "runner.pid").exists())
    big = fill(small_disk)
    assert "there is no space left" in refused(remote, "run", "suite.yaml", code=1)
    assert list((small_disk / "out").iterdir()) == [folder]
    assert "only 0.00 GB are free" in remote("doctor", "suite.yaml", code=1).stdout
    # A run that was there before is not harmed, and can be asked about and stopped.
    told = remote("resume", id_, code=1)
    assert "disk full" in told.stdout
    assert remote.states(id_) == ["failed"]
    remote("kill", id_)
    remote("logs", id_, "--job")
    remote("fetch", id_)
    big.unlink()
    write(remote, small_disk / "out")
    again = remote.run()
    wait_for(lambda: remote.states(again) == ["completed"], 20)
    wait_for(lambda: not list(small_disk.glob(f"out/*-{again}/logs/runner.pid")), 20)
    states = [run["submission"] for run in json.loads(remote("ls", "runs", "--json").stdout)]
    assert sorted(states) == ["abandoned", "submitted", "submitted"]


@pytest.mark.parametrize("how", ["of the future", "garbage"])
def test_a_database_that_can_not_be_used(laptop: Laptop, how: str) -> None:
    laptop.config({"name": "alpha", "command": "true"})
    laptop("run", "suite.yaml", "--wait")
    path = laptop.folder / "state" / "runs.sqlite"
    if how == "of the future":
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    else:
        path.write_bytes(b"this is no database\n" * 500)
    before = path.read_bytes()
    for command in ("status", "run suite.yaml"):
        assert str(path) in refused(laptop, *command.split(), code=2)
    assert str(path) in laptop("doctor", code=1).stdout
    assert len(list((laptop.folder / "results").iterdir())) == 1
    assert path.read_bytes() == before


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path)


def test_bundles_that_are_not_submitted(remote: Laptop) -> None:
    """One of another version, an edited one, and one that lacks a secret; doctor says the same."""
    remote.env.pop("THE_KEY", None)
    remote.config(
        {"name": "alpha", "command": "true", "env_vars": {"KEY": "host:THE_KEY"}},
        execution={"output_dir": str(remote.folder / "out")},
    )
    remote("compile", "suite.yaml")
    bundle = remote.folder / "build" / "suite"
    assert "THE_KEY" in refused(remote, "submit", "build/suite", code=1)
    assert "WRONG secret THE_KEY is not set" in remote("doctor", "build/suite", code=1).stdout
    remote.env["THE_KEY"] = "x"
    (bundle / "alpha" / "command.sh").write_text("true\n")
    assert "was edited since" in refused(remote, "submit", "build/suite", code=1)
    assert "?     edited since it was compiled" in remote("doctor", "build/suite").stdout
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 9}))
    for command in ("submit", "doctor"):
        assert "compiled by evalc" in refused(remote, command, "build/suite", code=2)
    assert json.loads(remote("ls", "runs", "--json").stdout) == []
    assert not (remote.folder / "out").exists()
