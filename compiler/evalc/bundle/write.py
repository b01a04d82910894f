"""Bundle -> directory, all at once.

The files are written to a folder beside the target, which then takes the target's place in one
step, so that a crash leaves the old bundle or the new one. What a run has left in an old bundle
(results, logs) moves over to the new one: evalc never deletes a file that it did not write.
"""

from __future__ import annotations

import ctypes
import enum
import fcntl
import glob
import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from evalc.bundle.model import MANIFEST
from evalc.errors import EvalcError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.bundle.model import Bundle

# linux/fs.h and man 2 renameat2: swap two paths in one step.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
# The ending of an old bundle's name while the new one takes its place, where they can't be swapped.
_ASIDE = "-old"
_UNFINISHED = f"{MANIFEST}.part"


class Outcome(enum.Enum):
    """What writing did."""

    WRITTEN = "written"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


class BundleExists(EvalcError):
    """A different bundle is there already. ``changed`` names some files that differ."""

    exit_code = 1

    def __init__(self, out: Path, changed: tuple[str, ...]) -> None:
        self.out = out
        self.changed = changed
        super().__init__(f"{out} holds a different bundle")


def write(bundle: Bundle, out: Path, *, force: bool) -> Outcome:
    """Make ``out`` hold exactly this bundle, beside what runs have left there.

    Raises :class:`BundleExists` when a different one is there and ``force`` is not given, and
    :class:`~evalc.errors.UsageError` when ``out`` is no folder, holds something else, or can't be
    written; or when what runs left there can't be moved. Then all is as it was.
    """
    try:
        # A link stays a link, and what it leads to is replaced; '.' has no name to put another by.
        target = out
        if out.is_symlink() or out.name in ("", ".."):
            target = Path(os.path.realpath(out))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.parent):
            return _write(bundle, target, force=force)
    except OSError as error:
        raise UsageError(f"can't write {out}: {error.strerror or error}") from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one evalc at a time write bundles into ``folder``."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems can't lock a folder; there, two at once are on their own.
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(bundle: Bundle, out: Path, *, force: bool) -> Outcome:
    _recover(out)
    old = _existing(bundle, out, force=force)
    if old is not None:
        changed = tuple(_differences(bundle, out, old))
        if not changed:
            return Outcome.UNCHANGED
        if not force:
            raise BundleExists(out, changed)
    fresh = Path(tempfile.mkdtemp(prefix=f"{_prefix(out)}{os.getpid()}-", dir=out.parent))
    try:
        fresh.chmod(0o755)
        _fill(bundle, fresh)
        if old is None:
            # Nothing is there, or an empty folder, which a rename replaces.
            fresh.rename(out)
            return Outcome.WRITTEN
        _exchange(fresh, out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    # From here on ``fresh`` is the name of what was there before.
    try:
        _move_results(fresh, out, old)
    except BaseException as error:
        # Nobody would look for results under that name.
        _exchange(fresh, out)
        shutil.rmtree(fresh, ignore_errors=True)
        if not isinstance(error, OSError):
            raise
        raise UsageError(
            f"can't replace {out}: what is there beside the bundle can't be moved "
            f"({_said(error)}); nothing was changed",
            "give another --out",
        ) from None
    _remove(fresh, old)
    return Outcome.REPLACED


def _said(error: OSError) -> str:
    name = f"{Path(os.fsdecode(error.filename)).name}: " if error.filename else ""
    return f"{name}{error.strerror or error}"


def _prefix(out: Path) -> str:
    return f".{out.name}.evalc-"


def _recover(out: Path) -> None:
    """Tidy up after an evalc that was killed while it wrote here."""
    found = out.parent.glob(f"{glob.escape(_prefix(out))}*")
    # What was moved aside comes first: it may hold what runs left.
    for left in sorted(found, key=lambda path: not path.name.endswith(_ASIDE)):
        pid = left.name[len(_prefix(out)) :].partition("-")[0]
        if not pid.isdigit() or _is_running(int(pid)):
            continue
        if not (left / MANIFEST).exists():
            # A manifest comes and goes last: without one, there is nothing but our own.
            shutil.rmtree(left, ignore_errors=True)
        elif out.is_dir():
            _take_over(left, out)
        elif not os.path.lexists(out):
            left.rename(out)


def _take_over(left: Path, out: Path) -> None:
    """Keep what runs left in a bundle that ``out`` has taken the place of, and remove the rest."""
    try:
        files = _listed(left)
    except ValueError:
        # It was damaged before it was replaced; who can't tell what is whose keeps it all.
        files = frozenset()
    try:
        _move_results(left, out, files)
    except OSError as error:
        raise UsageError(
            f"{left} holds what runs left of {out} when evalc was killed, and it can't be moved "
            f"there ({_said(error)})",
            f"move it yourself, and remove {left}",
        ) from None
    _remove(left, files)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return pid != os.getpid()


def _existing(bundle: Bundle, out: Path, *, force: bool) -> frozenset[str] | None:
    """The files of the bundle that is there, by its manifest; None when there is nothing.

    Where the manifest is damaged, those that are as in ``bundle``, if ``force`` is given: anything
    else may be the user's.
    """
    if not out.exists():
        return None
    if not out.is_dir():
        raise UsageError(f"{out} is a file, and a bundle is a folder", "give another --out")
    try:
        return _listed(out)
    except FileNotFoundError:
        if not any(out.iterdir()):
            return None
        raise UsageError(
            f"{out} is not empty and holds no bundle", "give another --out, or clear it yourself"
        ) from None
    except ValueError:
        if force:
            return frozenset(bundle.files) - set(_differences(bundle, out, frozenset()))
        raise UsageError(
            f"{out / MANIFEST} is damaged, so evalc can't tell its files from yours",
            "give another --out; or --force, which keeps the others beside the new ones, with '~'",
        ) from None


def _listed(folder: Path) -> frozenset[str]:
    """The files of a bundle, by its manifest; raises ValueError for what no evalc wrote."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict):
        raise ValueError("it lists no files")  # noqa: TRY004 - the file's fault, no caller's
    for path in files:
        # Listed files are removed some day, so none may be outside.
        if not path or any(part in ("", ".", "..") for part in path.split("/")):
            raise ValueError(f"{path!r} is no path in a bundle")
    return frozenset([*files, MANIFEST])


def _differences(bundle: Bundle, out: Path, old: frozenset[str]) -> Iterator[str]:
    for path, file in bundle.files.items():
        there = out / path
        try:
            same = there.read_bytes() == file.data and there.stat().st_mode & 0o777 == file.mode
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            same = False
        if not same:
            yield path
    yield from sorted(path for path in old - bundle.files.keys() if (out / path).exists())


def _fill(bundle: Bundle, folder: Path) -> None:
    made = {""}
    root = str(folder)
    # Modes are part of the bundle, and not for the user's umask to change.
    umask = os.umask(0o022)
    try:
        for path, file in bundle.files.items():
            # The manifest gets its name last: it says that the bundle is whole (see _recover).
            name = path if path != MANIFEST else _UNFINISHED
            parent = path.rpartition("/")[0]
            if parent not in made:
                os.makedirs(f"{root}/{parent}", exist_ok=True)
                made.add(parent)
            handle = os.open(f"{root}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
            with open(handle, "wb") as stream:
                stream.write(file.data)
        os.rename(f"{root}/{_UNFINISHED}", f"{root}/{MANIFEST}")
    finally:
        os.umask(umask)


def _exchange(fresh: Path, out: Path) -> None:
    """Swap two folders in one step where the system can, else as nearly as it can."""
    if sys.platform == "linux":
        # Old C libraries, and musl, do not have it; some file systems can't do it.
        renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if renameat2 is not None:
            places = (_AT_FDCWD, os.fsencode(fresh), _AT_FDCWD, os.fsencode(out))
            if renameat2(*places, _RENAME_EXCHANGE) == 0:
                return
    aside = fresh.with_name(fresh.name + _ASIDE)
    out.rename(aside)
    try:
        fresh.rename(out)
    except BaseException:
        aside.rename(out)
        raise
    aside.rename(fresh)


def _move_results(old: Path, out: Path, files: frozenset[str]) -> None:
    """Move what is none of our ``files`` from a bundle to the one that has taken its place.

    Raises :class:`OSError` when something can't be moved; then all is where it was. Can be killed
    at any point and done again.
    """
    moves = _Moves()
    try:
        _move_rest(old, out, files, "", moves)
    except BaseException:
        moves.undo()
        raise


def _remove(old: Path, files: frozenset[str]) -> None:
    """Remove a bundle in which only our own files are left; the next compile does what this can't.

    The manifest, which tells our files, goes last.
    """
    with suppress(OSError):
        for name in files - {MANIFEST}:
            with suppress(FileNotFoundError, NotADirectoryError):
                (old / name).unlink()
        folders = [Path(folder) for folder, _, _ in os.walk(old, topdown=False)]
        for folder in folders[:-1]:
            folder.rmdir()
        with suppress(FileNotFoundError):
            (old / MANIFEST).unlink()
        old.rmdir()


class _Moves:
    """What was moved, and which folders were made for it."""

    def __init__(self) -> None:
        self._done: list[tuple[Path, Path | None]] = []

    def move(self, entry: Path, target: Path) -> None:
        entry.rename(target)
        self._done.append((target, entry))

    def make_folder(self, target: Path, like: Path) -> None:
        target.mkdir()
        self._done.append((target, None))
        shutil.copymode(like, target)

    def undo(self) -> None:
        for target, entry in reversed(self._done):
            if entry is None:
                target.rmdir()
            else:
                target.rename(entry)


def _move_rest(old: Path, out: Path, files: frozenset[str], below: str, moves: _Moves) -> None:
    """Move what is not ours of the old folder (results, logs) into the new one.

    ``below`` is the folders' path in the bundle, empty or with a slash at its end.
    """
    for entry in sorted(old.iterdir()):
        target = out / entry.name
        name = f"{below}{entry.name}"
        if not _is_folder(entry):
            if name in files:
                continue
        elif _is_folder(target) or any(file.startswith(f"{name}/") for file in files):
            if _has_others(entry, files, f"{name}/"):
                if not os.path.lexists(target):
                    moves.make_folder(target, entry)
                elif not _is_folder(target):
                    target = _free(target)
                    moves.make_folder(target, entry)
                _move_rest(entry, target, files, f"{name}/", moves)
            continue
        # A file of the user's in the place of one of ours stays beside that.
        moves.move(entry, _free(target))


def _has_others(folder: Path, files: frozenset[str], below: str) -> bool:
    """Whether something in a folder is not ours; an empty folder that we made is."""
    ours = any(file.startswith(below) for file in files)
    entries = list(folder.iterdir())
    if not entries:
        return not ours
    return any(
        _has_others(entry, files, f"{below}{entry.name}/")
        if _is_folder(entry)
        else f"{below}{entry.name}" not in files
        for entry in entries
    )


def _free(target: Path) -> Path:
    while os.path.lexists(target):
        target = target.with_name(target.name + "~")
    return target


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
