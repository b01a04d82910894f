"""Overrides that name a task, as the peer's users write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does
from evalc.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
execution: {type: local}
target: {api_endpoint: {url: http://u, model_id: m}}
evaluation:
  tasks:
    - {name: lm-evaluation-harness.ifeval, nemo_evaluator_config: {config: {params: {top_p: 1}}}}
    - {name: gsm8k}
    - {name: simple_evals.mgsm, id: simple_evals.one}
    - {name: simple_evals.mgsm, id: two}
"""
PARAMS = "nemo_evaluator_config.config.params"


def params(folder: Path, *overrides: str) -> list[Any]:
    path = folder / "c.yaml"
    path.write_text(TEXT)
    steps = compile(Request(path, overrides)).plan.steps
    return [step.run_config["config"].get("params") for step in steps]


@pytest.mark.parametrize(
    ("override", "index", "value"),
    [
        (f"evaluation.tasks.lm-evaluation-harness.ifeval.{PARAMS}.top_p=0.5", 0, {"top_p": 0.5}),
        (f"evaluation.tasks.ifeval.{PARAMS}.top_p=0.5", 0, {"top_p": 0.5}),
        (f"evaluation.tasks.0.{PARAMS}.top_p=0.5", 0, {"top_p": 0.5}),
        (f"~evaluation.tasks.ifeval.{PARAMS}.top_p", 0, {}),
        (f"++evaluation.tasks.gsm8k.{PARAMS}.temperature=0", 1, {"temperature": 0}),
        (f"+evaluation.tasks.one.{PARAMS}.temperature=0", 2, {"temperature": 0}),
        (f"+evaluation.tasks.two.{PARAMS}.temperature=0", 3, {"temperature": 0}),
    ],
)
def test_a_name_stands_for_the_index(override: str, index: int, value: Any, tmp_path: Path) -> None:
    before, after = params(tmp_path), params(tmp_path, override)
    assert after[index] == value
    assert [*after[:index], *after[index + 1 :]] == [*before[:index], *before[index + 1 :]]


@pytest.mark.parametrize("name", ["ifevall", "simple_evals", "lm-evaluation-harness"])
def test_a_name_of_no_task(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        params(tmp_path, f"++evaluation.tasks.{name}.{PARAMS}.top_p=1")
    (problem,) = raised.value.problems
    assert f"has no item '{name}'" in problem.message
    assert "a task's name stands for its index" in problem.label
