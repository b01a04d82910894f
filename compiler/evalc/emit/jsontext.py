"""JSON-like values with words in them -> JSON text, in which run-time values are marks.

A value that is known at run time only is written as ``@@{NAME}@@`` inside of a JSON string;
whoever fills it in (``evalc_fill`` in ``templates/lib/common.sh``) puts the value there as it
stands between JSON's quotes. A config's own ``@@{`` is written with an escape of JSON's, so that it
is no mark.
"""

from __future__ import annotations

import json
from typing import Any

from evalc.emit.quoting import Refused
from evalc.words import PARTS, Literal, Part, Secret

_ENCODER = json.JSONEncoder(ensure_ascii=False)
_OWN_MARK = "@@{"
_NO_MARK = "@@\\u007b"


def dump(value: Any) -> str:
    """The text of ``value`` (dicts, lists, text, numbers, booleans, None, words), with sorted keys,
    ending in a newline.

    Raises :class:`~evalc.emit.quoting.Refused` for a secret: its value would be filled in.
    """
    return _text(value, "\n") + "\n"


def plain(value: Any) -> Any:
    """The same value with its marks as text, as a reader of the JSON finds it before it is filled
    in."""
    if _is_word(value):
        return "".join(p.text if isinstance(p, Literal) else _mark(p) for p in value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _text(value: Any, line: str) -> str:
    inner = line + "  "
    if isinstance(value, dict) and value:
        items = [f"{_string(key)}: {_text(value[key], inner)}" for key in sorted(value)]
        return "{" + inner + f",{inner}".join(items) + line + "}"
    if isinstance(value, list) and value:
        return "[" + inner + f",{inner}".join([_text(item, inner) for item in value]) + line + "]"
    if isinstance(value, str):
        return _string(value)
    if _is_word(value):
        return _word(value)
    return _ENCODER.encode(value)


def _is_word(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], PARTS)


def _string(text: str) -> str:
    return _ENCODER.encode(text).replace(_OWN_MARK, _NO_MARK)


def _word(word: tuple[Part, ...]) -> str:
    # What only makes a mark together with its neighbour is one text.
    done, literal = "", ""
    for part in word:
        if isinstance(part, Literal):
            literal += part.text
        else:
            done += _string(literal)[1:-1] + _mark(part)
            literal = ""
    return f'"{done}{_string(literal)[1:-1]}"'


def _mark(part: Part) -> str:
    if isinstance(part, Secret):
        raise Refused(part, "a secret can only be the whole value of a variable")
    assert not isinstance(part, Literal)
    return f"@@{{{part.name}}}@@"
