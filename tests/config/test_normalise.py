"""Older keys, newer keys, and the defaults underneath."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalc.config import BUILTIN
from evalc.config.normalise import normalise, with_defaults
from evalc.errors import Problem, Source
from evalc.source import Mapping, Scalar, Sequence, parse
from evalc.source.nodes import key_location, walk
from evalc.words import Literal, RuntimeEnv, Secret, Word


def tree(text: str, kind: str = "file") -> Mapping:
    root = parse(Source("a.yaml", text, kind))
    assert isinstance(root, Mapping)
    return root


def canonical(text: str) -> Any:
    root, problems = normalise(tree(text))
    assert problems == []
    return root.plain()


SAME = [
    pytest.param(
        "execution: {extra_docker_args: '--ipc host -v \"/a b:/c\"'}",
        "execution: {docker_args: [--ipc, host, -v, '/a b:/c']}",
        id="arguments in one text",
    ),
    pytest.param(
        "execution: {extra_docker_args: ''}", "execution: {docker_args: []}", id="no arguments"
    ),
    pytest.param(
        "execution: {extra_docker_args: '$(rm -rf /) `x` $HOME *'}",
        "execution: {docker_args: ['$(rm', -rf, '/)', '`x`', $HOME, '*']}",
        id="arguments are split and never evaluated",
    ),
    pytest.param(
        "execution: {docker_args: [--cpus, 1.50, 0x10, a]}",
        "execution: {docker_args: [--cpus, '1.50', '0x10', a]}",
        id="numbers among arguments are text as written",
    ),
    pytest.param("execution: {extra_docker_args: null}", "execution: {}", id="null is nothing"),
    pytest.param(
        "evaluation: {config: {config: {params: {top_p: 1}}, target: {a: b}}}",
        "evaluation: {nemo_evaluator_config: {config: {params: {top_p: 1}}, target: {a: b}}}",
        id="config as the older name of the block",
    ),
    pytest.param(
        "evaluation: {config: {params: {top_p: 1}, type: a}}",
        "evaluation: {nemo_evaluator_config: {config: {params: {top_p: 1}, type: a}}}",
        id="config as the older name of its part",
    ),
    pytest.param(
        "evaluation: {overrides: {config.params.top_p: 1, config.params.extra.a: 2, target.b: 3}}",
        "evaluation: {nemo_evaluator_config:"
        " {config: {params: {top_p: 1, extra: {a: 2}}}, target: {b: 3}}}",
        id="dotted overrides",
    ),
    pytest.param(
        "evaluation: {overrides: {config: {params.top_p: 1}, config.params: {task: a}}}",
        "evaluation: {nemo_evaluator_config: {config: {params: {top_p: 1, task: a}}}}",
        id="overrides dotted in parts",
    ),
    pytest.param(
        "evaluation: {tasks: [{name: a}, "
        "{name: b, overrides: {config.type: x}, config: {params: {task: y}}}]}",
        "evaluation: {tasks: [{name: a}, "
        "{name: b, nemo_evaluator_config: {config: {params: {task: y}, type: x}}}]}",
        id="older keys of tasks",
    ),
    pytest.param(
        "evaluation: {overrides: {config.params.top_p: 1},"
        " nemo_evaluator_config: {config: {params: {top_p: 1, task: a}}}}",
        "evaluation: {nemo_evaluator_config: {config: {params: {top_p: 1, task: a}}}}",
        id="the same said twice",
    ),
    pytest.param(
        "evaluation: {nemo_evaluator_config: {target: {api_endpoint: {api_key: K}}}}",
        "evaluation: {nemo_evaluator_config: {target: {api_endpoint: {api_key_name: K}}}}",
        id="api_key names a variable too",
    ),
    pytest.param(
        "evaluation: {overrides: {target.api_endpoint.api_key: K}}",
        "evaluation: {nemo_evaluator_config: {target: {api_endpoint: {api_key_name: K}}}}",
        id="one older form inside of another",
    ),
    pytest.param(
        "execution: {env_vars: {A: lit:1}}",
        "{execution: {}, deployment: {env_vars: {A: lit:1}}, evaluation: {env_vars: {A: lit:1}}}",
        id="flat environment variables",
    ),
    pytest.param(
        "execution: {env_vars: {deployment: {A: x}, evaluation: {B: y}, export: {C: z}}}",
        "{execution: {}, deployment: {env_vars: {A: x}}, evaluation: {env_vars: {B: y}},"
        " export: {env_vars: {C: z}}}",
        id="environment variables in blocks",
    ),
    pytest.param(
        "execution: {env_vars: {A: x, evaluation: {A: y}, deployment: null}}",
        "{execution: {}, evaluation: {env_vars: {A: y}}, deployment: {env_vars: {A: x}}}",
        id="environment variables both ways",
    ),
    pytest.param(
        "{execution: {env_vars: {evaluation: {A: old, B: old, C: old}}},"
        " evaluation: {env_vars: {A: new, B: null}}}",
        "{execution: {}, evaluation: {env_vars: {A: new, B: null, C: old}}}",
        id="newer environment variables win",
    ),
    pytest.param(
        "deployment: {base_command: [a, b]}",
        "deployment: {command: [a, b]}",
        id="base_command alone",
    ),
    pytest.param(
        "deployment: {base_command: a b, command: a b --c}",
        "deployment: {command: a b --c}",
        id="base_command as a part of command",
    ),
    pytest.param(
        "deployment: {base_command: a, command: ???}",
        "deployment: {command: a}",
        id="base_command for a command that is not given",
    ),
    pytest.param(
        "auxiliary_deployments: {judge: {base_command: a}, user: {command: b}}",
        "auxiliary_deployments: {judge: {command: a}, user: {command: b}}",
        id="auxiliary deployments",
    ),
    pytest.param(
        "export: {mlflow: {log_logs: true, log_artifacts: false}, env_vars: {log_logs: x}}",
        "export: {mlflow: {copy_logs: true, copy_artifacts: false}, env_vars: {log_logs: x}}",
        id="older keys of exporters",
    ),
    pytest.param(
        "execution: {auto_export: {destinations: [mlflow], configs: {mlflow: {log_logs: true}}}}",
        "{execution: {auto_export: {destinations: [mlflow]}}, export: {mlflow: {copy_logs: true}}}",
        id="exporters' settings under execution",
    ),
]


@pytest.mark.parametrize(("older", "newer"), SAME)
def test_older_keys_mean_newer_ones(older: str, newer: str) -> None:
    expected = tree(newer.replace("???", "'???'")).plain()
    assert canonical(older.replace("???", "'???'")) == expected
    # What is canonical stays so.
    assert canonical(newer) == expected


@pytest.mark.parametrize(("older", "newer"), SAME)
def test_the_input_is_not_changed(older: str, newer: str) -> None:  # noqa: ARG001
    root = tree(older.replace("???", "'???'"))
    before = root.plain()
    normalise(root)
    assert root.plain() == before


def test_a_config_without_older_keys_is_handed_back_as_it_is() -> None:
    root = tree("execution: {cpus: 1}\nevaluation: {tasks: [{name: a}]}")
    assert normalise(root)[0] is root


def test_only_what_changes_is_copied() -> None:
    root = tree(
        "deployment: {a: {b: c}}\nevaluation: {tasks: [{name: a, config: {type: x}}, {name: b}]}"
    )
    new, _ = normalise(root)
    assert walk(new, ("deployment",)) is walk(root, ("deployment",))
    assert walk(new, ("evaluation", "tasks", 1)) is walk(root, ("evaluation", "tasks", 1))
    assert walk(new, ("evaluation", "tasks", 0)) is not walk(root, ("evaluation", "tasks", 0))


# Places and history

PLACES = """\
execution:
  extra_docker_args: --ipc host
  env_vars:
    A: lit:1
evaluation:
  overrides:
    config.params.top_p: 0.5
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("execution", "docker_args"), (2, 3), (2, 22)),
        (("execution", "docker_args", 1), (2, 22), (2, 22)),
        (("deployment", "env_vars", "A"), (4, 5), (4, 8)),
        (("evaluation", "env_vars", "A"), (4, 5), (4, 8)),
        (("evaluation", "nemo_evaluator_config", "config", "params", "top_p"), (7, 5), (7, 26)),
    ],
)
def test_values_keep_their_places(
    path: tuple[str | int, ...], key: tuple[int, int], value: tuple[int, int]
) -> None:
    root, _ = normalise(tree(PLACES))
    at = key_location(root, path)
    node = walk(root, path)
    assert node is not None
    assert (at.line, at.column) == key
    assert (node.location.line, node.location.column) == value


def test_a_moved_key_remembers_the_name_that_the_user_wrote() -> None:
    root, _ = normalise(tree(PLACES))
    execution = root.entries["execution"]
    assert isinstance(execution, Mapping)
    key = execution.keys["docker_args"]
    assert (key.value, key.text) == ("docker_args", "extra_docker_args")
    words = execution.entries["docker_args"]
    assert isinstance(words, Sequence)
    assert isinstance(words.previous, Scalar)
    assert words.previous.value == "--ipc host"


# Contradictions


def conflict(text: str) -> Problem:
    _, (problem,) = normalise(tree(text))
    assert problem.code == "conflicting-keys"
    return problem


def test_two_keys_for_one_thing_must_agree() -> None:
    problem = conflict("execution:\n  docker_args: [a]\n  extra_docker_args: b")
    assert str(problem.location) == "a.yaml:3:3"
    assert problem.message == (
        "'execution.extra_docker_args' and 'execution.docker_args' mean the same, and have "
        "different values"
    )
    assert problem.label == "keep one: the other is on line 2"


def test_the_other_key_may_be_in_another_file() -> None:
    root = tree("execution:\n  extra_docker_args: b")
    other = parse(Source("base.yaml", "\n\ndocker_args: [a]"))
    execution = root.entries["execution"]
    assert isinstance(execution, Mapping)
    assert isinstance(other, Mapping)
    execution.entries |= other.entries
    execution.keys |= other.keys
    _, (problem,) = normalise(root)
    assert problem.label == "keep one: the other is at base.yaml:3:14"


@pytest.mark.parametrize(
    ("text", "newer"),
    [
        (
            "evaluation: {overrides: {config.type: 1}, nemo_evaluator_config: {config: {type: 0}}}",
            "evaluation.nemo_evaluator_config.config.type",
        ),
        (
            "evaluation: {config: {type: a}, nemo_evaluator_config: {config: {type: b}}}",
            "evaluation.nemo_evaluator_config.config.type",
        ),
        (
            "evaluation: {config: {type: a, config: {type: b}}}",
            "config.type",
        ),
        (
            "evaluation: {overrides: {config: 1, config.params.top_p: 2}}",
            "config",
        ),
        (
            "evaluation: {nemo_evaluator_config: none, overrides: {config.type: 2}}",
            "evaluation.nemo_evaluator_config",
        ),
        (
            "evaluation: {tasks: [{overrides: {config.type: a, config: {type: b}}}]}",
            "config.type",
        ),
        ("export: {wandb: {log_logs: true, copy_logs: false}}", "export.wandb.copy_logs"),
    ],
)
def test_every_pair_is_compared_leaf_by_leaf(text: str, newer: str) -> None:
    assert f"'{newer}'" in conflict(text).message


@pytest.mark.parametrize(
    "text",
    [
        "execution: {docker_args: [a], extra_docker_args: ''}",
        "execution: {docker_args: [], extra_docker_args: a}",
        "execution: {docker_args: null, extra_docker_args: a}",
        "execution: {docker_args: [a], extra_docker_args: a}",
    ],
)
def test_an_empty_key_contradicts_nothing(text: str) -> None:
    assert canonical(text) == {"execution": {"docker_args": ["a"]}}


@pytest.mark.parametrize("mine", ["docker_args: [a]", "extra_docker_args: a"])
def test_a_default_gives_way_to_the_other_key(mine: str) -> None:
    """The built-in group has both keys, so that ``-o`` can set either."""
    root = with_defaults(tree(f"execution: {{{mine}}}"), BUILTIN)
    new, problems = normalise(root)
    assert problems == []
    words = walk(new, ("execution", "docker_args"))
    assert words is not None
    assert words.plain() == ["a"]
    assert walk(new, ("execution", "extra_docker_args")) is None


def test_a_default_gives_way_even_when_it_is_not_empty() -> None:
    root = tree("export: {wandb: {log_logs: true}}")
    default = tree("export: {wandb: {copy_logs: false}}", "builtin")
    wandb, theirs = walk(root, ("export", "wandb")), walk(default, ("export", "wandb"))
    assert isinstance(wandb, Mapping)
    assert isinstance(theirs, Mapping)
    wandb.entries |= theirs.entries
    wandb.keys |= theirs.keys
    new, problems = normalise(root)
    assert problems == []
    assert new.plain() == {"export": {"wandb": {"copy_logs": True}}}


def test_an_older_default_gives_way_to_the_newer_key() -> None:
    root = tree("export: {wandb: {copy_logs: false}}")
    default = tree("export: {wandb: {log_logs: true}}", "builtin")
    wandb, theirs = walk(root, ("export", "wandb")), walk(default, ("export", "wandb"))
    assert isinstance(wandb, Mapping)
    assert isinstance(theirs, Mapping)
    wandb.entries |= theirs.entries
    wandb.keys |= theirs.keys
    new, problems = normalise(root)
    assert problems == []
    assert new.plain() == {"export": {"wandb": {"copy_logs": False}}}


@pytest.mark.parametrize(
    "text",
    [
        "execution: {extra_docker_args: [a]}",
        "execution: {extra_docker_args: 5}",
        "execution: {docker_args: a}",
        "execution: {env_vars: [A]}",
        "execution: text",
        "evaluation: {config: text}",
        "evaluation: {overrides: [a]}",
        "evaluation: {tasks: text}",
        "evaluation: {tasks: {a: {config: 5}}}",
        "evaluation: [1]",
        "auxiliary_deployments: [1]",
        "x-overrides: {a.b: c}",
    ],
)
def test_what_has_the_wrong_type_is_left_for_validation(text: str) -> None:
    assert canonical(text) == tree(text).plain()


def test_what_is_in_the_way_of_an_older_key_is_left_for_validation() -> None:
    text = "{deployment: text, evaluation: [1], execution: {env_vars: {A: lit:1}}}"
    assert canonical(text) == {"deployment": "text", "evaluation": [1], "execution": {}}


# Splitting into words


def split(value: str | Word) -> tuple[list[str | Word], list[Problem]]:
    root = tree("execution: {extra_docker_args: x}")
    execution = root.entries["execution"]
    assert isinstance(execution, Mapping)
    node = execution.entries["extra_docker_args"]
    assert isinstance(node, Scalar)
    execution.entries["extra_docker_args"] = node.replaced(value)
    new, problems = normalise(root)
    words = walk(new, ("execution", "docker_args"))
    assert words is not None
    return words.plain(), problems


@pytest.mark.parametrize(
    ("text", "why"),
    [("--name 'a", "no closing quotation"), ("a \\", "no escaped character")],
)
def test_text_that_is_no_words_is_a_problem(text: str, why: str) -> None:
    words, (problem,) = split(text)
    assert words == []
    assert problem.code == "bad-words"
    assert problem.message == f"execution.extra_docker_args can't be split into words: {why}"
    assert str(problem.location) == "a.yaml:1:32"


@given(st.text("ab '\"\\$`\n\t;|&#é\ue000", max_size=12))
def test_plain_text_is_split_as_a_shell_does(text: str) -> None:
    words, problems = split(text)
    try:
        expected = shlex.split(text)
    except ValueError:
        assert [p.code for p in problems] == ["bad-words"]
    else:
        assert words == expected
        assert problems == []


PARTS = st.lists(
    st.one_of(
        st.text("ab '\"\ue000", max_size=4).map(Literal),
        st.sampled_from([RuntimeEnv("A"), RuntimeEnv("B", "d e"), Secret("C")]),
    ),
    min_size=1,
    max_size=6,
)


@given(PARTS)
@example([Literal("-v "), RuntimeEnv("A"), Literal("/x:'/a b'"), RuntimeEnv("A"), Literal(" c")])
def test_a_run_time_value_is_never_split(parts: list[Literal | RuntimeEnv | Secret]) -> None:
    """Each one is in one word, whatever it will be: like a quoted expansion in a shell."""
    words, problems = split(tuple(parts))
    # A value that would break if a shell read it, and no quote at its ends: shlex sees one word.
    stands = {"A": "\x01", "B": "\x02", "C": "\x03"}
    text = "".join(p.text if isinstance(p, Literal) else stands[p.name] for p in parts)
    try:
        expected = shlex.split(text)
    except ValueError:
        assert [p.code for p in problems] == ["bad-words"]
        return
    shown = [
        word
        if isinstance(word, str)
        else "".join(p.text if isinstance(p, Literal) else stands[p.name] for p in word)
        for word in words
    ]
    assert shown == expected
    run_time = [
        p for word in words if isinstance(word, tuple) for p in word if not isinstance(p, Literal)
    ]
    assert run_time == [p for p in parts if not isinstance(p, Literal)]


# Defaults underneath


def test_a_config_without_parts_gets_those_of_its_types() -> None:
    root = with_defaults(tree("deployment: {type: vllm, tensor_parallel_size: 1}"), BUILTIN)
    plain = root.plain()
    assert plain["execution"]["type"] == "local"
    assert plain["execution"]["engine"] == "docker"
    assert plain["deployment"]["tensor_parallel_size"] == 1
    assert plain["deployment"]["pipeline_parallel_size"] == 1
    assert plain["deployment"]["endpoints"]["health"] == "/health"
    assert plain["deployment"]["command"] == "${deployment.base_command}"


@pytest.mark.parametrize("text", ["{}", "deployment: null\nexecution:", "deployment: {}"])
def test_nothing_said_is_local_and_none(text: str) -> None:
    root = with_defaults(tree(text), BUILTIN).plain()
    assert root["execution"]["type"] == "local"
    assert root["deployment"] == {"type": "none"}


def test_what_the_user_wrote_is_kept_to_the_letter() -> None:
    text = (
        "execution: {type: local, shm_size: null, mounts: {evaluation: {a: /b}}, x-a: 1}\n"
        "deployment: {type: vllm, image: mine, endpoints: {health: /up}, command: [a]}"
    )
    root = tree(text)
    before = root.plain()
    plain = with_defaults(root, BUILTIN).plain()
    assert plain["execution"]["shm_size"] is None
    assert plain["execution"]["mounts"] == {"evaluation": {"a": "/b"}, "deployment": {}}
    assert plain["execution"]["x-a"] == 1
    assert plain["deployment"]["command"] == ["a"]
    assert plain["deployment"]["endpoints"]["health"] == "/up"
    assert plain["deployment"]["endpoints"]["chat"] == "/v1/chat/completions"
    assert root.plain() == before


def test_defaults_say_where_they_come_from() -> None:
    root = with_defaults(tree("deployment:\n  type: nim"), BUILTIN)
    port = walk(root, ("deployment", "port"))
    assert port is not None
    assert port.location.source.kind == "builtin"
    assert str(port.location).startswith("<evalc>/deployment/nim.yaml:")
    assert str(key_location(root, ("deployment", "port"))).startswith("<evalc>/")
    assert str(key_location(root, ("deployment",))) == "a.yaml:1:1"


def test_each_config_gets_defaults_of_its_own() -> None:
    """Composing changes nodes in place, and must not change those of the next config."""
    one, other = (with_defaults(tree(""), BUILTIN) for _ in range(2))
    assert walk(one, ("execution",)) is not walk(other, ("execution",))


@pytest.mark.parametrize("kind", ["boat", "../deployment/vllm", "", "7", "null", "[a]", "'${x}'"])
def test_an_unknown_type_gets_nothing(kind: str) -> None:
    text = f"execution: {{type: {kind}, cpus: 1}}"
    expected = {**tree(text).plain(), "deployment": {"type": "none"}}
    assert with_defaults(tree(text), BUILTIN).plain() == expected


@pytest.mark.parametrize("text", ["execution: local", "execution: [local]"])
def test_a_block_of_the_wrong_type_is_left_for_validation(text: str) -> None:
    assert (
        with_defaults(tree(text), BUILTIN).plain()["execution"] == tree(text).plain()["execution"]
    )


def test_a_type_may_have_a_folder_of_options(tmp_path: Any) -> None:
    (tmp_path / "execution" / "boat").mkdir(parents=True)
    (tmp_path / "execution" / "boat" / "default.yaml").write_text("type: boat\nsails: 2\n")
    root = with_defaults(tree("execution: {type: boat}"), tmp_path)
    assert root.plain() == {"execution": {"type": "boat", "sails": 2}}


# Keys of one backend


def test_a_backends_older_keys_are_no_other_ones() -> None:
    def execution(kind: str) -> dict[str, object]:
        text = f"execution: {{type: {kind}, num_nodes: 2, sbatch_comment: x, container_mounts: ['/a:/b']}}"
        parsed = parse(Source("c.yaml", text))
        assert isinstance(parsed, Mapping)
        root, problems = normalise(parsed)
        assert problems == []
        found: dict[str, object] = root.plain()["execution"]
        return found

    both = {"deployment": {"/a": "/b"}, "evaluation": {"/a": "/b"}}
    assert execution("slurm") == {"type": "slurm", "nodes": 2, "comment": "x", "mounts": both}
    assert list(execution("theirs")) == ["type", "num_nodes", "sbatch_comment", "container_mounts"]
