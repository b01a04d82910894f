"""``jsonschema``, made quick for tens of thousands of values of one schema.

Importing this module imports ``jsonschema``, which takes as long as checking a large config.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from evalc.config.checking.proof import ANNOTATIONS, compiled
from evalc.config.checking.schema import NAMED, ONE, SEVERAL, Json, Schema, subschemas, types_of
from evalc.config.checking.standins import Late, Loose

if TYPE_CHECKING:
    from collections.abc import Iterator

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str, Late),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
# The stubs of jsonschema know neither of its validators' type nor that of a made one.
_Validator: TypeAlias = Any


class Checker:
    """A schema made ready, and the way back from its parts.

    Three things make it quick. Annotations are left out, since every keyword costs a look-up. A
    part's validator is made once, not once for each value (there are no references, so nothing
    about it changes from place to place). A value whose Python type alone shows that it is right is
    not checked further.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        # By the identity of a stripped part: the part as it was, its validator, and the types that
        # need no check. The stripped parts live as long as this object, so identities are unique.
        self._original: dict[int, Schema] = {}
        self._validators: dict[int, _Validator] = {}
        self._fine: dict[int, frozenset[type]] = {}
        self._stripped: dict[int, Schema] = {}
        keywords = {
            "properties": self._properties,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "items": self._items,
            "required": _required,
            "pattern": _pattern,
            "x-evalc": _annotated,
        }
        kind = cast("Any", extend)(Draft7Validator, keywords)
        self._validator: _Validator = kind(self._strip(schema))

    def errors(self, value: Json) -> Iterator[ValidationError]:
        """What is wrong with ``value``.

        Unlike jsonschema's own, an error about a key that is unknown or missing is one error for
        each key, and its path ends with the key.
        """
        found: Iterator[ValidationError] = self._validator.iter_errors(value)
        return found

    def part(self, error: ValidationError) -> Schema:
        """The part of the schema that an error is about, as it was given."""
        stripped = cast("Schema", error.schema)
        return self._original.get(id(stripped), stripped)

    def _strip(self, schema: Json) -> Json:
        """A copy without annotations; parts that are shared stay shared."""
        if not isinstance(schema, dict):
            return schema
        if id(schema) in self._stripped:
            return self._stripped[id(schema)]
        result = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
        for path, _inner in subschemas(schema):
            where = str(path[0])
            if where in ONE:
                result[where] = self._strip(schema[where])
            elif where in SEVERAL:
                result[where] = [self._strip(item) for item in schema[where]]
            elif where in NAMED:
                result[where] = {name: self._strip(item) for name, item in schema[where].items()}
        self._stripped[id(schema)] = result
        self._original[id(result)] = schema
        if result.keys() <= {"type"}:
            names = types_of(result)
            self._fine[id(result)] = frozenset(t for n in names for t in _PYTHON_TYPES.get(n, ()))
        return result

    def _check(
        self, validator: _Validator, value: Json, schema: Json, step: str | int
    ) -> Iterator[ValidationError]:
        if type(value) is Loose or type(value) in self._fine.get(id(schema), ()):
            return
        part = self._validators.get(id(schema))
        if part is None:
            part = self._validators[id(schema)] = validator.evolve(schema=schema)
        for error in part.iter_errors(value):
            error.path.appendleft(step)
            yield error

    # Keywords, in the form that jsonschema calls them: (validator, keyword's value, value, schema)

    def _properties(
        self, validator: _Validator, properties: Json, value: Json, _schema: Json
    ) -> Iterator[ValidationError]:
        for key, item in value.items() if isinstance(value, dict) else ():
            inner = properties.get(key)
            # The same question as in _check, asked here to spare a generator for most values.
            if inner is not None and type(item) not in self._fine.get(id(inner), ()):
                yield from self._check(validator, item, inner, key)

    def _pattern_properties(
        self, validator: _Validator, patterns: Json, value: Json, _schema: Json
    ) -> Iterator[ValidationError]:
        for pattern, inner in patterns.items():
            if inner and isinstance(value, dict):
                for key in value:
                    if re.search(pattern, key):
                        yield from self._check(validator, value[key], inner, key)

    def _additional_properties(
        self, validator: _Validator, inner: Json, value: Json, schema: Json
    ) -> Iterator[ValidationError]:
        if not isinstance(value, dict):
            return
        properties = schema.get("properties", ())
        patterns = schema.get("patternProperties", ())
        for key in value:
            if key in properties or any(re.search(pattern, key) for pattern in patterns):
                continue
            if inner is False:
                yield ValidationError("", path=[key])
            else:
                yield from self._check(validator, value[key], inner, key)

    def _items(
        self, validator: _Validator, items: Json, value: Json, _schema: Json
    ) -> Iterator[ValidationError]:
        if isinstance(value, list):
            # A list of schemas is for tuples: one each, and the rest is free.
            each = items if isinstance(items, list) else [items] * len(value)
            for index, (item, inner) in enumerate(zip(value, each, strict=False)):
                yield from self._check(validator, item, inner, index)


def _required(
    _validator: _Validator, names: Json, value: Json, _schema: Json
) -> Iterator[ValidationError]:
    for name in names if isinstance(value, dict) else ():
        if name not in value:
            yield ValidationError("", path=[name])


def _pattern(
    _validator: _Validator, pattern: str, value: Json, _schema: Json
) -> Iterator[ValidationError]:
    if isinstance(value, str) and (isinstance(value, Late) or not compiled(pattern).search(value)):
        yield ValidationError("")


def _annotated(
    _validator: _Validator, mark: str, value: Json, _schema: Json
) -> Iterator[ValidationError]:
    if isinstance(value, Late) and mark in ("static", "command"):
        yield ValidationError("")
