"""Commands of a script: typed words, laid out over lines for people.

A command is a list of lines, a line is a list of words. A word is text or a
:data:`~evalc.words.Word` (quoted), a :class:`Raw` (shell text that evalc itself wrote), or a tuple
of such pieces that belong together in one word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from evalc.emit import quoting
from evalc.words import Literal, RuntimeEnv, Secret, Word


@dataclass(frozen=True, slots=True)
class Raw:
    """Shell text made by evalc, never by a config."""

    text: str


@dataclass(frozen=True, slots=True)
class Assign:
    """``NAME=value`` of an ``export``: the one place where a secret's value may be named."""

    name: str
    value: Word


@dataclass(frozen=True, slots=True)
class Join:
    """Pieces that make one word: ``Join(Raw('"$_artifacts"'), ":/results")``."""

    pieces: tuple[Item, ...]


Item: TypeAlias = "str | Word | Raw | Assign | Join"
CommandLines: TypeAlias = "list[list[Item]]"


def command_line(lines: CommandLines, *, indent: int = 4) -> str:
    """The command as bash text; every line but the first is indented by so many columns.

    Four is for what stands in a function, which is itself indented by two.

    Raises :class:`~evalc.emit.quoting.Refused` for a value that can't be carried.
    """
    texts = [" ".join([_text(item) for item in line]) for line in lines if line]
    # A first word that stands alone, such as exec or export, is joined by what follows it.
    if len(texts) > 1 and texts[0] == "exec":
        texts[:2] = [f"exec {texts[1]}"]
    return f" \\\n{' ' * indent}".join(texts)


def _text(item: Item) -> str:
    if isinstance(item, str):
        return quoting.shell_word(item)
    if isinstance(item, Raw):
        return item.text
    if isinstance(item, Assign):
        return f"{item.name}={_assigned(item.value)}"
    if isinstance(item, Join):
        return "".join([_text(piece) for piece in item.pieces])
    return quoting.shell(item)


def _assigned(word: Word) -> str:
    return quoting.shell(
        tuple(RuntimeEnv(part.name) if isinstance(part, Secret) else part for part in word)
    )


def join(*pieces: Item) -> Join:
    """Several pieces as one word."""
    return Join(pieces)


def is_open(word: Word) -> bool:
    """Whether a part of this word is known at run time only."""
    return any(type(part) is not Literal for part in word)
