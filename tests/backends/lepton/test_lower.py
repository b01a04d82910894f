"""Both generations of keys mean the same, and what is named is found in the JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from backends.lepton.lab import SERVER, compiled, config
from plan.configs import place

from evalc.compiler import Request, check
from evalc.errors import ConfigError
from evalc.plan.airgap import OFFLINE

if TYPE_CHECKING:
    from pathlib import Path

HOSTED = {"api_endpoint": {"url": "http://x/v1", "model_id": "m"}}


def made(folder: Path, values: dict[str, Any], file: str = "alpha/job.spec.json") -> Any:
    return json.loads(compiled(folder, values).files[file].data)


def env(spec: Any) -> dict[str, Any]:
    return {one["name"]: one.get("value_from", one.get("value")) for one in spec["envs"]}


def test_every_way_to_name_a_secret(tmp_path: Path) -> None:
    values = config(target=HOSTED)
    execution = values["execution"]
    execution["env_var_names"] = ["ONE"]
    execution["env_vars"] = {"evaluation": {"TWO": "host:two"}}
    execution["lepton_platform"]["tasks"]["env_vars"] = {
        "THREE": {"value_from": {"secret_name_ref": "three-3"}},
        "FOUR": "runtime:four",
        "TEXT": "lit:plain",
        "NUMBER": 1,
        "SIX": "host:under",
    }
    values["evaluation"]["env_vars"] = {"FIVE": "five", "SIX": "over"}
    found = env(made(tmp_path, values))
    secrets = {
        "ONE": "ONE",
        "TWO": "two",
        "THREE": "three-3",
        "FOUR": "four",
        "FIVE": "five",
        "SIX": "over",
    }
    assert {name: found[name] for name in secrets} == {
        name: {"secret_name_ref": secret} for name, secret in secrets.items()
    }
    assert (found["TEXT"], found["NUMBER"]) == ("plain", "1")
    plan = json.loads(compiled(tmp_path, values).files["plan.json"].data)
    # Nobody who submits has to have them.
    assert '"scope": "host"' not in json.dumps(plan)


def test_older_keys_of_an_endpoint(tmp_path: Path) -> None:
    server = {**SERVER, "lepton_config": {
        "resource_shape": "GPU.1xH200",
        "envs": {"A": "1", "KEY": {"value_from": {"secret_name_ref": "KEY"}}},
        "mounts": {"enabled": True, "cache_path": "/cache", "mount_path": "/root/.cache"},
        "auto_scaler": {"scale_down": {"scale_from_zero": False}},
    }}  # fmt: skip
    values = config(deployment=server)
    values["execution"]["num_replicas"] = 2
    values["execution"]["resource_shape"] = "cpu.large"
    values["execution"]["lepton_platform"]["deployment"] = {
        "node_group": "group-1",
        "endpoint_readiness_timeout": 77,
        "platform_defaults": {"queue_config": {"priority_class": "mid-4000"}, "health": {}},
    }
    spec = made(tmp_path, values, "alpha/endpoint.spec.json")
    assert env(spec) == {
        "PORT": "8000",
        "MODEL_ID": "stand-in",
        "A": "1",
        "KEY": {"secret_name_ref": "KEY"},
    }
    assert spec["mounts"] == [
        {"from": "node-nfs:evaluations", "mount_path": "/root/.cache", "path": "/cache"}
    ]
    assert spec["resource_requirement"] == {
        "affinity": {"allowed_dedicated_node_groups": ["group-1"]},
        "max_replicas": 2,
        "min_replicas": 2,
        "resource_shape": "gpu.1xh200",
    }
    assert spec["queue_config"] == {"priority_class": "mid-4000"}
    assert spec["auto_scaler"] == {"scale_down": {"no_traffic_timeout": 0}}
    assert "health" not in spec
    assert made(tmp_path, values)["resource_shape"] == "cpu.large"
    (endpoint,) = made(tmp_path, values, "lepton.json")["endpoints"]
    assert endpoint["readiness_timeout"] == 77


def test_what_the_endpoint_says_wins_over_the_platforms_defaults(tmp_path: Path) -> None:
    own = {
        **SERVER["lepton_config"],
        "log": {"enable_collection": False},
        "image_pull_secrets": ["b"],
    }
    values = config(deployment={**SERVER, "lepton_config": own})
    defaults = {
        "log": {"enable_collection": True, "save_termination_logs": True},
        "image_pull_secrets": ["a"],
    }
    values["execution"]["lepton_platform"]["deployment"] = {"platform_defaults": defaults}
    spec = made(tmp_path, values, "alpha/endpoint.spec.json")
    assert spec["log"] == {"enable_collection": False, "save_termination_logs": True}
    assert spec["image_pull_secrets"] == ["b"]


def test_a_change_of_one_task_touches_its_folder_alone(tmp_path: Path) -> None:
    def files(samples: int) -> dict[str, bytes]:
        own = {"config": {"params": {"limit_samples": samples}}}
        beta = {"id": "beta", "name": "lm-evaluation-harness.ifeval", "nemo_evaluator_config": own}
        alpha = {"id": "alpha", "name": "lm-evaluation-harness.ifeval"}
        bundle = compiled(tmp_path, config(alpha, beta, target=HOSTED))
        return {path: file.data for path, file in bundle.files.items()}

    one, other = files(1), files(2)
    changed = {path.partition("/")[0] for path in one if one[path] != other[path]}
    # README.md names every job.
    assert changed == {
        "README.md",
        "beta",
        "config.yaml",
        "lepton.json",
        "manifest.json",
        "plan.json",
        "submit_all.sh",
    }


def test_a_longer_time_leaves_finished_tasks_finished(tmp_path: Path) -> None:
    def digest(**tasks: Any) -> str:
        values = config(target=HOSTED)
        values["execution"]["evaluation_tasks"] = tasks
        (job,) = made(tmp_path, values, "lepton.json")["jobs"]
        return str(job["digest"])

    assert digest(timeout=1) == digest(timeout=2, resource_shape="gpu.small", max_failure_retry=3)


def test_lepton_json_says_what_the_runner_needs(tmp_path: Path) -> None:
    values = config("alpha", "beta", deployment=SERVER)
    values["execution"]["sharing"] = "shared"
    index = made(tmp_path, values, "lepton.json")
    (endpoint,) = index["endpoints"]
    assert (endpoint["folder"], endpoint["jobs"]) == ("", ["alpha", "beta"])
    assert {job["endpoint"] for job in index["jobs"]} == {endpoint["name"]}
    assert index["jobs"][0]["results"] == "/workspace/@@{EVALC_INVOCATION}@@/alpha"
    assert index["jobs"][0]["name"].endswith("-@@{EVALC_INVOCATION}@@")
    assert (index["needs"], index["defaults"]) == ([], {})


def test_images_from_elsewhere_and_no_network(tmp_path: Path) -> None:
    values = config(
        {"name": "alpha", "container": "nvcr.io/nvidia/t:2", "command": "c"},
        deployment={**SERVER, "image": "vllm/v:1", "env_vars": {"HF_HUB_OFFLINE": "lit:0"}},
    )
    values["execution"] |= {
        "image_mirror": {"nvcr.io": "r.x/nv", "*": "r.y"}, "offline": True,
    }  # fmt: skip
    job = made(tmp_path, values)
    assert job["container"]["image"] == "r.x/nv/nvidia/t:2"
    assert env(job).items() >= OFFLINE.items()
    endpoint = made(tmp_path, values, "alpha/endpoint.spec.json")
    assert endpoint["container"]["image"] == "r.y/vllm/v:1"
    assert env(endpoint).items() >= {**OFFLINE, "HF_HUB_OFFLINE": "0"}.items()


def test_images_by_digest(tmp_path: Path) -> None:
    values = config(target=HOSTED)
    values["execution"]["pin_images"] = True
    assert "@sha256:" in made(tmp_path, values)["container"]["image"]
    values = config({"name": "alpha", "container": "a:1", "command": "c"}, target=HOSTED)
    values["execution"]["pin_images"] = True
    with pytest.raises(ConfigError) as error:
        compiled(tmp_path, values)
    assert [problem.code for problem in error.value.problems] == ["unpinned-image"]


@pytest.mark.parametrize("mirror", [{"a": "/i/a.sqsh"}, {"docker.io/library/a": "./a.sif"}])
def test_an_image_is_no_file(tmp_path: Path, mirror: dict[str, str]) -> None:
    values = config({"name": "alpha", "container": "a", "command": "c"}, target=HOSTED)
    values["execution"]["image_mirror"] = mirror
    with pytest.raises(ConfigError) as error:
        compiled(tmp_path, values)
    (problem,) = error.value.problems
    assert "and not from a file" in problem.message
    assert place(problem).strip('"') == next(iter(mirror.values()))


def test_a_token_whose_name_is_known_when_it_is_submitted(tmp_path: Path) -> None:
    tokens = [{"value_from": {"token_name_ref": "${oc.env:WHOSE}"}}]
    server = {**SERVER, "lepton_config": {**SERVER["lepton_config"], "api_tokens": tokens}}
    bundle = compiled(tmp_path, config("alpha", deployment=server))
    assert b"the token `$WHOSE` in the workspace" in bundle.files["README.md"].data
    spec = json.loads(bundle.files["alpha/endpoint.spec.json"].data)
    assert spec["api_tokens"] == [{"value_from": {"token_name_ref": "@@{WHOSE}@@"}}]


def test_nothing_exports_there_by_itself(tmp_path: Path) -> None:
    values = config(target=HOSTED)
    values["execution"]["auto_export"] = {"destinations": ["local"]}
    bundle = compiled(tmp_path, values)
    assert "export.sh" not in bundle.files
    file = tmp_path / "config.json"
    file.write_text(json.dumps(values))
    found = {problem.code: problem for problem in check(Request(file))}
    assert "'evalc export' does it after 'evalc fetch'" in found["no-effect"].message
