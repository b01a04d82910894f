"""JSON-like values -> YAML text for people, fast.

PyYAML's dumper takes about a millisecond for one ``run_config.yml``, most of compiling a thousand
tasks, so this writes the small part of YAML that evalc needs itself: block mappings and lists,
plain text only where no version of YAML could read it as anything else, and JSON's double quotes
for the rest. What it writes reads the same under YAML 1.1 (PyYAML, in the containers) and 1.2.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/](?:[A-Za-z0-9_./@+-]|:(?=[A-Za-z0-9_./@+-]))*")
# What YAML 1.1 or 1.2 reads as a boolean or null.
_NOT_TEXT = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
# Characters that YAML's double quotes may not hold raw, beyond those that JSON escapes; line
# separators are among them, since YAML folds them.
_ESCAPE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


# Made once: json.dumps makes an encoder for each call that asks for anything unusual.
_ENCODER = json.JSONEncoder(ensure_ascii=False)


class Quoted(str):
    """Text that is put in double quotes in any case."""

    __slots__ = ()


def dump(value: Any, *, header: str = "") -> str:
    """YAML text of ``value`` (dicts, lists, text, numbers, booleans, None), ending in a newline.

    ``header`` is put before it as it is; the caller makes it of comment lines.
    """
    lines: list[str] = []
    _block(value, "", lines)
    return header + "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """``text`` in double quotes, as both JSON's and YAML's readers take it."""
    return _ESCAPE.sub(lambda m: f"\\u{ord(m[0]):04x}", _ENCODER.encode(text))


def scalar(value: Any) -> str:
    """A single value in one line."""
    if type(value) is str:
        return _text(value)
    if isinstance(value, str):
        return quoted(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no YAML form here")


@lru_cache(maxsize=4096)
def _text(value: str) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return quoted(value)


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # YAML 1.1 wants a dot: it reads 1e-07 as text.
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return text


def _block(value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            _item(f"{indent}{_key(key, indent)}:", item, indent + "  ", lines)
    elif isinstance(value, list) and value:
        for item in value:
            start = len(lines)
            if isinstance(item, dict | list) and item:
                _block(item, indent + "  ", lines)
                # The first line of a nested block stands beside the dash.
                lines[start] = f"{indent}- {lines[start][len(indent) + 2 :]}"
            else:
                lines.append(f"{indent}- {_empty_or_scalar(item)}")
    else:
        lines.append(indent + _empty_or_scalar(value))


def _key(text: str, indent: str) -> str:
    key = scalar(text)
    # A key and its colon may stand 1,024 characters apart; a longer one is marked as a key.
    return key if len(key) < 1000 else f"? {key}\n{indent}"


def _item(head: str, item: Any, indent: str, lines: list[str]) -> None:
    if type(item) is str and "\n" not in item:
        lines.append(f"{head} {_text(item)}")
    elif isinstance(item, dict | list) and item:
        lines.append(head)
        _block(item, indent, lines)
    elif isinstance(item, str) and _reads_well_as_block(item):
        # The text's own lines, as they were most likely written.
        lines.append(f"{head} |" if item.endswith("\n") else f"{head} |-")
        lines += [f"{indent}{line}" if line else "" for line in item.rstrip("\n").split("\n")]
    else:
        lines.append(f"{head} {_empty_or_scalar(item)}")


def _reads_well_as_block(text: str) -> bool:
    """Whether ``text`` has several lines, and a literal block keeps every character of it."""
    body = text.rstrip("\n")
    return (
        "\n" in body
        and len(text) - len(body) <= 1
        and not text.startswith((" ", "\n", "\t", "#"))
        and all(line.isprintable() and line == line.rstrip() for line in body.split("\n"))
        and not _ESCAPE.search(text)
        and not isinstance(text, Quoted)
    )


def _empty_or_scalar(value: Any) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return scalar(value)
