"""manifest.json and plan.json: true to the bundle, and of the published form."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from golden.examples import compiled

import evalc.compiler
from evalc.plan import Job, Resources, Retry, Service, Step

if TYPE_CHECKING:
    from evalc.bundle import Bundle

KINDS = ("manifest", "plan")
# What is left out where it says nothing: fields that most plans leave at their defaults, too.
OPTIONAL = {"default", "export", "gpu_hours"} | {
    field.name
    for kind in (Job, Service, Step, Resources, Retry)
    for field in dataclasses.fields(kind)
    if field.metadata.get("sparse")
}


def validator(kind: str) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(evalc.compiler.schema(kind))


def document(bundle: Bundle, kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(bundle.files[f"{kind}.json"].data)
    return loaded


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_the_published_form(example: Bundle, kind: str) -> None:
    problems = [
        f"{error.json_path}: {error.message}"
        for error in validator(kind).iter_errors(document(example, kind))
    ]
    assert problems == []


def test_the_manifest_lists_every_file(example: Bundle) -> None:
    listed = document(example, "manifest")["files"]
    assert listed == {
        path: {"mode": f"{file.mode:04o}", "sha256": hashlib.sha256(file.data).hexdigest()}
        for path, file in example.files.items()
        if path != "manifest.json"
    }
    assert list(listed) == sorted(listed)


def test_the_manifest_agrees_with_the_plan(example: Bundle) -> None:
    manifest, plan = document(example, "manifest"), document(example, "plan")
    assert (manifest["name"], manifest["backend"]) == (plan["name"], plan["backend"])
    assert manifest["jobs"] == [
        {
            "id": job["id"],
            "services": job["services"],
            "steps": [step["id"] for step in job["steps"]],
            **({"gpu_hours": gpu_hours(job)} if plan["backend"] == "slurm" else {}),
        }
        for job in plan["jobs"]
    ]
    served = {service["name"] for service in plan["services"]}
    assert all(served >= set(job["services"]) for job in plan["jobs"])


def gpu_hours(job: dict[str, Any]) -> float:
    """Nodes x GPUs x walltime x attempts, when the walltimes' sum has no lower limit."""
    resources, retry = job["resources"], job["retry"]
    seconds = min(resources["walltime"] * retry["attempts"], retry["total"])
    return float(resources["nodes"] * resources.get("gpus_per_node", 0) * seconds / 3600)


def test_the_plan_tells_the_digest_of_the_files_that_it_carries(example: Bundle) -> None:
    plan, listed = document(example, "plan"), document(example, "manifest")["files"]
    owners = {f"services/{service['name']}": service for service in plan["services"]}
    owners |= {step["id"]: step for job in plan["jobs"] for step in job["steps"]}
    for folder, owner in owners.items():
        for file in owner["files"]:
            there = listed[f"{folder}/files/{file['path']}"]
            mode = "0755" if file["executable"] else "0644"
            assert there == {"mode": mode, "sha256": file["sha256"]}


# The schemas themselves


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_is_one(kind: str) -> None:
    schema = evalc.compiler.schema(kind)
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described_and_no_other_allowed(kind: str) -> None:
    schema = evalc.compiler.schema(kind)
    for where, part in parts(schema, kind):
        assert part.get("description") or "$ref" in part, where
        if "properties" in part:
            assert part["additionalProperties"] is False, where
            assert set(part["required"]) | OPTIONAL == set(part["properties"]) | OPTIONAL, where


def parts(schema: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema that describes a value, with where it is."""
    yield where, schema
    for group in ("properties", "definitions"):
        for name, part in schema.get(group, {}).items():
            yield from parts(part, f"{where}.{name}")
    if schema.get("items", {}).get("type") == "object":
        yield from parts(schema["items"], f"{where}[]")


Change = Callable[[dict[str, Any]], Any]
WRONG: dict[str, list[tuple[str, Change]]] = {
    "manifest": [
        ("an unknown key", lambda m: m.update(made="today")),
        ("a missing key", lambda m: m.pop("needs")),
        ("another version", lambda m: m.update(schema_version=2)),
        ("a mode that is a number", lambda m: m["files"]["run_all.sh"].update(mode=493)),
        ("a short digest", lambda m: m["files"]["run_all.sh"].update(sha256="abc")),
        ("an absolute path", lambda m: m["files"].update({"/x": m["files"]["run_all.sh"]})),
        ("an image that is no text", lambda m: m["needs"]["images"].append(None)),
        ("no job", lambda m: m.update(jobs=[])),
    ],
    "plan": [
        ("an unknown key", lambda p: p.update(made="today")),
        ("a missing key", lambda p: p["jobs"][0]["steps"][0].pop("image")),
        ("a port out of range", lambda p: p["services"][0].update(port=70000)),
        (
            "a secret's value",
            lambda p: p["services"][0]["env"][0]["value"]["parts"][0].update(value="x"),
        ),
        ("an id with a slash", lambda p: p["jobs"][0]["steps"][0].update(id="a/b")),
        ("a word of nothing", lambda p: p.update(output_dir={"parts": []})),
        ("no attempt", lambda p: p["jobs"][0]["retry"].update(attempts=0)),
        ("a bad variable", lambda p: p["services"][0]["env"][0].update(name="a b")),
        ("a command of both kinds", lambda p: p["services"][0]["command"].update(shell="x")),
    ],
}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        pytest.param(kind, change, id=f"{kind}: {what}")
        for kind, changes in WRONG.items()
        for what, change in changes
    ],
)
def test_the_schema_refuses(kind: str, change: Change) -> None:
    wrong = copy.deepcopy(document(compiled("nim_podman"), kind))
    assert validator(kind).is_valid(wrong)
    change(wrong)
    assert not validator(kind).is_valid(wrong)
