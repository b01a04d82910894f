"""``evalc explain``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[..., Any]


def test_a_value_and_what_set_it_newest_first(evalc: Run, good: Path) -> None:
    result = evalc("explain", good, "execution.engine", "-o", "execution.engine=docker")
    assert (result.code, result.err) == (0, "")
    value, blank, *steps = result.out.splitlines()
    assert (value, blank) == ("execution.engine: docker", "")
    rows = [step.split() for step in steps]
    assert [row[0] for row in rows[:2]] == ["override", "file"]
    assert rows[1][1] == "good.yaml:6:11"
    assert rows[1][2:] == ["none"]
    # The default comes with evalc.
    assert rows[-1][0] == "builtin"


def test_a_list_is_shown_as_yaml(evalc: Run, good: Path) -> None:
    result = evalc("explain", good, "evaluation.tasks")
    assert result.code == 0
    assert result.out.startswith("evaluation.tasks:\n  - name: hello\n    command: ")


def test_long_values_of_layers_are_cut(evalc: Run, good: Path) -> None:
    result = evalc("explain", good, "execution")
    value, _, steps = result.out.rpartition("\n\n")
    assert "\n  engine: none\n" in value
    lines = steps.splitlines()
    assert all(line.endswith("...") and len(line) < 120 for line in lines)


def test_a_list_item(evalc: Run, good: Path) -> None:
    assert evalc("explain", good, "evaluation.tasks[0].name").out == (
        "evaluation.tasks[0].name: hello\n\n  file  good.yaml:14:13  hello\n"
    )


def test_a_value_known_only_later_is_shown_as_its_reference(evalc: Run, good: Path) -> None:
    key = "target.api_endpoint.model_id"
    result = evalc("explain", good, key, "-o", key + "='${oc.env:MODEL_NAME}'")
    assert result.code == 0
    assert "${oc.env:MODEL_NAME}" in result.out.splitlines()[0]


def test_a_key_that_is_not_there(evalc: Run, good: Path) -> None:
    result = evalc("explain", good, "execution.engin")
    assert (result.code, result.out) == (2, "")
    error, hint = result.err.splitlines()
    assert "execution.engin" in error
    assert "engine" in hint


def test_one_config_at_a_time(evalc: Run, good: Path, bad: Path) -> None:
    assert evalc("explain", good, bad, "execution") == (
        2,
        "",
        "error: one config is explained at a time\n",
    )


@pytest.mark.usefixtures("good")
def test_a_config_by_name(evalc: Run) -> None:
    found = ["--config-dir", ".", "--config-name", "good"]
    result = evalc("explain", *found, "execution.engine")
    assert result.out.splitlines()[0] == "execution.engine: none"


def test_the_key_is_required(evalc: Run) -> None:
    assert evalc("explain") == (
        2,
        "",
        "error: missing argument 'KEY'\nhint: see 'evalc explain --help'\n",
    )


def test_a_config_without_a_key(evalc: Run, good: Path) -> None:
    result = evalc("explain", good)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: no key is named after good.yaml\nhint: write evalc explain CONFIG KEY\n"
    )
