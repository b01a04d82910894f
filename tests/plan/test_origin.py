"""Where the values of a plan were written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.words import RuntimeEnv

if TYPE_CHECKING:
    from plan.configs import Config

    from evalc.errors import Location
    from evalc.plan.origin import Origin

OWN = "name: t, container: i, command: c"


def shown(at: Location | None) -> str:
    assert at
    return at.source.line(at.line)[at.column - 1 : at.end_column - 1]


def origin(config: Config) -> Origin:
    return config.plan(
        f"""\
        execution: {{shm_size: 1g, docker_args: []}}
        evaluation:
          tasks:
            - {{{OWN}, dataset_dir: '/a long text'}}
            - {{{OWN}, id: u, dataset_dir: '/x${{oc.env:DATA,a default}}literal part'}}
        """
    ).origin


def test_a_key_or_what_is_above_it(hosted: Config) -> None:
    found = origin(hosted)
    assert shown(found.at("execution", "shm_size")) == "shm_size"
    # A default of evalc's own is no place to edit.
    assert shown(found.at("execution", "engine")) == "execution"
    assert found.given("execution", "shm_size")
    assert not found.given("execution", "docker_args")
    assert not found.given("execution", "nothing")


def test_a_task_by_its_step(hosted: Config) -> None:
    found = origin(hosted)
    assert found.task("t") == ("evaluation", "tasks", 0)
    assert found.task("u") == ("evaluation", "tasks", 1)
    assert found.task("nobody") == ("evaluation", "tasks")


def test_a_value_by_itself(hosted: Config) -> None:
    found = origin(hosted)
    assert shown(found.locate("/a long text")) == "'/a long text'"
    whole = (RuntimeEnv("DATA", "a default"),)
    assert found.locate(whole) is None
    assert found.locate(3.25) is None
    assert found.locate("QQQ") is None


def test_a_value_that_something_was_made_of(hosted: Config) -> None:
    """A text that it is part of, or else the longest text of the config that is in it."""
    found = origin(hosted)
    assert shown(found.locate("ng tex")) == "'/a long text'"
    assert shown(found.locate("evaluates /a long text with t")) == "'/a long text'"
    assert shown(found.locate("literal part")).startswith("'/x${oc.env")
    assert shown(found.locate("<a default>")).startswith("'/x${oc.env")


def test_a_value_that_is_a_key(hosted: Config) -> None:
    found = hosted.plan(
        f"""\
        execution: {{mounts: {{evaluation: {{/a/b: /c}}}}}}
        evaluation: {{tasks: [{{{OWN}, dataset_dir: /d}}]}}
        """
    ).origin
    named = found.find("/a/b")
    assert named is not None
    assert named[0] == "execution.mounts.evaluation"
    assert shown(named[1]) == "/a/b"
    named = found.find("/d")
    assert named is not None
    assert named[0] == "evaluation.tasks[0].dataset_dir"
