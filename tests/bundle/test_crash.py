"""A bundle survives whatever kills the process that writes it, and another one at work beside it.

The process is killed (``SIGKILL``, by itself) before the n-th thing that it asks of the system, for
every n. Python's audit events tell when that is.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from bundle.bundles import NEW, OLD, RESULTS, Tree, bundle, expected, listing, put, tree

from evalc.bundle import Bundle, BundleExists, Outcome, write
from evalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Python 3.12 warns of forks in a process with threads; a child here only writes files and dies.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

module = importlib.import_module("evalc.bundle.write")
EVENTS = ("os.", "open", "shutil.", "ctypes.", "tempfile.")


@pytest.fixture(params=["swapped", "renamed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How an old bundle is replaced: at once, or where the system can't do that, in two steps."""
    if request.param == "renamed":
        monkeypatch.setattr(module.sys, "platform", "darwin")
    return str(request.param)


def in_a_child(job: Callable[[], object]) -> int:
    """Run a job in a process of its own; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            job()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(count: int, job: Callable[[], object]) -> bool:
    """Run a job and kill it before its ``count``-th system event; False when it has fewer."""

    def run() -> None:
        left = count

        def hook(event: str, _arguments: object) -> None:
            nonlocal left
            if event.startswith(EVENTS):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        job()

    code = in_a_child(run)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def every_crash(
    folder: Path, job: Callable[[Path], object], before: Callable[[Path], None]
) -> Iterator[Path]:
    """The folder ``out`` after each crash of a job, each in a parent folder of its own."""
    for count in range(1, 1000):
        out = folder / str(count) / "out"
        out.parent.mkdir()
        before(out)
        if not killed_at(count, partial(job, out)):
            assert count > 15, "the job was hardly interrupted"
            return
        yield out
    pytest.fail("the job never came to its end")


def nothing(_out: Path) -> None:
    """What was there before: nothing."""


def old_with_results(out: Path) -> None:
    write(OLD, out, force=False)
    put(out, RESULTS)


def force_new(out: Path) -> None:
    write(NEW, out, force=True)


def files_of(made: Bundle, found: Tree) -> Tree:
    return {path: found[path] for path in made.files if path in found}


def is_whole(made: Bundle, out: Path) -> bool:
    """Whether ``out`` has every file of the bundle, and none of the other's."""
    found = tree(out)
    others = (OLD.files.keys() | NEW.files.keys()) - made.files.keys()
    return files_of(made, found) == expected(made) and not others & found.keys()


def finished(out: Path, kept: dict[str, bytes]) -> None:
    """The next evalc ends what the killed one began, and leaves nothing beside the bundle."""
    force_new(out)
    assert tree(out) == expected(NEW, kept)
    assert listing(out.parent) == ["out"]


def test_a_first_bundle_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    for out in every_crash(tmp_path, force_new, nothing):
        assert not out.exists() or is_whole(NEW, out)
        finished(out, {})


def test_an_old_bundle_is_there_or_the_new_one(tmp_path: Path, way: str) -> None:
    seen = set()
    for out in every_crash(tmp_path, force_new, old_with_results):
        # Without an exchange there is an instant in which neither has the name.
        if out.exists() or way == "swapped":
            seen.add("old" if is_whole(OLD, out) else "new" if is_whole(NEW, out) else "broken")
        finished(out, RESULTS)
    assert seen == {"old", "new"}


def test_what_a_crash_left_is_tidied_by_any_command(tmp_path: Path, way: str) -> None:
    """Not only by one that writes: an unchanged bundle, or one that may not be overwritten."""
    assert way
    for out in every_crash(tmp_path, force_new, old_with_results):
        try:
            outcome = write(NEW, out, force=False)
        except BundleExists:
            assert tree(out) == expected(OLD, RESULTS)
        else:
            assert outcome is Outcome.UNCHANGED
            assert tree(out) == expected(NEW, RESULTS)
        assert listing(out.parent) == ["out"]


def test_a_crash_while_tidying_up_after_a_crash(tmp_path: Path, way: str) -> None:
    assert way
    crashes = list(every_crash(tmp_path, force_new, old_with_results))
    for index, out in enumerate(crashes[::3]):
        for count in range(1 + index % 5, 200, 5):
            if not killed_at(count, partial(force_new, out)):
                break
        finished(out, RESULTS)


def test_a_folder_that_the_user_removed_meanwhile(tmp_path: Path) -> None:
    """Results that a killed evalc had not moved yet come back with the folder."""
    kept = 0
    for out in every_crash(tmp_path, force_new, old_with_results):
        beside = [path for path in out.parent.iterdir() if path != out]
        here = any((path / "stays/artifacts/results.yml").exists() for path in beside)
        out.rename(out.parent.parent / f"{out.parent.name}-removed")
        force_new(out)
        assert (out / "stays/artifacts/results.yml").exists() == here
        assert listing(out.parent) == ["out"]
        kept += here
    assert kept


@pytest.mark.usefixtures("way")
def test_an_interrupt_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the files are written."""
    out = tmp_path / "out"
    old_with_results(out)

    def fill(_bundle: object, folder: Path) -> None:
        put(folder, {"half": b""})
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_fill", fill)
    with pytest.raises(KeyboardInterrupt):
        write(NEW, out, force=True)
    assert tree(out) == expected(OLD, RESULTS)
    assert listing(tmp_path) == ["out"]


def test_a_writer_that_is_alive_is_not_disturbed(tmp_path: Path) -> None:
    """Where folders can't be locked, the number of its process protects it."""
    beside = tmp_path / f".out.evalc-{os.getppid()}-abc"
    put(beside, {"half": b""})
    stranger = tmp_path / ".out.evalc-1-abc"  # of root, whom a user may not even ask
    put(stranger, {"half": b""})
    other = tmp_path / ".out.evalc-notes"
    put(other, {"mine": b""})
    assert in_a_child(lambda: write(NEW, tmp_path / "out", force=True)) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "out",
        beside.name,
        stranger.name,
        other.name,
    }


# Two at once


def test_two_writers_take_turns(tmp_path: Path) -> None:
    out = tmp_path / "out"
    old_with_results(out)
    writers = []
    for made in (OLD, NEW):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(60):
                    write(made, out, force=True)
                code = 0
            finally:
                os._exit(code)
        writers.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in writers]
    assert codes == [0, 0]
    last = OLD if is_whole(OLD, out) else NEW
    assert tree(out) == expected(last, RESULTS)
    assert listing(tmp_path) == ["out"]


def test_many_first_writers(tmp_path: Path) -> None:
    """All find nothing there; one makes it, the others find the same or are told."""
    out = tmp_path / "new/out"
    made = [bundle({"x": str(n % 2).encode()}) for n in range(8)]
    codes = []
    for one in made:
        child = os.fork()
        if child == 0:
            code = 9
            try:
                code = list(Outcome).index(write(one, out, force=False))
            except BundleExists:
                code = 8
            finally:
                os._exit(code)
        codes.append(child)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in codes]
    written, unchanged = (list(Outcome).index(o) for o in (Outcome.WRITTEN, Outcome.UNCHANGED))
    assert sorted(ended) == sorted([written, *[unchanged] * 3, *[8] * 4])


def test_a_writer_waits_for_another(tmp_path: Path) -> None:
    """And not for one in another folder."""
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    child = os.fork()
    if child == 0:
        os.close(handle)
        write(NEW, tmp_path / "out", force=False)
        os._exit(0)
    assert write(NEW, tmp_path / "elsewhere/out", force=False) is Outcome.WRITTEN
    time.sleep(0.2)
    assert not (tmp_path / "out").exists()
    os.close(handle)
    assert os.waitpid(child, 0)[1] == 0
    assert is_whole(NEW, tmp_path / "out")


def test_a_folder_that_can_not_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_handle: int, _how: int) -> None:
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(module.fcntl, "flock", flock)
    assert write(NEW, tmp_path / "out", force=False) is Outcome.WRITTEN


def test_an_error_of_the_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_keys: object) -> str:
        raise OSError("something without a number")

    monkeypatch.setattr(module.tempfile, "mkdtemp", refuse)
    with pytest.raises(UsageError, match=r"can't write .*/out: something without a number"):
        write(NEW, tmp_path / "out", force=False)
