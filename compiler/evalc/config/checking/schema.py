"""The JSON Schema of a config, put together from the core and the backends' own parts.

Draft-07 (https://json-schema.org/draft-07/json-schema-release-notes), because that is what editors
understand. One keyword is ours, and means nothing to others:

``x-evalc: command``
    the text is bash text, and the only kind of text in a config that is ever run as such;
``x-evalc: static``
    the text must be known when the bundle is compiled;
``x-evalc: secret-name``
    the text names a secret; what is wrong with it is reported without quoting it.
``x-evalc: older``
    an older form of another key, which is accepted and not advertised.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from evalc.resources import read_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from evalc.source import Path

# A value as JSON has it; what it is, the code finds out.
Json: TypeAlias = Any
Schema: TypeAlias = "dict[str, Any]"

# Keywords whose value is a schema, a list of schemas, or schemas by name.
ONE = ("additionalProperties", "items", "not", "if", "then", "else", "contains", "propertyNames")
SEVERAL = ("allOf", "anyOf", "oneOf")
NAMED = ("properties", "patternProperties", "dependencies")

# What may stand where a number, a choice or a block is wanted, before a config is composed.
_NOT_YET = r"\$\{|^\?\?\?$"


def config_schema(execution: Mapping[str, Mapping[str, Any]]) -> Schema:
    """The schema of composed configs: one document without references.

    ``execution`` holds each backend's schema of the block ``execution``, by the backend's name. An
    absent ``type`` means the backend ``local``. Raises :class:`ValueError` when a backend's schema
    refers to itself or outside of itself.
    """
    return _build(execution, for_editors=False)


def editor_schema(execution: Mapping[str, Mapping[str, Any]]) -> Schema:
    """The schema for editors, where a config is one of several layers and not composed yet.

    The same keys, but none is required, since another layer may give it, and ``${…}`` and ``???``
    may stand wherever a value may.
    """
    return _build(execution, for_editors=True)


def _build(execution: Mapping[str, Mapping[str, Any]], *, for_editors: bool) -> Schema:
    core = read_schema("config")
    whole: Schema = {"$schema": core["$schema"], **_Inliner(core).inline(core)}
    blocks = {name: _Inliner(block).inline(block) for name, block in sorted(execution.items())}
    own = whole["properties"]["execution"]
    own["properties"] = {
        "type": {
            "description": "The backend: where the tasks run. Default: local.",
            "type": "string",
            "enum": list(blocks),
            "default": "local",
        }
    }
    cases = [
        {"if": _type_is(name, given=for_editors or name != "local"), "then": blocks[name]}
        for name in blocks
    ]
    if for_editors:
        cases.append({"if": {"not": {"required": ["type"]}}, "then": {"anyOf": [*blocks.values()]}})
    own["allOf"] = cases
    return _lenient(whole) if for_editors else whole


def _type_is(name: str, *, given: bool) -> Schema:
    """A condition on ``type``, which holds for an absent one too unless it must be ``given``."""
    test: Schema = {"properties": {"type": {"const": name}}}
    return {**test, "required": ["type"]} if given else test


class _Inliner:
    """Replaces every reference in a schema by what it refers to, made once and shared."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.done: dict[str, Json] = {}
        self.open: set[str] = set()

    def inline(self, node: Json) -> Json:
        if isinstance(node, list):
            return [self.inline(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return self._referred(node["$ref"])
        parts = node.get("allOf", ())
        result = {
            key: self.inline(value)
            for key, value in node.items()
            if key not in ("definitions", "$schema", "$id")
        }
        # In draft-07 a '$ref' silences its neighbours, so a description stands beside an allOf of
        # one. As one schema, it is faster to check and clearer in an editor.
        if len(parts) == 1 and "$ref" in parts[0]:
            (only,) = result.pop("allOf")
            result = {**only, **result}
        return result

    def _referred(self, ref: str) -> Json:
        if ref not in self.done:
            if ref in self.open:
                raise ValueError(f"the schema refers to itself: {ref}")
            self.open.add(ref)
            self.done[ref] = self.inline(_target(ref, self.document))
            self.open.discard(ref)
        return self.done[ref]


def _target(ref: str, document: Mapping[str, Any]) -> Json:
    """What ``ref`` (``#/definitions/x``) refers to in ``document``."""
    if not ref.startswith("#/"):
        raise ValueError(f"the schema refers outside of itself: {ref}")
    found: Json = document
    for step in ref[2:].split("/"):
        if not isinstance(found, dict) or step not in found:
            raise ValueError(f"the schema has nothing at {ref}")
        found = found[step]
    return found


def _lenient(schema: Json) -> Json:
    """The schema with nothing required, and with room for what composing will replace."""
    if not isinstance(schema, dict):
        return schema
    # A condition is no place for leniency: it would hold for what it should tell apart.
    result = {
        key: value if key in ("if", "not") else _lenient_part(key, value)
        for key, value in schema.items()
        if key != "required"
    }
    if "enum" in result or "const" in result:
        choice = {key: result.pop(key) for key in ("type", "enum", "const") if key in result}
        result["anyOf"] = [choice, {"type": "string", "pattern": _NOT_YET}]
    elif "type" in result and "string" not in types_of(result):
        result["type"] = [*types_of(result), "string"]
        result["pattern"] = _NOT_YET
    elif "pattern" in result:
        result["pattern"] = f"{result['pattern']}|{_NOT_YET}"
    return result


def _lenient_part(key: str, value: Json) -> Json:
    if key in ONE:
        return _lenient(value)
    if key in SEVERAL:
        return [_lenient(item) for item in value]
    if key in NAMED:
        return {name: _lenient(item) for name, item in value.items()}
    return value


def types_of(schema: Schema) -> list[str]:
    """The names of the types that a schema allows; none when it does not say."""
    types = schema.get("type", [])
    return types if isinstance(types, list) else [types]


def subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], Json]]:
    """The schemas right inside ``schema``, each with its path in it."""
    for key in ONE:
        if key in schema:
            yield (key,), schema[key]
    for key in SEVERAL:
        for index, item in enumerate(schema.get(key, ())):
            yield (key, index), item
    for key in NAMED:
        for name, item in schema.get(key, {}).items():
            yield (key, name), item


def is_command(path: Path, schema: Callable[[], Schema]) -> bool:
    """Whether a text at ``path`` of a config is bash text.

    What of ``execution`` is a command is the backend's to say: ``schema`` gives the config's whole
    schema, and is called for paths in that block alone.
    """
    if not path:
        return False
    if path[0] == "execution":
        patterns = _execution_commands(schema())
    else:
        names, patterns = _commands()
        if path[-1] not in names:
            return False
    return any(
        len(pattern) == len(path)
        and all(want in ("*", step) for want, step in zip(pattern, path, strict=True))
        for pattern in patterns
    )


@lru_cache(maxsize=1)
def _commands() -> tuple[frozenset[str], tuple[tuple[str, ...], ...]]:
    """The last steps, and the paths with ``*`` for any step, of every command."""
    core = read_schema("config")
    patterns = tuple(_annotated(core, core, "command", ()))
    return frozenset(pattern[-1] for pattern in patterns), patterns


_Patterns: TypeAlias = "tuple[tuple[str, ...], ...]"
_execution_patterns: dict[int, tuple[Schema, _Patterns]] = {}


def _execution_commands(schema: Schema) -> _Patterns:
    """The paths of the commands in ``execution``, whatever its type may be."""
    if id(schema) not in _execution_patterns:
        found = (
            pattern
            for case in schema["properties"]["execution"]["allOf"]
            for pattern in _annotated(case["then"], case["then"], "command", ("execution",))
        )
        _execution_patterns[id(schema)] = (schema, tuple(found))
    return _execution_patterns[id(schema)][1]


def _annotated(
    schema: Json, document: Schema, mark: str, path: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        yield from _annotated(_target(schema["$ref"], document), document, mark, path)
        return
    if schema.get("x-evalc") == mark:
        yield path
    for step, inner in subschemas(schema):
        if step[0] == "properties":
            yield from _annotated(inner, document, mark, (*path, str(step[1])))
        elif step[0] in ("items", "additionalProperties"):
            yield from _annotated(inner, document, mark, (*path, "*"))
        elif step[0] in SEVERAL:
            yield from _annotated(inner, document, mark, path)


_places: dict[int, tuple[Schema, dict[str, list[str]]]] = {}


def places(schema: Schema) -> dict[str, list[str]]:
    """For each key, the mappings that have it, as people call them.

    Older forms are left out, and mappings that take any key.
    """
    if id(schema) not in _places:
        found: dict[str, list[str]] = {}
        _find_places(schema, "", found)
        _places[id(schema)] = (schema, found)
    return _places[id(schema)][1]


def _find_places(schema: Json, name: str, found: dict[str, list[str]]) -> None:
    if not isinstance(schema, dict) or schema.get("x-evalc") == "older":
        return
    for path, inner in subschemas(schema):
        where = name
        if path[0] == "properties":
            key = str(path[1])
            closed = schema.get("additionalProperties") is False
            if closed and isinstance(inner, dict) and inner.get("x-evalc") != "older":
                of = found.setdefault(key, [])
                of += [name or "the top level"] if (name or "the top level") not in of else []
            where = f"{name}.{key}" if name else key
        elif path[0] == "items":
            where = f"{name}[]"
        elif path[0] == "additionalProperties":
            where = f"{name}.*"
        elif path[0] == "then":
            kind = schema.get("if", {}).get("properties", {}).get("type", {}).get("const")
            where = f"{name} ({kind})" if kind else name
        elif path[0] not in SEVERAL:
            continue
        _find_places(inner, where, found)
