"""What the container that exports results may not see, or sees in vain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.exporting import Automatic
from evalc.plan.problems import CannotCarry, Contradiction, NoEffect
from evalc.words import literal_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.backends.slurm.options import Options
    from evalc.errors import Problem
    from evalc.plan import Mount, Plan

_BLOCK = ("execution", "auto_export")


def export_container(plan: Plan, options: Options) -> Iterator[Problem]:
    """Every problem of ``export_image`` and ``export_mounts``."""
    automatic = Automatic.of(plan.options)
    if plan.export is None:
        return
    why = _unused(automatic, options)
    if not why:
        for mount in automatic.mounts:
            yield from _mount(plan, options, mount)
    elif automatic.image is not None:
        yield _idle(plan, "export_image", why)
    elif automatic.mounts:
        yield _idle(plan, "export_mounts", why)


def _unused(automatic: Automatic, options: Options) -> str:
    """Why there is no such container, or an empty text."""
    if automatic.image is None:
        return "there is no 'export_image' that would see them"
    if not automatic.by_evalc:
        return "files are copied without it, and there is no other destination"
    return "'engine' is none" if options.engine == "none" else ""


def _idle(plan: Plan, key: str, why: str) -> NoEffect:
    return NoEffect(key=".".join((*_BLOCK, key)), why=why, location=plan.origin.at(*_BLOCK, key))


def _mount(plan: Plan, options: Options, mount: Mount) -> Iterator[Problem]:
    source = literal_text(mount.source) or ""
    at = plan.origin.at(*_BLOCK, "export_mounts", source)
    if not source.startswith("/"):
        yield Contradiction(
            what=f"'{source}' is relative, and nodes do not know to what",
            advice="begin it with '/'",
            location=at,
        )
    elif any(one in source + mount.target for one in ",:") or not source.isprintable():
        why = f"{options.engine} can't mount a path with ',', ':' or a control character"
        yield CannotCarry(why=why, location=at)
