"""What a config for Slurm becomes: services, nodes, jobs, time limits, and addresses."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import TYPE_CHECKING

import jsonschema
import pytest
from backends.slurm.lowering import HOSTED, SERVED, SERVER, TASK, TWO, Lowering
from plan.configs import Config, place

from evalc.compiler import schema
from evalc.plan import Argv, EnvVar, Mount, Retry, Shell
from evalc.plan.problems import Contradiction
from evalc.plan.serialise import plan_text, service_words
from evalc.words import Literal, RuntimeEnv, literal

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.plan import Service


@pytest.fixture
def config(tmp_path: Path) -> Lowering:
    """Writes configs into a folder of its own."""
    return Lowering(tmp_path)


JUDGE = f"auxiliary_deployments: {{judge: {{{SERVER.replace('m,', 'jm,')}}}}}\n"


def argv(command: object) -> list[str]:
    assert isinstance(command, Argv)
    return ["".join(p.text for p in word if isinstance(p, Literal)) for word in command.words]


# Jobs


def test_each_task_is_a_job_unless_they_share_one(config: Lowering) -> None:
    for rest in (HOSTED, SERVED):
        plan = config.plan("", rest + TWO)
        assert [job.id for job in plan.jobs] == ["a", "b"]
        (job,) = config.plan("sharing: shared", rest + TWO).jobs
        assert (job.id, [step.id for step in job.steps]) == ("c", ["a", "b"])


def test_what_a_job_asks_for(config: Lowering) -> None:
    execution = """\
        nodes: 2
        walltime: 1-12
        max_walltime: 20-0
        gpus_per_node: 4
        resume: {attempts: 5, failed: 1, out_of_memory: 2, idle: 3}
        """
    (job,) = config.plan(execution, SERVED + TASK).jobs
    assert (job.resources.nodes, job.resources.walltime, job.resources.gpus_per_node) == (
        2,
        36 * 3600,
        4,
    )
    assert job.retry == Retry(5, failed=1, out_of_memory=2, idle=3, total=480 * 3600)


def test_what_a_job_asks_for_by_default(config: Lowering) -> None:
    (job,) = config.plan("", HOSTED + TASK).jobs
    assert (job.resources.nodes, job.resources.walltime, job.resources.gpus_per_node) == (
        1,
        3600,
        None,
    )
    assert job.retry == Retry(10, idle=2, total=120 * 3600)


def test_one_attempt(config: Lowering) -> None:
    (job,) = config.plan("resume: {strategy: none}\nmax_walltime: null", HOSTED + TASK).jobs
    assert job.retry == Retry()


@pytest.mark.parametrize("unlimited", ["UNLIMITED", "infinite", "0"])
def test_no_limit(config: Lowering, unlimited: str) -> None:
    execution = f"walltime: {unlimited}\nmax_walltime: {unlimited}"
    (job,) = config.plan(execution, HOSTED + TASK).jobs
    assert (job.resources.walltime, job.retry.total) == (None, None)


@pytest.mark.parametrize(
    ("execution", "gpus", "count"),
    [
        ("", "all", 8),
        ("", "none", None),
        ("gres: null", "all", None),
        ("gres: gpu:a100:4", "none", 4),
        ("gres: nvme:1", "all", 0),
        ("gpus_per_node: 2", "all", 2),
        ("gpus_per_node: 0", "all", 0),
    ],
)
def test_gpus_of_a_node(config: Lowering, execution: str, gpus: str, count: int | None) -> None:
    rest = f"deployment: {{{SERVER}, gpus: {gpus}}}\n{TASK}"
    assert config.plan(execution, rest).jobs[0].resources.gpus_per_node == count


# The model's server


def model(config: Lowering, execution: str, rest: str = SERVED) -> Service:
    (service,) = config.plan(execution, rest + TASK).services
    return service


def test_one_server_on_one_node(config: Lowering) -> None:
    plan = config.plan("", SERVED + TASK)
    (service,) = plan.services
    assert (service.name, service.nodes, service.instances, service.tasks) == ("model", 1, 1, 1)
    assert (service.env_prefix, service.head_command, service.worker_command) == ("", None, None)
    assert service.readiness_timeout == 3600
    (step,) = plan.steps
    assert step.model_url == literal("http://127.0.0.1:8000/v1/chat/completions")


def test_several_instances_are_behind_a_load_balancer(config: Lowering) -> None:
    plan = config.plan("nodes: 4\nnum_instances: 2", SERVED + TASK)
    (service,) = plan.services
    assert (service.nodes, service.instances, service.tasks) == (4, 2, 4)
    (step,) = plan.steps
    assert step.model_url == literal("http://127.0.0.1:5009/v1/chat/completions")
    proxy = "nodes: 2\nnum_instances: 2\nproxy: {config: {haproxy_port: 7000}}"
    (step,) = config.plan(proxy, SERVED + TASK).steps
    assert step.model_url == literal("http://127.0.0.1:7000/v1/chat/completions")


def test_processes_of_a_server(config: Lowering) -> None:
    assert model(config, "nodes: 2\ndeployment: {n_tasks: 16}").tasks == 16
    # As configs of the older launcher have it, which name the count of nodes otherwise.
    older = "num_nodes: 3\ndeployment: {n_tasks: '${execution.num_nodes}'}"
    service = model(config, older)
    assert (service.nodes, service.tasks) == (3, 3)
    assert model(config, "nodes: 5").nodes == 5


def test_older_keys(config: Lowering) -> None:
    execution = """\
        sbatch_comment: nightly
        container_mounts: ["/a:/b:ro", "/c:/d"]
        mounts: {evaluation: {/e: /f}}
        """
    plan = config.plan(execution, SERVED + TASK)
    both = (Mount(literal("/a"), "/b", read_only=True), Mount(literal("/c"), "/d"))
    assert plan.services[0].mounts == both
    assert next(plan.steps).mounts == (Mount(literal("/e"), "/f"), *both)
    assert plan.options["comment"] == "nightly"
    assert not plan.options.keys() & {"num_nodes", "sbatch_comment", "container_mounts"}


def test_ray_has_a_head_and_workers(config: Lowering) -> None:
    ray = "deployment: {type: vllm_ray, hf_model_handle: a/b, served_model_name: m}\n"
    service = model(config, "nodes: 2", ray)
    assert argv(service.head_command)[:3] == ["ray", "start", "--head"]
    assert argv(service.worker_command)[:3] == ["ray", "start", "--block"]
    assert isinstance(service.worker_command, Argv)
    assert (Literal("--address="), RuntimeEnv("MASTER_IP"), Literal(":6379")) in (
        service.worker_command.words
    )
    assert argv(service.command)[-2:] == ["--distributed-executor-backend", "ray"]
    assert EnvVar("VLLM_ENGINE_READY_TIMEOUT_S", literal("3600")) in service.env
    # What only the workers read is a word of the service too.
    parts = {part for word in service_words(service) for part in word}
    assert RuntimeEnv("MASTER_IP") in parts


def test_a_command_in_bash_that_tells_nodes_apart(config: Lowering) -> None:
    rest = dedent(
        """\
        deployment:
          type: generic
          image: i
          served_model_name: m
          command: |
            if [ "$PROC_ID" -eq 0 ]; then head; else worker "$MASTER_IP"; fi
        """
    )
    command = 'if [ "$PROC_ID" -eq 0 ]; then head; else worker "$MASTER_IP"; fi\n'
    assert model(config, "nodes: 2", rest).command == Shell(command)


# Auxiliary deployments


def test_an_auxiliary_deployment_is_a_service_on_nodes_of_its_own(config: Lowering) -> None:
    rest = f"""\
        auxiliary_deployments:
          the-judge: {{{SERVER}, num_nodes: 2, num_instances: 2, n_tasks: 4, endpoints: {{chat: /c, completions: null}}}}
          nobody: {{type: none}}
          x-note: {{}}
        """
    plan = config.plan(
        "nodes: 3\nmounts: {deployment: {/m: /m}, auxiliary: {the-judge: {/j: '/k:ro'}}}",
        SERVED + dedent(rest) + TASK,
    )
    server, judge = plan.services
    assert (server.name, server.mounts) == ("model", (Mount(literal("/m"), "/m"),))
    assert (judge.name, judge.env_prefix) == ("the-judge", "THE_JUDGE")
    assert (judge.nodes, judge.instances, judge.tasks) == (2, 2, 4)
    assert judge.mounts == (Mount(literal("/j"), "/k", read_only=True),)
    assert plan.jobs[0].resources.nodes == 5
    (step,) = plan.steps
    assert step.env == (
        EnvVar("THE_JUDGE_CHAT_URL", (RuntimeEnv("THE_JUDGE_CHAT_URL"),)),
        EnvVar("THE_JUDGE_MODEL_ID", literal("m")),
    )
    jsonschema.validate(json.loads(plan_text(plan)), schema("plan"))


def test_its_type_has_defaults_that_refer_to_itself(config: Lowering) -> None:
    rest = """\
        deployment: {type: vllm, hf_model_handle: a/b, served_model_name: m, port: 8000}
        auxiliary_deployments:
          judge: {type: vllm, hf_model_handle: c/d, served_model_name: j, port: 9000, tensor_parallel_size: 2}
        """
    judge = config.plan("", dedent(rest) + TASK).services[1]
    words = argv(judge.command)
    assert words[:4] == ["vllm", "serve", "c/d", "--tensor-parallel-size=2"]
    assert words[words.index("--port") + 1] == "9000"
    assert words[words.index("--served-model-name") + 1] == "j"
    assert judge.image == literal("vllm/vllm-openai:latest")


def test_settings_of_a_harness_name_it(config: Lowering) -> None:
    rest = """\
        evaluation:
          nemo_evaluator_config:
            config:
              params:
                extra:
                  url: auxiliary_deployments.judge.chat_url
                  text: "at auxiliary_deployments.judge.chat_url/x, ${oc.env:HOME}"
                  model: ["<auxiliary_deployments.judge.model_id>"]
                  others: auxiliary_deployments.nobody.chat_url
                  unknown: auxiliary_deployments.judge.image_url
          tasks: [{name: t, container: i, command: c}]
        """
    (step,) = config.plan("", SERVED + JUDGE + dedent(rest)).steps
    extra = step.run_config["config"]["params"]["extra"]
    url = RuntimeEnv("JUDGE_CHAT_URL")
    assert extra == {
        "url": (url,),
        "text": (Literal("at "), url, Literal("/x, "), RuntimeEnv("HOME")),
        "model": ["<jm>"],
        "others": "auxiliary_deployments.nobody.chat_url",
        "unknown": "auxiliary_deployments.judge.image_url",
    }


def test_a_judge_is_not_what_is_evaluated(config: Lowering) -> None:
    plan = config.plan("", HOSTED + JUDGE + TASK)
    (step,) = plan.steps
    assert (step.model_url, step.model_id) == (literal("http://x/v1"), literal("m"))
    assert [service.name for service in plan.services] == ["judge"]
    # Without either, there is no address and no name of a model.
    assert [code for code, _ in config.errors("", JUDGE + TASK)] == ["missing-key", "missing-key"]


def test_variables_that_tell_of_it_are_not_the_users(config: Lowering) -> None:
    own = "env_vars: {JUDGE_CHAT_URL: lit:http://x}\n"
    assert config.errors("", SERVED + JUDGE + own + TASK) == [("bad-env-name", "JUDGE_CHAT_URL")]


@pytest.mark.parametrize(
    ("name", "rest"),
    [("model", ""), ("a b", ""), ("MODEL", ""), ("1", ""), ("judge", ", env_prefix: SLURM")],
)
def test_names_that_it_can_not_have(config: Lowering, name: str, rest: str) -> None:
    block = f"auxiliary_deployments: {{'{name}': {{{SERVER}{rest}}}}}\n"
    found = config.errors("", SERVED + block + TASK)
    assert {code for code, _ in found} == {"contradiction"}


# On this machine


def test_the_local_backend_starts_none(tmp_path: Path) -> None:
    local = Config(tmp_path)
    problem = local.problem(SERVED + JUDGE + TASK)
    assert isinstance(problem, Contradiction)
    assert place(problem) == "auxiliary_deployments"


def test_a_local_plan_has_no_more_fields_than_it_needs(tmp_path: Path) -> None:
    local = Config(tmp_path)
    found = json.loads(plan_text(local.plan(SERVED + TASK)))
    assert list(found["services"][0])[-1] == "files"
    assert list(found["jobs"][0]["resources"]) == ["nodes", "cpus", "memory", "gpus", "walltime"]
    assert found["jobs"][0]["retry"] == {"attempts": 1}
