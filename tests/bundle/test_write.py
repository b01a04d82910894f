"""Writing a bundle: what it leaves alone, what it replaces, what it refuses."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundle.bundles import NEW, OLD, RESULTS, Tree, bundle, expected, listing, put, tree

from evalc.bundle import Bundle, BundleExists, Outcome, write
from evalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The package's name for it is the function.
module = importlib.import_module("evalc.bundle.write")


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    paths = [folder, *folder.rglob("*")]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}


# What it does


def test_a_new_folder_holds_the_bundle_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "not/there/yet"
    assert write(OLD, out, force=False) is Outcome.WRITTEN
    assert tree(out) == expected(OLD)
    assert listing(out.parent) == ["yet"]


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert write(OLD, tmp_path / "out", force=False) is Outcome.WRITTEN
    assert tree(tmp_path / "out") == expected(OLD)
    assert listing(tmp_path) == ["out"]


def test_the_same_bundle_again_touches_nothing(tmp_path: Path) -> None:
    write(OLD, tmp_path / "out", force=False)
    put(tmp_path / "out", RESULTS)
    before = stamps(tmp_path)
    for force in (False, True):
        assert write(OLD, tmp_path / "out", force=force) is Outcome.UNCHANGED
    assert stamps(tmp_path) == before


def test_a_different_bundle_is_not_overwritten(tmp_path: Path) -> None:
    write(OLD, tmp_path / "out", force=False)
    before = stamps(tmp_path)
    with pytest.raises(BundleExists) as caught:
        write(NEW, tmp_path / "out", force=False)
    assert stamps(tmp_path) == before
    assert caught.value.exit_code == 1
    assert caught.value.out == tmp_path / "out"
    assert set(caught.value.changed) == {
        *("README.md", "manifest.json", "run_all.sh", "stays/run.sh", "added/run.sh"),
        *("gone/run.sh", "stays/files/deep/data.txt", "empty/only/ours.txt"),
    }


def test_force_replaces_it_and_keeps_what_runs_left(tmp_path: Path) -> None:
    write(OLD, tmp_path / "out", force=False)
    put(tmp_path / "out", RESULTS)
    assert write(NEW, tmp_path / "out", force=True) is Outcome.REPLACED
    assert tree(tmp_path / "out") == expected(NEW, RESULTS)
    assert listing(tmp_path) == ["out"]


def test_a_result_in_the_place_of_a_new_file_is_kept_beside_it(tmp_path: Path) -> None:
    write(OLD, tmp_path / "out", force=False)
    mine = {
        "added/run.sh": b"mine\n",
        "added/run.sh~": b"mine, older\n",
        "lib/common.sh/x": b"mine\n",
    }
    (tmp_path / "out/lib/common.sh").unlink()
    put(tmp_path / "out", mine)
    assert write(NEW, tmp_path / "out", force=True) is Outcome.REPLACED
    kept = {
        "added/run.sh~": b"mine\n",
        "added/run.sh~~": b"mine, older\n",
        "lib/common.sh~/x": b"mine\n",
    }
    assert tree(tmp_path / "out") == expected(NEW, kept)
    assert listing(tmp_path) == ["out"]


def test_links_that_a_run_left_move_as_links(tmp_path: Path) -> None:
    write(OLD, tmp_path / "out", force=False)
    (tmp_path / "big").mkdir()
    (tmp_path / "big/file").touch()
    (tmp_path / "out/stays/artifacts").symlink_to(tmp_path / "big")
    (tmp_path / "out/lost").symlink_to("nowhere")
    write(NEW, tmp_path / "out", force=True)
    assert (tmp_path / "out/stays/artifacts").readlink() == tmp_path / "big"
    assert (tmp_path / "out/lost").readlink() == Path("nowhere")
    assert listing(tmp_path / "big") == ["file"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda out: (out / "README.md").write_text("edited"),
        lambda out: (out / "README.md").chmod(0o600),
        lambda out: (out / "run_all.sh").chmod(0o644),
        lambda out: (out / "README.md").unlink(),
        lambda out: [(out / "README.md").unlink(), (out / "README.md").mkdir()],
    ],
    ids=["edited", "mode", "no program", "removed", "a folder"],
)
def test_a_file_that_was_changed_is_noticed_and_mended(
    tmp_path: Path, edit: Callable[[Path], object]
) -> None:
    out = tmp_path / "out"
    write(OLD, out, force=False)
    edit(out)
    with pytest.raises(BundleExists):
        write(OLD, out, force=False)
    assert write(OLD, out, force=True) is Outcome.REPLACED
    found = tree(out)
    found.pop("README.md~/", None)  # an empty folder of the user's
    assert found == expected(OLD)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(OLD, tmp_path / "out", force=False)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert tree(tmp_path / "out") == expected(OLD)
    folders = [path for path in (tmp_path / "out").rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out", *folders)} == {0o755}


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/real").mkdir()
    (tmp_path / "out").symlink_to("elsewhere/real")
    for made, outcome in (
        (OLD, Outcome.WRITTEN),
        (OLD, Outcome.UNCHANGED),
        (NEW, Outcome.REPLACED),
    ):
        assert write(made, tmp_path / "out", force=True) is outcome
        assert (tmp_path / "out").is_symlink()
        assert tree(tmp_path / "elsewhere/real") == expected(made)
    assert listing(tmp_path) == ["elsewhere", "out"]
    assert listing(tmp_path / "elsewhere") == ["real"]


def test_a_link_to_nothing_makes_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("new")
    assert write(OLD, tmp_path / "out", force=False) is Outcome.WRITTEN
    assert tree(tmp_path / "new") == expected(OLD)


def test_the_folder_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert write(OLD, Path(), force=False) is Outcome.WRITTEN
    assert tree(tmp_path / "here") == expected(OLD)
    assert listing(tmp_path) == ["here"]


def test_a_name_full_of_pattern_characters(tmp_path: Path) -> None:
    other = tmp_path / ".a.evalc-99999999-x"
    other.mkdir()
    for name in ("[a]*?", "-rf", ".hidden", "a b\nc"):
        assert write(OLD, tmp_path / name, force=False) is Outcome.WRITTEN
        assert write(NEW, tmp_path / name, force=True) is Outcome.REPLACED
    assert listing(tmp_path) == sorted(["[a]*?", "-rf", ".hidden", "a b\nc", other.name])


# Where two folders can't be swapped in one step


@pytest.fixture(params=["another system", "an old C library", "a file system without it"])
def _no_exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "another system":
        monkeypatch.setattr(module.sys, "platform", "darwin")
    elif request.param == "an old C library":
        monkeypatch.setattr(module.ctypes, "CDLL", lambda *_args, **_keys: object())
    else:
        monkeypatch.setattr(module, "_RENAME_EXCHANGE", 1 << 20)  # EINVAL, as of such a system


@pytest.mark.usefixtures("_no_exchange")
def test_folders_are_replaced_without_an_exchange(tmp_path: Path) -> None:
    write(OLD, tmp_path / "out", force=False)
    put(tmp_path / "out", RESULTS)
    assert write(NEW, tmp_path / "out", force=True) is Outcome.REPLACED
    assert tree(tmp_path / "out") == expected(NEW, RESULTS)
    assert listing(tmp_path) == ["out"]


def test_when_the_new_one_can_not_take_the_place_the_old_one_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(OLD, tmp_path / "out", force=False)
    put(tmp_path / "out", RESULTS)
    monkeypatch.setattr(module.sys, "platform", "darwin")
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if target.name == "out" and not path.name.endswith("-old"):
            raise PermissionError(13, "Permission denied")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(UsageError, match=r"can't write .*out: Permission denied"):
        write(NEW, tmp_path / "out", force=True)
    assert tree(tmp_path / "out") == expected(OLD, RESULTS)
    assert listing(tmp_path) == ["out"]


# What it refuses


@pytest.fixture(params=[False, True], ids=["", "force"])
def force(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def refused(out: Path, *, force: bool) -> UsageError:
    """Writing to ``out`` is refused, and changes nothing beside or in it."""
    before = listing(out.parent), snapshot(out)
    with pytest.raises(UsageError) as caught:
        write(NEW, out, force=force)
    assert (listing(out.parent), snapshot(out)) == before
    assert caught.value.exit_code == 2
    return caught.value


def snapshot(path: Path) -> Tree | bytes | None:
    if path.is_dir():
        return tree(path)
    return path.read_bytes() if path.is_file() else None


def test_a_file(tmp_path: Path, force: bool) -> None:
    (tmp_path / "out").write_text("mine")
    error = refused(tmp_path / "out", force=force)
    assert error.message == f"{tmp_path / 'out'} is a file, and a bundle is a folder"
    assert error.hint == "give another --out"


def test_a_file_on_the_way(tmp_path: Path, force: bool) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match=r"can't write .*/file/out: "):
        write(NEW, tmp_path / "file/out", force=force)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_of_somebody_elses(tmp_path: Path, force: bool) -> None:
    put(tmp_path / "out", {"thesis.tex": b"years of work"})
    error = refused(tmp_path / "out", force=force)
    assert error.message == f"{tmp_path / 'out'} is not empty and holds no bundle"
    assert error.hint == "give another --out, or clear it yourself"


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b'{"files": null}',
        b'{"files": ["README.md"]}',
        b'{"files": "README.md"}',
        b'{"files": {"": {}}}',
        b'{"files": {"../../etc/passwd": {}}}',
        b'{"files": {"a/../../b": {}}}',
        b'{"files": {"/etc/passwd": {}}}',
        b'{"files": {"a//b": {}}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda data: data[:40].decode("latin-1") or "empty",
)
def test_a_damaged_manifest(tmp_path: Path, force: bool, manifest: bytes) -> None:
    """Nothing that a manifest names is removed unless all of it makes sense."""
    put(tmp_path / "out", {"manifest.json": manifest, "README.md": b"x"})
    if not force:
        error = refused(tmp_path / "out", force=force)
        assert "manifest.json is damaged, so evalc can't tell its files from yours" in error.message
        assert "--force, which keeps the others" in error.hint
        return
    path = next(iter(NEW.files))
    put(tmp_path / "out", {path: NEW.files[path].data, "results.yml": b"mine"})
    there = {"manifest.json~": manifest, "results.yml": b"mine"}
    if path != "README.md":
        there["README.md~" if "README.md" in NEW.files else "README.md"] = b"x"
    assert write(NEW, tmp_path / "out", force=True) is Outcome.REPLACED
    assert tree(tmp_path / "out") == expected(NEW, there)
    assert listing(tmp_path) == ["out"]


def test_a_manifest_that_is_a_folder(tmp_path: Path, force: bool) -> None:
    put(tmp_path / "out", {"manifest.json/x": b""})
    assert "Is a directory" in refused(tmp_path / "out", force=force).message


def test_a_link_that_goes_in_circles(tmp_path: Path, force: bool) -> None:
    (tmp_path / "out").symlink_to("out")
    with pytest.raises(UsageError, match=r"can't write .*/out: Not a directory"):
        write(NEW, tmp_path / "out", force=force)
    assert listing(tmp_path) == ["out"]


def test_a_name_that_is_too_long(tmp_path: Path, force: bool) -> None:
    with pytest.raises(UsageError, match="File name too long"):
        write(NEW, tmp_path / ("x" * 250), force=force)
    assert listing(tmp_path) == []


# What the system refuses. Root may do anything, so these run as nobody.

AS_NOBODY = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from bundle.bundles import NEW
from evalc.bundle import write
from evalc.errors import UsageError
if os.geteuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
for out in sys.argv[2:]:
    try:
        print(write(NEW, Path(out), force=True))
    except UsageError as error:
        print(error.message)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can get at; those that pytest makes are for this user alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody(*outs: Path) -> list[str]:
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, tests, *map(str, outs)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_no_permission(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o555)
    closed.chmod(0o555)
    write(OLD, open_folder / "old", force=False)
    put(open_folder / "old", RESULTS)
    (open_folder / "old/run_all.sh").chmod(0o500)
    secret = open_folder / "secret"
    secret.mkdir(mode=0o700)
    outs = (closed / "out", closed / "deep/out", open_folder / "old", secret, secret / "out")
    assert as_nobody(*outs) == [f"can't write {out}: Permission denied" for out in outs]
    assert listing(open_folder) == ["closed", "old", "secret"]
    assert listing(closed) == listing(secret) == []


def test_a_bundle_of_somebody_elses_in_a_folder_of_ones_own(open_folder: Path) -> None:
    """The folder can't be replaced, or can't be emptied; either way nothing is lost."""
    home = open_folder / "home"
    home.mkdir()
    home.chmod(0o1777)  # as /tmp: only the owner may rename what is in it
    write(OLD, home / "out", force=False)
    put(home / "out", RESULTS)
    (said,) = as_nobody(home / "out")
    assert said == f"can't write {home / 'out'}: Operation not permitted"
    assert tree(home / "out") == expected(OLD, RESULTS)
    assert listing(home) == ["out"]


@pytest.mark.parametrize("how", ["can't be read", "can't be moved"])
def test_results_that_can_not_be_moved_stay_where_they_are(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The old bundle is back in its place, with all that it held."""
    out = open_folder / "out"
    write(OLD, out, force=False)
    put(out, RESULTS)
    before = tree(out)
    rename, iterdir = Path.rename, Path.iterdir
    seen: list[Path] = []

    def refuse(path: Path) -> None:
        """The second of what was in the old bundle."""
        seen.append(path)
        if ".evalc-" in str(path) and len(seen) > 1:
            raise PermissionError(13, "Permission denied", str(path))

    def renamed(self: Path, target: Path) -> Path:
        if how == "can't be moved":
            refuse(self)
        return rename(self, target)

    def listed(self: Path) -> Iterator[Path]:
        if how == "can't be read":
            refuse(self)
        return iterdir(self)

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(Path, "iterdir", listed)
    with pytest.raises(
        UsageError, match=r"can't be moved .*Permission denied.*nothing was changed"
    ):
        write(NEW, out, force=True)
    monkeypatch.undo()
    assert tree(out) == before
    assert listing(open_folder) == ["out"]


def test_an_old_bundle_that_can_not_be_removed_hides_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(OLD, tmp_path / "out", force=False)
    put(tmp_path / "out", RESULTS)

    def unlink(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "unlink", unlink)
    assert write(NEW, tmp_path / "out", force=True) is Outcome.REPLACED
    assert tree(tmp_path / "out") == expected(NEW, RESULTS)


# A disk that is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 KiB; for whoever may not mount one, a limit on the size of files."""
    if os.geteuid() != 0:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
        yield tmp_path
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        return
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "evalc-test", disk], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize(
    "sizes",
    [[100_000], [9000] * 20, [30_000, 30_000, 30_000]],
    ids=["one large file", "many files", "the last one does not fit"],
)
def test_a_full_disk(small_disk: Path, sizes: list[int]) -> None:
    """The last bytes of a file that does not fit must not be lost in silence."""
    write(OLD, small_disk / "out", force=False)
    put(small_disk / "out", RESULTS)
    if os.geteuid() != 0:
        sizes = [size * 3 for size in sizes]
    large = bundle({f"{n}.txt": b"x" * size for n, size in enumerate(sizes)})
    for out in ("out", "other"):
        with pytest.raises(
            UsageError, match=r"can't write .*: (No space left on device|File too large)"
        ):
            write(large, small_disk / out, force=True)
    assert tree(small_disk / "out") == expected(OLD, RESULTS)
    assert listing(small_disk) == ["out"]
    assert write(NEW, small_disk / "out", force=True) is Outcome.REPLACED


def test_a_disk_that_is_read_only(small_disk: Path) -> None:
    write(OLD, small_disk / "out", force=False)
    if os.geteuid() == 0:
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    else:
        small_disk.chmod(0o555)
    assert write(OLD, small_disk / "out", force=False) is Outcome.UNCHANGED
    for out in ("out", "new", "new/deep"):
        with pytest.raises(UsageError, match=r"Read-only file system|Permission denied"):
            write(NEW, small_disk / out, force=True)
    assert tree(small_disk / "out") == expected(OLD)
    assert listing(small_disk) == ["out"]


# Many bundles


def test_a_bundle_of_many_folders(tmp_path: Path) -> None:
    files = {
        f"task-{n}/{name}": b"x" * n for n in range(300) for name in ("run.sh", "run_config.yml")
    }
    many = bundle(files)
    write(many, tmp_path / "out", force=False)
    assert tree(tmp_path / "out") == expected(many)
    write(NEW, tmp_path / "out", force=True)
    assert tree(tmp_path / "out") == expected(NEW)


def test_a_bundle_lists_its_files_in_the_manifest() -> None:
    made: Bundle = OLD
    assert set(json.loads(made.files["manifest.json"].data)["files"]) == made.files.keys() - {
        "manifest.json"
    }
