#!/usr/bin/env python3
"""Makes ``schemas/lepton/*.schema.json`` from the models of the installed leptonai.

    python tools/make_lepton_schemas.py [FOLDER]

One for what ``POST /jobs`` takes and one for what ``POST /deployments`` takes, as draft-07. Where
they differ from pydantic's own: a key that a model does not have is an error (the client drops it
in silence), ``status`` is left out (only the server writes it), and so is what people alone read.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from leptonai.api.v2.types.deployment import LeptonDeployment
from leptonai.api.v2.types.job import LeptonJob

FOLDER = Path(__file__).resolve().parents[1] / "schemas" / "lepton"
MODELS = {"job": LeptonJob, "deployment": LeptonDeployment}
LEFT_OUT = frozenset(("title", "description", "default"))
PREFIX = "#/$defs/"


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by name."""
    return {name: _schema(name, model.model_json_schema()) for name, model in MODELS.items()}


def text(schema: dict[str, Any]) -> str:
    """A schema as the text of its file."""
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _schema(name: str, made: dict[str, Any]) -> dict[str, Any]:
    definitions = made.pop("$defs")
    made["properties"].pop("status")
    root = _strict(made)
    used: dict[str, Any] = {}
    todo = [root]
    while todo:
        for key in _references(todo.pop()):
            if key not in used:
                used[key] = _strict(definitions[key])
                todo.append(used[key])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": f"Made by tools/make_lepton_schemas.py from leptonai {version('leptonai')}.",
        "title": f"a Lepton {name}, as the client sends it",
        **root,
        "definitions": used,
    }


def _strict(node: Any, *, named: bool = False) -> Any:
    """A part of a schema in draft-07; ``named``: its keys are names of properties."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {
        key: _strict(value, named=key == "properties" and not named)
        for key, value in node.items()
        if named or key not in LEFT_OUT
    }
    if named:
        return result
    if "$ref" in result:
        result["$ref"] = "#/definitions/" + result["$ref"].removeprefix(PREFIX)
    if result.get("type") == "object" and "additionalProperties" not in result:
        result["additionalProperties"] = False
    if "anyOf" in result:
        # A model, or any mapping: the latter would let a misspelt key of the former pass.
        typed = any("$ref" in choice for choice in result["anyOf"])
        result["anyOf"] = [
            choice
            for choice in result["anyOf"]
            if not (typed and choice.get("additionalProperties") is True)
        ]
        if all(choice.keys() == {"type"} for choice in result["anyOf"]):
            result["type"] = [choice["type"] for choice in result.pop("anyOf")]
    return result


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [name for item in node for name in _references(item)]
    if not isinstance(node, dict):
        return []
    found = [name for value in node.values() for name in _references(value)]
    if isinstance(node.get("$ref"), str):
        found.append(node["$ref"].rpartition("/")[2])
    return sorted(set(found))


def main(arguments: list[str]) -> int:
    """Write them."""
    folder = Path(arguments[0]) if arguments else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.schema.json").write_text(text(schema), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
