"""What is wrong in one place hides nothing in another, and brings no consequences with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evalc.compiler import Request, check

if TYPE_CHECKING:
    from pathlib import Path

TARGET = 'target: {api_endpoint: {url: "http://h:1/v1/chat/completions", model_id: m}}\n'
TASK = "evaluation: {tasks: [{name: lm-evaluation-harness.ifeval}]}\n"
SERVED = "deployment: {type: vllm, hf_model_handle: a/b, served_model_name: m"
SLURM = "execution: {type: slurm, account: a, partition: p, output_dir: /s"


def codes(text: str, tmp_path: Path, *overrides: str) -> list[str]:
    config = tmp_path / "c.yaml"
    config.write_text(text)
    return [problem.code for problem in check(Request(config, overrides))]


@pytest.mark.parametrize(
    "text",
    [
        # One thing is wrong; what follows from it is not told.
        "execution: {type: '${no}', partition: p}\n" + TARGET + TASK,
        "execution: ${no}\n" + TARGET + TASK,
        SLURM + ", nodes: '${no}'}\n" + TARGET + TASK,
        SLURM + ", walltime: '${no}'}\n" + TARGET + TASK,
        "execution: {engine: '${no}'}\n"
        + TARGET
        + "evaluation: {tasks: [{name: a, command: c}]}\n",
        "execution: {engin: none}\n" + TARGET + "evaluation: {tasks: [{name: a, command: c}]}\n",
        "execution: {engine: nome}\n" + TARGET + "evaluation: {tasks: [{name: a, command: c}]}\n",
        "execution: {mounts: '${no}'}\n" + TARGET + TASK,
        "deployment: ${no}\n" + TASK,
        "deployment: {type: '${no}', served_model_name: m}\n" + TASK,
        "deployment: {type: vlm, served_model_name: m}\n" + TASK,
        "deployment: {type: vllm, hf_model_handle: a/b, served_model_name: true}\n" + TASK,
        SERVED + ", tensor_parallel_size: [1, 2]}\n" + TASK,
        "defaults: [execution: local, _self_]\nexecution: {type: lepton}\n" + TARGET + TASK,
        "deployment: {type: vllm, hf_model_handle: true, served_model_name: m}\n" + TASK,
        SERVED + ", image: '${no}'}\n" + TASK,
        SERVED + ", port: '${no}'}\n" + TASK,
        SERVED + ", port: eighty}\n" + TASK,
        SERVED + ", command: '${no}'}\n" + TASK,
        SERVED + ", endpoints: '${no}'}\n" + TASK,
        "deployment: {type: vllm, hf_model_handle: '${no}', served_model_name: m}\n" + TASK,
        SERVED + ", max_model_len: 8, extra_args: 'a ${deployment.max_model_ln}'}\n" + TASK,
        "execution: {type: locl, engine: none}\n"
        "deployment: {type: generic, command: c, served_model_name: m}\n" + TASK,
        "target: ${no}\n" + TASK,
        "target: {api_endpoint: {url: '${no}', model_id: m}}\n" + TASK,
        "target: {api_endpoint: {url: 1, model_id: m}}\n" + TASK,
        TARGET + "evaluation: {tasks: '${no}'}\n",
        TARGET + "evaluation: {tasks: ['${no}']}\n",
        TARGET + "evaluation: {tasks: ifeval}\n",
        TARGET + "evaluation: {tasks: []}\n",
        TARGET + "evaluation: ${no}\n",
        TARGET + "evaluation: {tasks: [{name: '${no}'}]}\n",
        TARGET + "evaluation: {tasks: [{nmae: a/b}]}\n",
        TARGET + "evaluation: {tasks: [{id: a}]}\n",
        TARGET + "evaluation: {tasks: [{name: a, container: i, command: '${no}'}]}\n",
        TARGET + "evaluation: {tasks: [{name: a, container: '${no}'}]}\n",
        TARGET
        + "evaluation: {tasks: [{name: simple_evals.mmlu, id: '${no}'}, {name: simple_evals.mmlu}]}\n",
        TARGET + "evaluation: {tasks: [{name: simple_evals.mmlu, endpoint_type: '${no}'}]}\n",
        TARGET + "evaluation: {tasks: [{name: simple_evals.mmlu, env_vars: '${no}'}]}\n",
        TARGET
        + "evaluation: {tasks: [{name: simple_evals.mmlu, nemo_evaluator_config: '${no}'}]}\n",
        "evaluation: {nemo_evaluator_config: {target: '${no}'}, tasks: [{name: simple_evals.mmlu}]}\n",
        "evaluation: {nemo_evaluator_config: '${no}', tasks: [{name: simple_evals.mmlu}]}\n",
        TARGET
        + "evaluation: {nemo_evaluator_config: {config: {params: 3}}, tasks: [{name: simple_evals.mmlu}]}",
        TARGET + "evaluation: {env_vars: {A: '${no}'}, tasks: [{name: simple_evals.mmlu}]}\n",
    ],
)
def test_one_mistake_is_one_problem(text: str, tmp_path: Path) -> None:
    assert len(codes(text, tmp_path)) == 1


def test_a_type_that_is_taken_away_is_all_that_lacks(tmp_path: Path) -> None:
    """And none of what the group of the type says is of no backend's."""
    text = "defaults: [execution: slurm/default, _self_]\n" + TARGET + TASK
    text += "execution: {account: a, output_dir: /s}\n"
    assert codes(text, tmp_path, "execution.type=???")[:1] == ["missing-value"]
    assert "unknown-key" not in codes(
        text.replace("account: a, ", ""), tmp_path, "execution.type=???"
    )


def test_what_evalcs_own_group_refers_to_is_told_where_the_user_wrote_it(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "defaults: [execution: slurm/default, _self_]\n"
        + SLURM.replace("partition: p", "partition: p, num_nodes: two")
        + "}\n"
        + TARGET
        + TASK
    )
    (problem,) = check(Request(config))
    assert problem.location is not None
    assert (problem.location.source.kind, problem.location.line) == ("file", 2)


def test_what_stands_beside_it_is_told(tmp_path: Path) -> None:
    text = (
        SLURM.replace("account: a", "account: '${no}'")
        + ", mounts: {evaluation: {/a: '/b:rx'}}}\n"
        + "evaluation:\n  pre_cmd: 'if'\n  tasks:\n"
        + "    - {name: simple_evals.mmlu, command: '${no}'}\n    - {name: simple_evals.mmluu}\n"
    )
    assert codes(text, tmp_path) == [
        "missing-key",
        "missing-key",
        "unknown-reference",
        "contradiction",
        "bad-command",
        "unknown-reference",
        "unknown-task",
    ]


def test_a_backend_is_asked_about_what_could_be_lowered(tmp_path: Path) -> None:
    text = "execution: {engine: none, cpus: 2}\n" + TARGET
    text += "evaluation: {tasks: [{name: a, command: '${no}'}, {name: b, command: c}, {name: d}]}\n"
    assert codes(text, tmp_path) == ["no-effect", "unknown-reference", "unknown-task"]


def test_what_is_asked_for_once_is_not_told_again_by_references(tmp_path: Path) -> None:
    text = "target: {api_endpoint: {url: '???', model_id: m}}\nx-a: ${target.api_endpoint.url}\n"
    assert codes(text + TASK, tmp_path) == ["missing-value"]
