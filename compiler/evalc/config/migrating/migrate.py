"""Migrating: one edit after the other, each held against what the config means.

An edit is kept only when the whole config, composed with all its parts, is the same before and
after. What can't be rewritten so stays as it is: the older form goes on to be read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evalc.config.migrating.edits import edits
from evalc.config.migrating.text import CannotEdit, Text
from evalc.errors import ConfigError
from evalc.source.nodes import show_path
from evalc.words import RuntimeEnv

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalc.source import Path

# Where a bare word of older configs was no variable's name.
_LITERAL_ONCE = ("deployment", "auxiliary_deployments")


@dataclass(frozen=True)
class Change:
    """What was older, where it stood (a line, from 1), and what is written instead."""

    key: str
    line: int
    new: str


@dataclass(frozen=True)
class Migrated:
    """The text in the current form, what was changed, and what was left to a person."""

    text: str
    changes: tuple[Change, ...]
    left: tuple[Change, ...]


def migrate(text: str, backend: str, compose: Callable[[str], Any]) -> Migrated:
    """A config's text in the current form.

    ``backend`` is its ``execution.type``; ``compose`` gives the canonical values of the whole
    config as plain data, for a text of this file. Raises :class:`~evalc.errors.ConfigError` when
    the text is not YAML, or the config can't be composed as it is.
    """
    if "\r\n" in text:
        found = migrate(text.replace("\r\n", "\n"), backend, compose)
        return replace(found, text=found.text.replace("\n", "\r\n"))
    first = now = Text(text)
    meant = _meaning(compose(text))
    changes: list[Change] = []
    left: dict[Path, Change] = {}
    while True:
        for edit in edits(now, backend):
            if edit.old in left:
                continue
            change = Change(show_path(edit.old), _line(first, now, edit.old), edit.new)
            try:
                then = edit.apply(now)
                same = _meaning(compose(str(then))) == meant
            except (CannotEdit, ConfigError):
                same = False
            if same:
                changes.append(change)
                now = then
                break
            left[edit.old] = change
        else:
            return Migrated(str(now), tuple(changes), tuple(left.values()))


def _line(first: Text, now: Text, path: Path) -> int:
    """Where a key stands in the text as it was given, if it was there already."""
    try:
        key, _ = first.entry(path)
    except CannotEdit:
        key, _ = now.entry(path)
    return key.location.line


def _meaning(value: Any, path: Path = ()) -> Any:
    """Values, with the forms that mean the same in a block of variables made alike."""
    if isinstance(value, dict):
        alike = {key: _meaning(item, (*path, key)) for key, item in value.items()}
        # Scripts have variables and mounts in the order of the config.
        return list(alike.items()) if "env_vars" in path or "mounts" in path else alike
    if isinstance(value, list):
        return [_meaning(item, (*path, index)) for index, item in enumerate(value)]
    if len(path) < 2 or path[-2] != "env_vars":
        return value
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], RuntimeEnv):
        return value if value[0].default is not None else f"host:{value[0].name}"
    if isinstance(value, str) and value.isidentifier() and path[0] not in _LITERAL_ONCE:
        return f"host:{value}"
    return value
