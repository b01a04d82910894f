"""Config + schema -> every problem, each at its place.

:mod:`evalc.config.checking.checker` finds what is wrong; this module turns it into problems that
people can act on. Places are looked up only for what is wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evalc.config.checking.problems import (
    BadSecretName,
    BadValue,
    EmptyConfig,
    MissingKey,
    MissingValue,
    NeedsValue,
    UnknownKey,
    WrongType,
)
from evalc.config.checking.proof import is_right
from evalc.config.checking.schema import places, types_of
from evalc.config.checking.standins import Late, Loose, instance
from evalc.errors import did_you_mean, first_line, nearest
from evalc.source import Mapping, Scalar, Sequence, scalar_value
from evalc.source.nodes import key_location, scalars, show_path, walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.exceptions import ValidationError

    from evalc.config.checking.checker import Checker
    from evalc.config.checking.schema import Json, Schema
    from evalc.errors import Location, Problem
    from evalc.source import Node, Path, Value

_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
}
_TRUE_WORDS = frozenset(("yes", "on", "y", "true"))
_FALSE_WORDS = frozenset(("no", "off", "n", "false"))
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}
# Checkers by the identity of their schema, which they hold: an identity is never used again.
_checkers: dict[int, Checker] = {}


def validate(root: Mapping, schema: Schema) -> list[Problem]:
    """Everything in a composed config that its schema does not allow; no order is promised.

    Give it the canonical form (:func:`evalc.config.normalise.normalise`): the schema knows the
    older keys too, but what stands inside of dotted overrides is only seen once they are expanded.
    """
    value, loose = instance(root)
    if not loose and is_right(value, schema):
        return []
    # Not before something may be wrong: see the module proof.
    from evalc.config.checking.checker import Checker

    checker = _checkers.get(id(schema))
    if checker is None:
        checker = _checkers[id(schema)] = Checker(schema)
    reading = _Reading(root, checker)
    found = list(reading.loose_ends()) if loose else []
    for error in checker.errors(value):
        found += reading.problems(error)
    # A key that was misspelt is not missing as well.
    return [p for p in found if not (isinstance(p, MissingKey) and p.path in reading.misspelt)]


class _Reading:
    """Turns what the checker found in one config into problems."""

    def __init__(self, root: Mapping, checker: Checker) -> None:
        self.root = root
        self.checker = checker
        self.misspelt: set[str] = set()

    def loose_ends(self) -> Iterator[Problem]:
        """Values that are still ``???``, and numbers that no JSON can hold."""
        for path, node in scalars(self.root):
            if node.value == "???" and not any(str(step).startswith("x-") for step in path):
                at, here = self._users_place(path)
                yield MissingValue(key=show_path(path), path=_dotted(path), here=here, location=at)
            elif isinstance(node.value, float) and not math.isfinite(node.value):
                rule = f"must be a finite number, and this is {node.text}"
                yield BadValue(key=show_path(path), rule=rule, location=node.location)

    def problems(self, error: ValidationError) -> Iterator[Problem]:
        """What a person is told of one error."""
        path: Path = tuple(error.absolute_path)
        value: Json = error.instance
        kind = error.validator
        if isinstance(value, Loose):
            return
        if isinstance(value, Late):
            at = self._value_place(path)
            yield NeedsValue(key=show_path(path), path=_dotted(path), location=at)
        elif kind in ("anyOf", "oneOf") and error.context:
            yield from self._alternatives(error)
        elif kind == "additionalProperties":
            yield self._unknown_key(error, path)
        elif kind == "required":
            yield self._missing_key(path)
        elif kind == "type":
            yield self._wrong_type(path, value, self.checker.part(error))
        else:
            yield self._bad_value(error, path)

    def _alternatives(self, error: ValidationError) -> Iterator[Problem]:
        """The problems of the alternative that was most likely meant."""
        branches: dict[int | str, list[ValidationError]] = {}
        for inner in error.context or ():
            branches.setdefault(inner.schema_path[0], []).append(inner)
        # An alternative for another kind of value was not meant.
        fitting = [
            errors
            for errors in branches.values()
            if not any(e.validator in ("type", "const") and not e.path for e in errors)
        ]
        if fitting:
            for inner in min(fitting, key=len):
                yield from self.problems(inner)
            return
        path: Path = tuple(error.absolute_path)
        own = [e for errors in branches.values() for e in errors if not e.path]
        types = [n for e in own if e.validator == "type" for n in types_of(self.checker.part(e))]
        values = [str(e.validator_value) for e in own if e.validator == "const"]
        if values:
            yield self._no_choice(path, error.instance, values)
        else:
            yield self._wrong_type(path, error.instance, {"type": types})

    def _unknown_key(self, error: ValidationError, path: Path) -> Problem:
        key = str(path[-1])
        known = tuple(
            name
            for name, inner in self.checker.part(error).get("properties", {}).items()
            if inner.get("x-evalc") != "older"
        )
        for meant in nearest(key, known, 1):
            self.misspelt.add(_dotted((*path[:-1], meant)))
        return UnknownKey(
            key=key,
            where=self._name(path[:-1]),
            known=known,
            elsewhere=tuple(places(self.checker.schema).get(key, ())[:3]),
            path=path,
            location=key_location(self.root, path),
        )

    def _missing_key(self, path: Path) -> Problem:
        above = path[:-1]
        node = walk(self.root, above)
        at = key_location(self.root, above)
        if isinstance(node, Mapping) and (not above or isinstance(above[-1], int)):
            # Defaults of evalc's own are no place for the user to add something.
            own = [key for key in node.keys.values() if key.source.kind != "builtin"]
            if not own and not above:
                return EmptyConfig(location=first_line(at))
            at = own[0].location if own else first_line(at)
        return MissingKey(
            key=str(path[-1]), where=self._name(above), path=_dotted(path), location=at
        )

    def _wrong_type(self, path: Path, value: Json, part: Schema) -> Problem:
        types = types_of(part)
        words = tuple(dict.fromkeys(_TYPE_WORDS[name] for name in types if name in _TYPE_WORDS))
        node = walk(self.root, path)
        hint = _hint(node, set(types)) if node else ""
        if "patternErrorMessage" in part and value is not None:
            hint = f"write {part['patternErrorMessage']}"
        return WrongType(
            key=show_path(path),
            expected=words or ("empty",),
            got=_describe(value, words),
            hint=hint,
            location=self._value_place(path),
        )

    def _bad_value(self, error: ValidationError, path: Path) -> Problem:
        part = self.checker.part(error)
        limit: Json = error.validator_value
        value = error.instance
        if error.validator in ("enum", "const"):
            choices = [str(c) for c in (limit if error.validator == "enum" else [limit]) if c]
            return self._no_choice(path, value, choices)
        if error.validator in _BOUNDS:
            rule = f"must be {_BOUNDS[str(error.validator)]} {limit}, and this is {value}"
        elif error.validator == "pattern":
            rule = f"must be {part.get('patternErrorMessage', f'text that matches {limit}')}"
        elif error.validator in ("minLength", "minItems", "minProperties") and limit == 1:
            rule = "must not be empty"
        else:
            rule = f"does not fit the schema's rule '{error.validator}'"
        kind = BadSecretName if part.get("x-evalc") == "secret-name" else BadValue
        return kind(key=show_path(path), rule=rule, location=self._value_place(path))

    def _no_choice(self, path: Path, value: Json, choices: list[str]) -> Problem:
        return BadValue(
            key=show_path(path),
            rule=f"must be {_listed(choices)}",
            hint=did_you_mean(value, choices) if isinstance(value, str) else "",
            location=self._value_place(path),
        )

    def _name(self, path: Path) -> str:
        """A mapping as people call it; ``execution`` with the type that decides its keys."""
        name = show_path(path)
        if path == ("execution",):
            node = walk(self.root, ("execution", "type"))
            if isinstance(node, Scalar) and isinstance(node.value, str):
                return f"{name} ({node.value})"
        return name

    def _value_place(self, path: Path) -> Location:
        node = walk(self.root, path)
        if node is None or (isinstance(node, Scalar) and node.value is None and not node.text):
            return key_location(self.root, path)
        return first_line(node.location)

    def _users_place(self, path: Path) -> tuple[Location, bool]:
        """Where the user can give the value, and whether that is the value's own place.

        A value of evalc's own groups is not for editing: the user's block above it is, if any.
        """
        own = self._value_place(path)
        if own.source.kind != "builtin":
            return own, True
        for length in range(len(path) - 1, 0, -1):
            at = key_location(self.root, path[:length])
            if at.source.kind != "builtin":
                return at, False
        return own, False


def _dotted(path: Path) -> str:
    """A path as ``-o`` takes it."""
    return ".".join(str(step) for step in path)


def _json_type(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    kinds: dict[type, str] = {str: "string", dict: "object", list: "array"}
    return kinds.get(type(value), "null")


def _describe(value: Json, expected: tuple[str, ...]) -> str:
    if value is None:
        return "empty"
    if isinstance(value, float) and "a whole number" in expected:
        return str(value)
    return _TYPE_WORDS[_json_type(value)]


def _listed(choices: list[str]) -> str:
    if len(choices) == 1:
        return choices[0]
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _hint(node: Node, types: set[str]) -> str:
    """What was probably meant, where YAML reads something else than people do."""
    if not isinstance(node, Scalar):
        pairs = isinstance(node, Sequence) and "object" in types
        return "write 'name: value' lines, without dashes" if pairs else ""
    if node.value is None:
        return "give a value, or remove the key"
    if "${" in node.text:
        return f"this is what {node.text} stands for"
    if "array" in types:
        return "write it as a list, one item a line, each after a dash"
    if isinstance(node.value, str):
        return _text_hint(node, node.value, types)
    return _number_hint(node.text, node.value) if "string" in types else ""


def _text_hint(node: Scalar, value: str, types: set[str]) -> str:
    if "boolean" in types and value.casefold() in _TRUE_WORDS:
        return "write true, without quotes"
    if "boolean" in types and value.casefold() in _FALSE_WORDS:
        return "write false, without quotes"
    meant = scalar_value(value) if value and types & {"number", "integer"} else None
    if isinstance(meant, int | float):
        # Written without quotes it is text only where a number is written in another way, as in -o.
        return f"write {meant}" if node.plain_style else "remove the quotes"
    return ""


def _number_hint(text: str, value: Value) -> str:
    if text != str(value) and not isinstance(value, bool):
        return f"{text} reads as the number {value}: put it in quotes"
    return f'put it in quotes: "{text}"'
