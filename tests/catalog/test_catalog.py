"""The catalogue as it ships: every task is found, none is guessed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from evalc import catalog
from evalc.catalog import AmbiguousTask, Catalog, Harness, Task, UnknownTask

FACTS = json.loads((Path(catalog.__file__).parent / "tasks.json").read_text())["tasks"]
SHARED = sorted(name for name, n in Counter(fact["name"] for fact in FACTS).items() if n > 1)


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return catalog.load()


def test_the_catalogue_has_the_peers_tasks_and_harnesses(shipped: Catalog) -> None:
    assert len(FACTS) == 421
    assert len(shipped.tasks()) == 421
    assert len(shipped.harnesses) == 23
    assert len(SHARED) == 11


def test_load_returns_the_same_catalogue(shipped: Catalog) -> None:
    assert catalog.load() is shipped


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact['harness']}.{fact['name']}")
def test_each_task_is_found_by_harness_and_name(shipped: Catalog, fact: dict[str, object]) -> None:
    qualified = f"{fact['harness']}.{fact['name']}"
    task = shipped.find(qualified)
    assert task.qualified_name == qualified
    assert (task.name, task.harness.name) == (fact["name"], fact["harness"])
    assert list(task.endpoint_types) == fact["endpoint_types"]
    assert list(task.required_capabilities) == fact.get("required_capabilities", [])
    assert task.params == fact["params"]
    assert task.image == task.harness.image


def test_each_unique_name_is_found_without_its_harness(shipped: Catalog) -> None:
    unique = [task for task in shipped.tasks() if task.name not in SHARED]
    assert len(unique) == 421 - 2 * 11
    for task in unique:
        assert shipped.find(task.name) is task


@pytest.mark.parametrize("name", SHARED)
def test_a_name_of_two_harnesses_is_ambiguous(shipped: Catalog, name: str) -> None:
    with pytest.raises(AmbiguousTask) as caught:
        shipped.find(name)
    assert caught.value.query == name
    assert len(caught.value.choices) == 2
    assert caught.value.choices == tuple(sorted(caught.value.choices))
    for choice in caught.value.choices:
        assert shipped.find(choice).name == name


def test_the_ambiguous_names_are_these() -> None:
    assert SHARED == [
        "gpqa_diamond",
        "hle",
        "humaneval",
        "humaneval_instruct",
        "humanevalplus",
        "ifbench",
        "ifeval",
        "mgsm",
        "mmlu",
        "mmlu_pro",
        "scicode",
    ]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("gsm8k_cot_instrct", "gsm8k_cot_instruct"),
        ("ruler_4k_chat", "ruler-4k-chat"),
        ("mtbench_cor1", "mtbench-cor1"),
        ("mteb_eng_retrieval", "MTEB_ENG_RETRIEVAL"),
        # The name that is meant is ambiguous: what is suggested has to work.
        ("ifevall", "codec.ifeval"),
        ("IFEVAL", "codec.ifeval"),
        # A slip in the harness, in the task, in both; a harness under its Python name.
        ("lm_evaluation_harness.ifeval", "lm-evaluation-harness.ifeval"),
        ("lm-evaluation-harness.ifevl", "lm-evaluation-harness.ifeval"),
        ("simple-evals.aime_2025", "simple_evals.AIME_2025"),
        # The right task of another harness.
        ("lm-eval.ifbench", "codec.ifbench"),
    ],
)
def test_a_slip_gets_a_suggestion(shipped: Catalog, query: str, first: str) -> None:
    with pytest.raises(UnknownTask) as caught:
        shipped.find(query)
    assert caught.value.query == query
    assert caught.value.suggestions[0] == first


@pytest.mark.parametrize("query", ["", ".", "a.b.c", "../..", "mmlu\n", "hle.hle.hle", "zzzzzz"])
def test_what_is_no_name_is_unknown_and_every_suggestion_works(
    shipped: Catalog, query: str
) -> None:
    with pytest.raises(UnknownTask) as caught:
        shipped.find(query)
    assert len(caught.value.suggestions) <= 3
    assert len(set(caught.value.suggestions)) == len(caught.value.suggestions)
    for suggestion in caught.value.suggestions:
        assert isinstance(shipped.find(suggestion), Task)


def test_what_is_like_nothing_gets_no_suggestion(shipped: Catalog) -> None:
    with pytest.raises(UnknownTask) as caught:
        shipped.find("zzzzzz")
    assert caught.value.suggestions == ()


def test_the_errors_say_the_query(shipped: Catalog) -> None:
    with pytest.raises(LookupError, match=re.escape("there is no task 'nope'")):
        shipped.find("nope")
    with pytest.raises(LookupError, match=re.escape("2 harnesses have a task 'mmlu'")):
        shipped.find("mmlu")


def test_tasks_are_sorted_and_filtered(shipped: Catalog) -> None:
    everything = shipped.tasks()
    assert list(everything) == sorted(everything, key=lambda task: (task.harness.name, task.name))
    ruler = shipped.tasks(harness="ruler")
    assert len(ruler) == 20
    assert {task.harness.name for task in ruler} == {"ruler"}
    vlm = shipped.tasks(endpoint_type="vlm")
    assert len(vlm) == 7
    assert {task.harness.name for task in vlm} == {"vlmevalkit"}
    chat = shipped.tasks(harness="ruler", endpoint_type="chat")
    assert len(chat) == 10
    assert {task.endpoint_types for task in chat} == {("chat",)}
    assert shipped.tasks(harness="nope") == ()
    assert shipped.tasks(endpoint_type="nope") == ()


def test_the_harnesses_are_sorted_whole_and_pinned(shipped: Catalog) -> None:
    names = [harness.name for harness in shipped.harnesses]
    assert names == sorted(names)
    assert {task.harness for task in shipped.tasks()} == set(shipped.harnesses)
    for harness in shipped.harnesses:
        assert re.fullmatch(r"[a-z0-9./-]+:[0-9.]+", harness.image)
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", harness.digest)
        assert harness.arch in {"multiarch", "amd"}
        assert harness.url is None or harness.url.startswith("https://")


def test_the_facts_stand_one_task_a_line(shipped: Catalog) -> None:
    lines = (Path(catalog.__file__).parent / "tasks.json").read_text().splitlines()
    assert len(lines) == 2 + len(shipped.tasks()) + 1
    named = [json.loads(line.rstrip(","))["name"] for line in lines[2:-1]]
    assert named == [task.name for task in shipped.tasks()]


def test_nothing_is_read_before_it_is_asked_for() -> None:
    code = (
        "import sys, evalc.catalog as c\n"
        "c.load()\n"
        "heavy = {'tomllib', 'tomli', 'evalc.errors', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert not vars(c.load()).keys() - {'_directory'}, vars(c.load())\n"
        "print(c.load().find('hle.hle').harness.name)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "hle\n", "")


def test_a_catalogue_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(
        '[h]\nimage = "h:1"\ndigest = "sha256:0"\narch = "amd"\n'
    )
    fact = {"name": "t", "harness": "h", "endpoint_types": ["chat", "vlm"], "params": {}}
    (tmp_path / "tasks.json").write_text(json.dumps({"tasks": [fact]}))
    own = Catalog(tmp_path)
    harness = Harness(name="h", image="h:1", digest="sha256:0", arch="amd")
    assert own.find("t") == Task("t", harness, ("chat", "vlm"), {})
    assert own.tasks(endpoint_type="vlm") == (own.find("h.t"),)
    assert hash(own.find("t")) == hash(own.find("h.t"))
