"""What a deployment becomes, and how jobs share it."""

from __future__ import annotations

import pytest
from plan.configs import Config, place

from evalc.plan import Argv, EnvVar, Mount, Resources, Retry, Shell
from evalc.plan.model import words_of
from evalc.plan.problems import Contradiction, NoEffect, NotGiven
from evalc.words import Literal, RuntimeEnv, Secret, literal

GENERIC = "type: generic, image: i, served_model_name: m, command: [serve, '--port', 80]"
TASK = "{name: t, container: i, command: c}"


def argv(*words: str) -> Argv:
    return Argv(tuple(literal(word) for word in words))


# The server


def test_nothing_is_deployed_unless_the_config_says_so(config: Config) -> None:
    for deployment in ("", "deployment: null\n", "deployment: {type: none}\n"):
        plan = config.plan(
            f"{deployment}target: {{api_endpoint: {{url: http://u, model_id: m}}}}\nevaluation: {{tasks: [{TASK}]}}"
        )
        assert plan.services == plan.jobs[0].services == ()
        assert plan.jobs[0].resources.gpus is None


def test_a_server_of_ones_own(config: Config) -> None:
    service = config.service(
        f"{GENERIC}, pre_cmd: before, port: 1234, gpus: 2, endpoints: {{chat: /c, health: /up, x-note: y}}",
        "execution: {endpoint_readiness_timeout: 77}",
    )
    assert (service.name, service.type, service.image) == ("model", "generic", literal("i"))
    assert service.command == argv("serve", "--port", "80")
    assert (service.pre_cmd, service.model_id) == ("before", literal("m"))
    assert (service.port, service.health_path, service.readiness_timeout) == (1234, "/up", 77)
    assert service.endpoints == {"chat": "/c", "completions": "/v1/completions"}
    assert (service.gpus, service.env, service.mounts, service.files) == ("2", (), (), ())


def test_its_defaults(config: Config) -> None:
    service = config.service(f"{GENERIC}, port: 8000, endpoints: {{health: null}}")
    assert (service.port, service.health_path, service.readiness_timeout) == (8000, "/health", 600)


@pytest.mark.parametrize(
    ("gpus", "meaning"), [("all", "all"), ("3", "3"), ("none", None), ("0", None), ("null", None)]
)
def test_gpus(config: Config, gpus: str, meaning: str | None) -> None:
    plan = config.plan(f"deployment: {{{GENERIC}, gpus: {gpus}}}\nevaluation: {{tasks: [{TASK}]}}")
    assert plan.services[0].gpus == plan.jobs[0].resources.gpus == meaning


def test_a_command_may_be_bash_text(config: Config) -> None:
    service = config.service(
        "type: generic, image: i, served_model_name: m, command: 'serve $PORT | tee log'"
    )
    assert service.command == Shell("serve $PORT | tee log")


def test_extra_arguments_are_split_and_never_evaluated(config: Config) -> None:
    service = config.service(
        f"""{GENERIC}, extra_args: "--a 'b c' $HOME `id` \\"d e\\" f\\\\ g" """
    )
    assert service.command == argv(
        "serve", "--port", "80", "--a", "b c", "$HOME", "`id`", "d e", "f g"
    )


def test_extra_arguments_that_can_not_be_split(config: Config) -> None:
    problem = config.problem(
        f'deployment: {{{GENERIC}, extra_args: "--a \'b"}}\nevaluation: {{tasks: [{TASK}]}}'
    )
    assert isinstance(problem, Contradiction)
    assert problem.message == "'extra_args' can't be split into words: No closing quotation"
    assert place(problem) == '"--a \'b"'


@pytest.mark.parametrize(
    ("command", "warned"),
    [("serve", True), ("serve ${deployment.extra_args}", False), ("serve --a 'b c'", False)],
)
def test_extra_args_that_a_text_does_not_use(config: Config, command: str, *, warned: bool) -> None:
    found = config.warnings(
        "deployment: {type: generic, image: i, served_model_name: m,"
        f""" command: "{command}", extra_args: "--a 'b c'"}}\nevaluation: {{tasks: [{TASK}]}}"""
    )
    assert [type(one) for one in found] == [NoEffect] * warned


@pytest.mark.parametrize(
    "command", ["", "command: [], ", "command: '', ", "command: '  ', ", "command: null, "]
)
def test_a_server_needs_a_command(config: Config, command: str) -> None:
    text = f"deployment: {{type: generic, {command}image: i, served_model_name: m}}\nevaluation: {{tasks: [{TASK}]}}"
    problem = config.problem(text)
    assert problem.code in ("missing-key", "missing-value")
    assert "deployment.command" in problem.message


@pytest.mark.parametrize(
    ("missing", "key"),
    [
        ("image: i, ", "deployment.image"),
        ("served_model_name: m, ", "deployment.served_model_name"),
    ],
)
@pytest.mark.parametrize("empty", ["", "null", "''"])
def test_a_server_needs_an_image_and_a_model(
    config: Config, missing: str, key: str, empty: str
) -> None:
    given = f"{missing.split(':', maxsplit=1)[0]}: {empty}, " if empty else ""
    text = f"deployment: {{{GENERIC.replace(missing, given)}}}\nevaluation: {{tasks: [{TASK}]}}"
    problem = config.problem(text)
    assert problem.code in ("missing-key", "missing-value")
    assert key in problem.message


def test_without_containers_no_image_is_needed_and_nothing_is_mounted(config: Config) -> None:
    service = config.service(
        "type: generic, served_model_name: m, command: [serve, /checkpoint, --x=/checkpoint],"
        " checkpoint_path: /models/m, cache_path: /c",
        "execution: {engine: none, mounts: {deployment: {/a: /b}}}",
        "name: t, command: c",
    )
    assert (service.image, service.mounts) == (None, ())
    # The server reads the checkpoint where it is.
    assert service.command == argv("serve", "/models/m", "--x=/checkpoint")


def test_mounts_of_a_server(config: Config) -> None:
    service = config.service(
        f"{GENERIC}, checkpoint_path: '${{oc.env:MODELS}}/m', cache_path: /c",
        "execution: {mounts: {deployment: {/a: '/b:ro', /d: /e}}}",
    )
    assert service.mounts == (
        Mount((RuntimeEnv("MODELS"), Literal("/m")), "/checkpoint", read_only=True),
        Mount(literal("/c"), "/cache"),
        Mount(literal("/a"), "/b", read_only=True),
        Mount(literal("/d"), "/e"),
    )


def test_a_model_named_at_run_time(config: Config) -> None:
    service = config.service(
        GENERIC.replace("served_model_name: m", "served_model_name: '${oc.env:MODEL}'")
    )
    assert service.model_id == (RuntimeEnv("MODEL"),)


# The kinds of server


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
@pytest.mark.parametrize(
    ("given", "model"), [("checkpoint_path: /m", "/checkpoint"), ("hf_model_handle: a/b", "a/b")]
)
def test_a_model_comes_from_the_disk_or_the_hub(
    config: Config, kind: str, given: str, model: str
) -> None:
    service = config.service(f"type: {kind}, served_model_name: m, {given}, extra_args: --last 1")
    assert isinstance(service.command, Argv)
    words = [word[0].text for word in service.command.words if isinstance(word[0], Literal)]
    assert model in words
    assert words[-2:] == ["--last", "1"]
    assert [mount.target for mount in service.mounts] == ["/checkpoint"] * given.startswith(
        "checkpoint"
    )


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_a_model_comes_from_one_of_them(config: Config, kind: str) -> None:
    both = f"deployment: {{type: {kind}, served_model_name: m, checkpoint_path: /m, hf_model_handle: h}}\n"
    problem = config.problem(f"{both}evaluation: {{tasks: [{TASK}]}}")
    assert isinstance(problem, Contradiction)
    assert (problem.code, place(problem), problem.label) == (
        "contradiction",
        "hf_model_handle",
        "keep one",
    )
    none = f"deployment: {{type: {kind}, served_model_name: m}}\n"
    problem = config.problem(f"{none}evaluation: {{tasks: [{TASK}]}}")
    assert isinstance(problem, NotGiven)
    assert problem.key == "deployment.checkpoint_path"
    assert "or 'deployment.hf_model_handle'" in problem.message
    assert place(problem) == "deployment"


def test_the_other_kinds(config: Config) -> None:
    nim = config.service("type: nim, image: i, served_model_name: m")
    assert (nim.health_path, nim.endpoints["ranking"]) == ("/v1/health/ready", "/v1/ranking")
    trtllm = config.service("type: trtllm, checkpoint_path: /m, served_model_name: m")
    assert isinstance(trtllm.command, Argv)
    assert literal("/checkpoint") in trtllm.command.words


# Jobs

TWO = "evaluation: {tasks: [{name: a, container: i, command: c}, {name: b, container: i, command: c}]}"


def test_tasks_share_a_server(config: Config) -> None:
    (job,) = config.plan(f"deployment: {{{GENERIC}}}\n{TWO}").jobs
    assert (job.id, [step.id for step in job.steps]) == ("c", ["a", "b"])
    assert [service.name for service in job.services] == ["model"]


def test_or_each_has_its_own(config: Config) -> None:
    plan = config.plan(f"execution: {{sharing: per_task}}\ndeployment: {{{GENERIC}}}\n{TWO}")
    assert [(job.id, len(job.steps), len(job.services)) for job in plan.jobs] == [
        ("a", 1, 1),
        ("b", 1, 1),
    ]
    assert len(plan.services) == 1


def test_without_a_server_each_task_is_a_job(config: Config) -> None:
    plan = config.plan(f"target: {{api_endpoint: {{url: http://u, model_id: m}}}}\n{TWO}")
    assert [(job.id, job.services) for job in plan.jobs] == [("a", ()), ("b", ())]
    assert [step.id for step in plan.steps] == ["a", "b"]


def test_resources_and_what_only_the_backend_knows(config: Config) -> None:
    plan = config.plan(
        f"""\
        execution: {{memory_limit: 16g, cpus: 1.5, output_dir: '${{oc.env:OUT,x}}/y', shm_size: 1g, x-note: z}}
        target: {{api_endpoint: {{url: http://u, model_id: m}}}}
        evaluation: {{tasks: [{TASK}]}}
        """
    )
    assert plan.jobs[0].resources == Resources(cpus=1.5, memory="16g")
    assert plan.jobs[0].retry == Retry(1)
    assert (plan.name, plan.backend) == ("c", "local")
    assert plan.output_dir == (RuntimeEnv("OUT", "x"), Literal("/y"))
    assert plan.options["shm_size"] == "1g"
    assert not plan.options.keys() & {
        "type",
        "output_dir",
        "memory_limit",
        "cpus",
        "sharing",
        "x-note",
    }


def test_an_empty_output_dir_is_the_usual_one(config: Config) -> None:
    text = (
        f"target: {{api_endpoint: {{url: http://u, model_id: m}}}}\nevaluation: {{tasks: [{TASK}]}}"
    )
    assert config.plan(text).output_dir == literal("./results")


# The words of a plan


def test_the_words_of_any_value() -> None:
    word = (Literal("a"), RuntimeEnv("B", "c"))
    value = {"x": [word, 1, None, {"y": (Secret("S"),)}], "z": EnvVar}
    assert list(words_of(value)) == [word, (Secret("S"),)]
    assert list(words_of("text")) == list(words_of(())) == []
