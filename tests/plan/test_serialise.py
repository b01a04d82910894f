"""plan.json: every word and type has one form, on lines that a diff can tell apart."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import jsonschema
from bundle.test_build import made_plan
from emit.texts import hostile
from hypothesis import given, settings
from hypothesis import strategies as st

from evalc.compiler import schema
from evalc.plan import Argv, BundledFile, EnvVar, Mount, Resources, Shell
from evalc.plan.serialise import plan_text, service_words, step_words, to_json
from evalc.words import Literal, RuntimeEnv, Secret, Word, literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plan.configs import Config


def test_each_value_has_one_form() -> None:
    forms: list[tuple[object, object]] = [
        (None, None),
        (1.5, 1.5),
        (literal("a"), "a"),
        ((Literal("a"), Literal("b")), "ab"),
        ((Literal("a"), RuntimeEnv("X")), {"parts": ["a", {"env": "X"}]}),
        ((RuntimeEnv("X", ""),), {"parts": [{"env": "X", "default": ""}]}),
        ((Secret("S"),), {"parts": [{"secret": "S", "scope": "host"}]}),
        (
            (Secret("S", "runtime", "d"),),
            {"parts": [{"secret": "S", "scope": "runtime", "default": "d"}]},
        ),
        ((), []),
        (
            {"a": (RuntimeEnv("X"),), "b": [literal("c")]},
            {"a": {"parts": [{"env": "X"}]}, "b": ["c"]},
        ),
        (Shell("echo"), {"shell": "echo"}),
        (Argv((literal("a"), (RuntimeEnv("X"),))), {"argv": ["a", {"parts": [{"env": "X"}]}]}),
        (EnvVar("A", literal("b")), {"name": "A", "value": "b"}),
        (
            Mount(literal("/a"), "/b", read_only=True),
            {"source": "/a", "target": "/b", "read_only": True},
        ),
        (
            BundledFile("x", b"", executable=True),
            {
                "path": "x",
                "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "executable": True,
            },
        ),
        (
            Resources(cpus=2),
            {"nodes": 1, "cpus": 2, "memory": None, "gpus": None, "walltime": None},
        ),
    ]
    for value, form in forms:
        assert to_json(value) == form


part = st.one_of(
    hostile.map(Literal),
    st.builds(RuntimeEnv, st.just("X"), st.none() | hostile),
    st.builds(Secret, st.just("S"), st.sampled_from(("host", "runtime")), st.none() | hostile),
)


@settings(max_examples=100)
@given(
    hostile.filter(bool),
    st.lists(part, min_size=1, max_size=4).map(tuple),
    st.dictionaries(hostile, hostile),
)
def test_any_text_in_a_plan_stays_what_it_is(name: str, word: Word, extra: dict[str, str]) -> None:
    plan = made_plan(name)
    (job,) = plan.jobs
    step = replace(
        job.steps[0], task=name, model_id=word, run_config={"extra": extra}, command=Shell(name)
    )
    plan = replace(plan, jobs=(replace(job, steps=(step,)),), output_dir=word)
    found = json.loads(plan_text(plan))
    jsonschema.validate(found, schema("plan"))
    (read,) = found["jobs"][0]["steps"]
    assert found["name"] == read["task"] == read["command"]["shell"] == name
    assert found["output_dir"] == read["model_id"] == to_json(word)
    assert read["run_config"] == {"extra": extra}


def test_the_text_is_the_plan_with_a_line_for_each_field() -> None:
    plan = made_plan('it\'s "a" plan\n')
    text = plan_text(plan)
    assert text.endswith("}\n")
    assert list(json.loads(text)) == [
        "schema_version",
        "name",
        "backend",
        "output_dir",
        "options",
        "services",
        "jobs",
    ]
    assert json.loads(text)["name"] == plan.name
    jsonschema.validate(json.loads(text), schema("plan"))
    lines = text.splitlines()
    assert '     "image": "an image",' in lines
    assert '   "port": 8000,' in lines


def test_every_word_of_a_plan_is_found(config: Config) -> None:
    plan = config.plan(
        """\
        execution: {mounts: {deployment: {/a: /b}, evaluation: {/c: /d}}}
        deployment:
          {type: generic, image: '${oc.env:E1}', served_model_name: '${oc.env:E2}', cache_path: '${oc.env:E3}',
           command: ['${oc.env:E4}'], env_vars: {X: 'host:S1', Y: '${oc.env:S2}'}}
        evaluation:
          nemo_evaluator_config: {config: {params: {extra: {x: ['${oc.env:E5}']}}}}
          tasks:
            - {name: t, container: '${oc.env:E6}', command: c, dataset_dir: '${oc.env:E7}', env_vars: {Z: 'runtime:S3'}}
        """
    )
    assert names(service_words(plan.services[0])) == ["E1", "E2", "E3", "E4", "S1", "S2"]
    assert names(step_words(plan.jobs[0].steps[0])) == ["E2", "E5", "E6", "E7", "S3"]


def names(words: Iterable[Word]) -> list[str]:
    parts = {part.name for word in words for part in word if not isinstance(part, Literal)}
    return sorted(parts)
