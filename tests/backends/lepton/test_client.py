"""The real client and its models take what is compiled, whole."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backends.lepton.lab import SERVER, TARGET, Lab, config
from golden.examples import EXAMPLES, compiled
from waiting import wait_for

from evalc.resources import read_schema

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
LEPTON = [name for name in EXAMPLES if name.startswith("lepton_")]


def tool() -> ModuleType:
    path = ROOT / "tools/make_lepton_schemas.py"
    spec = importlib.util.spec_from_file_location("make_lepton_schemas", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_schemas_are_those_of_the_installed_client() -> None:
    made = tool().schemas()
    for name, schema in made.items():
        assert read_schema(f"lepton/{name}") == schema, "run tools/make_lepton_schemas.py"
    assert {path.name for path in (ROOT / "schemas/lepton").iterdir()} == {
        f"{name}.schema.json" for name in made
    }


def test_every_mapping_of_the_schemas_is_closed() -> None:
    def closed(node: Any) -> bool:
        if isinstance(node, list):
            return all(map(closed, node))
        if not isinstance(node, dict):
            return True
        if node.get("type") == "object" and node.get("additionalProperties") is not False:
            return isinstance(node.get("additionalProperties"), dict)
        return all(map(closed, node.values()))

    assert closed(tool().schemas())


def bodies(name: str, file: str) -> list[Any]:
    """The JSON files of an example that are called so, filled in."""
    files = compiled(name).files
    found = [data.data.decode() for path, data in files.items() if Path(path).name == file]
    return [json.loads(re.sub(r"@@\{EVALC_INVOCATION\}@@", "k3fw8t2q", text)) for text in found]


@pytest.mark.parametrize("name", LEPTON)
def test_the_models_keep_all_of_it(name: str) -> None:
    from leptonai.api.v2.job_validation import validate_job_create
    from leptonai.api.v2.types.deployment import LeptonDeployment
    from leptonai.api.v2.types.job import LeptonJob

    jobs = bodies(name, "job.json")
    assert jobs
    for body in jobs:
        job = LeptonJob.model_validate(body)
        validate_job_create(job)
        assert json.loads(job.model_dump_json(exclude_none=True, by_alias=True)) == body
    for body in bodies(name, "endpoint.json"):
        endpoint = LeptonDeployment.model_validate(body)
        assert json.loads(endpoint.model_dump_json(exclude_none=True, by_alias=True)) == body


@pytest.mark.parametrize("name", LEPTON)
def test_the_newer_form_of_an_endpoint_is_the_clients_translation(name: str) -> None:
    from leptonai.api.v2.translation import legacy_to_http_endpoint

    for older, newer in zip(
        bodies(name, "endpoint.json"), bodies(name, "endpoint.components.json"), strict=True
    ):
        assert legacy_to_http_endpoint(older) == newer


def lep(lab: Lab, *arguments: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("lep"), *arguments],
        env={**os.environ, **lab.lepton.env, "COLUMNS": "200"},
        cwd=lab.bundle,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.xdist_group("lepton")
def test_the_commands_of_the_readme_do_it_by_hand(lab: Lab) -> None:
    bounds = {"min_replicas": 1, "max_replicas": 3}
    server = {**SERVER, "lepton_config": {**SERVER["lepton_config"], **bounds}}
    lab.compile(config("alpha", deployment=server, target=TARGET))
    lab.submit("--prepare")
    readme = (lab.bundle / "README.md").read_text().replace("INVOCATION", lab.invocation)
    commands = [line.split() for line in readme.splitlines() if line.startswith("lep ")]
    create, get, job, remove = (c[1:] for c in commands if c[1] != "login")
    lep(lab, *create)
    wait_for(lambda: [e["status"]["state"] for e in lab.lepton.endpoints()] == ["Ready"])
    (endpoint,) = lab.lepton.endpoints()
    resources = endpoint["spec"]["resource_requirement"]
    assert {key: resources[key] for key in bounds} == bounds
    assert endpoint["spec"]["auto_scaler"] == {"scale_down": {"no_traffic_timeout": 0}}
    url = endpoint["status"]["endpoint"]["external_endpoint"]
    assert url in lep(lab, *get)
    spec = lab.bundle / job[job.index("-f") + 1]
    spec.write_text(spec.read_text().replace("@@{ENDPOINT_URL}@@", url))
    lep(lab, *job)
    lab.lepton.wait("Completed")
    assert lab.stage() == "0"
    lep(lab, *remove)
    lab.no_endpoint()
    (made,) = lab.lepton.jobs()
    assert made["spec"]["ttl_seconds_after_finished"] == 259200
