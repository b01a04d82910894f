"""No value of a config is ever executed, and each arrives whole or is refused where it stands.

Configs with hostile texts in their string fields are compiled, and the scripts are run under the
stand-ins of ``standins.py``. Had a shell read any of the texts, a file PWNED would be there.
"""

from __future__ import annotations

import contextlib
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from emit.texts import hostile
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.fields import (
    COMMANDS,
    CONFIGS,
    EVERY,
    FIELDS,
    Field,
    Outcome,
    Plain,
    Steps,
    at,
    composed,
    field,
    host_path,
    no_source,
    no_variable,
    pattern,
    put,
    strings,
)
from properties.hostile import KINDS, MARK, Kind, has_control, random_kind
from properties.standins import Call, run

import evalc.bundle
from evalc.bundle import Bundle
from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does
from evalc.emit import yamltext
from evalc.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What a config with a hostile value may be refused with.
CODES = {
    *("bad-value", "wrong-type", "unknown-reference", "unknown-task", "bad-task-name"),
    *("bad-env-name", "bad-env-value", "bad-file", "bad-command", "cannot-carry", "contradiction"),
    *("unknown-backend", "conflicting-keys", "bad-words"),
}
# What a person could put into the environment to break out of it.
SECRET = 'it\'s `touch PWNED` $(touch PWNED) "x" \\ \n@@{HOME}@@ ${HOME} @@{OTHER_VALUE}@@ é; touch PWNED #'
NAMES = (
    *("NGC_API_KEY", "HF_TOKEN", "INFERENCE_KEY", "SERVER_SECRET", "SOME_SECRET", "OTHER_SECRET"),
    *("AT_RUN_TIME", "EVAL_RESULTS", "NIM_CACHE", "CACHE_DIR", "DATA_DIR", "PROXY_HOST"),
    *("RUN_TIME_VALUE", "OTHER_VALUE"),
)
ENVIRONMENT = {name: f"{name} {SECRET}" for name in NAMES}
TITLE = "it's $(touch PWNED) & `x`"


@dataclass
class Lab:
    """Compiles and runs variants of the config ``name``, each in a folder of its own."""

    folder: Path
    name: str
    count: int = 0

    def config(self) -> Plain:
        """The composed config, to be changed; on a port that nothing uses."""
        config = composed(self.name)
        if config["deployment"]["type"] != "none":
            with socket.create_server(("127.0.0.1", 0)) as server:
                config["deployment"]["port"] = server.getsockname()[1]
        return config

    def compile(self, config: Plain, title: str = "c") -> tuple[Path, Bundle]:
        """The bundle of a config, and the folder of its own."""
        self.count += 1
        home = self.folder / str(self.count)
        home.mkdir()
        for beside in EVERY[self.name].parent.iterdir():
            (home / beside.name).symlink_to(beside)
        for path in strings(config):
            # No file can have some of the names: that is for evalc to say.
            with contextlib.suppress(OSError, ValueError):
                name = at(config, path).replace("\\${", "${")
                if "files" in path and not (home / name).exists():
                    (home / name).write_text("carried")
        (home / f"{title}.yaml").write_text(yamltext.dump(config))
        return home, compile(Request(home / f"{title}.yaml")).bundle


@pytest.fixture(params=CONFIGS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    """For each config in turn."""
    return Lab(tmp_path, request.param)


def fields(name: str) -> Iterator[tuple[Steps, Field]]:
    """The fields of a config that are no commands."""
    for path in strings(composed(name)):
        found = field(name, path)
        if found:
            yield path, found


def token(number: int) -> str:
    return f"v{number:03}z"


# Each field alone


@lru_cache
def rows() -> dict[tuple[str, Field], tuple[str, Steps]]:
    """One field, and the config that has it, for each row of the table."""
    every = [(name, path, found) for name in CONFIGS for path, found in fields(name)]
    return {(pattern(path), found): (name, path) for name, path, found in every}


def test_every_field_carries_a_value_or_refuses_it_where_it_stands(lab: Lab) -> None:
    """The table says which; every kind of text, in one field of each row."""
    wrong = []
    for number, ((_, found), (name, path)) in enumerate(rows().items()):
        if name != lab.name:
            continue
        for kind in KINDS.values():
            written, meaning = kind.of(token(number))
            config = composed(lab.name)
            put(config, path, found.shape(written))
            why = judged(lab, config, path, may=found.takes(lab.name, meaning))
            wrong += [f"{path}, {kind.name}: {why}"] if why else []
    assert wrong == []


def judged(lab: Lab, config: Plain, path: Steps, *, may: bool) -> str:
    """What is wrong with how a config was taken, or an empty text; ``may`` it be compiled?"""
    try:
        _, bundle = lab.compile(config)
    except ConfigError as error:
        if may:
            return f"refused: {error}"
        return "; ".join(filter(None, (misplaced(p, config, path) for p in error.problems)))
    if not may:
        return "accepted"
    kept = at(yaml.safe_load(bundle.files["config.yaml"].data), path)
    return "" if kept == at(config, path) else f"config.yaml has {kept!r}"


def misplaced(problem: Problem, config: Plain, path: Steps) -> str:
    """Why a problem is no help to who wrote the config, or an empty text."""
    if problem.code not in CODES:
        return f"an unknown code: {problem.code} {problem.message}"
    if problem.location is None or problem.location.line != line_of(config, path):
        return f"at {problem.location}, not line {line_of(config, path)}: {problem.message}"
    return ""


def line_of(config: Plain, path: Steps) -> int:
    """The line that a value stands on, in the text that yamltext makes of a config."""
    marked = json.loads(json.dumps(config))
    put(marked, path, "HERE-IT-IS")
    lines = yamltext.dump(marked).splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith("HERE-IT-IS"))


@settings(max_examples=300)
@given(st.data())
def test_any_text_in_any_field_is_carried_or_refused(
    tmp_path_factory: Any, data: st.DataObject
) -> None:
    """The same for what hypothesis makes up, one field of one config at a time."""
    name = data.draw(st.sampled_from(sorted(CONFIGS)), "config")
    # The names of files have to be there: the kinds above have the hard ones.
    some = [(path, found) for path, found in fields(name) if "files" not in path]
    path, found = data.draw(st.sampled_from(some), "field")
    text = data.draw(hostile.filter(lambda t: t.strip() and "${" not in t), "text")
    lab = Lab(tmp_path_factory.mktemp("any"), name)
    config = composed(name)
    put(config, path, found.shape(text))
    why = judged(lab, config, path, may=found.takes(name, text))
    assert why == ""


def test_every_row_of_the_table_is_used() -> None:
    used = {pattern(path) for name in CONFIGS for path in strings(composed(name))}
    assert used - COMMANDS.keys() == FIELDS.keys()


# All fields at once, executed


def rounds() -> Iterator[Callable[[int, int], Kind]]:
    """For a field's number and a turn, the text to try; each round has another for each field."""
    kinds = list(KINDS.values())
    for number in range(0, len(kinds), 5):
        yield lambda field, turn, n=number: kinds[(field + n + turn) % len(kinds)]  # type: ignore[misc]
    yield lambda field, turn: random_kind(field * 100 + turn)


def test_values_arrive_whole_and_none_is_executed(lab: Lab) -> None:
    jobs = []
    for choose in rounds():
        config, expected = lab.config(), {}
        for number, (path, found) in enumerate(fields(lab.name)):
            for turn in range(len(KINDS)) if found.executed else ():
                written, meaning = choose(number, turn).of(token(number))
                if (
                    meaning is not None
                    and found.takes(lab.name, meaning)
                    and found.runs_with(meaning)
                ):
                    put(config, path, found.shape(written))
                    expected[path] = found.value(meaning)
                    break
        jobs.append((*lab.compile(config, TITLE), expected))
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda job: executed(job[0], job[1]), jobs))
    for (home, _, expected), outcome in zip(jobs, outcomes, strict=True):
        for path, value in expected.items():
            where = field(lab.name, path)
            assert where is not None
            assert where.arrives(outcome, path, value), (path, value)
        as_planned(outcome)
        secrets_are_kept(home, outcome)
    assert expected


def arrived(name: str, outcome: Outcome, path: Steps, value: str) -> bool:
    row = field(name, path)
    assert row is not None
    return row.arrives(outcome, path, value)


def executed(home: Path, bundle: Bundle) -> Outcome:
    """Run a bundle; nothing may happen but what it says."""
    folder = home / "a bundle"
    evalc.bundle.write(bundle, folder, force=False)
    did = run(folder, home / "run", ENVIRONMENT)
    assert did.code == 0, did.said
    # Files that are exported may go to a folder that counts from here, and that has its name.
    exports = "export" in json.loads(bundle.files["plan.json"].data)
    work = home / "run/work"
    assert exports or list(work.iterdir()) == []
    assert [
        path
        for path in home.rglob("*")
        if "PWNED" in path.name and not path.is_file() and not (exports and work in path.parents)
    ] == []
    assert not (home / "PWNED").exists()
    assert not (work / "PWNED").exists()
    files = {path: file.data.decode() for path, file in bundle.files.items()}
    assert not [
        path for path in folder.rglob("PWNED") if str(path.relative_to(folder)) not in files
    ]
    return Outcome(files, did, str(home / "run/work"))


def as_planned(outcome: Outcome) -> None:
    """What ran is what the plan says, with the values of the environment put in."""
    for index, step in enumerate(outcome.steps):
        call = outcome.evaluation(("evaluation", "tasks", index))
        contract = {"MODEL_URL": step["model_url"], "MODEL_ID": step["model_id"]}
        contract |= {
            "ENDPOINT_TYPE": step["endpoint_type"],
            **{v["name"]: v["value"] for v in step["env"]},
        }
        for name, word in contract.items():
            assert call.variable(name) == meaning(word), name
        read = yaml.safe_load(call.run_config or "")
        if outcome.plan["options"]["engine"] == "none":
            step["run_config"]["config"]["output_dir"] = read["config"]["output_dir"]
        assert read == resolved(step["run_config"])
        in_containers(
            outcome, call, step, [*step["mounts"], *([step["dataset"]] if step["dataset"] else [])]
        )
    for service in outcome.plan["services"]:
        call = outcome.server
        assert call.variable("PORT") == str(service["port"])
        assert call.variable("MODEL_ID") == meaning(service["model_id"])
        for variable in service["env"]:
            assert call.variable(variable["name"]) == meaning(variable["value"])
        in_containers(outcome, call, service, service["mounts"])
        if "argv" in service["command"] and not service["pre_cmd"]:
            words = [meaning(word) for word in service["command"]["argv"]]
            assert list(call.args[-len(words) :]) == words or [call.name, *call.args] == words


def in_containers(outcome: Outcome, call: Call, owner: Any, mounts: list[Any]) -> None:
    if outcome.plan["options"]["engine"] == "none":
        return
    assert meaning(owner["image"]) in call.args
    for mount in mounts:
        ending = ":ro" if mount["read_only"] else ""
        word = mount["source"]
        source = meaning(word)
        if isinstance(word, str) or isinstance(word["parts"][0], str):
            source = host_path(source, outcome.cwd)
        assert f"{source}:{mount['target']}{ending}" in call.args


def meaning(word: Any) -> str:
    """A word of plan.json, with the environment's values."""
    if isinstance(word, str):
        return word
    return "".join(
        part if isinstance(part, str) else ENVIRONMENT[part.get("env") or part["secret"]]
        for part in word["parts"]
    )


def resolved(value: Any) -> Any:
    """A value of plan.json, with the words in it as text."""
    if isinstance(value, dict):
        return meaning(value) if "parts" in value else {k: resolved(v) for k, v in value.items()}
    return [resolved(item) for item in value] if isinstance(value, list) else value


def secrets_are_kept(home: Path, outcome: Outcome) -> None:
    """No value of a secret is in a file, or on a command line for all to see."""
    secrets = json.loads(outcome.bundle["manifest.json"])["needs"]["secrets"]
    values = [ENVIRONMENT[name] for name in secrets]
    assert not [
        word for call in outcome.run.calls for word in call.args for v in values if v in word
    ]
    assert not any(value in outcome.run.said for value in values)
    for path in (home / "a bundle").rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not [value for value in values if value in text], path


# Names that the user gives

EXTRA = ("evaluation", "nemo_evaluator_config", "config", "params", "extra")
KEYS: dict[str, tuple[str, Steps, Callable[[str], bool], Callable[[Outcome, str], bool]]] = {
    "mounts of tasks": (
        "containers",
        ("execution", "mounts", "evaluation", "/host/cache"),
        no_source,
        lambda o, v: f"{host_path(v, o.cwd)}:/cache" in o.evaluation(()).args,
    ),
    "mounts of servers": (
        "containers",
        ("execution", "mounts", "deployment", "/host/models"),
        no_source,
        lambda o, v: f"{host_path(v, o.cwd)}:/models:ro" in o.server.args,
    ),
    "settings that are complete": (
        "own_harness",
        (*EXTRA, "a key"),
        lambda _: False,
        lambda o, v: settings_of(o) == {v: "a value"},
    ),
    "settings that are completed": (
        "host",
        (*EXTRA, "text"),
        lambda v: "@@{" in v,
        lambda o, v: settings_of(o)[v] == "a text",
    ),
}


def settings_of(outcome: Outcome) -> Any:
    read = yaml.safe_load(outcome.evaluation(()).run_config or "")
    return read["config"]["params"]["extra"]


@pytest.mark.parametrize("row", KEYS)
def test_names_that_the_user_gives(tmp_path: Path, row: str) -> None:
    name, path, refuses, arrives = KEYS[row]
    lab, jobs = Lab(tmp_path, name), []
    for number, kind in enumerate(KINDS.values()):
        # A key holds no references.
        key = kind.written.replace(MARK, token(number))
        config = lab.config()
        config["evaluation"]["nemo_evaluator_config"]["config"]["params"].setdefault(
            "extra", {"a key": "a value"}
        )
        above = at(config, path[:-1])
        above[key] = above.pop(path[-1])
        if refuses(key):
            with pytest.raises(ConfigError) as caught:
                lab.compile(config)
            codes = {problem.code for problem in caught.value.problems}
            assert codes <= {"cannot-carry", "bad-interpolation"}
        else:
            home, bundle = lab.compile(config)
            if number % 8 == 0:
                jobs.append((key, home, bundle))
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda job: executed(job[1], job[2]), jobs))
    assert len(jobs) >= 3
    for (key, _, _), outcome in zip(jobs, outcomes, strict=True):
        assert arrives(outcome, key), key


VARIABLES: tuple[Steps, ...] = (
    ("env_vars",),
    ("deployment", "env_vars"),
    ("evaluation", "env_vars"),
    ("evaluation", "tasks", 1, "env_vars"),
)


@pytest.mark.parametrize("block", VARIABLES, ids=str)
def test_names_of_variables_are_refused_where_they_stand(tmp_path: Path, block: Steps) -> None:
    lab = Lab(tmp_path, "containers")
    for kind in KINDS.values():
        key = kind.written.replace(MARK, "v")
        if not no_variable(key):
            continue
        config = lab.config()
        at(config, block)[key] = "lit:here"
        with pytest.raises(ConfigError) as caught:
            lab.compile(config)
        (problem,) = caught.value.problems
        assert problem.code == "bad-env-name"
        assert problem.location
        lines = problem.location.source.text.split("\n")
        assert yamltext.scalar(key) in lines[problem.location.line - 1]


# Commands


REFUSED_COMMANDS = {"bad-command", "unknown-reference", "env-in-command"}


@pytest.mark.parametrize("name", CONFIGS)
def test_commands_arrive_byte_for_byte(tmp_path: Path, name: str) -> None:
    """A command is bash text: what bash can read is written as it is, the rest refused."""
    lab, seen = Lab(tmp_path, name), set()
    rows = {pattern(path): path for path in strings(composed(name)) if not field(name, path)}
    for row, path in rows.items():
        for number, kind in enumerate(KINDS.values()):
            text, meaning = kind.of(token(number))
            config = lab.config()
            put(config, path, text)
            try:
                _, bundle = lab.compile(config)
            except ConfigError as error:
                codes = {problem.code for problem in error.problems if problem.severity == "error"}
                seen.add("refused" if codes <= REFUSED_COMMANDS else f"wrongly: {codes}")
                continue
            plan = json.loads(bundle.files["plan.json"].data)
            index = next((part for part in path if isinstance(part, int)), 0)
            step = [step for job in plan["jobs"] for step in job["steps"]][index]
            service = plan["services"][0]["name"] if plan["services"] else ""
            file = COMMANDS[row].replace("{id}", step["id"]).replace("{service}", service)
            made = bundle.files[file].data.decode()
            assert meaning
            assert made == f"#!/usr/bin/env bash\n{meaning.rstrip()}\n"
            seen.add("written")
    assert seen == ({"refused", "written"} if rows else set())


# The stand-ins would see it


def test_an_unquoted_value_would_be_noticed(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "containers")
    home, bundle = lab.compile(lab.config())
    script = bundle.files["ours/run.sh"]
    broken = script.data.replace(b"--env MODEL_ID='a model'", b"--env MODEL_ID=a$(touch PWNED)")
    assert broken != script.data
    files = {**bundle.files, "ours/run.sh": evalc.bundle.File(broken, script.mode)}
    with pytest.raises(AssertionError):
        executed(home, Bundle(bundle.name, files, bundle.needs, bundle.run_hint))


def test_control_characters_are_what_a_comment_refuses() -> None:
    assert [kind.name for kind in KINDS.values() if has_control(kind.written)] == [
        *("lines", "carriage return", "tab", "control", "separators", "nul"),
    ]
