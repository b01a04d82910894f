"""What every report of a difference tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.bundle.diff import Side, meaning, texts
from evalc.cli.report.as_text import count

if TYPE_CHECKING:
    from evalc.bundle.diff import Change, FileDifference


@dataclass(frozen=True)
class Comparison:
    """Two bundles, what they mean differently, and which of their files differ how."""

    old: Side
    new: Side
    changes: tuple[Change, ...]
    files: tuple[FileDifference, ...]

    @property
    def differs(self) -> bool:
        """Whether anything does: two bundles that mean the same may still have other texts."""
        return bool(self.changes or self.files)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader has to know beside the changes."""
        found = [
            f"{side.label} was edited since it was compiled: {_some(side.edited)}"
            for side in (self.old, self.new)
            if side.edited
        ]
        if self.files and not self.changes:
            found.append("the two mean the same; only their texts differ")
        return tuple(found)

    @property
    def summary(self) -> str:
        """How much text differs: ``3 files differ, 10 lines added, 2 removed``."""
        verb = "differ" if len(self.files) != 1 else "differs"
        added = count(sum(file.added for file in self.files), "line")
        removed = sum(file.removed for file in self.files)
        return f"{count(len(self.files), 'file')} {verb}: {added} added, {removed:,} removed"


def compare(old: Side, new: Side) -> Comparison:
    """How ``new`` differs from ``old``."""
    return Comparison(old, new, meaning(old.facts, new.facts), texts(old.files, new.files))


def _some(names: tuple[str, ...], limit: int = 3) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
