"""``evalc init``: every config that it writes is right as it stands."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from evalc.compiler import Request, check
from evalc.config import BUILTIN
from evalc.config.starting import backends, deployments

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[..., Any]
PAIRS = [(backend, deployment) for backend in backends() for deployment in deployments(backend)]


def test_there_is_one_for_every_deployment() -> None:
    types = {path.stem for path in (BUILTIN / "deployment").glob("*.yaml")}
    assert set(deployments("slurm")) == types
    # vLLM over several nodes needs several nodes.
    for backend in ("local", "lepton"):
        assert set(deployments(backend)) == types - {"vllm_ray"}


@pytest.mark.parametrize(("backend", "deployment"), PAIRS)
def test_what_it_writes_has_no_problem(
    backend: str, deployment: str, evalc: Run, tmp_path: Path
) -> None:
    result = evalc("init", "mine.yaml", "--execution", backend, "--deployment", deployment)
    assert result.code == 0
    assert check(Request(tmp_path / "mine.yaml")) == []


@pytest.mark.parametrize(("backend", "deployment"), PAIRS)
def test_what_is_commented_out_is_right_too(
    backend: str, deployment: str, evalc: Run, tmp_path: Path
) -> None:
    """Each key that is only suggested can be had by removing the '# ' before it."""
    evalc("init", "mine.yaml", "--execution", backend, "--deployment", deployment)
    lines = (tmp_path / "mine.yaml").read_text(encoding="utf-8").splitlines()
    suggested = [n for n, line in enumerate(lines) if re.match(r" +# \w+: ", line)]
    assert suggested
    for number in suggested:
        text = lines[number].replace("# ", "", 1)
        tried = [*lines[:number], text, *lines[number + 1 :]]
        (tmp_path / "tried.yaml").write_text("\n".join(tried), encoding="utf-8")
        found = {problem.code for problem in check(Request(tmp_path / "tried.yaml"))}
        # The catalogue knows no digests of servers.
        assert found <= ({"unpinned-image"} if "pin_images" in text else set()), text


def test_tasks_of_choice_and_standard_output(evalc: Run) -> None:
    result = evalc("init", "-", "-t", "mbpp-chat", "-t", "simple_evals.mgsm")
    assert result.out.endswith("    - name: mbpp-chat\n    - name: simple_evals.mgsm\n")
    assert result.code == 0


def test_a_file_that_is_there_stays(evalc: Run, tmp_path: Path) -> None:
    (tmp_path / "evalc.yaml").write_text("mine")
    result = evalc("init")
    assert (result.code, "evalc.yaml is there already" in result.err) == (2, True)
    assert (tmp_path / "evalc.yaml").read_text() == "mine"
    assert evalc("init", "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--execution", "slrum"], "did you mean 'slurm'?"),
        (["--deployment", "vlm"], "did you mean 'vllm'?"),
        (["-t", "ifevall"], "did you mean 'codec.ifeval' or 'lm-evaluation-harness.ifeval'"),
        (["-t", "ifeval"], "there are codec.ifeval, lm-evaluation-harness.ifeval"),
    ],
)
def test_what_there_is_not(arguments: list[str], hint: str, evalc: Run, tmp_path: Path) -> None:
    result = evalc("init", *arguments)
    assert result.code == 2
    assert hint in result.err
    assert list(tmp_path.iterdir()) == []
