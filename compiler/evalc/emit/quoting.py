"""One function for each context that a value can land in.

Each either carries the value whole or refuses it: :class:`Refused` says which value and why, and
whoever renders turns that into a located error.
"""

from __future__ import annotations

import re
import shlex
from functools import lru_cache
from typing import TYPE_CHECKING

from evalc.words import Literal, RuntimeEnv, Word

if TYPE_CHECKING:
    from evalc.words import Part

_HARD_TO_READ = re.compile(r"['$`\\]")
# What bash reads specially inside double quotes (in scripts, where '!' is not).
_SPECIAL = re.compile(r'["$`\\]')
_PLAIN_OPTION = re.compile(r"[A-Za-z0-9_./:,@%+=*\[\]-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class Refused(ValueError):
    """A value that a context can't carry."""

    def __init__(self, value: object, why: str) -> None:
        self.value = value
        self.why = why
        super().__init__(why)


@lru_cache(maxsize=4096)
def shell_word(text: str) -> str:
    """``text`` as one literal word of bash; refuses a NUL, which no argument can hold.

    Plain where nothing needs quotes, else in single quotes, and in double quotes where single ones
    would be hard to read (``'"'"'``) or look like a mistake to shellcheck (``'$HOME'``).
    """
    if "\0" in text:
        raise Refused(text, "a NUL character can't be passed to a program")
    if "\r" in text:
        # Nobody sees one in a script, and sbatch takes a script with CR LF for one from DOS.
        return "$'\\r'".join(shell_word(part) if part else "" for part in text.split("\r"))
    if _HARD_TO_READ.search(text):
        return '"' + _SPECIAL.sub(r"\\\g<0>", text) + '"'
    return shlex.quote(text)


def shell_part(part: Part) -> str:
    """One part of a word, for bash. A secret never becomes part of a script's text."""
    if isinstance(part, Literal):
        return shell_word(part.text)
    if isinstance(part, RuntimeEnv):
        return f'"${{{part.name}}}"'
    raise Refused(part, f"the secret {part.name} can only be the whole value of a variable")


@lru_cache(maxsize=4096)
def shell(word: Word) -> str:
    """A word as bash text: one word when executed, whatever its parts hold."""
    return "".join(shell_part(part) for part in word) or "''"


def sbatch_value(text: str) -> str:
    """``text`` as the value of an option on an ``#SBATCH`` line, which sbatch splits at spaces and
    reads quotes and backslashes in; refuses what would end the line."""
    if _CONTROL.search(text):
        raise Refused(text, "an #SBATCH line can't hold a line break or a control character")
    if _PLAIN_OPTION.fullmatch(text):
        return text
    return '"' + re.sub(r'["\\\\]', r"\\\g<0>", text) + '"'


def comment(text: str) -> str:
    """``text`` for the rest of a ``#`` line; refuses what would end the line."""
    if _CONTROL.search(text):
        raise Refused(text, "a comment can't hold a line break or a control character")
    return text


def here_document(text: str) -> str:
    """``text`` as a here-document that bash takes as it is: what stands after the command, up to
    the line that ends it. Refuses a NUL; the text ends with a line break."""
    if "\0" in text or not text.endswith("\n"):
        raise Refused(text, "a here-document can hold no NUL, and ends with a line break")
    end = "EOF"
    lines = set(text.split("\n"))
    while end in lines:
        end += "_"
    return f"<<'{end}'\n{text}{end}"


def code_span(text: str) -> str:
    """``text`` as Markdown's inline code, whatever backticks it holds."""
    if _CONTROL.search(text):
        raise Refused(text, "a line of the README can't hold a line break or a control character")
    runs = [len(run) for run in re.findall("`+", text)]
    fence = "`" * (max(runs, default=0) + 1)
    # Markdown takes one space away at both ends when there is one at each, and has no empty code.
    spaced = text[:1] == " " == text[-1:] and text.strip(" ")
    pad = " " if spaced or not text or "`" in (text[0], text[-1]) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def show(word: Word) -> str:
    """A word for people: literal text, ``$NAME`` for what is known at run time only."""
    return "".join(part.text if isinstance(part, Literal) else f"${part.name}" for part in word)
