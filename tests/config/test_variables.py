"""Keys that only a config's own references know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plan.configs import Config

from evalc.compiler import Request, check, explain

if TYPE_CHECKING:
    from pathlib import Path

BASE = """
model:
  handle: acme/chat
  spare: {of: [no, use]}
execution: {type: local, engine: none, results_root: /data}
deployment:
  type: generic
  command: serve --ranks ${deployment.my_ranks} ${model.handle}
  served_model_name: ${model.handle}
  my_ranks: 4
evaluation:
  tasks:
    - {name: t, command: 'true', my_note: n, endpoint_type: chat, post_cmd: "echo ${.my_note}"}
"""


def test_what_is_referred_to_is_no_mistake(tmp_path: Path) -> None:
    text = BASE + "x-root: ${execution.results_root}\n"
    plan = Config(tmp_path).plan(text)
    assert "results_root" not in plan.options
    # The block is the user's as a whole, and 'explain' still knows it.
    path = tmp_path / "c.yaml"
    assert explain(Request(path), "model.spare.of[1]")[0].value == "use"
    assert explain(Request(path), "execution.results_root")[0].value == "/data"


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("++deployment.my_rank=4", "my_rank"),
        ("++execution.paralelism=2", "paralelism"),
        ("++models.handle=x", "models"),
        # Nothing above a key makes it a variable, only what is referred to itself.
        ("deployment.command=serve", "my_ranks"),
    ],
)
def test_what_nothing_refers_to_is_one(override: str, key: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(BASE + "x-root: ${execution.results_root}\n")
    problems = check(Request(path, (override,)))
    assert [(p.code, p.message.split("'")[1]) for p in problems] == [("unknown-key", key)]


def test_what_a_harness_gets_has_no_variables(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(BASE)
    settings = "++evaluation.nemo_evaluator_config.config.params"
    where = "evaluation.nemo_evaluator_config.config.params.my_limit"
    overrides = (f"{settings}.my_limit=5", f"{settings}.limit_samples=${{{where}}}")
    found = check(Request(path, (*overrides, "~execution.results_root")))
    assert [problem.code for problem in found] == ["unknown-key"]
