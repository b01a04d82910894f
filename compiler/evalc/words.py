"""Text that is partly known only at run time.

A word is a tuple of parts: literal text, an environment variable of the machine where the script
runs, or a secret. It is never a string with ``$`` in it, so nothing has to be parsed again (and no
``$`` of a user's can come alive) when it is rendered for a shell, for JSON or for YAML.

This module is a leaf: config makes words out of ``${oc.env:…}``, the plan carries them, emit
renders them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that is known now."""

    text: str


@dataclass(frozen=True, slots=True)
class RuntimeEnv:
    """The value that environment variable ``name`` has where the script runs.

    ``default`` stands in when the variable is unset; without a default the script stops and says
    so.
    """

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that must never be written down: only its name is.

    ``scope`` is ``host`` (read on the submitting machine at submit time) or ``runtime`` (must exist
    where the job runs). ``default`` is literal text for when it is unset.
    """

    name: str
    scope: str = "host"
    default: str | None = None


Part: TypeAlias = "Literal | RuntimeEnv | Secret"
# The same for isinstance, as a tuple: a union is made anew each time it is written.
PARTS = (Literal, RuntimeEnv, Secret)
Word: TypeAlias = "tuple[Part, ...]"


def literal(text: str) -> Word:
    """The word that is just ``text``."""
    return (Literal(text),)


def literal_text(word: Word) -> str | None:
    """The word's text when all of it is known now, else None."""
    texts = []
    for part in word:
        if not isinstance(part, Literal):
            return None
        texts.append(part.text)
    return "".join(texts)
