"""What may be inserted into a bash command.

A command is bash text and is executed; any other value is data and must not be. So a reference in
a command may bring in only what was written as a command elsewhere, arguments (which are quoted
anew; so is a list), or text that the shell reads as part of one plain word.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from evalc.config.composing.found import FailedError, Found, Site, text_of
from evalc.config.composing.problems import EnvInCommand, UnsafeInterpolation
from evalc.source import Mapping, Sequence
from evalc.source.nodes import show_path
from evalc.words import RuntimeEnv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from evalc.source import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9_@%+=:,./-]")
# A key whose value is command-line arguments, as the user would type them.
_ARGUMENTS_KEY = "extra_args"


def insertable(found: Found, command_keys: Callable[[Path], bool], site: Site) -> str:
    """The text to insert into the command at ``site`` for what its expression stands for.

    Raises :class:`~evalc.config.composing.found.FailedError` when the shell would take the value
    for more than a word, or when it is known only at run time.
    """
    value, path = found.value, found.path
    if isinstance(value, str) and (found.written or (path is not None and command_keys(path))):
        return value
    if isinstance(value, str) and path and path[-1] == _ARGUMENTS_KEY:
        try:
            return shlex.join(shlex.split(value))
        except ValueError as error:
            raise _unsafe(found, f"it can't be split ({str(error).lower()})", site) from None
    text = _known_text(found, site)
    unsafe = _UNSAFE.search(text)
    if unsafe is not None:
        raise _unsafe(found, f"it has {_character(unsafe[0])} in it", site)
    return text


def insertable_words(items: Iterable[Found], site: Site) -> str:
    """The text to insert into a command for a list: its items as words, quoted where needed.

    Raises :class:`~evalc.config.composing.found.FailedError` when an item is no text or number, or
    is known only at run time.
    """
    words = []
    for item in items:
        if isinstance(item.value, Mapping | Sequence | list | dict):
            raise _unsafe(item, "it is no single value", site)
        words.append(_known_text(item, site))
    return shlex.join(words)


def _known_text(found: Found, site: Site) -> str:
    if isinstance(found.value, tuple):
        names = [part.name for part in found.value if isinstance(part, RuntimeEnv)]
        raise FailedError(EnvInCommand(name=names[0], location=site.location))
    return text_of(found, "a part of a command", site)


def _unsafe(found: Found, why: str, site: Site) -> FailedError:
    key = show_path(found.path) if found.path else site.text
    return FailedError(UnsafeInterpolation(key=key, why=why, location=site.location))


def _character(character: str) -> str:
    names = {" ": "a space", "\n": "a line break", "\t": "a tab", "'": "a quote", '"': "a quote"}
    return names.get(character, character if character.isprintable() else repr(character))
