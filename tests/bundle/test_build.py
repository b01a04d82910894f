"""Artifacts -> a bundle with its manifest."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import jsonschema
import pytest
from emit.texts import hostile
from hypothesis import given, settings
from hypothesis import strategies as st

import evalc
from evalc.backends.base import Artifact, Emission, Needs
from evalc.bundle.build import BadEmission, Inputs, build
from evalc.compiler import schema
from evalc.errors import Source
from evalc.plan import Job, Plan, Service, Shell, Step
from evalc.plan.origin import Origin
from evalc.source import Mapping, parse
from evalc.words import Literal, RuntimeEnv, literal

INPUTS = Inputs((("c.yaml", "0" * 64),))


def made_plan(name: str = "a plan") -> Plan:
    root = parse(Source("c.yaml", "{}"))
    assert isinstance(root, Mapping)
    step = Step(
        id="t1",
        task="t1",
        harness=None,
        image=literal("an image"),
        command=Shell("true"),
        pre_cmd="",
        post_cmd="",
        endpoint_type="chat",
        model_url=literal("http://x"),
        model_id=(Literal("a"), RuntimeEnv("B", "c")),
        api_key_name=None,
        limit_samples=None,
        run_config={"a": [1, None, (RuntimeEnv("B"),)]},
    )
    service = Service(
        name="model",
        type="generic",
        image=None,
        command=Shell("true"),
        pre_cmd="",
        model_id=literal("m"),
        port=8000,
        health_path="/health",
        readiness_timeout=60,
        endpoints={"chat": "/v1"},
    )
    job = Job("all", (step,), (service,))
    return Plan(name, "local", literal("results"), (job,), {"mode": "x"}, Origin(root))


def emission(*artifacts: Artifact, run: str = "bash run_all.sh") -> Emission:
    return Emission(artifacts, Needs(("i",), ("S",), ("R",), ("bash",), "docker"), run)


def manifest(plan: Plan, emitted: Emission, inputs: Inputs = INPUTS) -> Any:
    return json.loads(build(plan, emitted, "config", inputs).files["manifest.json"].data)


def test_a_bundle_holds_the_artifacts_the_plan_and_the_config() -> None:
    made = build(
        made_plan(),
        emission(Artifact("t1/run.sh", b"x", executable=True), Artifact("README.md", b"y")),
        "c",
        INPUTS,
    )
    assert {
        path: (file.data, file.mode) for path, file in made.files.items() if "json" not in path
    } == {
        "README.md": (b"y", 0o644),
        "config.yaml": (b"c", 0o644),
        "t1/run.sh": (b"x", 0o755),
    }
    assert list(made.files) == sorted(made.files)
    assert (made.name, made.run_hint, made.needs.secrets) == ("a plan", "bash run_all.sh", ("S",))
    assert json.loads(made.files["plan.json"].data)["name"] == "a plan"


def test_the_manifest_in_full() -> None:
    found = manifest(
        made_plan(),
        emission(Artifact("t1/run.sh", b"x", executable=True)),
        Inputs((("c.yaml", "0" * 64),), ("a=b",), ("t1",)),
    )
    files = found.pop("files")
    assert found == {
        "schema_version": 1,
        "compiler": {"name": "evalc", "version": evalc.__version__},
        "name": "a plan",
        "backend": "local",
        "run": "bash run_all.sh",
        "needs": {
            "engine": "docker",
            "images": ["i"],
            "runtime_env": ["R"],
            "secrets": ["S"],
            "tools": ["bash"],
        },
        "inputs": {
            "files": [{"name": "c.yaml", "sha256": "0" * 64}],
            "overrides": ["a=b"],
            "tasks": ["t1"],
        },
        "jobs": [{"id": "all", "services": ["model"], "steps": ["t1"]}],
    }
    assert set(files) == {"config.yaml", "plan.json", "t1/run.sh"}
    assert files["t1/run.sh"] == {"mode": "0755", "sha256": hashlib.sha256(b"x").hexdigest()}


def test_a_file_has_a_line_of_its_own() -> None:
    """So that a diff of two manifests names the files that differ."""
    made = build(made_plan(), emission(Artifact("b", b""), Artifact("a", b"")), "c", INPUTS)
    lines = made.files["manifest.json"].data.decode().splitlines()
    start = lines.index('  "files": {')
    assert [line.split('"')[1] for line in lines[start + 1 : -2]] == [
        "a",
        "b",
        "config.yaml",
        "plan.json",
    ]


def test_the_order_of_artifacts_does_not_matter() -> None:
    several = [Artifact(f"{n % 3}/{n}", bytes([n])) for n in range(9)]
    one = build(made_plan(), emission(*several), "c", INPUTS)
    other = build(made_plan(), emission(*reversed(several)), "c", INPUTS)
    assert list(one.files.items()) == list(other.files.items())


name = hostile.map(lambda text: "".join(c for c in text if c.isprintable() and c != "/")).filter(
    lambda text: text not in ("", ".", "..")
)


@settings(max_examples=150)
@given(
    hostile,
    hostile.filter(bool),
    st.dictionaries(name, st.binary(max_size=5), max_size=4),
    st.lists(hostile, max_size=3),
)
def test_any_text_in_it_stays_what_it_is(
    title: str, run: str, files: dict[str, bytes], overrides: list[str]
) -> None:
    artifacts = [Artifact(f"folder/{path}", data) for path, data in files.items()]
    inputs = Inputs((("c.yaml", "0" * 64),), tuple(overrides))
    found = manifest(made_plan(title or "x"), emission(*artifacts, run=run), inputs)
    assert (found["name"], found["run"]) == (title or "x", run)
    assert found["inputs"]["overrides"] == overrides
    assert found["files"].keys() == {"config.yaml", "plan.json", *(a.path for a in artifacts)}
    jsonschema.validate(found, schema("manifest"))


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["/etc/passwd"], "its path is not inside of the bundle"),
        (["../x"], "its path is not inside of the bundle"),
        (["a/../../x"], "its path is not inside of the bundle"),
        (["a//b"], "its path is not inside of the bundle"),
        (["a/"], "its path is not inside of the bundle"),
        (["./a"], "its path is not inside of the bundle"),
        ([""], "its path is not inside of the bundle"),
        (["a\nb"], "its path holds a control character"),
        (["a\0b"], "its path holds a control character"),
        (["x", "x"], "there is one of that name"),
        (["manifest.json"], "there is one of that name"),
        (["plan.json"], "there is one of that name"),
        (["config.yaml"], "there is one of that name"),
        (["a", "a/b"], "there is a folder where a file should be"),
        (["a/b/c", "a/b"], "there is a folder where a file should be"),
        (["manifest.json/x"], "there is a folder where a file should be"),
    ],
)
def test_a_backend_can_not_write_elsewhere(paths: list[str], why: str) -> None:
    with pytest.raises(BadEmission) as caught:
        build(made_plan(), emission(*(Artifact(path, b"") for path in paths)), "c", INPUTS)
    assert (caught.value.backend, caught.value.path, caught.value.why) == ("local", paths[-1], why)
    assert str(caught.value) == f"the backend 'local' made the file {paths[-1]!r}: {why}"
    assert caught.value.exit_code == 3
