"""Bundles on their way to a host, and results on their way back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engines
import pytest
from waiting import wait_for

from evalc.backends.running import Unreachable
from evalc.errors import UsageError
from evalc.runner import folders
from evalc.runner.transport import LocalHost, SshHost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sshd import Sshd

    from evalc.backends.running import Ran
    from evalc.runner.transport import StreamingHost

ODD = (
    "plain",
    "with space",
    "'quoted\"",
    "line\nbreak\n",
    "\n",
    "日本 é",
    "-dash",
    "$HOME",
    "a*b",
    "x\\",
    "#!;&",
)


def make_bundle(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    listed = {
        path: {
            "sha256": hashlib.sha256(data).hexdigest(),
            "mode": "0755" if path.endswith(".sh") else "0644",
        }
        for path, data in files.items()
    }
    (folder / "manifest.json").write_text(json.dumps({"files": listed}))
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with a file that is no part of it."""
    long = "/".join(["a-rather-long-name-é" * 3] * 4)
    files = {
        "run.sh": b"echo hello\n",
        "task/run_config.yml": b"a: 1\n",
        f"{long}/file": b"x",
        "empty": b"",
    }
    folder = make_bundle(tmp_path / "bundle", files)
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "old").touch()
    return folder


def tree(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Modes and contents of all that is in a folder, by path."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode & 0o7777,
            path.read_bytes() if path.is_file() else None,
        )
        for path in folder.rglob("*")
    }


@contextmanager
def umask(value: int) -> Iterator[None]:
    old = os.umask(value)
    try:
        yield
    finally:
        os.umask(old)


def test_a_bundle_arrives_whole_with_its_modes(
    host: StreamingHost, bundle: Path, tmp_path: Path
) -> None:
    there = tmp_path / "runs" / "one"
    with umask(0o077):
        done = folders.upload(host, bundle, str(there), {".secrets.x": b"KEY=v\0"})
    assert done == folders.Uploaded(str(there), fresh=True)
    listed = json.loads((bundle / "manifest.json").read_text())["files"]
    expected = {
        path: (int(file["mode"], 8), (bundle / path).read_bytes()) for path, file in listed.items()
    }
    expected["manifest.json"] = (0o644, (bundle / "manifest.json").read_bytes())
    expected[".secrets.x"] = (0o600, b"KEY=v\0")
    found = tree(there)
    assert {path: about for path, about in found.items() if about[1] is not None} == expected
    assert {mode for mode, data in found.values() if data is None} == {0o755}
    assert there.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in there.parent.iterdir()] == ["one"]
    # Scratch disks are swept of what is old.
    assert (there / "run.sh").stat().st_mtime > bundle.stat().st_mtime - 60


def test_the_same_bundle_again_changes_nothing(
    host: StreamingHost, bundle: Path, tmp_path: Path
) -> None:
    there = tmp_path / "runs"
    folders.upload(host, bundle, str(there), {})
    (there / "run.sh").write_text("a job's own\n")
    again = folders.upload(host, bundle, f"{there}//", {".secrets.x": b"new"})
    assert again == folders.Uploaded(str(there), fresh=False)
    assert (there / "run.sh").read_text() == "a job's own\n"
    assert not (there / ".secrets.x").exists()


@pytest.mark.parametrize("what", ["other bundle", "file", "empty folder", "dangling link"])
def test_what_is_there_already_stays(bundle: Path, tmp_path: Path, what: str) -> None:
    there = tmp_path / "there"
    if what == "other bundle":
        make_bundle(there, {"other": b""})
    elif what == "file":
        there.write_text("text")
    elif what == "empty folder":
        there.mkdir()
    else:
        there.symlink_to("nowhere")
    before = tree(tmp_path)
    with pytest.raises(folders.FolderTaken):
        folders.upload(LocalHost(), bundle, str(there), {})
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ODD)
def test_paths_may_hold_anything(
    host: StreamingHost, bundle: Path, tmp_path: Path, name: str
) -> None:
    there = tmp_path / name / name
    done = folders.upload(host, bundle, str(there), {f".secrets.{name}": b"s"})
    assert done.folder == str(there)
    assert (there / "run.sh").read_bytes() == b"echo hello\n"
    folders.send_private(host, str(there), {f".secrets.{name}": b"t", ".secrets": b"u"})
    assert (there / f".secrets.{name}").read_bytes() == b"t"
    (there / name / "artifacts").mkdir(parents=True)
    (there / name / "artifacts" / name).write_text("result")
    fetched = folders.fetch(host, str(there), tmp_path / "back")
    assert fetched.files == (f"{name}/artifacts/{name}",)
    assert (tmp_path / "back" / name / "artifacts" / name).read_text() == "result"


def test_a_tilde_and_a_relative_path_begin_at_the_home_there(
    testhost: SshHost, sshd: Sshd, bundle: Path
) -> None:
    done = folders.upload(testhost, bundle, "~/runs/~", {})
    assert done.folder == f"{sshd.home}/runs/~"
    assert (sshd.home / "runs" / "~" / "run.sh").exists()


def test_the_stream_is_the_same_whenever_files_were_written(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    assert folders._packed(bundle, {})[0] == folders._packed(copy, {})[0]


class Cut:
    """A host whose connection breaks when half of the standard input has been sent."""

    def __init__(self, host: StreamingHost) -> None:
        self.host = host
        self.name = host.name

    def bash(self, script: str, *arguments: str, stdin: bytes = b"", **options: Any) -> Ran:
        self.host.bash(script, *arguments, stdin=stdin[: len(stdin) // 2], **options)
        raise Unreachable(self.name, "the connection broke while a command ran")


def test_half_a_stream_leaves_nothing(host: StreamingHost, bundle: Path, tmp_path: Path) -> None:
    there = tmp_path / "runs" / "one"
    with pytest.raises(Unreachable):
        folders.upload(Cut(host), bundle, str(there), {".secrets.x": os.urandom(100_000)})
    assert list(there.parent.iterdir()) == []
    assert folders.upload(host, bundle, str(there), {}).fresh


def test_a_connection_that_breaks_in_an_upload_leaves_nothing(
    testhost: SshHost, sshd: Sshd, bundle: Path, tmp_path: Path
) -> None:
    there = tmp_path / "runs" / "one"
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        secret = wait_for(lambda: next(there.parent.glob("one.part-*/.secrets.x"), None))
        while not done.is_set() and secret.exists():
            seen.append(secret.stat().st_mode & 0o777)
            if secret.stat().st_size > 1 << 20:
                sshd.kill_connections()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    with pytest.raises(Unreachable, match="the connection broke"):
        folders.upload(testhost, bundle, str(there), {".secrets.x": os.urandom(60 << 20)})
    done.set()
    thread.join()
    assert set(seen) == {0o600}
    wait_for(lambda: list(there.parent.iterdir()) == [])
    assert folders.upload(testhost, bundle, str(there), {}).fresh


def test_what_a_host_left_that_went_down_is_removed(bundle: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "there.part-abcdef", tmp_path / "there.part-ghijkl"
    for folder in (old, new):
        folder.mkdir()
        (folder / ".secrets.x").touch()
    os.utime(old, (1, 1))
    folders.upload(LocalHost(), bundle, str(tmp_path / "there"), {})
    assert not old.exists()
    assert new.exists(), "it may be another's who is at it"


def test_two_at_once_make_one_folder(bundle: Path, tmp_path: Path) -> None:
    done: list[object] = []

    def upload() -> None:
        try:
            done.append(folders.upload(LocalHost(), bundle, str(tmp_path / "there"), {}).fresh)
        except folders.FolderTaken as error:
            done.append(error)

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done.count(True) == 1
    assert len(done) == 6
    assert not list(tmp_path.glob("there.part-*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for nothing much."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "none", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        engines.cannot_run("a small disk", f"can't be mounted: {mounted.stderr!r}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_named_and_left_clean(
    host: StreamingHost, bundle: Path, small_disk: Path
) -> None:
    with pytest.raises(folders.NoSpace) as caught:
        folders.upload(host, bundle, str(small_disk / "there"), {"big": os.urandom(1 << 20)})
    assert "No space left on device" in str(caught.value)
    assert list(small_disk.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(folders.NotWritable, match=r"Not a directory|File exists"):
        folders.upload(LocalHost(), bundle, str(tmp_path / "file" / "there"), {})


def test_a_host_without_tar_is_named(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    for tool in ("bash", "sha256sum", "gzip"):
        (bare / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(bare))
    with pytest.raises(folders.ToolMissing) as caught:
        folders.upload(LocalHost(), bundle, str(tmp_path / "there"), {})
    assert caught.value.why == "tar"


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"can't read .*manifest\.json"):
        folders.upload(LocalHost(), tmp_path, str(tmp_path / "there"), {})


def test_private_files_are_private_and_replaced_at_once(
    host: StreamingHost, tmp_path: Path
) -> None:
    (tmp_path / ".secrets.a").write_text("old")
    (tmp_path / "task").mkdir()
    held = (tmp_path / ".secrets.a").open()
    with umask(0):
        folders.send_private(host, str(tmp_path), {".secrets.a": b"new", "task/.secrets.b": b"2"})
    assert tree(tmp_path) == {
        ".secrets.a": (0o600, b"new"), "task": (0o755, None), "task/.secrets.b": (0o600, b"2")
    }  # fmt: skip
    with held:
        assert held.read() == "old", "who reads it has one or the other"
    with pytest.raises(folders.NoFolder):
        folders.send_private(host, str(tmp_path / "nowhere"), {"a": b""})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run's folder, with results and other things."""
    folder = tmp_path / "run"
    for path in (
        "task/artifacts/results.yml", "task/artifacts/deep/er/report.html", "task/logs/client_stdout.log",
        "logs/server.log", "task/slurm-1.log", "slurm-2_1.log", "task/run.sh", "manifest.json",
        ".secrets.run.sh", "task/artifacts/.secrets.a", "task/logs/.secrets.b/c", "task/other/slurm-3.log",
    ):  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


WANTED = (
    "logs/server.log", "slurm-2_1.log", "task/artifacts/deep/er/report.html", "task/artifacts/results.yml",
    "task/logs/client_stdout.log", "task/slurm-1.log",
)  # fmt: skip


def test_results_and_logs_come_and_no_secrets(
    host: StreamingHost, results: Path, tmp_path: Path
) -> None:
    os.utime(results / "logs" / "server.log", ns=(1, 1_700_000_000_123_456_789))
    fetched = folders.fetch(host, str(results), tmp_path / "back")
    assert fetched == folders.Fetched(WANTED, sum(map(len, WANTED)), 0)
    back = {path: about for path, about in tree(tmp_path / "back").items() if about[1] is not None}
    assert back == {path: (0o644, path.encode()) for path in WANTED}
    when = (tmp_path / "back" / "logs" / "server.log").stat().st_mtime_ns
    assert when == 1_700_000_000_123_456_789


def test_only_what_has_changed_comes_again(
    host: StreamingHost, results: Path, tmp_path: Path
) -> None:
    folders.fetch(host, str(results), tmp_path / "back")
    assert folders.fetch(host, str(results), tmp_path / "back") == folders.Fetched(
        (), 0, len(WANTED)
    )
    # Of the same size, and one that is gone there stays here.
    (results / "logs" / "server.log").write_text("LOGS/SERVER.LOG")
    (results / "task" / "slurm-1.log").unlink()
    fetched = folders.fetch(host, str(results), tmp_path / "back")
    assert (fetched.files, fetched.unchanged) == (("logs/server.log",), len(WANTED) - 2)
    assert (tmp_path / "back" / "logs" / "server.log").read_text() == "LOGS/SERVER.LOG"
    assert (tmp_path / "back" / "task" / "slurm-1.log").exists()


def test_other_patterns_bring_other_files(results: Path, tmp_path: Path) -> None:
    fetched = folders.fetch(
        LocalHost(), str(results), tmp_path / "back", "*/run.??", "**/slurm-3.log"
    )
    assert fetched.files == ("task/other/slurm-3.log", "task/run.sh")
    # Secrets do not come, whoever asks for them.
    assert not [
        name
        for name in folders.fetch(LocalHost(), str(results), tmp_path / "all", "**").files
        if "secrets" in name
    ]


def test_a_fetch_that_breaks_goes_on(
    testhost: SshHost, sshd: Sshd, results: Path, tmp_path: Path
) -> None:
    big = results / "task" / "artifacts" / "big"
    big.mkdir()
    for number in range(40):
        (big / f"{number:02}").write_bytes(os.urandom(1 << 20))
    back = tmp_path / "back"

    def cut() -> None:
        wait_for(lambda: len(list(back.glob("task/artifacts/big/*"))) >= 3)
        sshd.kill_connections()

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(Unreachable):
        folders.fetch(testhost, str(results), back)
    thread.join()
    had = {path: path.stat().st_ino for path in back.rglob("*") if path.is_file()}
    assert 3 <= len(had) < 40 + len(WANTED)
    assert not list(back.glob(".evalc*"))
    fetched = folders.fetch(testhost, str(results), back)
    assert fetched.unchanged == len(had)
    assert {path: path.stat().st_ino for path in had} == had, "what had come did not come again"
    assert all(
        (back / path.relative_to(results)).read_bytes() == path.read_bytes()
        for path in big.iterdir()
    )


def test_a_file_that_grows_is_no_error(host: StreamingHost, results: Path, tmp_path: Path) -> None:
    log = results / "task" / "logs" / "client_stdout.log"
    log.write_bytes(b"0123456789\n" * 500_000)
    done = threading.Event()

    def grow() -> None:
        with log.open("ab", buffering=0) as file:
            while not done.wait(0.001):
                file.write(b"0123456789\n" * 1000)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        fetched = folders.fetch(host, str(results), tmp_path / "back")
    finally:
        done.set()
        thread.join()
    here = (tmp_path / "back" / "task" / "logs" / "client_stdout.log").read_bytes()
    assert "task/logs/client_stdout.log" in fetched.files
    assert log.read_bytes().startswith(here)
    again = folders.fetch(host, str(results), tmp_path / "back")
    assert again.files == ("task/logs/client_stdout.log",)
    assert (
        tmp_path / "back" / "task" / "logs" / "client_stdout.log"
    ).read_bytes() == log.read_bytes()


def test_links_come_unless_they_lead_outside(results: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    links = {
        "latest": "results.yml", "deep/up": "../results.yml", "deep/er/top": "../../../..", "folder": "deep/er",
        "gone": "nothing",
        "absolute": str(outside), "out": "../../../outside", "tricky": "deep/er/top/../outside",
    }  # fmt: skip
    artifacts = results / "task" / "artifacts"
    for name, to in links.items():
        (artifacts / name).symlink_to(to)
    hard = artifacts / "hard"
    hard.hardlink_to(artifacts / "results.yml")
    fetched = folders.fetch(LocalHost(), str(results), tmp_path / "back")
    back = tmp_path / "back" / "task" / "artifacts"
    assert fetched.refused == tuple(
        f"task/artifacts/{name}" for name in ("absolute", "out", "tricky")
    )
    for name in ("latest", "deep/up", "deep/er/top", "folder", "gone"):
        assert str((back / name).readlink()) == links[name]
        assert Path(os.path.realpath(back / name)).is_relative_to(tmp_path / "back")
    assert (back / "hard").read_text() == "task/artifacts/results.yml"
    again = folders.fetch(LocalHost(), str(results), tmp_path / "back")
    assert again.files == ()


def test_nothing_is_written_through_a_link(results: Path, tmp_path: Path) -> None:
    outside, back = tmp_path / "outside", tmp_path / "back"
    outside.mkdir()
    (back / "task").mkdir(parents=True)
    (back / "task" / "artifacts").symlink_to(outside)
    fetched = folders.fetch(LocalHost(), str(results), back)
    assert fetched.refused == ("task/artifacts/deep/er/report.html", "task/artifacts/results.yml")
    assert list(outside.iterdir()) == []


class Lying(LocalHost):
    """A host that sends other files than those that it was asked for."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive

    def stream(self, script: str, *arguments: str, stdin: bytes = b"", held: bool = False) -> Any:
        assert not held
        if stdin:
            return super().stream('cat >/dev/null; gzip -c "$1"', str(self.archive), stdin=stdin)
        return super().stream(script, *arguments)


def test_only_what_was_asked_for_is_written(results: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "tar", "w") as archive:
        for name in ("./logs/server.log", "../evil", "/evil", "./logs/evil"):
            archive.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("./slurm-2_1.log")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    fetched = folders.fetch(Lying(tmp_path / "tar"), str(results), tmp_path / "back")
    assert fetched.files == ("logs/server.log",)
    assert fetched.missing == tuple(path for path in WANTED if path != "logs/server.log")
    assert [path.name for path in (tmp_path / "back").rglob("*")] == ["logs", "server.log"]


def test_a_folder_that_is_not_there_is_named(host: StreamingHost, tmp_path: Path) -> None:
    with pytest.raises(folders.NoFolder) as caught:
        folders.fetch(host, str(tmp_path / "nowhere"), tmp_path / "back")
    assert str(caught.value) == f"{tmp_path}/nowhere on {host.name} is not there"


def test_a_target_that_cannot_be_written_is_named(results: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't write"):
        folders.fetch(LocalHost(), str(results), tmp_path / "file" / "back")
    (tmp_path / "back" / "logs" / "server.log" / "x").mkdir(parents=True)
    with pytest.raises(UsageError, match="can't write"):
        folders.fetch(LocalHost(), str(results), tmp_path / "back")


def test_a_full_disk_here_is_named(results: Path, small_disk: Path) -> None:
    (results / "logs" / "server.log").write_bytes(os.urandom(1 << 20))
    with pytest.raises(UsageError, match="No space left on device"):
        folders.fetch(LocalHost(), str(results), small_disk)
    assert not list(small_disk.glob(".evalc*"))
