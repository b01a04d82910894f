"""A matrix: which cells there are, what they are called, and what each of them sets."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest

from evalc.compiler import Request, compile, explain  # noqa: A004 - it is what a compiler does
from evalc.errors import ConfigError, UsageError
from evalc.words import literal

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.compiler import Compiled
    from evalc.errors import Problem

BASE = """\
target: {api_endpoint: {url: "http://x/v1/chat/completions", model_id: m}}
evaluation:
  nemo_evaluator_config: {config: {params: {extra: {}}}}
  tasks: [{name: t, container: i, command: "true"}]
matrix:
"""
# What goes to the harness as it is.
PARAMS = "evaluation.nemo_evaluator_config.config.params.extra"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path)


class Config:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def compiled(self, matrix: str, *overrides: str, tasks: tuple[str, ...] = ()) -> Compiled:
        path = self.folder / "c.yaml"
        path.write_text(BASE + indent(dedent(matrix), "  "))
        return compile(Request(path, overrides, tasks))

    def cells(self, matrix: str, *overrides: str) -> dict[str, dict[str, object]]:
        """By the name of each cell, what it sets."""
        plan = self.compiled(matrix, *overrides).plan
        return {job.cell: job.steps[0].run_config["config"]["params"]["extra"] for job in plan.jobs}

    def problems(self, matrix: str, *overrides: str) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            self.compiled(matrix, *overrides)
        return caught.value.problems


def test_the_product_of_the_axes_in_their_order(config: Config) -> None:
    assert config.cells(f"""
        {PARAMS}.temperature: [0, 0.6]
        {PARAMS}.extra: [{{name: plain, value: {{}}}}, {{name: deep, value: {{a: 1}}}}]
        """) == {
        "temperature-0_plain": {"temperature": 0, "extra": {}},
        "temperature-0_deep": {"temperature": 0, "extra": {"a": 1}},
        "temperature-0.6_plain": {"temperature": 0.6, "extra": {}},
        "temperature-0.6_deep": {"temperature": 0.6, "extra": {"a": 1}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Qwen/Qwen3-4B", "Qwen3-4B"),
        ("/models/llama-3.3-70b/", "llama-3.3-70b"),
        ("registry/vllm:v0.11", "vllm-v0.11"),
        ("0.5", "extra-0.5"),
        ("true", "extra-true"),
        ("'0.5'", "0.5"),
    ],
)
def test_a_value_names_itself(config: Config, value: str, name: str) -> None:
    assert list(config.cells(f"{PARAMS}.extra: [{value}]")) == [name]


def test_a_value_may_set_several_keys_in_either_form(config: Config) -> None:
    assert config.cells(f"""
        model:
          - {{name: a, {PARAMS}.top_p: 1, {PARAMS}.parallelism: 2}}
          - name: b
            evaluation: {{nemo_evaluator_config: {{config: {{params: {{extra: {{top_p: 0.5}}}}}}}}}}
        """) == {"a": {"top_p": 1, "parallelism": 2}, "b": {"top_p": 0.5}}  # fmt: skip


def test_references_see_the_cell(config: Config) -> None:
    assert config.cells(f"""
        seed: [1, 2]
        model: [{{name: m, {PARAMS}.extra: "${{matrix.model}} ${{matrix.seed}}"}}]
        include: [{{name: n, {PARAMS}.extra: "${{matrix.cell}}"}}]
        """) == {
        "seed-1_m": {"extra": "m 1"},
        "seed-2_m": {"extra": "m 2"},
        "n": {"extra": "n"},
    }  # fmt: skip


def test_a_reference_keeps_the_kind_of_a_value(config: Config) -> None:
    """As OmegaConf has it: what is all of a text is the value itself."""
    cells = config.cells(f"""
        seed: [7]
        model: [{{name: m, {PARAMS}.extra: "${{matrix.seed}}"}}]
        """)
    assert cells == {"seed-7_m": {"extra": 7}}


AXES = f"""
a: [{{name: x, {PARAMS}.top_p: 1}}, {{name: y, {PARAMS}.top_p: 2}}]
{PARAMS}.temperature: [0, 1]
"""


def test_exclude_takes_out_all_that_match(config: Config) -> None:
    cells = config.cells(f"{AXES}exclude: [{{a: y, {PARAMS}.temperature: 1}}]")
    assert list(cells) == ["x_temperature-0", "x_temperature-1", "y_temperature-0"]
    # A value by its name, or as it is; and all cells that have it.
    assert list(config.cells(f"{AXES}exclude: [{{{PARAMS}.temperature: temperature-1}}]")) == [
        "x_temperature-0",
        "y_temperature-0",
    ]


def test_include_adds_to_what_matches_and_else_makes_a_cell(config: Config) -> None:
    cells = config.cells(f"""
        {AXES.strip().replace(chr(10), chr(10) + "        ")}
        include:
          - {{a: y, {PARAMS}.extra: only y}}
          - {{{PARAMS}.parallelism: 3}}
          - {{a: x, {PARAMS}.temperature: 1, name: warm}}
          - {{a: x, {PARAMS}.temperature: 2}}
          - {{name: alone, a: {{name: z, {PARAMS}.top_p: 3}}}}
        """)
    assert cells == {
        "x_temperature-0": {"top_p": 1, "temperature": 0, "parallelism": 3},
        "warm": {"top_p": 1, "temperature": 1, "parallelism": 3},
        "y_temperature-0": {"top_p": 2, "temperature": 0, "extra": "only y", "parallelism": 3},
        "y_temperature-1": {"top_p": 2, "temperature": 1, "extra": "only y", "parallelism": 3},
        # As with GitHub, an item adds to the product alone, and not to what others made.
        "x_temperature-2": {"top_p": 1, "temperature": 2},
        "alone": {"top_p": 3},
    }


def test_include_alone_makes_cells(config: Config) -> None:
    assert config.cells(f"""
        include:
          - {{name: one, {PARAMS}.top_p: 1}}
          - {{name: two}}
        """) == {"one": {"top_p": 1}, "two": {}}  # fmt: skip


def test_plain_values_may_get_their_keys_by_include(config: Config) -> None:
    compiled = config.compiled(f"""
        model: [a, b]
        include: [{{model: a, {PARAMS}.x: 1}}, {{model: b, {PARAMS}.x: 2}}]
        """)
    assert compiled.warnings == ()
    assert [job.cell for job in compiled.plan.jobs] == ["a", "b"]


def test_a_secret_is_found_where_no_cell_has_it(config: Config) -> None:
    token = "hf_" + "aBcD1234" * 5
    (problem,) = config.problems(f"""
        model: [{{name: a, env_vars.T: "lit:{token}"}}, {{name: b, env_vars.X: "lit:1"}}]
        exclude: [{{model: a}}]
        """)
    assert problem.code == "secret-in-config"
    # What a cell has is told once.
    (problem,) = config.problems(f'include: [{{name: a, env_vars.T: "lit:{token}"}}]')
    assert problem.code == "secret-in-config"


def test_the_command_line_is_stronger_than_cells(config: Config) -> None:
    matrix = f"{PARAMS}.temperature: [0, 1]"
    assert config.cells(matrix, f"++{PARAMS}.limit_samples=5") == {
        "temperature-0": {"temperature": 0, "limit_samples": 5},
        "temperature-1": {"temperature": 1, "limit_samples": 5},
    }
    cells = config.cells(matrix, f"++{PARAMS}.temperature=0.5")
    assert [one["temperature"] for one in cells.values()] == [0.5, 0.5]
    # What is changed may be there in the cells alone.
    groups = "deployment: [vllm]\nmodel: [{name: m, deployment.hf_model_handle: o/m}]"
    path = config.folder / "g.yaml"
    path.write_text("defaults: [{deployment: none}, _self_]\n" + BASE + indent(groups, "  ") + "\n")
    name = "deployment.served_model_name=named"
    (service,) = compile(Request(path, (name,))).plan.services
    assert service.model_id == literal("named")
    with pytest.raises(ConfigError, match=r"no 'deployment\.served_model'"):
        compile(Request(path, ("deployment.served_model=named",)))
    # The block itself is a part of the config like others.
    assert list(config.cells("seed: [1]", "matrix.seed=[2,3]")) == ["seed-2", "seed-3"]
    assert list(config.cells("include: [{name: a}, {name: b}]", "~matrix")) == [""]


def test_explain_tells_of_each_cell(config: Config) -> None:
    config.compiled(f"{PARAMS}.temperature: [0, 1]")
    request = Request(config.folder / "c.yaml")
    first, second = explain(request, f"{PARAMS}.temperature")
    assert [(one.value, one.cells) for one in (first, second)] == [
        (0, ("temperature-0",)),
        (1, ("temperature-1",)),
    ]
    # The value was written in the block.
    assert [(one.steps[0].kind, one.steps[0].location.line) for one in (first, second)] == [
        ("file", 6),
        ("file", 6),
    ]
    (same,) = explain(request, "target.api_endpoint.model_id")
    assert (same.value, same.cells) == ("m", ())
    (picked,) = explain(request, f"{PARAMS}.temperature", ("temperature-1",))
    assert picked.value == 1
    with pytest.raises(UsageError, match="has no cell 'temperature-2'"):
        explain(request, "evaluation", ("temperature-2",))
