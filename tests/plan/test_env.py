"""Environment blocks: what each way of writing a value means, and which names are free."""

from __future__ import annotations

import pytest
from plan.configs import Config, place

from evalc.plan import EnvVar
from evalc.plan.env import name_fault
from evalc.plan.problems import AmbiguousEnv, BadEnvName, BadEnvValue, SecretOutsideEnv
from evalc.words import Literal, RuntimeEnv, Secret, Word, literal

OWN = "name: t, container: i, command: c"
SERVER = "type: generic, image: i, served_model_name: m, command: [serve]"
TASKS = f"evaluation: {{tasks: [{{{OWN}}}]}}"

EVERYWHERE: list[tuple[str, Word]] = [
    ("host:NAME", (Secret("NAME", "host"),)),
    ("runtime:NAME", (Secret("NAME", "runtime"),)),
    ("lit:text", literal("text")),
    ("'lit:'", literal("")),
    ("'lit:a: b'", literal("a: b")),
    ("lit:host:NAME", literal("host:NAME")),
    ("lit:$HOME", literal("$HOME")),
    ("1.10", literal("1.10")),
    ("0777", literal("0777")),
    ("1e3", literal("1e3")),
    ("true", literal("true")),
    ("False", literal("false")),
    ("'${oc.env:NAME}'", (Secret("NAME", "host"),)),
    ("'${oc.env:NAME,other}'", (Secret("NAME", "host", "other"),)),
    ("'a/${oc.env:NAME}/b'", (Literal("a/"), Secret("NAME", "host"), Literal("/b"))),
]


@pytest.mark.parametrize(("written", "meaning"), EVERYWHERE)
def test_a_value_that_says_what_it_is(hosted: Config, written: str, meaning: Word) -> None:
    for step in (
        hosted.step(f"{OWN}, env_vars: {{X: {written}}}"),
        *hosted.plan(f"evaluation: {{env_vars: {{X: {written}}}, tasks: [{{{OWN}}}]}}").steps,
        *hosted.plan(f"env_vars: {{X: {written}}}\n{TASKS}").steps,
    ):
        assert step.env == (EnvVar("X", meaning),)
    service = hosted.service(f"{SERVER}, env_vars: {{X: {written}}}")
    assert service.env == (EnvVar("X", meaning),)


def test_a_bare_name_is_a_variable_of_the_host(hosted: Config) -> None:
    host = (EnvVar("X", (Secret("MY_NAME", "host"),)),)
    assert hosted.step(f"{OWN}, env_vars: {{X: MY_NAME}}").env == host
    assert (
        hosted.plan(f"evaluation: {{env_vars: {{X: MY_NAME}}, tasks: [{{{OWN}}}]}}")
        .jobs[0]
        .steps[0]
        .env
        == host
    )
    plan = hosted.plan(f"env_vars: {{X: MY_NAME}}\ndeployment: {{{SERVER}}}\n{TASKS}")
    assert plan.services[0].env == plan.jobs[0].steps[0].env == host


def test_a_bare_name_of_a_server_is_ambiguous(hosted: Config) -> None:
    """Older configs meant the text, newer ones the variable."""
    problem = hosted.problem(f"deployment: {{{SERVER}, env_vars: {{X: MY_NAME}}}}\n{TASKS}")
    assert isinstance(problem, AmbiguousEnv)
    assert (problem.code, place(problem)) == ("ambiguous-env", "MY_NAME")
    assert problem.message == "'X: MY_NAME' may mean a variable's name or a literal"
    assert problem.label == "write host:MY_NAME or lit:MY_NAME"


def test_other_text_of_a_server_is_a_literal(hosted: Config) -> None:
    for text in ("/a/path", "two words", "a:b", "host"):
        if text != "host":
            service = hosted.service(f"{SERVER}, env_vars: {{X: '{text}'}}")
            assert service.env == (EnvVar("X", literal(text)),)


@pytest.mark.parametrize("text", ["two words", "/a/path", "a-b", "", "other:X"])
def test_other_text_of_a_task_does_not_say_what_it_is(hosted: Config, text: str) -> None:
    problem = hosted.problem(
        f"evaluation: {{env_vars: {{X: '{text}'}}, tasks: [{{{OWN}}}, {{{OWN}, id: u}}]}}"
    )
    assert isinstance(problem, BadEnvValue)
    assert (problem.code, place(problem)) == ("bad-env-value", f"'{text}'")
    assert (
        problem.message == "the value of 'X' is neither a variable's name nor marked as a literal"
    )
    assert "lit:VALUE" in problem.help
    assert problem.sensitive


@pytest.mark.parametrize("scope", ["host", "runtime"])
@pytest.mark.parametrize("name", ["", "1X", "a b", "X;id", "$(id)", "_own", "UID", "EVALC_X"])
def test_a_reference_to_what_is_no_variable(hosted: Config, scope: str, name: str) -> None:
    problem = hosted.problem(
        f"evaluation: {{tasks: [{{{OWN}, env_vars: {{X: '{scope}:{name}'}}}}]}}"
    )
    assert isinstance(problem, BadEnvValue)
    assert problem.message.startswith(f"the value of 'X' refers to '{name}', and ")


@pytest.mark.parametrize("name", ["UID", "_own", "EVALC_SERVERS"])
def test_an_interpolation_of_what_is_no_variable(hosted: Config, name: str) -> None:
    for text in (
        f"evaluation: {{tasks: [{{{OWN}, env_vars: {{X: '${{oc.env:{name}}}'}}}}]}}",
        f"evaluation: {{tasks: [{{{OWN}, dataset_dir: '${{oc.env:{name},x}}'}}]}}",
    ):
        problem = hosted.problem(text)
        assert problem.code in ("bad-env-name", "bad-env-value")
        assert f"oc.env:{name}" in place(problem)


def test_null_sets_nothing(hosted: Config) -> None:
    assert hosted.step(f"{OWN}, env_vars: {{X: null, Y: ~}}").env == ()
    assert hosted.step(f"{OWN}, env_vars: null").env == ()


def test_the_nearer_block_wins(hosted: Config) -> None:
    plan = hosted.plan(
        f"""\
        env_vars: {{A: lit:top, B: lit:top, C: lit:top}}
        deployment: {{{SERVER}, env_vars: {{B: lit:server}}}}
        evaluation:
          env_vars: {{B: lit:all, C: lit:all, D: lit:all}}
          tasks:
            - {{{OWN}, env_vars: {{C: lit:task, E: lit:task}}}}
        """
    )
    step = {var.name: var.value[0] for var in plan.jobs[0].steps[0].env}
    assert step == {
        name: Literal(text)
        for name, text in zip("ABCDE", ("top", "all", "task", "all", "task"), strict=True)
    }
    server = {var.name: var.value[0] for var in plan.services[0].env}
    assert server == {"A": Literal("top"), "B": Literal("server"), "C": Literal("top")}


@pytest.mark.parametrize(
    "name", ["A", "_A", "__x", "a1", "PATH", "HTTP_PROXY", "_JAVA_OPTIONS", "evalc", "Evalc_x"]
)
def test_names_that_are_free(name: str) -> None:
    assert name_fault(name) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "made of letters"),
        ("1A", "made of letters"),
        ("A-B", "made of letters"),
        ("A B", "made of letters"),
        ("A\n", "made of letters"),
        ("é", "made of letters"),
        ("A=B", "made of letters"),
        ("A[0]", "made of letters"),
        ("UID", "read-only"),
        ("PPID", "read-only"),
        ("SHELLOPTS", "read-only"),
        ("SECONDS", "a value of its own"),
        ("GROUPS", "a value of its own"),
        ("_task", "evalc's scripts use this name"),
        ("_GRACE", "evalc's scripts use this name"),
        ("_EXIT_IO", "evalc's scripts use this name"),
        ("EVALC_SERVERS", "evalc's scripts use this name"),
    ],
)
def test_names_that_are_not(hosted: Config, name: str, why: str) -> None:
    assert why in name_fault(name)
    if name and name.isprintable():
        problem = hosted.problem(
            f"evaluation: {{env_vars: {{'{name}': lit:x}}, tasks: [{{{OWN}}}, {{{OWN}, id: u}}]}}"
        )
        assert isinstance(problem, BadEnvName)
        assert (problem.code, problem.name, place(problem)) == ("bad-env-name", name, f"'{name}'")
        assert (
            problem.message
            == f"{name!r} can't be used as an environment variable: {name_fault(name)}"
        )


# Secrets in places that are written down


@pytest.mark.parametrize(
    "text",
    [
        "evaluation: {tasks: [{%s, dataset_dir: '/x/${oc.env:HF_TOKEN}'}]}",
        "evaluation: {nemo_evaluator_config: {config: {params: {extra: {key: '${oc.env:HF_TOKEN}'}}}}, tasks: [{%s}]}",
        (
            "evaluation: {nemo_evaluator_config: {config: {params: {extra: {env_vars: {K: '${oc.env:HF_TOKEN}'}}}}},"
            " tasks: [{%s}]}"
        ),
        "execution: {output_dir: '${oc.env:HF_TOKEN}'}\nevaluation: {tasks: [{%s}]}",
    ],
)
def test_a_secret_outside_of_an_environment_block(hosted: Config, text: str) -> None:
    problem = hosted.problem(text % OWN)
    assert isinstance(problem, SecretOutsideEnv)
    assert (problem.code, problem.name) == ("secret-outside-env", "HF_TOKEN")
    assert problem.message == "the value of HF_TOKEN would be written into files of the run"
    assert "'env_vars' (host:NAME)" in problem.help


@pytest.mark.parametrize(
    "name",
    ["MY_API_KEY", "APIKEY", "DbPassword", "AWS_SECRET_ACCESS_KEY", "access_key", "Credentials"],
)
def test_what_sounds_like_a_secret_is_taken_for_one(hosted: Config, name: str) -> None:
    problem = hosted.problem(
        f"evaluation: {{tasks: [{{{OWN}, dataset_dir: '${{oc.env:{name}}}'}}]}}"
    )
    assert problem.code == "secret-outside-env"


def test_other_variables_may_stand_anywhere(hosted: Config) -> None:
    step = hosted.step(f"{OWN}, dataset_dir: '${{oc.env:DATA_KEYS}}'")
    assert step.dataset
    assert step.dataset.source == (RuntimeEnv("DATA_KEYS"),)
