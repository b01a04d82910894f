"""What is proven right without ``jsonschema`` is right, and most configs are proven so."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from golden.examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from evalc.compiler import Request, _load, _schema_for
from evalc.config import Matrix
from evalc.config.checking.checker import Checker
from evalc.config.checking.proof import is_right
from evalc.config.checking.standins import Late, instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def values(file: Path) -> tuple[dict[str, Any], str]:
    """A config as the checker gets it, of a matrix its first cell, and its backend."""
    config = _load(Request(file))
    if isinstance(config, Matrix):
        config = config.cells[0].config
    value, loose = instance(config.root)
    assert not loose
    return value, value["execution"]["type"]


VALUES = {name: values(file) for name, file in EXAMPLES.items()}
_CHECKERS = {kind: Checker(_schema_for(kind)) for kind in ("lepton", "local", "slurm")}


def test_there_are_examples_of_all_backends() -> None:
    assert {kind for _, kind in VALUES.values()} == {"lepton", "local", "slurm"}


@pytest.mark.parametrize("name", VALUES)
def test_an_example_is_proven(name: str) -> None:
    value, kind = VALUES[name]
    assert is_right(value, _schema_for(kind))


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in value.items() if isinstance(value, dict) else ():
        yield from paths(item, (*path, key))
    for index, item in enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*path, index))


ODD = st.sampled_from(
    [None, True, False, 0, 1, -1, 1.0, 1.5, "", "x", "local", "slurm", "1", "64G", "01:00:00\n",
     Late("${…}"), [], [1], ["x"], {}, {"x": 1}, {"x-a": 1}, {"type": "slurm"}]
)  # fmt: skip
CHANGES = st.sampled_from(["replace", "remove", "add"])
KEYS = st.sampled_from(["x", "x-mine", "type", "command", "name", "gpus", "nodes", "tasks"])


@settings(max_examples=1500)
@given(data=st.data())
def test_what_is_proven_is_right(data: st.DataObject) -> None:
    original, kind = VALUES[data.draw(st.sampled_from(sorted(VALUES)))]
    value: Any = copy.deepcopy(original)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(paths(value))[1:] or [()]))
        if not path:
            break
        above = value
        for step in path[:-1]:
            above = above[step]
        change = data.draw(CHANGES)
        if change == "remove" or above[path[-1]] is None:
            del above[path[-1]]
        elif change == "add" and isinstance(above[path[-1]], dict):
            above[path[-1]][data.draw(KEYS)] = copy.deepcopy(data.draw(ODD))
        else:
            above[path[-1]] = copy.deepcopy(data.draw(ODD))
    if is_right(value, _schema_for(kind)):
        assert list(_CHECKERS[kind].errors(value)) == []


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (1, {"type": "integer", "multipleOf": 2}),
        (True, {"type": "integer"}),
        (1, {"enum": [True]}),
        (1.0, {"const": 1}),
        ("a\n", {"pattern": "^a$"}),
        (Late("x"), {"type": "string", "pattern": "x"}),
        (Late("x"), {"type": "string", "x-evalc": "static"}),
        (Late("x"), {"type": "integer"}),
        ([1], {"items": [{"type": "string"}]}),
        ({"a": 1}, {"if": {"minProperties": 1}, "then": {"required": ["b"]}}),
        ({"a": 1}, {"if": {"properties": {"a": {"type": "integer"}}}, "then": {}, "else": False}),
        ({"a": 1}, {"then": False}),
        ("x", False),
        (object(), {}),
    ],
)
def test_what_is_not_proven(value: Any, schema: Any) -> None:
    assert not is_right(value, schema)
