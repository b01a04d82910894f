"""Files that a config names and the bundle carries."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from evalc.plan.model import BundledFile
from evalc.plan.problems import BadFile
from evalc.source import Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Location, Problem
    from evalc.source import Node

# A bundle is meant to be committed and reviewed; what is larger belongs on a mount.
MAX_TOTAL_BYTES = 10 * 1024 * 1024
_LIMIT = f"{MAX_TOTAL_BYTES // 2**20} MiB"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LEFT_OUT = frozenset(("__pycache__", ".git"))


def bundled_files(node: Node | None, base: str, problems: list[Problem]) -> tuple[BundledFile, ...]:
    """The files that the list ``node`` names, with folders read whole, sorted by path.

    A relative name is looked up beside the file that it was written in, or in ``base`` when it was
    given on the command line. What can't be read becomes a problem.
    """
    found = _Files()
    for item in node.items if isinstance(node, Sequence) else ():
        if not isinstance(item, Scalar) or not isinstance(item.value, str):
            continue
        top = Path(item.source.directory or base, item.value)
        try:
            for path, relative in _walk(top):
                found.add(_read(path, relative))
        except _Unusable as why:
            problems.append(_bad(item.value, str(why), item.location))
        except OSError as error:
            problems.append(_bad(item.value, error.strerror or str(error), item.location))
    return tuple(found.by_path[path] for path in sorted(found.by_path))


class _Unusable(Exception):
    """Why a file is refused, in words."""


class _Files:
    """The files of one owner."""

    def __init__(self) -> None:
        self.by_path: dict[str, BundledFile] = {}
        self.size = 0

    def add(self, file: BundledFile) -> None:
        if file.path in self.by_path:
            raise _Unusable(f"'{file.path}' is already there")
        self.by_path[file.path] = file
        self.size += len(file.data)
        if self.size > MAX_TOTAL_BYTES:
            raise _Unusable(f"together they are larger than {_LIMIT}; mount them instead")


def _bad(path: str, why: str, at: Location) -> Problem:
    return BadFile(path=path, why=why, location=at)


def _walk(top: Path) -> Iterator[tuple[Path, str]]:
    name = top.name if top.name not in ("", "..") else top.resolve().name
    if not top.is_dir():
        yield top, name
        return
    empty = True
    for folder, folders, names in os.walk(top, onerror=_unreadable):
        folders[:] = sorted(f for f in folders if f not in _LEFT_OUT)
        for link in folders:
            # Walking into links could go on for ever, and leaving one out would lose files.
            if Path(folder, link).is_symlink():
                raise _Unusable(f"'{link}' in it is a link to a folder; name that folder itself")
        for file in sorted(names):
            path = Path(folder, file)
            empty = False
            yield path, str(Path(name, path.relative_to(top)))
    if empty:
        raise _Unusable("there is no file in it")


def _unreadable(error: OSError) -> None:
    raise error


def _read(path: Path, relative: str) -> BundledFile:
    if _CONTROL.search(relative):
        raise _Unusable("its name holds a control character")
    if not _is_unicode(relative):
        raise _Unusable("its name is not UTF-8")
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise _Unusable("it is not a regular file")
    if path.stat().st_size > MAX_TOTAL_BYTES:
        raise _Unusable(f"it is larger than {_LIMIT}; mount it instead")
    return BundledFile(relative, path.read_bytes(), bool(mode & stat.S_IXUSR))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
