"""``evalc schema``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft7Validator

from evalc import compiler

Run = Callable[..., Any]


@pytest.mark.parametrize("kind", ["config", "plan", "manifest"])
def test_a_schema_is_valid_json_and_draft_07(evalc: Run, kind: str) -> None:
    result = evalc("schema", kind)
    assert (result.code, result.err) == (0, "")
    schema = json.loads(result.out)
    assert schema == compiler.schema(kind)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)


def test_another_kind_is_wrong_usage(evalc: Run) -> None:
    result = evalc("schema", "bundle")
    assert (result.code, result.out) == (2, "")
    assert "'bundle' is not one of 'config', 'plan', 'manifest'" in result.err
