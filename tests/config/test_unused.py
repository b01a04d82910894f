"""A deployment's values that are for commands to refer to, and that none refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evalc.config.checking.unused import find_unused
from evalc.errors import Source
from evalc.source import Mapping, parse

if TYPE_CHECKING:
    from evalc.errors import Problem


def found(text: str) -> list[Problem]:
    root = parse(Source("c.yaml", text))
    assert isinstance(root, Mapping)
    return list(find_unused(root))


@pytest.mark.parametrize(
    "text",
    [
        "deployment: {type: vllm, max_model_len: 1, command: 'a ${deployment.max_model_len}'}",
        "deployment: {type: vllm, max_model_len: 1, command: ['a', '${.max_model_len}']}",
        "deployment: {type: vllm, max_model_len: 1, command: ['a', '${..max_model_len}']}",
        "deployment: {type: vllm, max_model_len: 1, extra_args: '${deployment.max_model_len}'}",
        "deployment: {type: vllm, max_model_len: 1}\nx: '${oc.select:deployment.max_model_len,2}'",
        "deployment: {type: vllm, max_model_len: 1, base_command: ['${deployment.max_model_len}']}",
        (
            "deployment: {type: vllm, max_model_len: 1, base_command: ['${deployment.max_model_len}'],"
            " command: '${deployment.base_command}'}"
        ),
        "deployment: {type: vllm, max_model_len: null}",
        "deployment: {type: none, max_model_len: 1}",
        "deployment: {max_model_len: 1}",
        "deployment: text",
        (
            "auxiliary_deployments: {j: {type: a, max_model_len: 1, command: "
            "'${auxiliary_deployments.j.max_model_len}'}}"
        ),
    ],
)
def test_what_is_referred_to_is_fine(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "key", "label"),
    [
        ("{type: vllm, max_model_len: 8}", "max_model_len", "write extra_args: --max-model-len 8"),
        ("{type: trtllm, max_model_len: 8}", "max_model_len", "--max_seq_len 8"),
        ("{type: sglang, gpu_memory_utilization: 0.5}", "gpu_memory_utilization", "-static 0.5"),
        ("{type: trtllm, data_parallel_size: 2}", "data_parallel_size", "into the command, or rem"),
        ("{type: vllm, nim_model_name: x}", "nim_model_name", "${deployment.nim_model_name}"),
        ("{type: vllm, max_model_len: 8, command: my_max_model_len}", "max_model_len", "8"),
        ("{type: a, max_model_len: 8, x: '${my.max_model_len}'}", "max_model_len", ""),
        (
            "{type: a, max_model_len: 8, base_command: '${.max_model_len}', command: b}",
            "max_model_len",
            "",
        ),
    ],
)
def test_what_is_not_is_told(text: str, key: str, label: str) -> None:
    (problem,) = found(f"deployment: {text}")
    assert problem.severity == "warning"
    assert problem.message == f"'deployment.{key}' has no effect: no command refers to it"
    assert label in problem.label
    at = problem.location
    assert at is not None
    assert at.source.line(1)[at.column - 1 : at.end_column - 1] == key


def test_an_auxiliary_deployments_own() -> None:
    (problem,) = found(
        "deployment: {type: vllm, max_model_len: 1, command: '${deployment.max_model_len}'}\n"
        "auxiliary_deployments: {j: {type: sglang, max_model_len: 1}}\n"
    )
    assert "'auxiliary_deployments.j.max_model_len'" in problem.message
