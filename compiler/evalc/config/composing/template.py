r"""Texts with ``${…}`` in them, taken apart.

The grammar is OmegaConf's (https://omegaconf.readthedocs.io/en/2.3_branch/grammar.html). Its parser
reads every text that is not plain; it takes an eighth of a second to import, so the common forms
are read here by a regular expression, to the same result:

    ${a.b.c}   ${.sibling}   ${a[0].b}   ${oc.env:NAME,default}   and these inside a text
"""

from __future__ import annotations

import functools
import re

from evalc.config.composing.expressions import Call, Expression, Joined, Reference

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_STEP = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
_KEY = rf"\.*{_STEP}(?:\.{_STEP}|\[{_STEP}\])*"
# Arguments whose meaning is plain to see: a text that starts with a letter or a slash, a whole
# number, an empty text in quotes.
_ARGUMENT = r"(?:[A-Za-z_/][A-Za-z0-9_/.:-]*|0|[1-9][0-9]*|''|\"\")"
_EXPRESSION = (
    rf"\$\{{(?:(?P<key>{_KEY})"
    rf"|(?P<name>{_NAME}(?:\.{_NAME})*):(?P<arguments>{_ARGUMENT}(?:, ?{_ARGUMENT})*))\}}"
)
_PLAIN = re.compile(rf"(?P<text>[^$\\]+)|{_EXPRESSION}")
_WORDS_WITH_MEANING = frozenset({"null", "true", "false", "inf", "nan"})


def parse_template(text: str) -> Expression:
    """The expression that a text is; a text that is one ``${…}`` alone is that expression.

    Raises :class:`~evalc.config.composing.expressions.BadTemplateError` for a text that is
    not in the grammar.
    """
    return _parse_template(text)


@functools.lru_cache(maxsize=8192)
def _parse_template(text: str) -> Expression:
    parts = _plain_parts(text)
    if parts is None:
        from evalc.config.composing.grammar import parse_value  # noqa: PLC0415 - see the module's docstring

        return parse_value(text)
    if len(parts) == 1 and not isinstance(parts[0], str):
        return parts[0]
    return Joined(tuple(parts))


def _plain_parts(text: str) -> list[Expression] | None:
    """The parts of a text that has only common forms in it, else None."""
    parts: list[Expression] = []
    start = 0
    while start < len(text):
        match = _PLAIN.match(text, start)
        if match is None:
            return None
        start = match.end()
        if match["text"]:
            parts.append(match["text"])
        elif match["key"]:
            parts.append(Reference((match["key"],), match[0]))
        else:
            words = re.split(", ?", match["arguments"])
            if any(word.lower() in _WORDS_WITH_MEANING for word in words):
                return None
            arguments = tuple(_plain_argument(word) for word in words)
            parts.append(Call((match["name"],), arguments, match[0]))
    return parts


def _plain_argument(word: str) -> str | int:
    if word.isdigit():
        return int(word) if len(word) < 1000 else word
    return "" if word in ("''", '""') else word
