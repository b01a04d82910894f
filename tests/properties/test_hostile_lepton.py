"""On Lepton, too: no value of a config is executed, and each arrives whole or is refused in its place.

All string fields of a config hold hostile texts at once. What is refused must be refused where it
stands; the rest must be in the plan, what is sent must say what the plan says, and the command that
it holds, run by bash with the variables that it gives, must do it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from properties.fields import LEPTON, Plain, Steps, at, put, strings
from properties.hostile import KINDS, has_control
from properties.lepton import SECRET, ran, submitted
from properties.test_hostile_slurm import places, texts
from properties.test_hostile_values import ENVIRONMENT, TITLE, Lab, token

import evalc.bundle
from evalc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from properties.standins import Call, Run

    from evalc.bundle import Bundle

# Texts that are commands, and are meant to be executed.
COMMANDS = {"command", "pre_cmd", "post_cmd"}
# One of a few words; examples/invalid has what these refuse.
CHOICES = {"type", "sharing", "priority_class", "visibility"}
# Where the platform mounts what: no hostile text is a place on this machine.
PLACES = {"results_dir", "mount_path"}
# At which kind of text the first field begins, each time.
ROUNDS = (0, 17)
# What is in the plan in another form, or in none.
UNPLANNED = {"extra_args", "output_dir", "secret_name_ref", "api_key_name"}
FREE = {"served_model_name", "model_id", "priority", "node_group"}
ENV = {**ENVIRONMENT, "USER": ENVIRONMENT["HF_TOKEN"]}
URL = "https://e.test"


def shape(path: Steps, text: str) -> str:
    """A text in the form that its field asks for."""
    if path[-2:-1] == ("env_vars",) or path[-2:-1] == ("envs",):
        return f"lit:{text}"
    if "endpoints" in path or path[-1] in ("checkpoint_path", "dataset_dir", "cache_path"):
        return f"/{text}"
    return f"https://x/{text}" if path[-1] == "url" else text


def fields(config: Plain) -> Iterator[Steps]:
    for path in strings(config):
        if path[-1] not in COMMANDS | CHOICES | PLACES and "${" not in at(config, path):
            yield path


def hostile(lab: Lab, start: int) -> tuple[Path, Bundle, dict[Steps, str], set[Steps]]:
    """A bundle of a config that is hostile wherever it may be; the values that it took, by their
    field, and the fields that refused theirs."""
    original = lab.config()
    volume = lab.folder / "a volume $(touch PWNED) 'x'"
    original["execution"]["lepton_platform"]["tasks"]["mounts"][0]["mount_path"] = str(volume)
    if original["execution"]["evaluation_tasks"]["results_dir"]:
        original["execution"]["evaluation_tasks"]["results_dir"] = f"{volume}/results"
    config, kinds = json.loads(json.dumps(original)), list(KINDS.values())
    values: dict[Steps, str] = {}
    for number, path in enumerate(fields(original)):
        kind = kinds[(start + number) % len(kinds)]
        if path[-1] in FREE and (kind.meaning is None or has_control(kind.written)):
            kind = KINDS["closing quotes"]
        written, meaning = kind.of(token(number))
        put(config, path, shape(path, written))
        values[path] = meaning or ""
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


def meant(word: Any) -> re.Pattern[str]:
    """What a word of the plan means, where it runs."""
    parts = [word] if isinstance(word, str) else word["parts"]
    known = {**ENV, "ENDPOINT_URL": URL}
    form = ""
    for part in parts:
        if isinstance(part, str):
            form += re.escape(part)
        elif "secret" in part:
            form += re.escape(SECRET.format(part["secret"]))
        else:
            form += re.escape(known.get(part["env"], part.get("default", ""))) or ".*"
    return re.compile(form, re.DOTALL)


def same(word: Any, found: Any) -> bool:
    return isinstance(found, str) and meant(word).fullmatch(found) is not None


def resolves(word: Any, found: Any) -> None:
    """A value of run_config.yml is what the plan has."""
    if isinstance(word, dict) and "parts" not in word:
        assert word.keys() == found.keys()
        for key in word:
            resolves(word[key], found[key])
    elif isinstance(word, list):
        assert len(word) == len(found)
        for one, other in zip(word, found, strict=True):
            resolves(one, other)
    elif isinstance(word, str | dict):
        assert same(word, found), (word, found)
    else:
        assert word == found


def evaluated(step: Any, spec: Any, did: Run) -> None:
    assert did.code == 0, did.said
    assert same(step["image"], spec["container"]["image"])
    mounted = [mount["path"] for mount in spec["mounts"]]
    assert not step["dataset"] or any(same(step["dataset"]["source"], path) for path in mounted)
    call: Call = next(call for call in did.calls if call.run_config is not None)
    given = {"MODEL_ID": step["model_id"], "MODEL_URL": step["model_url"]}
    given |= {one["name"]: one["value"] for one in step["env"]}
    for name, word in given.items():
        assert same(word, call.env.get(name)), (name, word)
    resolves(step["run_config"], yaml.safe_load(call.run_config or ""))


@pytest.mark.parametrize("name", LEPTON)
def test_values_arrive_whole_and_none_is_executed(name: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path, name)
    for start in ROUNDS:
        home, bundle, values, refused = hostile(lab, start)
        assert not [path for path in refused if path[-1] in FREE]
        plan = json.loads(bundle.files["plan.json"].data)
        there = list(texts(plan))
        for path, meaning in values.items():
            if path[-1] not in UNPLANNED:
                assert any(meaning in text for text in there), (path, meaning)
        folder = home / "a bundle"
        evalc.bundle.write(bundle, folder, force=False)
        did, sent = submitted(folder, home / "run", ENV, plan["options"]["deployment_name"])
        assert did.code == 0, did.said
        assert "token-of-the-workspace" not in did.said
        assert not [c for c in did.calls if "token-of-the-workspace" in str((c.args, dict(c.env)))]
        steps = {step["id"]: step for job in plan["jobs"] for step in job["steps"]}
        assert len(sent["jobs"]) == len(steps)
        for step, job in zip(steps.values(), sent["jobs"], strict=True):
            spec = job["body"]["spec"]
            evaluated(step, spec, ran(home / "run", spec, {}))
        for body in sent["endpoints"]:
            command = body["spec"]["container"]["command"]
            words = plan["services"][0]["command"].get("argv")
            if words and command[:2] != ["bash", "-c"]:
                assert all(map(same, words, command)), (words, command)
        assert list(home.rglob("PWNED")) == []
        assert list(tmp_path.rglob("PWNED")) == []
        assert list((home / "run/work").iterdir()) == []
