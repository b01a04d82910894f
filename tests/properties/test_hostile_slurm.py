"""On Slurm, too: no value of a config is executed, and each arrives whole or is refused in its place.

All string fields of a config hold hostile texts at once. What is refused must be refused where it
stands; the rest must be in the plan, and its scripts, run under the stand-ins of ``slurm.py``, must
do what the plan says. ``tests/backends/slurm/test_hostile.py`` has what only a real Slurm can tell.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from properties.fields import SLURM, Plain, Steps, at, put, strings
from properties.hostile import KINDS, has_control
from properties.slurm import job_name, run
from properties.test_hostile_values import CODES, ENVIRONMENT, TITLE, Lab, line_of, token

import evalc.bundle
from evalc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from properties.standins import Call, Run

    from evalc.bundle import Bundle

# Texts that are commands, and are meant to be executed.
COMMANDS = {"command", "head_command", "worker_command", "pre_cmd", "post_cmd", "setup"}
COMMANDS |= {"launcher_install_cmd"}
# One of a few words, a number or a time: tests/backends/slurm/test_check.py has what these refuse.
CHOICES = {"type", "engine", "sharing", "strategy", "walltime", "max_walltime", "nodes", "memory"}
# At which kind of text the first field begins, each time.
ROUNDS = (0, 17)
# What only the runner reads, on its way to the cluster; what commands that are text leave out.
UNPLANNED = {"hostname", "username", "ssh_key_path", "extra_args"}
# What evalc reads from config.yaml when it exports.
EXPORTERS = {("export", "wandb"), ("export", "mlflow"), ("export", "gsheets")}
# Fields that must take whatever a line can hold.
FREE = {"comment", "sbatch_comment", "served_model_name"}
KEYS = {name: f"{name} 'x' $(touch PWNED)" for name in ("INFERENCE_KEY", "OPENAI_API_KEY")}


def shapes(path: Steps) -> Callable[[str], str]:
    """What the form of a field needs around a text."""
    if "env_vars" in path:
        return "lit:{}".format
    if "endpoints" in path or path[:2] == ("execution", "mounts"):
        return "/{}".format
    if path[-1] == "url":
        return "https://x/{}".format
    return shlex.quote if path[-1] == "extra_args" else str


def bare(path: Steps, text: str) -> str:
    """What of a text in its form has to arrive."""
    return f"/{text}" if "endpoints" in path or path[:2] == ("execution", "mounts") else text


def fields(config: Plain) -> Iterator[Steps]:
    """All strings but commands, choices, and what brings another value to where it is needed. What
    cells of a matrix set goes the same ways."""
    for path in strings(config):
        if (
            path[0] != "matrix"
            and path[-1] not in COMMANDS | CHOICES
            and "${" not in at(config, path)
        ):
            yield path


def hostile(lab: Lab, start: int) -> tuple[Path, Bundle, dict[Steps, str], set[Steps]]:
    """A bundle of a config that is hostile wherever it may be; the values that it took, by their
    field, and the fields that refused theirs."""
    original = lab.config()
    if isinstance(original["execution"]["nodes"], int):
        # Of the built-in group; written beside it, the two would contradict each other.
        del original["execution"]["num_nodes"]
    config, kinds = json.loads(json.dumps(original)), list(KINDS.values())
    values: dict[Steps, str] = {}
    for number, path in enumerate(fields(original)):
        kind = kinds[(start + number) % len(kinds)]
        if path[-1] in FREE and (kind.meaning is None or has_control(kind.written)):
            kind = KINDS["closing quotes"]
        written, meaning = kind.of(token(number))
        put(config, path, shapes(path)(written))
        values[path] = "" if meaning is None else meaning
    refused: set[Steps] = set()
    for _ in range(20):
        try:
            home, bundle = lab.compile(config, TITLE)
        except ConfigError as error:
            for path in places(config, set(values), error):
                put(config, path, at(original, path))
                refused.add(path)
                del values[path]
            continue
        return home, bundle, values, refused
    raise AssertionError("there is no end to what is refused")


def places(config: Plain, hostile_ones: set[Steps], error: ConfigError) -> set[Steps]:
    """The fields that an error is about, which must be those with a hostile value."""
    at_line = {line_of(config, path): path for path in hostile_ones}
    where = set()
    for problem in error.problems:
        if problem.severity != "error":
            continue
        assert problem.code in CODES | {"needs-value", "bad-mount"}, problem.message
        assert problem.location is not None, problem.message
        found = at_line.get(problem.location.line)
        assert found, f"line {problem.location.line} holds nothing hostile: {problem.message}"
        where.add(found)
    assert where
    return where


def texts(value: Any) -> Iterator[str]:
    """All texts of a plan."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def matches(word: Any, text: str | None) -> bool:
    """Whether a text is what a word of the plan means; what the script itself sets may be anything."""
    parts = [word] if isinstance(word, str) else word["parts"]
    form = "".join(
        re.escape(part)
        if isinstance(part, str)
        else re.escape(ENVIRONMENT.get(part.get("env") or part.get("secret"), "")) or ".*"
        for part in parts
    )
    return text is not None and re.fullmatch(form, text, re.DOTALL) is not None


def as_planned(plan: Any, did: Run) -> None:
    """Each service and step was started once, with what the plan says of it."""
    calls = {job_name(call): call for call in did.calls if call.name == "srun"}
    for job in plan["jobs"]:
        for step in job["steps"]:
            call = calls[f"evaluate.{step['id']}"]
            given = {"MODEL_ID": step["model_id"], "ENDPOINT_TYPE": step["endpoint_type"]}
            given |= {one["name"]: one["value"] for one in step["env"]}
            for name, word in given.items():
                assert matches(word, call.env.get(name)), (name, word)
            assert matches(step["model_url"], call.env["MODEL_URL"])
            resolves(step["run_config"], yaml.safe_load(call.run_config or ""))
            mounts = [*step["mounts"], *([step["dataset"]] if step["dataset"] else [])]
            contained(plan, call, step["image"], mounts)
    for service in plan["services"]:
        call = calls[f"serve.{service['name']}"]
        assert matches(service["model_id"], call.env["MODEL_ID"])
        for one in service["env"]:
            assert matches(one["value"], call.env.get(one["name"])), one
        contained(plan, call, service["image"], service["mounts"])
        words = service["command"].get("argv", [])
        if words and call.args[-2:-1] != ("bash",) and "serve.sh" not in call.args[-2]:
            found = call.args[-len(words) :]
            assert all(map(matches, words, found)), (words, found)


def resolves(word: Any, found: Any) -> None:
    """A value of run_config.yml is what the plan has."""
    if isinstance(word, dict) and "parts" not in word:
        assert word.keys() == found.keys()
        for key in word.keys() - {"output_dir"}:
            resolves(word[key], found[key])
    elif isinstance(word, list):
        assert len(word) == len(found)
        for one, other in zip(word, found, strict=True):
            resolves(one, other)
    elif isinstance(word, (str, dict)):
        assert matches(word, found), (word, found)
    else:
        assert word == found


def contained(plan: Any, call: Call, image: Any, mounts: list[Any]) -> None:
    engine = plan["options"]["engine"]
    if engine == "none":
        return
    words = list(call.args)
    if engine == "apptainer":
        bound = words[words.index("--bind") + 1] if "--bind" in words else ""
        assert any(matches(image, word.removeprefix("docker://")) for word in words), image
    else:
        options = ("--container-image=", "--container-mounts=")
        given = dict(word.split("=", 1) for word in words if word.startswith(options))
        bound = given.get("--container-mounts", "")
        named = given["--container-image"]
        assert matches(image, named) or matches(image, named.replace("#", "/", 1)), image
    for mount in mounts:
        ending = f":{mount['target']}{':ro' * mount['read_only']}"
        some = [one for one in bound.split(",") if one.endswith(ending)]
        assert any(matches(mount["source"], one.removesuffix(ending)) for one in some), mount


def secrets_are_kept(bundle: Path, plan_needs: list[str], did: Run) -> None:
    values = [{**KEYS, **ENVIRONMENT}[name] for name in plan_needs]
    for call in did.calls:
        assert not [v for v in values if v in "\0".join(call.args)]
        if call.name == "sbatch":
            assert not [v for v in values if v in call.env.values()]
    assert not [value for value in values if value in did.said]
    for path in bundle.rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not [value for value in values if value in text], path
    assert list(bundle.rglob(".secrets*")) == []


@pytest.mark.parametrize("name", SLURM)
def test_values_arrive_whole_and_none_is_executed(name: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path, name)
    for start in ROUNDS:
        home, bundle, values, refused = hostile(lab, start)
        assert not [path for path in refused if path[-1] in FREE]
        plan = json.loads(bundle.files["plan.json"].data)
        there = list(texts(plan))
        for path, meaning in values.items():
            if path[-1] not in UNPLANNED and path[:2] not in EXPORTERS:
                assert any(bare(path, meaning) in text for text in there), (path, meaning)
        folder = home / "a bundle"
        evalc.bundle.write(bundle, folder, force=False)
        did = run(folder, home / "run", {**KEYS, **ENVIRONMENT})
        assert did.code == 0, did.said
        assert list(home.rglob("PWNED")) == []
        assert list((home / "run/work").iterdir()) == []
        as_planned(plan, did)
        needs = json.loads(bundle.files["manifest.json"].data)["needs"]
        secrets_are_kept(folder, needs["secrets"], did)
