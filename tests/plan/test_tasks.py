"""What a task of a config becomes: names, endpoints, settings, and what -t picks."""

from __future__ import annotations

import pytest
from plan.configs import Config, place

from evalc.errors import ConfigError
from evalc.plan import Mount, Shell
from evalc.plan.problems import (
    AmbiguousTask,
    BadEnvName,
    BadTaskName,
    DuplicateTask,
    NotGiven,
    UnknownSelection,
    UnknownTask,
)
from evalc.words import Literal, RuntimeEnv, literal

OWN = "name: t, container: i, command: c"
URL = literal("http://x/v1/chat/completions")


# Which task, in which container


def test_a_task_of_the_catalogue(hosted: Config) -> None:
    step = hosted.step("name: lm-evaluation-harness.ifeval")
    assert (step.id, step.task, step.harness) == (
        *("lm-evaluation-harness.ifeval", "ifeval", "lm-evaluation-harness"),
    )
    assert step.image == literal("nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03")
    assert (step.command, step.endpoint_type) == (None, "chat")
    assert step.run_config["config"]["type"] == "ifeval"


def test_a_task_that_only_one_harness_has_needs_no_harness(hosted: Config) -> None:
    assert hosted.step("name: mbpp-chat").harness == "bigcode-evaluation-harness"


def test_a_container_of_ones_own_for_a_task_of_the_catalogue(hosted: Config) -> None:
    step = hosted.step("name: lm-evaluation-harness.ifeval, container: 'mine:1'")
    assert (step.image, step.harness) == (literal("mine:1"), "lm-evaluation-harness")


def test_a_task_that_the_catalogue_has_never_heard_of(hosted: Config) -> None:
    """A container of the user's may hold it; it is called by the containers' contract."""
    step = hosted.step("name: my_task, container: 'mine:1'")
    assert (step.task, step.harness, step.command) == ("my_task", None, None)
    assert (step.image, step.endpoint_type) == (literal("mine:1"), "chat")


def test_a_command_of_ones_own(hosted: Config) -> None:
    step = hosted.step("name: 'any name: at all', id: t, container: i, command: 'echo $X'")
    assert (step.id, step.task, step.harness) == ("t", "any name: at all", None)
    assert step.command == Shell("echo $X")


def test_a_command_has_precedence_over_the_catalogue(hosted: Config) -> None:
    assert (
        hosted.step("name: lm-evaluation-harness.ifeval, container: i, command: c").harness is None
    )


def test_a_blank_command_is_none(hosted: Config) -> None:
    step = hosted.step("name: lm-evaluation-harness.ifeval, command: '  '")
    assert (step.command, step.harness) == (None, "lm-evaluation-harness")


def test_without_containers_there_is_no_image(hosted: Config) -> None:
    for task in ("name: mbpp-chat", "name: t, command: c", "name: t, container: i"):
        assert hosted.step(task, "execution: {engine: none}").image is None


def test_an_image_that_is_known_at_run_time(hosted: Config) -> None:
    step = hosted.step("name: t, container: '${oc.env:REGISTRY,local}/i:1', command: c")
    assert step.image == (RuntimeEnv("REGISTRY", "local"), Literal("/i:1"))


@pytest.mark.parametrize("container", ["", "container: '', ", "container: null, "])
def test_a_command_needs_a_container(hosted: Config, container: str) -> None:
    problem = hosted.problem(f"evaluation: {{tasks: [{{name: t, {container}command: c}}]}}")
    assert isinstance(problem, NotGiven)
    assert "the task 't' runs in a container" in problem.message
    assert place(problem) in ("t", "name")


def test_an_unknown_task_gets_suggestions(hosted: Config) -> None:
    problem = hosted.problem("evaluation: {tasks: [{name: mbpp-chta}]}")
    assert isinstance(problem, UnknownTask)
    assert (problem.code, place(problem)) == ("unknown-task", "mbpp-chta")
    assert "'mbpp-chat'" in problem.label
    assert problem.message == "there is no task 'mbpp-chta' in the catalogue"
    assert "a task of your own needs a 'container' with the harness, or a 'command'" in problem.help


def test_an_unknown_task_like_no_other(hosted: Config) -> None:
    problem = hosted.problem("evaluation: {tasks: [{name: Qqqqqqqqqqq}]}")
    assert (problem.code, problem.label) == ("unknown-task", "")


def test_an_ambiguous_task_gets_its_full_names(hosted: Config) -> None:
    problem = hosted.problem("evaluation: {tasks: [{name: ifeval}]}")
    assert isinstance(problem, AmbiguousTask)
    assert (problem.code, place(problem)) == ("ambiguous-task", "ifeval")
    assert problem.message == "several harnesses have a task 'ifeval'"
    assert len(problem.choices) > 1
    assert "lm-evaluation-harness.ifeval" in problem.choices
    assert problem.label == "write " + " or ".join(f"'{choice}'" for choice in problem.choices)


# The names of folders


@pytest.mark.parametrize("name", ["a", "A.b_c-1", "0", "a" * 100, "a.b.c", "x-"])
def test_good_names(hosted: Config, name: str) -> None:
    assert hosted.step(f"name: '{name}', container: i, command: c").id == name
    assert hosted.step(f"name: x, id: '{name}', container: i, command: c").id == name


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "..",
        ".",
        ".a",
        "-a",
        "_a",
        "a b",
        "a'b",
        'a"b',
        "a\nb",
        "a\x00b",
        "é",
        "a:b",
        "$(x)",
        "a*",
        " ",
        "~",
        "a\\b",
        "a\u2028b",
    ],
)
def test_names_that_no_folder_may_have(hosted: Config, name: str) -> None:
    quoted = "".join(f"\\u{ord(c):04x}" for c in name)
    for task in (
        f'name: "{quoted}", container: i, command: c',
        f'name: t, id: "{quoted}", container: i, command: c',
    ):
        problem = hosted.problem(f"evaluation: {{tasks: [{{{task}}}]}}")
        assert isinstance(problem, BadTaskName)
        assert (problem.code, problem.name) == ("bad-task-name", name)
        assert "only letters, digits, '.', '_' and '-'" in problem.message
        assert problem.label == "give the task an 'id' of letters, digits, '.', '_' and '-'"
        assert place(problem) == f'"{quoted}"'


def test_a_name_that_is_too_long(hosted: Config) -> None:
    problem = hosted.problem(
        f"evaluation: {{tasks: [{{name: {'a' * 101}, container: i, command: c}}]}}"
    )
    assert problem.message.endswith("it is longer than 100 characters")


@pytest.mark.parametrize(
    "name",
    [
        "lib",
        "logs",
        "services",
        "manifest.json",
        "plan.json",
        "config.yaml",
        "README.md",
        "run_all.sh",
        "LIB",
        "run_all.sequential.sh",
        "submit_all.sh",
        "Readme.MD",
    ],
)
def test_names_that_a_bundle_has_already(hosted: Config, name: str) -> None:
    problem = hosted.problem(f"evaluation: {{tasks: [{{name: {name}, container: i, command: c}}]}}")
    assert (
        problem.message
        == f"'{name}' can't name a task's directory: a bundle has something of that name"
    )


def test_reserved_names_are_those_of_a_bundle(hosted: Config) -> None:
    from evalc.plan.names import RESERVED_IDS

    bundle = hosted.compiled(f"evaluation: {{tasks: [{{{OWN}}}]}}").bundle
    top = {path.split("/")[0].casefold() for path in bundle.files} - {"t"}
    assert top < RESERVED_IDS


@pytest.mark.parametrize("second", [OWN, "name: T, container: i", "name: x, id: t, container: i"])
def test_two_tasks_of_one_name(hosted: Config, second: str) -> None:
    """Letter case is no difference: some file systems see none."""
    problem = hosted.problem(f"evaluation:\n  tasks:\n    - {{{OWN}}}\n    - {{{second}}}\n")
    assert isinstance(problem, DuplicateTask)
    assert problem.code == "duplicate-task"
    assert problem.label == "first on line 4; give one of them an 'id' of its own"
    assert problem.location
    assert problem.location.line == 5


def test_one_task_twice_with_ids(hosted: Config) -> None:
    plan = hosted.plan(f"evaluation: {{tasks: [{{{OWN}, id: a}}, {{{OWN}, id: b}}]}}")
    assert [step.id for step in plan.steps] == ["a", "b"]


# The endpoint


def test_the_target_is_asked(hosted: Config) -> None:
    step = hosted.step(OWN)
    assert (step.model_url, step.model_id, step.api_key_name) == (URL, literal("a model"), None)
    assert step.run_config == {
        "config": {"output_dir": "/results", "type": "t"},
        "target": {
            "api_endpoint": {
                "url": "http://x/v1/chat/completions",
                "model_id": "a model",
                "type": "chat",
            }
        },
    }


def test_without_a_deployment_the_target_is_needed(config: Config) -> None:
    url, model = config.problems(f"evaluation: {{tasks: [{{{OWN}}}]}}")
    assert type(url) is type(model) is NotGiven
    assert url.message.startswith("'target.api_endpoint.url' must be given: there is no deployment")
    assert url.label == "add it, or give it with -o ++target.api_endpoint.url=…"
    assert model.message.endswith("no deployment names a model")


def test_an_empty_target_is_none(config: Config) -> None:
    text = (
        f"target: {{api_endpoint: {{url: '', model_id: ''}}}}\nevaluation: {{tasks: [{{{OWN}}}]}}"
    )
    assert {type(problem) for problem in config.problems(text)} == {NotGiven}


SETTINGS = "nemo_evaluator_config: {target: {api_endpoint: {url: 'http://own', model_id: own}}}"


@pytest.mark.parametrize("where", ["task", "evaluation", "both"])
def test_the_harnesss_own_endpoint_has_precedence_over_the_target(
    hosted: Config, where: str
) -> None:
    task, above = f"{OWN}, {SETTINGS}", SETTINGS
    if where == "evaluation":
        task = OWN
    if where == "both":
        above = above.replace("own", "other")
    tasks = f"  tasks:\n    - {{{task}}}\n" + ("" if where == "task" else f"  {above}\n")
    (step,) = hosted.plan(f"evaluation:\n{tasks}").steps
    assert (step.model_url, step.model_id) == (literal("http://own"), literal("own"))
    endpoint = step.run_config["target"]["api_endpoint"]
    assert endpoint == {"url": "http://own", "model_id": "own", "type": "chat"}


def test_half_of_an_own_endpoint_is_completed_by_the_target(hosted: Config) -> None:
    step = hosted.step(
        f"{OWN}, nemo_evaluator_config: {{target: {{api_endpoint: {{url: 'http://own'}}}}}}"
    )
    assert (step.model_url, step.model_id) == (literal("http://own"), literal("a model"))


def test_an_endpoint_that_is_known_at_run_time(config: Config) -> None:
    step = config.step(
        OWN,
        "target: {api_endpoint: {url: 'http://${oc.env:HOST}/v1', model_id: '${oc.env:MODEL,m}'}}",
    )
    assert step.model_url == (Literal("http://"), RuntimeEnv("HOST"), Literal("/v1"))
    assert step.model_id == (RuntimeEnv("MODEL", "m"),)
    endpoint = step.run_config["target"]["api_endpoint"]
    assert (endpoint["url"], endpoint["model_id"]) == (step.model_url, step.model_id)


@pytest.mark.parametrize("kind", ["chat", "completions", "completions_logprob", "vlm", "embedding"])
def test_a_task_may_say_what_it_asks_for(hosted: Config, kind: str) -> None:
    step = hosted.step(f"{OWN}, endpoint_type: {kind}")
    assert step.endpoint_type == step.run_config["target"]["api_endpoint"]["type"] == kind
    own = hosted.step(
        f"{OWN}, nemo_evaluator_config: {{target: {{api_endpoint: {{type: {kind}}}}}}}"
    )
    assert own.endpoint_type == own.run_config["target"]["api_endpoint"]["type"] == kind


def test_the_catalogue_says_it_otherwise(hosted: Config) -> None:
    assert hosted.step("name: hellaswag").endpoint_type == "completions"


DEPLOYMENT = """
deployment: {type: generic, image: i, served_model_name: m, command: [serve], port: 1234,
             endpoints: {chat: /chat, completions: /compl}}
"""


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("chat", "/chat"),
        ("completions", "/compl"),
        ("vlm", "/chat"),
        ("completions_logprob", "/compl"),
    ],
)
def test_a_deployment_serves_what_its_endpoints_say(config: Config, kind: str, path: str) -> None:
    step = config.step(f"{OWN}, endpoint_type: {kind}", DEPLOYMENT)
    assert step.model_url == literal(f"http://127.0.0.1:1234{path}")
    assert step.model_id == literal("m")


def test_a_path_that_the_deployment_does_not_have(config: Config) -> None:
    tasks = f"{{{OWN}, endpoint_type: embedding}}, {{{OWN}, id: u, endpoint_type: embedding}}"
    problem = config.problem(f"{DEPLOYMENT}evaluation: {{tasks: [{tasks}]}}")
    assert isinstance(problem, NotGiven)
    assert problem.key == "deployment.endpoints.embedding"
    assert place(problem) == "endpoints"


def test_a_url_wins_over_a_deployment(config: Config) -> None:
    """A proxy before the server, say."""
    above = DEPLOYMENT + "target: {api_endpoint: {url: 'http://proxy/v1'}}\n"
    step = config.step(OWN, above)
    assert (step.model_url, step.model_id) == (literal("http://proxy/v1"), literal("m"))
    own = config.step(f"{OWN}, {SETTINGS}", above)
    assert (own.model_url, own.model_id) == (literal("http://own"), literal("own"))


# Keys


def test_a_keys_name_brings_its_variable(config: Config) -> None:
    step = config.step(
        OWN, "target: {api_endpoint: {url: http://u, model_id: m, api_key_name: MY_KEY}}"
    )
    assert step.api_key_name == "MY_KEY"
    assert step.run_config["target"]["api_endpoint"]["api_key_name"] == "MY_KEY"
    assert [(var.name, [type(part).__name__ for part in var.value]) for var in step.env] == [
        ("MY_KEY", ["Secret"])
    ]


def test_the_harnesss_own_key_wins(config: Config) -> None:
    step = config.step(
        f"{OWN}, nemo_evaluator_config: {{target: {{api_endpoint: {{api_key_name: OTHER}}}}}}",
        "target: {api_endpoint: {url: http://u, model_id: m, api_key_name: MY_KEY}}",
    )
    assert step.api_key_name == step.run_config["target"]["api_endpoint"]["api_key_name"] == "OTHER"
    assert [var.name for var in step.env] == ["OTHER"]


def test_a_key_that_the_user_sets_is_not_set_again(config: Config) -> None:
    step = config.step(
        f"{OWN}, env_vars: {{MY_KEY: 'lit:none'}}",
        "target: {api_endpoint: {url: http://u, model_id: m, api_key_name: MY_KEY}}",
    )
    assert [(var.name, var.value) for var in step.env] == [("MY_KEY", literal("none"))]


@pytest.mark.parametrize("name", ["_mine", "UID", "EVALC_SERVERS", "_EXIT_IO"])
def test_a_key_whose_name_is_taken(config: Config, name: str) -> None:
    text = f"target: {{api_endpoint: {{url: http://u, model_id: m, api_key_name: {name}}}}}\n"
    problem = config.problem(f"{text}evaluation: {{tasks: [{{{OWN}}}, {{{OWN}, id: u}}]}}")
    assert isinstance(problem, BadEnvName)
    assert (problem.code, problem.name, place(problem)) == ("bad-env-name", name, "api_key_name")


# What the harness is given


def test_settings_of_a_task_win_key_by_key(hosted: Config) -> None:
    (step,) = hosted.plan(
        """\
        evaluation:
          nemo_evaluator_config:
            x-note: not for the harness
            config:
              params: {temperature: 1, top_p: 0.5, limit_samples: 10, extra: {a: 1, b: [1, 2], x-free: 1}}
            target: {api_endpoint: {stream: true}}
          tasks:
            - name: t
              container: i
              nemo_evaluator_config:
                config:
                  params: {temperature: 0, limit_samples: 0.1, extra: {b: [3]}}
                target: {api_endpoint: {adapter_config: {interceptors: [{name: cache}]}}}
        """
    ).steps
    assert step.run_config == {
        "config": {
            "output_dir": "/results",
            "type": "t",
            "params": {
                "temperature": 0,
                "top_p": 0.5,
                "limit_samples": 0.1,
                "extra": {"a": 1, "b": [3]},
            },
        },
        "target": {
            "api_endpoint": {
                "url": "http://x/v1/chat/completions",
                "model_id": "a model",
                "type": "chat",
                "stream": True,
                "adapter_config": {"interceptors": [{"name": "cache"}]},
            }
        },
    }
    assert step.limit_samples == "0.1"


def test_what_the_user_says_wins_over_what_follows(hosted: Config) -> None:
    step = hosted.step(
        f"{OWN}, nemo_evaluator_config: {{config: {{type: other, params: {{max_retries: 3}}}}}}"
    )
    assert step.run_config["config"] == {
        "output_dir": "/results",
        "type": "other",
        "params": {"max_retries": 3},
    }


@pytest.mark.parametrize(
    "null",
    [
        "null",
        "{config: null}",
        "{config: {type: null, output_dir: null}}",
        "{target: null}",
        "{target: {api_endpoint: null}}",
        "{target: {api_endpoint: {url: null, model_id: null, type: null}}}",
    ],
)
def test_null_takes_nothing_away(hosted: Config, null: str) -> None:
    for step in (
        hosted.step(f"{OWN}, nemo_evaluator_config: {null}"),
        *hosted.plan(f"evaluation: {{nemo_evaluator_config: {null}, tasks: [{{{OWN}}}]}}").steps,
    ):
        assert step.run_config == hosted.step(OWN).run_config


def test_params_may_be_null(hosted: Config) -> None:
    step = hosted.step(f"{OWN}, nemo_evaluator_config: {{config: {{params: null}}}}")
    assert step.limit_samples is None
    assert step.run_config["config"]["params"] is None


def test_without_a_container_results_go_where_the_script_says(hosted: Config) -> None:
    step = hosted.step("name: t, command: c", "execution: {engine: none}")
    assert step.run_config["config"]["output_dir"] == (RuntimeEnv("RESULTS_DIR"),)


def test_without_a_container_settings_below_results_go_there_too(hosted: Config) -> None:
    """An interceptor's ``cache_dir: /results/cache`` would be one folder for all tasks."""
    settings = (
        "nemo_evaluator_config: {config: {output_dir: /results, params: {extra: {a: /resultset, "
        "b: see /results/x, list: [/results/y, 1]}}}, target: {api_endpoint: {adapter_config: "
        "{interceptors: [{name: caching, config: {cache_dir: /results/cache}}]}}}}"
    )
    here = RuntimeEnv("RESULTS_DIR")
    step = hosted.step(f"name: t, command: c, {settings}", "execution: {engine: none}")
    assert step.run_config["config"]["output_dir"] == (here,)
    extra = step.run_config["config"]["params"]["extra"]
    assert extra == {"a": "/resultset", "b": "see /results/x", "list": [(here, Literal("/y")), 1]}
    (caching,) = step.run_config["target"]["api_endpoint"]["adapter_config"]["interceptors"]
    assert caching["config"]["cache_dir"] == (here, Literal("/cache"))
    inside = hosted.step(f"name: t, container: i, {settings}")
    assert inside.run_config["config"]["params"]["extra"]["list"] == ["/results/y", 1]


@pytest.mark.parametrize(("limit", "text"), [("10", "10"), ("0.5", "0.5"), ("null", None)])
def test_a_limit_of_samples(hosted: Config, limit: str, text: str | None) -> None:
    step = hosted.step(
        f"{OWN}, nemo_evaluator_config: {{config: {{params: {{limit_samples: {limit}}}}}}}"
    )
    assert step.limit_samples == text


# Commands around it


def test_a_tasks_own_commands_win(hosted: Config) -> None:
    (one, other) = hosted.plan(
        f"evaluation: {{pre_cmd: all before, post_cmd: all after,"
        f" tasks: [{{{OWN}}}, {{{OWN}, id: u, pre_cmd: own before, post_cmd: own after}}]}}"
    ).steps
    assert (one.pre_cmd, one.post_cmd) == ("all before", "all after")
    assert (other.pre_cmd, other.post_cmd) == ("own before", "own after")


# Data sets and mounts


def test_a_data_set_is_mounted(hosted: Config) -> None:
    assert hosted.step(OWN).dataset is None
    assert hosted.step(f"{OWN}, dataset_dir: ''").dataset is None
    step = hosted.step(f"{OWN}, dataset_dir: /data/x y")
    assert step.dataset == Mount(literal("/data/x y"), "/datasets", read_only=True)
    step = hosted.step(f"{OWN}, dataset_dir: '${{oc.env:DATA}}/x', dataset_mount_path: /d")
    assert step.dataset == Mount((RuntimeEnv("DATA"), Literal("/x")), "/d", read_only=True)


def test_mounting_a_data_set_has_no_effect_without_a_container(hosted: Config) -> None:
    text = "execution: {engine: none}\nevaluation: {tasks: [{name: t, command: c, dataset_dir: /d, dataset_mount_path: /m}]}"
    (warning,) = hosted.warnings(text)
    assert (warning.code, warning.severity) == ("no-effect", "warning")
    assert "'dataset_mount_path' has no effect" in warning.message
    assert place(warning) == "dataset_mount_path"


def test_mounts(hosted: Config) -> None:
    step = hosted.step(
        OWN, "execution: {mounts: {evaluation: {/a: /b, /c d: '/e:ro', /f: '/g:rw'}}}"
    )
    assert step.mounts == (
        Mount(literal("/a"), "/b"),
        Mount(literal("/c d"), "/e", read_only=True),
        Mount(literal("/f"), "/g"),
    )


@pytest.mark.parametrize("target", ["/a:rw,z", "/a:b", "/a:ro:x", "/a:RO"])
def test_a_way_to_mount_that_there_is_not(hosted: Config, target: str) -> None:
    text = f"execution: {{mounts: {{evaluation: {{/a: '{target}'}}}}}}\nevaluation: {{tasks: [{{{OWN}}}, {{{OWN}, id: u}}]}}"
    problem = hosted.problem(text)
    assert problem.code == "contradiction"
    assert "does not say how to mount" in problem.message
    assert problem.label == "write ':ro' for read-only, or nothing"
    assert place(problem) == f"'{target}'"


# -t

THREE = (
    "evaluation: {tasks: [{name: lm-evaluation-harness.ifeval, id: mine}, {name: mbpp-chat},"
    " {name: simple_evals.gpqa_diamond}]}"
)


@pytest.mark.parametrize(
    ("tasks", "picked"),
    [
        ((), ["mine", "mbpp-chat", "simple_evals.gpqa_diamond"]),
        (("mine",), ["mine"]),
        (("ifeval",), ["mine"]),
        (("lm-evaluation-harness.ifeval",), ["mine"]),
        (("gpqa_diamond", "mbpp-chat"), ["mbpp-chat", "simple_evals.gpqa_diamond"]),
        (("simple_evals.gpqa_diamond", "gpqa_diamond"), ["simple_evals.gpqa_diamond"]),
    ],
)
def test_tasks_are_picked_by_each_of_their_names(
    hosted: Config, tasks: tuple[str, ...], picked: list[str]
) -> None:
    plan = hosted.plan(THREE, tasks=tasks)
    assert [step.id for step in plan.steps] == picked
    assert [job.id for job in plan.jobs] == picked


def test_a_pick_that_the_config_does_not_have(hosted: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        hosted.compiled(THREE, tasks=("mien", "mbpp-chat", "Qqqqqq"))
    near, none = sorted(caught.value.problems, key=lambda problem: problem.message, reverse=True)
    assert isinstance(near, UnknownSelection)
    assert (near.code, near.location) == ("unknown-task", None)
    assert (near.message, near.label) == (
        "-t mien: the config has no such task",
        "did you mean 'mine'?",
    )
    assert none.label == ""


def test_what_is_wrong_with_tasks_that_are_not_picked_is_told_too(hosted: Config) -> None:
    text = f"evaluation: {{tasks: [{{{OWN}}}, {{name: nothing-like-it}}]}}"
    assert hosted.problem(text, tasks=("t",)).code == "unknown-task"


# All at once


def test_every_problem_is_told_sorted_by_place(hosted: Config) -> None:
    problems = hosted.problems(
        f"""\
        execution: {{mounts: {{evaluation: {{/a: '/b:x'}}}}}}
        evaluation:
          env_vars: {{'1X': lit:1}}
          tasks:
            - {{{OWN}}}
            - {{{OWN}}}
            - {{name: ifeval}}
            - {{name: a/b, container: i}}
        """
    )
    assert [problem.code for problem in problems] == [
        *("contradiction", "bad-env-name", "duplicate-task", "ambiguous-task", "bad-task-name"),
    ]


@pytest.mark.parametrize("engine", ["docker", "none"])
def test_results_go_where_they_are_looked_for(hosted: Config, engine: str) -> None:
    """A folder of the user's would be lost with the container: nothing is mounted there."""
    compiled = hosted.compiled(
        f"""\
        execution: {{engine: {engine}}}
        evaluation:
          tasks:
            - name: t
              container: i
              command: c
              nemo_evaluator_config: {{config: {{output_dir: /elsewhere}}}}
        """
    )
    assert "output_dir" in str([problem.message for problem in compiled.warnings])
    (step,) = compiled.plan.steps
    assert "/elsewhere" not in str(step.run_config)
