"""``evalc migrate``: what it says, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]

OLDER = """\
execution:
  type: local
  extra_docker_args: --ipc host  # shared memory
  env_vars:
    evaluation: {HF_TOKEN: HF_TOKEN}
target:
  api_endpoint: {url: "http://127.0.0.1:1/v1", model_id: m}
evaluation: {tasks: [{name: gsm8k}]}
"""


def test_the_text_is_on_standard_output_and_the_rest_is_not(evalc: Run) -> None:
    Path("old.yaml").write_text(OLDER, encoding="utf-8")
    result = evalc("migrate", "old.yaml")
    new = OLDER.replace("extra_docker_args: --ipc host", 'docker_args: ["--ipc", host]')
    assert (result.code, result.out) == (0, new)
    assert result.err == (
        "old.yaml:3: execution.extra_docker_args -> execution.docker_args\n"
        "old.yaml:4: execution.env_vars is left as it is; "
        "write deployment.env_vars, evaluation.env_vars and export.env_vars by hand\n"
    )
    assert evalc("migrate", "old.yaml", "--quiet").err == ""
    Path("new.yaml").write_text(result.out, encoding="utf-8")
    assert evalc("check", "new.yaml").code == 0


def test_a_config_that_can_not_be_read(evalc: Run) -> None:
    Path("old.yaml").write_text("a: [1", encoding="utf-8")
    result = evalc("migrate", "old.yaml")
    assert (result.code, result.out) == (1, "")
    assert "old.yaml:1" in result.err


def test_one_config_at_a_time(evalc: Run) -> None:
    assert evalc("migrate", "a.yaml", "b.yaml").code == 2
