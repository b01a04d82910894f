"""The files of two bundles, as a patch in git's form.

https://git-scm.com/docs/diff-format#generate_patch_text_with_p. ``git apply`` makes the newer
bundle out of the older one, unless a file that is not text differs.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.bundle.model import PROGRAM_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evalc.bundle.model import File


@dataclass(frozen=True, slots=True)
class FileDifference:
    """How one file differs.

    ``kind`` is ``added``, ``removed`` or ``changed``; ``lines`` are those of the patch, without
    their ends; ``added`` and ``removed`` count the lines of the file that did so.
    """

    path: str
    kind: str
    lines: tuple[str, ...]
    added: int = 0
    removed: int = 0


def texts(old: Mapping[str, File], new: Mapping[str, File]) -> tuple[FileDifference, ...]:
    """Every file that differs, in the order of their paths."""
    return tuple(
        _difference(path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _difference(path: str, old: File | None, new: File | None) -> FileDifference:
    kind = "added" if old is None else "removed" if new is None else "changed"
    body = list(_body(path, old, new))
    changed = body[2:]
    return FileDifference(
        path=path,
        kind=kind,
        lines=(f"diff --git a/{path} b/{path}", *_modes(old, new), *body),
        added=sum(line.startswith("+") for line in changed),
        removed=sum(line.startswith("-") for line in changed),
    )


def _modes(old: File | None, new: File | None) -> Iterator[str]:
    if old is None and new is not None:
        yield f"new file mode {_git_mode(new)}"
    elif new is None and old is not None:
        yield f"deleted file mode {_git_mode(old)}"
    elif old and new and old.mode != new.mode:
        yield f"old mode {_git_mode(old)}"
        yield f"new mode {_git_mode(new)}"


def _git_mode(file: File) -> str:
    return f"100{PROGRAM_MODE if file.mode & 0o111 else 0o644:o}"


def _body(path: str, old: File | None, new: File | None) -> Iterator[str]:
    before, after = (f.data if f else b"" for f in (old, new))
    if before == after:
        return
    names = (
        "/dev/null" if old is None else f"a/{path}",
        "/dev/null" if new is None else f"b/{path}",
    )
    lines = [_lines(data) for data in (before, after)]
    if lines[0] is None or lines[1] is None:
        yield f"Binary files {names[0]} and {names[1]} differ"
        return
    for line in difflib.unified_diff(lines[0], lines[1], *names, lineterm="\n"):
        yield line.removesuffix("\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def _lines(data: bytes) -> list[str] | None:
    """The lines of a text with their ends, or None for what is no text. Only a newline ends one:
    what else Python takes for a line's end is part of it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    return [*(f"{line}\n" for line in text.split("\n")[:-1]), *filter(None, text.split("\n")[-1:])]
