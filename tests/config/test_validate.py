"""Every way in which a config can break its schema: which problem, where, and what people read."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from evalc.config import BUILTIN
from evalc.config.checking.schema import Schema, config_schema
from evalc.config.checking.validate import validate
from evalc.config.normalise import with_defaults
from evalc.errors import Problem, Source
from evalc.resources import read_schema
from evalc.source import Mapping, Scalar, parse
from evalc.source.nodes import walk
from evalc.words import Literal, RuntimeEnv

LOCAL = read_schema("execution.local")
SCHEMA = config_schema({"local": LOCAL})
TASKS = "\nevaluation: {tasks: [{name: ifeval}]}\n"


def tree(text: str) -> Mapping:
    root = parse(Source("a.yaml", text))
    assert isinstance(root, Mapping)
    return root


def check(text: str, schema: Schema = SCHEMA) -> list[Problem]:
    return validate(tree(text), schema)


def only(text: str, schema: Schema = SCHEMA) -> Problem:
    found = check(text, schema)
    assert len(found) == 1, [p.message for p in found]
    return found[0]


def said(problem: Problem) -> str:
    return f"{problem.message}\n{problem.label}\n{problem.help}"


def span(problem: Problem) -> tuple[int, int, int]:
    at = problem.location
    assert at is not None
    assert at.line == at.end_line
    return at.line, at.column, at.end_column


def test_a_good_config_has_no_problems() -> None:
    text = """\
execution: {type: local, engine: podman, cpus: 1.5, mounts: {evaluation: {./a: /b:ro}}}
deployment: {type: generic, command: [serve, --port, 8000], gpus: 2, endpoints: {chat: /v1}}
target: null
evaluation:
  tasks:
    - name: ifeval
      nemo_evaluator_config: {config: {params: {limit_samples: 0.5, extra: {anything: [1, {}]}}}}
env_vars: {A: lit:1, B: 2, C: true, D: null}
x-mine: {of: [any, shape]}
"""
    assert check(text) == []


@pytest.mark.parametrize("kind", ["none", "vllm", "sglang", "nim", "trtllm", "generic"])
def test_the_builtin_groups_fit_the_schema(kind: str) -> None:
    root = with_defaults(tree(f"deployment: {{type: {kind}}}" + TASKS), BUILTIN)
    found = validate(root, SCHEMA)
    # References are text until they are resolved; what the user must give is no fault of the group.
    assert {p.code for p in found} <= {"missing-value"}


# The one problem of a text: its code, line, columns, and parts of message, label and help

CASES = {
    "unknown key at the top": (
        "exection: {}" + TASKS,
        ("unknown-key", 1, 1, 9),
        ["'exection' is not a top-level key", "did you mean 'execution'?"],
    ),
    "unknown key with the type that decides": (
        "execution: {type: local, ouput_dir: x}" + TASKS,
        ("unknown-key", 1, 26, 35),
        ["'ouput_dir' is not a key of execution (local)", "did you mean 'output_dir'?"],
    ),
    "unknown key in a list": (
        "evaluation:\n  tasks:\n    - name: a\n    - name: b\n      contaner: c",
        ("unknown-key", 5, 7, 15),
        ["'contaner' is not a key of evaluation.tasks[1]", "did you mean 'container'?"],
    ),
    "unknown key deep inside": (
        "evaluation: {tasks: [{name: a}],\n nemo_evaluator_config: {config: {params: {topp: 0}}}}",
        ("unknown-key", 2, 44, 48),
        ["not a key of evaluation.nemo_evaluator_config.config.params", "'top_p'"],
    ),
    "key of another mapping": (
        "deployment: {type: none, mode: parallel}" + TASKS,
        ("unknown-key", 1, 26, 30),
        ["'mode' is a key of execution (local)", ", not of deployment"],
    ),
    "key that is nowhere": (
        "target: {zzz: 1}" + TASKS,
        ("unknown-key", 1, 10, 13),
        ["keys here: api_endpoint; keys of your own start with 'x-'"],
    ),
    "text for a number": (
        "execution: {cpus: four}" + TASKS,
        ("wrong-type", 1, 19, 23),
        ["execution.cpus must be a number, and this is text"],
    ),
    "quoted number": (
        'execution: {cpus: "4"}' + TASKS,
        ("wrong-type", 1, 19, 22),
        ["must be a number, and this is text", "remove the quotes"],
    ),
    "fraction for a count": (
        "deployment: {port: 80.5}" + TASKS,
        ("wrong-type", 1, 20, 24),
        ["must be a whole number, and this is 80.5"],
    ),
    "boolean for a number": (
        "execution: {parallelism: true}" + TASKS,
        ("wrong-type", 1, 26, 30),
        ["must be a whole number, and this is true or false"],
    ),
    "number that YAML rounds": (
        "evaluation: {tasks: [{name: a, container: 26.10}]}",
        ("wrong-type", 1, 43, 48),
        ["must be text, and this is a number", "26.10 reads as the number 26.1: put it in quotes"],
    ),
    "octal that YAML reads": (
        "deployment: {served_model_name: 0o17}" + TASKS,
        ("wrong-type", 1, 33, 37),
        ["0o17 reads as the number 15: put it in quotes"],
    ),
    "number for text": (
        "evaluation: {tasks: [{name: 7}]}",
        ("wrong-type", 1, 29, 30),
        ['put it in quotes: "7"'],
    ),
    "number for text of a form": (
        "execution: {memory_limit: 16}" + TASKS,
        ("wrong-type", 1, 27, 29),
        ["must be text, and this is a number", "write a size such as 16g or 512m"],
    ),
    "boolean for text": (
        "evaluation: {tasks: [{name: true}]}",
        ("wrong-type", 1, 29, 33),
        ["must be text, and this is true or false", 'put it in quotes: "true"'],
    ),
    "yes for a boolean": (
        "export: {wandb: {copy_logs: yes}}" + TASKS,
        ("wrong-type", 1, 29, 32),
        ["export.wandb.copy_logs must be true or false, and this is text", "write true"],
    ),
    "off for a boolean": (
        "export: {wandb: {copy_logs: Off}}" + TASKS,
        ("wrong-type", 1, 29, 32),
        ["write false, without quotes"],
    ),
    "nothing where something is needed": (
        "evaluation:\n  tasks:\n",
        ("wrong-type", 2, 3, 8),
        ["evaluation.tasks must be a list, and this is empty", "give a value, or remove the key"],
    ),
    "list for a mapping": (
        "evaluation: {tasks: [{name: a, env_vars: [HF_TOKEN]}]}",
        ("wrong-type", 1, 42, 52),
        ["must be a mapping, and this is a list", "write 'name: value' lines"],
    ),
    "text for a list": (
        "deployment: {files: a.py}" + TASKS,
        ("wrong-type", 1, 21, 25),
        ["deployment.files must be a list, and this is text", "after a dash"],
    ),
    "mapping for text or a list": (
        "deployment: {command: {a: b}}" + TASKS,
        ("wrong-type", 1, 23, 29),
        ["deployment.command must be text or a list, and this is a mapping"],
    ),
    "block for text": (
        "evaluation:\n  tasks:\n    - name:\n        a: b\n        c: d\n",
        ("wrong-type", 4, 9, 13),
        ["evaluation.tasks[0].name must be text, and this is a mapping"],
    ),
    "list in an environment block": (
        "env_vars: {A: [1]}" + TASKS,
        ("wrong-type", 1, 15, 18),
        ["env_vars.A must be text, a number or true or false, and this is a list"],
    ),
    "choice": (
        "execution: {mode: paralel}" + TASKS,
        ("bad-value", 1, 19, 26),
        ["execution.mode must be sequential or parallel", "did you mean 'parallel'?"],
    ),
    "choice that may be null": (
        "evaluation: {tasks: [{name: a, endpoint_type: caht}]}",
        ("bad-value", 1, 47, 51),
        ["must be chat, completions, completions_logprob, embedding or vlm", "'chat'"],
    ),
    "backend": (
        "execution: {type: slurmm}" + TASKS,
        ("bad-value", 1, 19, 25),
        ["execution.type must be local"],
    ),
    "too small": (
        "execution: {parallelism: 0}" + TASKS,
        ("bad-value", 1, 26, 27),
        ["execution.parallelism must be at least 1, and this is 0"],
    ),
    "too large": (
        "deployment: {port: 65536}" + TASKS,
        ("bad-value", 1, 20, 25),
        ["must be at most 65535, and this is 65536"],
    ),
    "not above": (
        "execution: {cpus: 0}" + TASKS,
        ("bad-value", 1, 19, 20),
        ["execution.cpus must be above 0, and this is 0"],
    ),
    "form": (
        "execution: {memory_limit: 16 GB}" + TASKS,
        ("bad-value", 1, 27, 32),
        ["execution.memory_limit must be a size such as 16g or 512m"],
    ),
    "form with a line break at its end": (
        'execution: {memory_limit: "16g\\n"}' + TASKS,
        ("bad-value", 1, 27, 34),
        ["must be a size such as 16g"],
    ),
    "relative path in a container": (
        "execution: {mounts: {evaluation: {/a: b}}}" + TASKS,
        ("bad-value", 1, 39, 40),
        ["execution.mounts.evaluation./a must be an absolute path inside the container"],
    ),
    "nothing to evaluate": (
        "evaluation: {tasks: []}",
        ("bad-value", 1, 21, 23),
        ["evaluation.tasks must not be empty"],
    ),
    "empty name": (
        'evaluation: {tasks: [{name: ""}]}',
        ("bad-value", 1, 29, 31),
        ["evaluation.tasks[0].name must not be empty"],
    ),
    "infinity": (
        "evaluation: {tasks: [{name: a, x-b: 1}], x-c: .inf}",
        ("bad-value", 1, 47, 51),
        ["evaluation.x-c must be a finite number, and this is .inf"],
    ),
    "not a number": (
        "export: {wandb: {extra_metadata: {a: {b: [.nan]}}}}" + TASKS,
        ("bad-value", 1, 43, 47),
        ["export.wandb.extra_metadata.a.b[0] must be a finite number"],
    ),
    "no evaluation": (
        "execution: {}\ntarget: null",
        ("missing-key", 1, 1, 10),
        ["the config needs the key 'evaluation'", "-o +evaluation=VALUE"],
    ),
    "no tasks": (
        "execution: {}\nevaluation: {}",
        ("missing-key", 2, 1, 11),
        ["evaluation needs the key 'tasks'", "-o +evaluation.tasks=VALUE"],
    ),
    "no name": (
        "evaluation:\n  tasks:\n    - name: a\n    - id: b\n",
        ("missing-key", 4, 7, 9),
        ["evaluation.tasks[1] needs the key 'name'", "-o +evaluation.tasks.1.name=VALUE"],
    ),
    "misspelt, not missing as well": (
        "evaluation: {tasks: [{nmae: a}]}",
        ("unknown-key", 1, 23, 27),
        ["did you mean 'name'?"],
    ),
    "must be given": (
        "target:\n  api_endpoint:\n    url: ???" + TASKS,
        ("missing-value", 3, 10, 13),
        ["target.api_endpoint.url must be given", "here or with -o target.api_endpoint.url=VALUE"],
    ),
    "must be given, though a number": (
        "execution:\n  cpus: ???" + TASKS,
        ("missing-value", 2, 9, 12),
        ["execution.cpus must be given"],
    ),
    "must be given, in a free place": (
        "export:\n  wandb:\n    extra_metadata:\n      judge:\n        - url: ???" + TASKS,
        ("missing-value", 5, 16, 19),
        ["export.wandb.extra_metadata.judge[0].url must be given"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_mistake_is_one_problem(case: str) -> None:
    text, (code, *place), parts = CASES[case]
    problem = only(text)
    assert (problem.code, *span(problem)) == (code, *place)
    for part in parts:
        assert part in said(problem)


def test_all_mistakes_are_found_at_once() -> None:
    text = """\
execution:
  mode: paralel
  cpus: "4"
  partiton: gpu
deployment:
  type: generic
  served_model_name: ???
  port: 0
evaluation:
  tasks:
    - nam: a
    - id: b
      dataset_dir: [c]
zz: 1
"""
    found = sorted((p.location, p.code) for p in check(text) if p.location)
    assert [(at.line, at.column, code) for at, code in found] == [
        (2, 9, "bad-value"),
        (3, 9, "wrong-type"),
        (4, 3, "unknown-key"),
        (7, 22, "missing-value"),
        (8, 9, "bad-value"),
        (11, 7, "unknown-key"),
        (12, 7, "missing-key"),
        (13, 20, "wrong-type"),
        (14, 1, "unknown-key"),
    ]


def test_free_places_are_free() -> None:
    assert (
        check("x-any: {of: [~, {shape: 1}]}\nexecution: {x-mine: 1, mounts: {x-b: 2}}" + TASKS)
        == []
    )
    assert check("export: {wandb: {extra_metadata: {a: 1}}}" + TASKS) == []
    assert check("deployment: {endpoints: {x-a: 1}}" + TASKS) == []
    # What is only there to be referred to need not be given.
    assert check("x-template:\n  a: ???" + TASKS) == []


def test_a_value_of_the_builtin_groups_is_asked_for_where_the_user_can_give_it() -> None:
    root = with_defaults(tree("x-a: 1\ndeployment:\n  type: nim\n  image: b" + TASKS), BUILTIN)
    (problem,) = validate(root, SCHEMA)
    assert problem.message == "deployment.served_model_name must be given"
    assert span(problem) == (2, 1, 11)
    assert problem.label == (
        "give 'served_model_name' here or with -o deployment.served_model_name=VALUE"
    )


def test_without_a_place_of_the_users_the_builtin_one_is_shown() -> None:
    source = Source("<evalc>/deployment/nim.yaml", "deployment: \n  image: ???", "builtin")
    root = parse(source)
    assert isinstance(root, Mapping)
    evaluation = tree(TASKS)
    root.entries |= evaluation.entries
    root.keys |= evaluation.keys
    (problem,) = validate(root, SCHEMA)
    assert str(problem.location) == "<evalc>/deployment/nim.yaml:2:10"


def test_a_reference_shows_what_it_stands_for() -> None:
    root = tree("execution: {cpus: '${x-n}'}" + TASKS)
    execution = root.entries["execution"]
    assert isinstance(execution, Mapping)
    cpus = execution.entries["cpus"]
    assert isinstance(cpus, Scalar)
    execution.entries["cpus"] = cpus.replaced("four")
    (problem,) = validate(root, SCHEMA)
    assert problem.label == "this is what ${x-n} stands for"


# Values that are only known at run time

WORD = (Literal("a/"), RuntimeEnv("HOME"))


def with_word(text: str, *path: str | int) -> list[Problem]:
    """The problems of a config whose value at ``path`` is known at run time only."""
    root = tree(text)
    above = walk(root, path[:-1])
    node = walk(root, path)
    assert isinstance(node, Scalar)
    if isinstance(above, Mapping):
        above.entries[str(path[-1])] = node.replaced(WORD)
    else:
        assert isinstance(path[-1], int)
        above.items[path[-1]] = node.replaced(WORD)  # type: ignore[union-attr]
    return validate(root, SCHEMA)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("execution: {output_dir: o}", ("execution", "output_dir")),
        ("execution: {docker_args: [o]}", ("execution", "docker_args", 0)),
        ("target: {api_endpoint: {url: o}}", ("target", "api_endpoint", "url")),
        ("deployment: {checkpoint_path: o}", ("deployment", "checkpoint_path")),
        ("deployment: {command: [a, o]}", ("deployment", "command", 1)),
        ("env_vars: {A: o}", ("env_vars", "A")),
        ("export: {wandb: {extra_metadata: {a: o}}}", ("export", "wandb", "extra_metadata", "a")),
        ("x-mine: o", ("x-mine",)),
    ],
)
def test_texts_may_wait_for_run_time(text: str, path: tuple[str | int, ...]) -> None:
    assert with_word(text + TASKS, *path) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("execution: {cpus: o}", ("execution", "cpus")),
        ("execution: {mode: o}", ("execution", "mode")),
        ("execution: {type: o}", ("execution", "type")),
        ("execution: {memory_limit: o}", ("execution", "memory_limit")),
        ("execution: {mounts: {evaluation: {a: o}}}", ("execution", "mounts", "evaluation", "a")),
        ("deployment: {gpus: o}", ("deployment", "gpus")),
        ("deployment: {extra_args: o}", ("deployment", "extra_args")),
        ("deployment: {command: o}", ("deployment", "command")),
        ("deployment: {files: [o]}", ("deployment", "files", 0)),
        ("deployment: {endpoints: {chat: o}}", ("deployment", "endpoints", "chat")),
        ("target: {api_endpoint: {api_key_name: o}}", ("target", "api_endpoint", "api_key_name")),
        ("target: {api_endpoint: o}", ("target", "api_endpoint")),
        ("", ("evaluation", "tasks", 0, "name")),
    ],
)
def test_the_rest_must_be_known_now(text: str, path: tuple[str | int, ...]) -> None:
    found = with_word(text + TASKS, *path)
    problem = found[0]
    dotted = ".".join(map(str, path))
    assert problem.code == "needs-value"
    assert problem.label == f"give it with -o {dotted}=VALUE"
    assert "is only known at run time" in problem.message
    # A backend that is not known yet leaves every other key of execution unjudged.
    assert len(found) == 1


# What a backend of somebody else's may bring

OTHER: Schema = {
    "type": "object",
    "properties": {
        "type": {"const": "boat"},
        "size": {"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["small", "large"]}]},
        "crew": {
            "oneOf": [
                {"type": "integer"},
                {
                    "type": "object",
                    "properties": {"captain": {"type": "string"}, "mate": {"type": "string"}},
                    "required": ["captain"],
                    "additionalProperties": False,
                },
            ]
        },
        "ports": {
            "type": "array",
            "items": [{"type": "string"}, {"type": "integer"}],
            "additionalItems": {"type": "integer"},
        },
        "names": {"type": "array", "uniqueItems": True},
        "speed": {"anyOf": [{"const": "slow"}, {"const": "fast"}, {"type": "integer"}]},
        "code": {"type": "string", "pattern": "^[A-Z]+$"},
        "nothing": {"type": "null"},
        "lights": {"patternProperties": {"^l": {"type": "boolean"}}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("given", "code", "parts"),
    [
        ("size: 0", "bad-value", ["execution.size must be at least 1, and this is 0"]),
        ("size: smal", "bad-value", ["must be small or large", "did you mean 'small'?"]),
        ("crew: many", "wrong-type", ["must be a whole number or a mapping, and this is text"]),
        ("crew: {captain: 1}", "wrong-type", ["execution.crew.captain must be text"]),
        ("crew: {mate: a}", "missing-key", ["execution.crew needs the key 'captain'"]),
        ("crew: {captain: a, mat: b}", "unknown-key", ["did you mean 'mate'?"]),
        ("ports: [1, 2]", "wrong-type", ["execution.ports[0] must be text"]),
        ("ports: [a, 1, '???']", "missing-value", ["execution.ports[2] must be given"]),
        ("speed: fats", "bad-value", ["must be slow or fast", "did you mean 'fast'?"]),
        ("names: [a, a]", "bad-value", ["does not fit the schema's rule 'uniqueItems'"]),
        ("code: a", "bad-value", ["must be text that matches ^[A-Z]+$"]),
        ("nothing: 1", "wrong-type", ["must be empty, and this is a number"]),
        ("lights: {left: 1}", "wrong-type", ["execution.lights.left must be true or false"]),
        ("mode: parallel", "unknown-key", ["'mode' is a key of execution (local)", "(boat)"]),
    ],
)
def test_backends_may_use_all_of_draft_07(given: str, code: str, parts: list[str]) -> None:
    schema = config_schema({"local": LOCAL, "boat": OTHER})
    problem = only(f"execution: {{type: boat, {given}}}{TASKS}", schema)
    assert problem.code == code
    for part in parts:
        assert part in said(problem)


def test_a_wrong_name_of_a_secret_is_reported_without_its_line() -> None:
    problem = only("target: {api_endpoint: {api_key_name: 'sk-1 2'}}" + TASKS)
    assert problem.code == "bad-value"
    assert problem.sensitive
    assert "sk-1" not in problem.message + problem.label + problem.help


# Against jsonschema's own judgement

BASE: dict[str, Any] = {
    "execution": {"type": "local", "cpus": 2, "mounts": {"evaluation": {"a": "/b"}}},
    "deployment": {"type": "generic", "command": ["a"], "endpoints": {"chat": "/v1"}},
    "evaluation": {
        "tasks": [
            {"name": "a", "env_vars": {"A": "lit:1"}, "files": ["f"]},
            {"name": "b", "nemo_evaluator_config": {"config": {"params": {"top_p": 0.5}}}},
        ],
        "pre_cmd": "true",
    },
    "export": {"mlflow": {"tags": {"a": "b"}, "log_metrics": ["acc"]}},
    "x-mine": [1],
}
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.floats(-1, 2),
    st.sampled_from(["", "/a", "none", "parallel", "16g", "name", "A", "a b"]),
    st.just([]),
    st.just({}),
    st.just(["a"]),
    st.just({"name": "a"}),
)
KEYS = st.sampled_from(["name", "mode", "cpus", "x-a", "zz", "config", "command", "chat", "params"])


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += places(inner, (*path, index))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A good config in which up to three values were replaced, removed or added."""
    config = copy.deepcopy(BASE)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(config)[1:]))
        above: Any = config
        for step in path[:-1]:
            above = above[step]
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "replace":
            above[path[-1]] = copy.deepcopy(draw(VALUES))
        elif what == "remove":
            del above[path[-1]]
        elif isinstance(above, dict):
            above[draw(KEYS)] = copy.deepcopy(draw(VALUES))
        else:
            above.append(copy.deepcopy(draw(VALUES)))
        if not config:
            break
    return config


STOCK = Draft7Validator(SCHEMA)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_what_is_wrong_is_what_jsonschema_finds_wrong(config: dict[str, Any]) -> None:
    """The quick checker against the stock one, and no problem without a place and a text."""
    found = check(json.dumps(config))
    assert bool(found) is not STOCK.is_valid(config)
    for problem in found:
        assert problem.location is not None
        assert problem.location.source.name == "a.yaml"
        assert problem.message


TEXT = st.text("aZ09 ${}?_-./:'\n", max_size=5)
ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.just("???")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(TEXT | KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*BASE, "target", "auxiliary_deployments", "zz"]), ANY, max_size=4
    )
)
def test_nothing_that_is_yaml_breaks_the_checker(config: dict[str, Any]) -> None:
    text = json.dumps(config).replace("NaN", ".nan").replace("Infinity", ".inf")
    for problem in check(text):
        assert problem.message
        assert isinstance(problem.label + problem.help, str)
        assert problem.location is not None


def test_jsonschema_is_imported_when_something_is_checked_and_not_before() -> None:
    program = (
        "import sys, evalc.config.checking.validate, evalc.config.normalise, evalc.config.checking.secrets_lint\n"
        "assert 'jsonschema' not in sys.modules\n"
        "from evalc.config.checking.schema import config_schema\n"
        "root = evalc.source.parse(evalc.errors.Source('a', ''))\n"
        "evalc.config.checking.validate.validate(root, config_schema({}))\n"
        "assert 'jsonschema' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
