"""The schemas by themselves: that they are sound, that people can read them, that editors can."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft7Validator

from evalc import catalog
from evalc.config import BUILTIN
from evalc.config.checking.schema import (
    Schema,
    config_schema,
    editor_schema,
    is_command,
    places,
    subschemas,
)
from evalc.errors import Source
from evalc.resources import read_schema
from evalc.source import parse, read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCAL = read_schema("execution.local")
SLURM = read_schema("execution.slurm")
LEPTON = read_schema("execution.lepton")
CONFIG = config_schema({"lepton": LEPTON, "local": LOCAL, "slurm": SLURM})
EDITOR = editor_schema({"lepton": LEPTON, "local": LOCAL, "slurm": SLURM})

# Mappings whose keys are the user's, a harness's or another program's.
FREE = {
    "defaults[]",
    "deployment.env_vars",
    "deployment.lepton_config.envs",
    "deployment.lepton_config.storage_attachments[]",
    "evaluation.config.global_adapter_config",
    "evaluation.config.metadata",
    "evaluation.config.params.extra",
    "evaluation.config.config.params.extra",
    "evaluation.config.target.api_endpoint.adapter_config",
    "evaluation.env_vars",
    "evaluation.nemo_evaluator_config.config.params.extra",
    "evaluation.nemo_evaluator_config.global_adapter_config",
    "evaluation.nemo_evaluator_config.metadata",
    "evaluation.nemo_evaluator_config.target.api_endpoint.adapter_config",
    "evaluation.overrides",
    "execution.auto_export.configs",
    "execution.env_vars",
    "execution.image_mirror",
    "execution.lepton_platform.tasks.env_vars",
    "execution.lepton_platform.tasks.labels",
    "execution.lepton_platform.tasks.storage_attachments[]",
    "execution.mounts.deployment",
    "execution.mounts.auxiliary",
    "execution.mounts.evaluation",
    "execution.auto_export.export_mounts",
    "execution.sbatch_extra_flags",
    "matrix",
    "export.env_vars",
    "export.mlflow.extra_metadata",
    "export.mlflow.tags",
    "export.wandb.extra_metadata",
    "env_vars",
}


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every part of a schema with the key that it is for."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for step, inner in subschemas(schema):
        if step[0] == "properties":
            yield from walk(inner, f"{path}.{step[1]}" if path else str(step[1]))
        elif step[0] == "items":
            yield from walk(inner, f"{path}[]")
        elif step[0] == "additionalProperties":
            yield from walk(inner, f"{path}.*")
        elif step[0] in ("allOf", "anyOf", "then"):
            yield from walk(inner, path)


@pytest.mark.parametrize(
    "name", ["config", "execution.lepton", "execution.local", "execution.slurm", "manifest", "plan"]
)
def test_a_schema_file_is_draft_07(name: str) -> None:
    schema = read_schema(name)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("schema", [CONFIG, EDITOR], ids=["config", "editor"])
def test_the_whole_is_one_document_without_references(schema: Schema) -> None:
    Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert '"$ref"' not in json.dumps(schema)
    assert "definitions" not in schema


def test_the_files_agree_with_themselves_when_read_without_evalc() -> None:
    """The files are valid draft-07 on their own, references and all, for who uses them directly."""
    validator = Draft7Validator(read_schema("config"))
    good = {"evaluation": {"tasks": [{"name": "ifeval", "env_vars": {"A": "lit:1"}}]}}
    assert validator.is_valid(good)
    bad = {"evaluation": {"tasks": [{"name": "ifeval", "env_var": {}}]}}
    assert not validator.is_valid(bad)


def keys(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for path, part in walk(schema):
        for name, inner in part.get("properties", {}).items():
            yield f"{path}.{name}" if path else name, inner


@pytest.mark.parametrize("schema", [CONFIG, EDITOR], ids=["config", "editor"])
def test_every_key_says_what_it_means(schema: Schema) -> None:
    found = list(keys(schema))
    assert len(found) > 300
    for path, part in found:
        text = part.get("description", "")
        assert text.endswith("."), path
        assert text[0].isupper() or text[0] == "'", path


def test_every_default_is_in_the_description() -> None:
    """Editors show the description alone."""
    for path, part in keys(CONFIG):
        if "default" in part and part["default"] not in (None, {}, [], ""):
            shown = part["default"]
            text = str(shown).lower() if isinstance(shown, bool) else str(shown)
            assert text in part["description"], path


@pytest.mark.parametrize("what", ["default", "examples"])
def test_defaults_and_examples_fit(what: str) -> None:
    # An example may hold references, as people write them.
    checked = 0
    for path, part in keys(CONFIG if what == "default" else EDITOR):
        values = [part["default"]] if what == "default" and what in part else part.get(what, [])
        for value in values if what == "examples" or what in part else []:
            errors = [e.message for e in Draft7Validator(part).iter_errors(value)]
            assert not errors, path
            checked += 1
    assert checked > 40


def test_every_mapping_is_closed_unless_it_is_known_to_be_free() -> None:
    free = set()
    for path, part in walk(CONFIG):
        types = part.get("type", [])
        if "object" not in types and types != "object":
            continue
        if part.get("additionalProperties") is not False and path != "execution":
            free.add(path)
        elif part.get("additionalProperties") is False:
            assert part["patternProperties"] == {"^x-": {}}, path
    free = {path.replace("tasks[].", "") for path in free}
    free = {path for path in free if not path.startswith("auxiliary_deployments")}
    # Inside of what is free, everything is.
    assert {
        p for p in free if not any(p != f and p.startswith((f + ".", f + "[")) for f in FREE)
    } == FREE


def test_the_builtin_groups_and_the_schema_have_the_same_defaults() -> None:
    execution = parse(read_file(BUILTIN / "execution" / "local.yaml")).plain()
    for name, part in LOCAL["properties"].items():
        if name in execution and "default" in part:
            assert execution[name] == part["default"], name
    slurm = parse(read_file(BUILTIN / "execution" / "slurm" / "default.yaml")).plain()
    assert slurm["nodes"] == "${execution.num_nodes}"
    _agree(SLURM, {**slurm, "nodes": slurm["num_nodes"]})
    vllm = parse(read_file(BUILTIN / "deployment" / "vllm.yaml")).plain()
    for name, part in CONFIG["properties"]["deployment"]["properties"].items():
        if name in vllm and "default" in part and name != "type":
            assert vllm[name] == part["default"], name


def _agree(schema: Schema, group: dict[str, Any]) -> None:
    """Every default of the schema is in the group, and the other way round."""
    for name, part in schema["properties"].items():
        if "properties" in part and name in group:
            _agree(part, group[name])
        elif "default" in part:
            assert name in group, name
            assert group[name] == part["default"], name
    assert group.keys() <= schema["properties"].keys()


def test_endpoint_types_cover_the_catalogue() -> None:
    task = CONFIG["properties"]["evaluation"]["properties"]["tasks"]["items"]
    known = set(task["properties"]["endpoint_type"]["enum"])
    for found in catalog.load().tasks():
        assert set(found.endpoint_types) <= known, found.name


def test_an_auxiliary_deployment_has_every_key_of_a_deployment() -> None:
    one = CONFIG["properties"]["auxiliary_deployments"]["additionalProperties"]["properties"]
    deployment = CONFIG["properties"]["deployment"]["properties"]
    assert deployment.items() <= one.items()
    assert set(one) - set(deployment) == {"num_nodes", "num_instances", "n_tasks", "env_prefix"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("deployment", "command"), True),
        (("deployment", "command", 0), False),
        (("execution", "setup"), True),
        (("execution", "auto_export", "launcher_install_cmd"), True),
        (("execution", "partition"), False),
        (("deployment", "base_command"), True),
        (("deployment", "pre_cmd"), True),
        (("deployment", "post_cmd"), False),
        (("deployment", "image"), False),
        (("deployment", "extra_args"), False),
        (("auxiliary_deployments", "judge", "command"), True),
        (("evaluation", "pre_cmd"), True),
        (("evaluation", "post_cmd"), True),
        (("evaluation", "command"), False),
        (("evaluation", "tasks", 3, "command"), True),
        (("evaluation", "tasks", 3, "pre_cmd"), True),
        (("evaluation", "tasks", 3, "post_cmd"), True),
        (("evaluation", "tasks", 3, "name"), False),
        (
            (
                "evaluation",
                "tasks",
                3,
                "nemo_evaluator_config",
                "config",
                "params",
                "extra",
                "command",
            ),
            False,
        ),
        (("command",), False),
        ((), False),
    ],
)
def test_commands(path: tuple[str | int, ...], *, expected: bool) -> None:
    assert is_command(path, lambda: CONFIG) is expected


# Schemas that a backend of somebody else's brings

TRAIN: Schema = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "type": {"const": "train", "description": "The backend."},
        "engine": {"allOf": [{"$ref": "#/definitions/engine"}], "description": "The first engine."},
        "second": {"$ref": "#/definitions/engine"},
    },
    "additionalProperties": False,
    "definitions": {"engine": {"type": "string", "enum": ["steam", "diesel"]}},
}


def test_a_backends_schema_becomes_a_case_of_execution() -> None:
    schema = config_schema({"train": TRAIN, "local": LOCAL})
    validator = Draft7Validator(schema)
    rest: dict[str, Any] = {"evaluation": {"tasks": [{"name": "a"}]}}
    assert validator.is_valid({"execution": {"type": "train", "engine": "steam"}, **rest})
    assert validator.is_valid({"execution": {"type": "local", "engine": "podman"}, **rest})
    assert validator.is_valid({"execution": {"engine": "podman"}, **rest})
    assert not validator.is_valid({"execution": {"type": "train", "engine": "podman"}, **rest})
    assert not validator.is_valid({"execution": {"type": "train", "second": "podman"}, **rest})
    assert not validator.is_valid({"execution": {"type": "boat"}, **rest})
    engine = schema["properties"]["execution"]["allOf"][1]["then"]["properties"]["engine"]
    assert engine["description"] == "The first engine."
    assert engine["enum"] == ["steam", "diesel"]


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ("#/definitions/engine", "refers to itself"),
        ("other.json#/definitions/engine", "refers outside"),
        ("#/definitions/none", "has nothing at"),
    ],
)
def test_a_backends_schema_must_stand_by_itself(ref: str, why: str) -> None:
    broken = {
        "properties": {"a": {"$ref": "#/definitions/engine"}},
        "definitions": {"engine": {"$ref": ref}},
    }
    with pytest.raises(ValueError, match=why):
        config_schema({"train": broken})


def test_places_name_the_mappings_that_have_a_key() -> None:
    found = places(config_schema({"local": LOCAL, "train": TRAIN}))
    assert found["second"] == ["execution (train)"]
    assert found["engine"] == ["execution (local)", "execution (train)"]
    assert "the top level" in found["env_vars"]
    assert not any("evaluation.config" in place for of in found.values() for place in of)
    assert "overrides" not in found


# Editors

GOOD_LAYERS = [
    "{}",
    "defaults: [{execution: local}, {deployment: vllm}, _self_]",
    "deployment: {tensor_parallel_size: 1}",
    "execution: {cpus: '${x-cpus}', mode: '${oc.env:MODE}', mounts: '${x-mounts}'}\nx-cpus: 4",
    "deployment: {served_model_name: '???', port: '???', type: '${x}'}",
    "evaluation: {tasks: '${x-tasks}'}",
    "evaluation: {tasks: [{name: a, nemo_evaluator_config: {config: {params: {top_p: '???'}}}}]}",
    "execution: {memory_limit: '${x}g', shm_size: '???'}",
    "target: {api_endpoint: {api_key_name: '${x}'}}",
]
BAD_LAYERS = [
    "executon: {}",
    "deployment: {tensor_paralel_size: 1}",
    "execution: {type: local, partition: gpu}",
    "execution: {partition: gpu, mode: parallel}",
    "execution: {mode: paralel}",
    "execution: {cpus: four}",
    "execution: {memory_limit: 16 gigabytes}",
    "evaluation: {tasks: all}",
    "deployment: {port: 70000}",
    "evaluation: {tasks: [{name: a, env_vars: [A]}]}",
]


@pytest.mark.parametrize("text", GOOD_LAYERS)
def test_editors_accept_a_layer_as_people_write_it(text: str) -> None:
    value = parse(Source("layer.yaml", text)).plain()
    assert [e.message for e in Draft7Validator(EDITOR).iter_errors(value)] == []


@pytest.mark.parametrize("text", BAD_LAYERS)
def test_editors_still_see_what_is_wrong(text: str) -> None:
    value = parse(Source("layer.yaml", text)).plain()
    assert not Draft7Validator(EDITOR).is_valid(value)


def test_editors_get_every_key_and_every_meaning() -> None:
    def described(schema: Schema) -> set[tuple[str, str]]:
        return {(path, part["description"]) for path, part in keys(schema)}

    assert described(CONFIG) <= described(EDITOR)


def test_editors_tell_backends_apart() -> None:
    validator = Draft7Validator(editor_schema({"local": LOCAL, "train": TRAIN}))
    assert validator.is_valid({"execution": {"second": "steam"}})
    assert validator.is_valid({"execution": {"cpus": 2}})
    assert not validator.is_valid({"execution": {"cpus": 2, "second": "steam"}})
    assert not validator.is_valid({"execution": {"type": "train", "cpus": 2}})
    assert not validator.is_valid({"execution": {"type": "boat"}})
