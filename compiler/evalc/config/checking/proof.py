"""Whether a config is right beyond doubt, found out without ``jsonschema``.

Importing ``jsonschema`` takes about as long as all the rest of compiling a small config, and most
configs are right. What can't be proven right here is left to ``jsonschema``, which alone says what
is wrong: a keyword that this module does not know, as a third party's schema may have, proves
nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from evalc.config.checking.schema import types_of
from evalc.config.checking.standins import Late

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalc.config.checking.schema import Json, Schema

# What only people and editors read.
ANNOTATIONS = frozenset(("title", "description", "default", "examples", "patternErrorMessage"))
_NAMES: dict[type, tuple[str, ...]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    type(None): ("null",),
    dict: ("object",),
    list: ("array",),
}


def is_right(value: Json, schema: Json) -> bool:
    """Whether ``value``, of plain types and :class:`Late`, is proven to be what ``schema`` allows.

    False proves nothing: the value may be right all the same.
    """
    if not isinstance(schema, dict):
        return schema is True
    kind = type(value)
    if kind is Late:
        return _is_free_text(schema)
    for keyword, wanted in schema.items():
        if keyword in ANNOTATIONS:
            continue
        holds = _KEYWORDS.get(keyword)
        if holds is None or not holds(value, wanted, schema):
            return False
    return kind in _NAMES


def _is_free_text(schema: Schema) -> bool:
    """Whether any text is right, also one that is known at run time only (and then not empty)."""
    return (
        schema.keys() <= {*ANNOTATIONS, "type", "x-evalc", "minLength"}
        and schema.get("minLength", 0) <= 1
        and schema.get("x-evalc") not in ("static", "command")
        and (not (types := types_of(schema)) or "string" in types)
    )


def _type(value: Json, _wanted: Json, schema: Schema) -> bool:
    names = _NAMES.get(type(value), ())
    return any(name in names for name in types_of(schema))


def _same(value: Json, wanted: Json) -> bool:
    # In Python, True equals 1.
    return type(value) is type(wanted) and bool(value == wanted)


def _const(value: Json, wanted: Json, _schema: Schema) -> bool:
    return _same(value, wanted)


def _enum(value: Json, wanted: Json, _schema: Schema) -> bool:
    return any(_same(value, one) for one in wanted)


def _number(compare: Callable[[Json, Json], bool]) -> Callable[[Json, Json, Schema], bool]:
    def holds(value: Json, wanted: Json, _schema: Schema) -> bool:
        return type(value) not in (int, float) or compare(value, wanted)

    return holds


def _min_length(value: Json, wanted: int, _schema: Schema) -> bool:
    return not isinstance(value, str) or len(value) >= wanted


def _min_items(value: Json, wanted: int, _schema: Schema) -> bool:
    return not isinstance(value, list) or len(value) >= wanted


def _pattern(value: Json, wanted: str, _schema: Schema) -> bool:
    return not isinstance(value, str) or bool(compiled(wanted).search(value))


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """A schema's pattern. Python's ``$`` lets a newline pass at the end, that of JSON Schema does
    not."""
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        pattern = pattern[:-1] + r"\Z"
    return re.compile(pattern)


def _required(value: Json, wanted: Json, _schema: Schema) -> bool:
    return not isinstance(value, dict) or all(name in value for name in wanted)


def _properties(value: Json, wanted: Schema, _schema: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    return all(is_right(item, wanted[key]) for key, item in value.items() if key in wanted)


def _pattern_properties(value: Json, wanted: Schema, _schema: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    return all(
        is_right(item, inner)
        for pattern, inner in wanted.items()
        if inner
        for key, item in value.items()
        if re.search(pattern, key)
    )


def _additional_properties(value: Json, wanted: Json, schema: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    named, patterns = schema.get("properties", ()), schema.get("patternProperties", ())
    return all(
        is_right(item, wanted)
        for key, item in value.items()
        if key not in named and not any(re.search(pattern, key) for pattern in patterns)
    )


def _items(value: Json, wanted: Json, _schema: Schema) -> bool:
    if not isinstance(value, list):
        return True
    return isinstance(wanted, dict) and all(is_right(item, wanted) for item in value)


def _all_of(value: Json, wanted: list[Json], _schema: Schema) -> bool:
    return all(is_right(value, part) for part in wanted)


def _if(value: Json, wanted: Json, schema: Schema) -> bool:
    """The only condition that is understood: what the keys of a mapping are equal to."""
    if schema.keys() - ANNOTATIONS != {"if", "then"} or not isinstance(value, dict):
        return False
    if not isinstance(wanted, dict) or wanted.keys() - {"properties", "required"}:
        return False
    holds = all(name in value for name in wanted.get("required", ()))
    for key, inner in wanted.get("properties", {}).items():
        if set(inner) != {"const"} or type(value.get(key, "")) is not str:
            return False
        holds = holds and (key not in value or _same(value[key], inner["const"]))
    return not holds or is_right(value, schema["then"])


_KEYWORDS: dict[str, Callable[[Json, Json, Schema], bool]] = {
    "$schema": lambda *_: True,
    # A mark of ours, which only says something of text that is not known yet.
    "x-evalc": lambda *_: True,
    "type": _type,
    "const": _const,
    "enum": _enum,
    "minimum": _number(lambda value, bound: value >= bound),
    "maximum": _number(lambda value, bound: value <= bound),
    "exclusiveMinimum": _number(lambda value, bound: value > bound),
    "minLength": _min_length,
    "minItems": _min_items,
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "items": _items,
    "allOf": _all_of,
    "if": _if,
    # With "if".
    "then": lambda _value, _wanted, schema: "if" in schema,
}
