"""``evalc ls``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from evalc import catalog
from evalc.backends import registry

Run = Callable[..., Any]


def test_every_task_is_a_line(evalc: Run) -> None:
    result = evalc("ls", "tasks")
    assert (result.code, result.err) == (0, "")
    rows = [line.split() for line in result.out.splitlines()]
    assert rows == [
        [task.qualified_name, ",".join(task.endpoint_types), task.image]
        for task in catalog.load().tasks()
    ]


def test_tasks_of_a_harness_and_an_endpoint_type(evalc: Run) -> None:
    wanted = catalog.load().tasks(harness="lm-evaluation-harness", endpoint_type="completions")
    assert 0 < len(wanted) < len(catalog.load().tasks(harness="lm-evaluation-harness"))
    chosen = ["--harness", "lm-evaluation-harness", "--endpoint-type", "completions"]
    result = evalc("ls", "tasks", *chosen, "--json")
    objects = json.loads(result.out)
    assert [found["qualified_name"] for found in objects] == [t.qualified_name for t in wanted]
    first = wanted[0]
    assert objects[0] == {
        "name": first.name,
        "harness": "lm-evaluation-harness",
        "qualified_name": first.qualified_name,
        "endpoint_types": list(first.endpoint_types),
        "required_capabilities": list(first.required_capabilities),
        "image": first.image,
        "digest": first.harness.digest,
        "arch": first.harness.arch,
        "url": first.harness.url,
        "params": first.params,
    }


def test_all_of_a_task(evalc: Run) -> None:
    task = catalog.load().find("lm-evaluation-harness.gpqa")
    result = evalc("ls", "task", "lm-evaluation-harness.gpqa", "mbpp-chat")
    assert (result.code, result.err) == (0, "")
    first, second = result.out.split("\n\n")
    name, *lines = first.splitlines()
    assert name == "lm-evaluation-harness.gpqa"
    assert second.startswith("bigcode-evaluation-harness.mbpp-chat\n")
    said = [line.split(None, 1) for line in lines]
    assert ["image", task.image] in said
    assert ["digest", task.harness.digest] in said
    assert ["config.params.task", json.dumps(task.params["task"])] in said
    assert ["config.params.extra.tokenized_requests", "false"] in said
    (one,) = json.loads(evalc("ls", "task", "mbpp-chat", "--json").out)
    assert one["params"] == catalog.load().find("mbpp-chat").params


def test_every_task_can_be_shown(evalc: Run) -> None:
    names = [task.qualified_name for task in catalog.load().tasks()]
    assert evalc("ls", "task", *names).out.count("\n  digest") == len(names)


def test_a_task_that_is_not_there_or_twice(evalc: Run) -> None:
    hint = "hint: did you mean 'codec.ifeval' or 'lm-evaluation-harness.ifeval' or "
    assert evalc("ls", "task", "ifevall").err.startswith(
        f"error: there is no task 'ifevall'\n{hint}"
    )
    both = "hint: there are codec.ifeval, lm-evaluation-harness.ifeval\n"
    assert evalc("ls", "task", "ifeval").err == f"error: 2 harnesses have a task 'ifeval'\n{both}"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            ["--harness", "simple_eval"],
            "error: there is no harness 'simple_eval'\nhint: did you mean 'simple_evals'?\n",
        ),
        (
            ["--endpoint-type", "xyz"],
            (
                "error: there is no endpoint type 'xyz'\n"
                "hint: there are chat, completions, embedding, vlm\n"
            ),
        ),
    ],
)
def test_names_that_are_not_there(evalc: Run, option: list[str], said: str) -> None:
    assert evalc("ls", "tasks", *option) == (2, "", said)


def test_backends(evalc: Run) -> None:
    result = evalc("ls", "backends")
    assert (result.code, result.err) == (0, "")
    listed = dict(line.split(None, 1) for line in result.out.splitlines())
    assert listed == {name: backend.description for name, backend in registry.working().items()}
    assert "local" in listed
    objects = json.loads(evalc("ls", "backends", "--json").out)
    assert {found["name"]: found["description"] for found in objects} == listed


def test_a_broken_backend_does_not_hide_the_others(
    evalc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = registry.get

    def get(name: str) -> object:
        if name == "theirs":
            raise registry.BrokenBackend("the backend 'theirs' (x:y): no module named 'x'")
        return real(name)

    monkeypatch.setattr(registry, "get", get)
    monkeypatch.setattr(registry, "names", lambda: ("local", "theirs"))
    result = evalc("ls", "backends")
    assert result.code == 0
    first, second = result.out.splitlines()
    assert first.split()[0] == "local"
    assert second.split(None, 1) == [
        "theirs",
        "broken: the backend 'theirs' (x:y): no module named 'x'",
    ]
