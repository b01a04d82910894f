"""Where something is, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalc.errors import Location, Source


def name_of(source: Source) -> str:
    """A file's name; of an override its key, since the value may be a secret."""
    if source.kind == "override":
        return f"{source.name} {source.text.partition('=')[0]}"
    return source.name


def place(at: Location) -> str:
    """``file:line:column``, or the name of an override, which is one line."""
    if at.source.kind == "override":
        return name_of(at.source)
    return f"{name_of(at.source)}:{at.line}:{at.column}"
