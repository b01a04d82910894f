"""Reading what runs leave, and what is wrong with it: a clear line, and nothing else lost."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from export.made import BEGAN, ENDED, answers, bundle, ended, lm_eval, results_yml

from evalc.export.model import TaskState
from evalc.export.reading import NoRun, read_run, samples
from evalc.export.reading.runs import FolderOfRuns
from evalc.export.reading.values import Unreadable
from evalc.export.table import tabulate

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"acc": {"accuracy": (0.75, {"count": 40, "stderr": 0.07})}}


def test_a_bundle_in_which_tasks_have_ended(tmp_path: Path) -> None:
    run = bundle(tmp_path / "run", ["h.one", "h.two", "h.three", "h.four"])
    results_yml(run / "h.one", {"one": GOOD})
    ended(run / "h.one")
    results_yml(run / "h.two", {"two": GOOD})
    ended(run / "h.two", 3, "the harness failed")
    (run / "h.three" / "logs").mkdir(parents=True)
    (run / "h.three" / "logs" / "stage.pre-start").write_text("2026-01-02T03:04:05Z\n")
    found = read_run(run)
    one, two, three, four = found.tasks
    (score,) = one.scores
    assert (score.part, score.metric, score.score, score.value) == ("one", "acc", "accuracy", 0.75)
    assert (score.stderr, score.count) == (0.07, 40)
    assert (one.model, one.harness, one.parameters) == (
        "tiny",
        "lm-evaluation-harness",
        {"temperature": 0.5},
    )
    assert one.image_digest == "sha256:" + "a" * 64
    assert one.ended is not None
    assert one.began is not None
    assert one.ended - one.began == 3600
    assert (two.state, two.reason) == (TaskState.FAILED, "exit code 3: the harness failed")
    assert two.scores, "what a failed task left is read, and does not count"
    assert three.state is TaskState.UNFINISHED
    assert four.state is TaskState.NOT_STARTED
    assert [key.task for key in found.scores()] == ["h.one"]
    assert len(found.bundle_digest) == 64
    assert found.id == read_run(run).id
    assert found.gpus == {"suite": 2}


def test_groups_nest_and_names_are_kept(tmp_path: Path) -> None:
    task = tmp_path / "run" / "mmlu"
    content = {
        "results": {
            "tasks": {
                "naïve/日本語": {"metrics": {"a/b c": {"scores": {"µ": {"value": 1, "stats": {}}}}}}
            },
            "groups": {
                "mmlu": {
                    "metrics": {"acc": {"scores": {"macro": {"value": 0.5, "stats": {}}}}},
                    "groups": {
                        "stem": {
                            "metrics": {
                                "acc": {
                                    "scores": {
                                        "macro": {
                                            "value": 0.25,
                                            "stats": {"stddev": 3, "count": 10},
                                        }
                                    }
                                }
                            }
                        }
                    },
                }
            },
        }
    }
    (task / "artifacts").mkdir(parents=True)
    (task / "artifacts" / "results.yml").write_text(json.dumps(content))
    (found,) = read_run(tmp_path / "run").tasks
    assert [(s.part, s.group, s.metric, s.score, s.value) for s in found.scores] == [
        ("naïve/日本語", False, "a/b c", "µ", 1.0),
        ("mmlu", True, "acc", "macro", 0.5),
        ("mmlu/stem", True, "acc", "macro", 0.25),
    ]
    assert found.scores[2].stderr == 1.0


def test_what_is_said_twice_is_one_score(tmp_path: Path) -> None:
    """As simple-evals in nemo-evaluator does, whose file this is cut from."""
    folder = tmp_path / "run" / "gpqa_diamond" / "artifacts"
    folder.mkdir(parents=True)
    (folder / "results.yml").write_text(
        """\
command: 'simple_evals --eval_name gpqa_diamond'
config:
  params: {limit_samples: 10, parallelism: 1, temperature: null}
  type: gpqa_diamond
git_hash: ''
results:
  groups:
    gpqa_diamond:
      metrics:
        score:
          scores:
            micro:
              stats: &id001 {stddev: 0.4898979485566356, stderr: 0.16329931618554522}
              value: 0.4
  tasks:
    gpqa_diamond:
      metrics:
        score:
          scores:
            micro:
              stats: *id001
              value: 0.4
target:
  api_endpoint: {model_id: meta/llama-3.1-8b-instruct, type: chat}
"""
    )
    (task,) = read_run(tmp_path / "run").tasks
    (score,) = task.scores
    assert (score.group, score.value, score.stderr) == (False, 0.4, 0.16329931618554522)
    assert task.model == "meta/llama-3.1-8b-instruct"
    assert task.parameters["limit_samples"] == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (
            "results:\n  tasks:\n    one:\n      metrics:\n        acc: {scores: {a: {value: 0.6",
            "cut off",
        ),
        ("results: [1\n", "is no valid YAML"),
        ("- 1\n- 2\n", "has no 'results'"),
        ("results: {acc: 0.5}\n", "another version"),
        ("results: {tasks: {one: {metrics: {}}}}\n", "has no scores"),
        (
            "results: {tasks: {one: {metrics: {acc: {scores: {a: {value: high}}}}}}}\n",
            "has no number",
        ),
        ("results: {tasks: {one: {metrics: {acc: {value: 1}}}}}\n", "'acc' has no scores"),
        ("!!python/object/apply:os.system [touch pwned]\n", "is no valid YAML"),
        ("a: &a [1]\n" + "x: *b\n", "is no valid YAML"),
    ],
)
def test_results_that_cannot_be_read(tmp_path: Path, text: str, said: str) -> None:
    run = bundle(tmp_path / "run", ["h.one", "h.two"])
    path = results_yml(run / "h.one", {"one": GOOD})
    path.write_text(text)
    results_yml(run / "h.two", {"two": GOOD})
    for task in ("h.one", "h.two"):
        ended(run / task)
    one, two = read_run(run).tasks
    assert one.state is TaskState.NO_RESULTS
    assert one.reason.startswith("results.yml ")
    assert said in one.reason
    assert "\n" not in one.reason
    assert two.counts


def test_a_number_that_was_cut_is_not_taken_for_another(tmp_path: Path) -> None:
    task = tmp_path / "run" / "one"
    path = results_yml(task, {"one": {"acc": {"a": (0.6333333, {})}}})
    whole = path.read_bytes()
    cut = whole[: whole.index(b"0.63") + 3]
    path.write_bytes(cut)
    assert "cut off" in read_run(tmp_path / "run").tasks[0].reason


def test_nan_is_said_and_kept(tmp_path: Path) -> None:
    task = tmp_path / "run" / "one"
    results_yml(
        task, {"one": {"acc": {"a": (float("nan"), {}), "b": (0.5, {"stderr": float("nan")})}}}
    )
    (found,) = read_run(tmp_path / "run").tasks
    assert found.counts
    assert not found.scores[0].is_number
    assert found.scores[1].stderr is None
    assert found.notices == ("one: 'acc' ('a') is nan",)


def test_lm_evals_own_results_with_samples(tmp_path: Path) -> None:
    task = tmp_path / "run" / "h.one"
    lm_eval(task, "one", answers(20, 9), stamp="01")
    lm_eval(task, "one", answers(20, 15), stamp="02")
    (found,) = read_run(tmp_path / "run").tasks
    (score,) = found.scores
    assert (score.value, score.count, score.higher, score.score) == (0.75, 20, True, "none")
    assert found.model == "tiny"
    assert found.parameters == {"limit": 20, "num_fewshot": 0}
    read = samples.read(found.samples["one"], "exact_match", "none")
    assert len(read) == 20
    assert read.mean == 0.75


def test_lm_eval_adds_to_results_yml_what_that_lacks(tmp_path: Path) -> None:
    task = tmp_path / "run" / "h.one"
    lm_eval(task, "one", answers(20, 15))
    results_yml(task, {"one": {"exact_match": {"strict": (0.75, {})}}})
    (score,) = read_run(tmp_path / "run").tasks[0].scores
    assert (score.score, score.count, score.higher) == ("strict", 20, True)
    assert score.stderr == pytest.approx(0.0993, abs=1e-3)


def test_lm_eval_before_filters_and_with_groups(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "one" / "artifacts"
    folder.mkdir(parents=True)
    content = {
        "results": {
            "a": {"acc": 0.5, "acc_stderr": 0.1, "alias": "a"},
            "b": {"acc": 0.25, "acc_stderr": "N/A"},
            "ab": {"acc": 0.375, "acc_stderr": 0.08, "alias": "ab"},
        },
        "groups": {"ab": {"acc": 0.375, "acc_stderr": 0.08}},
        "group_subtasks": {"ab": ["a", "b"], "a": [], "b": []},
        "n-samples": {"a": {"effective": 30}, "b": {"effective": 10}},
        "config": {"model_args": {"model": "m"}},
    }
    (folder / "results.json").write_text(json.dumps(content))
    (found,) = read_run(tmp_path / "run").tasks
    assert [(s.part, s.group, s.stderr, s.count) for s in found.scores] == [
        ("a", False, 0.1, 30),
        ("b", False, None, 10),
        ("ab", True, 0.08, 40),
    ]


def test_results_of_an_earlier_config_do_not_count(tmp_path: Path) -> None:
    run = bundle(tmp_path / "run", ["h.one"])
    results_yml(run / "h.one", {"one": GOOD})
    ended(run / "h.one")
    (run / "h.one" / "run.sh").write_text("_digest=aaaa\n")
    (run / "h.one" / "logs" / "digest").write_text("aaaa\n")
    assert read_run(run).tasks[0].counts
    (run / "h.one" / "run.sh").write_text("_digest=bbbb\n")
    (task,) = read_run(run).tasks
    assert task.state is TaskState.UNFINISHED
    assert "earlier config" in task.reason


def test_slurm_tells_what_each_attempt_took(tmp_path: Path) -> None:
    run = bundle(tmp_path / "run", ["h.one"], backend="slurm", gpus=8)
    logs = run / "h.one" / "logs"
    logs.mkdir(parents=True)
    (logs / "stage.pre-start").write_text("2026-01-02T03:04:05Z\n")
    (logs / "journal").write_text(
        "2026-01-02T03:00:00Z submitted job=10\n"
        "2026-01-02T03:04:05Z chain job=10\n"
        "2026-01-02T03:04:05Z attempt n=1 job=10 restart=0 node=n1 start=1000 done=0:0\n"
        "2026-01-02T03:34:05Z end job=10 restart=0 exit=1 kind=failed elapsed=1800 reason=it broke\n"
        "2026-01-02T03:34:05Z stop job=10 reason=it broke\n"
        "2026-01-02T04:00:00Z chain by=submit_all\n"
        "2026-01-02T04:00:00Z submitted job=11\n"
        "2026-01-02T04:04:05Z attempt n=1 job=11 restart=0 node=n1 start=5000 done=0:0\n"
        "2026-01-02T05:04:05Z previous job=11 restart=0 state=NODE_FAIL kind=resume elapsed=900\n"
        "2026-01-02T05:04:05Z attempt n=2 job=12 restart=0 node=n2 start=9000 done=0:9\n"
        "2026-01-02T05:04:09Z stop job=12 reason=no progress in 2 attempts\n"
    )
    found = read_run(run)
    assert [(s.native, s.seconds, s.how) for s in found.spent["h.one"]] == [
        ("10", 1800.0, "failed"),
        ("11", 900.0, "NODE_FAIL"),
        ("12", None, ""),
    ]
    assert found.tasks[0].reason == "no progress in 2 attempts"


@pytest.mark.parametrize(
    ("resources", "gpus", "held"),
    [
        ({"nodes": 2, "gpus_per_node": 8}, "all", 16),
        ({"nodes": 1, "gpus": "3"}, "all", 3),
        ({"nodes": 1, "gpus": "all"}, "all", None),
        ({"nodes": 1}, None, 0),
    ],
)
def test_how_many_gpus_a_job_holds(
    tmp_path: Path, resources: dict[str, object], gpus: str | None, held: int | None
) -> None:
    run = bundle(tmp_path / "run", ["h.one"])
    plan = json.loads((run / "plan.json").read_text())
    plan["jobs"][0]["resources"] = resources
    plan["services"][0]["gpus"] = gpus
    (run / "plan.json").write_text(json.dumps(plan))
    assert read_run(run).gpus == {"suite": held}


def test_a_digest_of_a_slurm_task_is_that_of_submit_all(tmp_path: Path) -> None:
    from evalc.backends.slurm.runs import SlurmRuns

    script = "_tasks=(\n  h.one:aaaa\n  'odd name':bbbb\n)\n"
    (tmp_path / "submit_all.sh").write_text(script)
    assert SlurmRuns().digest(tmp_path, "h.one") == "aaaa"
    assert SlurmRuns().digest(tmp_path, "one") == ""
    (tmp_path / "submit_all.sh").write_text("_tasks=(h.one:cccc)\n")
    assert SlurmRuns().digest(tmp_path, "h.one") == "cccc"


@pytest.mark.parametrize(
    "plan", ["{", "[]", '{"jobs": 3}', '{"jobs": [{"id": "a", "steps": [{"id": "../x"}]}]}']
)
def test_a_plan_that_is_damaged_loses_no_results(tmp_path: Path, plan: str) -> None:
    run = tmp_path / "run"
    results_yml(run / "one", {"one": GOOD})
    (run / "plan.json").write_text(plan)
    found = read_run(run)
    assert found.notices[0].startswith("plan.json ")
    assert found.tasks[0].counts


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(NoRun, match="holds no results"):
        read_run(tmp_path)
    with pytest.raises(NoRun, match="is no folder"):
        read_run(tmp_path / "nothing")


def test_a_name_that_would_steer_a_terminal_is_left_out(tmp_path: Path) -> None:
    for name in ("good", "bad\x1b[31m"):
        results_yml(tmp_path / name, {"one": GOOD})
    found = read_run(tmp_path)
    assert [task.id for task in found.tasks] == ["good"]
    assert "\\x1b" in found.notices[0]


def test_a_single_task_and_a_folder_that_was_fetched(tmp_path: Path) -> None:
    results_yml(tmp_path / "one", {"one": GOOD})
    (found,) = read_run(tmp_path / "one").tasks
    assert (found.id, found.counts) == ("one", True)
    (tmp_path / ".evalc-run.json").write_text('{"invocation": "bcdfghjk"}')
    assert read_run(tmp_path).id == "bcdfghjk"
    run = tmp_path / "2026-01-02-03-04-05-k3fw8t2q"
    results_yml(run / "one", {"one": GOOD})
    assert read_run(run).id == "k3fw8t2q"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"doc_id": 1, "exact_match": 1}\n{"doc_id": 2, "exac', "line 2"),
        ('{"doc_id": 1, "exact_match": [1, 2]}\n', "no number"),
        ('{"doc_id": 1, "exact_match": 1}\n{"doc_id": 1, "exact_match": 1}\n', "more than once"),
        ("", "has no answers"),
        ('{"doc_id": 1}\n', "no answer in line 1"),
    ],
)
def test_samples_that_cannot_be_read(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(lines)
    with pytest.raises(Unreadable, match=said):
        samples.read(path, "exact_match", "none")


def test_a_million_samples_stay_small(tmp_path: Path) -> None:
    """A fifth of a million are read, in seconds; what is kept of each is sixteen bytes."""
    path, count = tmp_path / "samples.jsonl", 200_000
    with path.open("w") as file:
        for number in range(count):
            file.write(
                f'{{"doc_id": {number}, "doc_hash": "{number:032x}", "filter": "none", "acc": 1}}\n'
            )
    began = time.process_time()
    read = samples.read(path, "acc", "none")
    assert time.process_time() - began < 5
    assert (
        read.keys.itemsize * len(read.keys) + read.values.itemsize * len(read.values) == 16 * count
    )
    tracemalloc.start()
    assert samples.pairs(read, read) is not None
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_caches_of_responses_are_not_looked_through(tmp_path: Path) -> None:
    from evalc.export.reading.lm_eval import files

    cache = tmp_path / "artifacts" / "cache"
    cache.mkdir(parents=True)
    (cache / "results_1.json").write_text("{}")
    assert files(tmp_path / "artifacts") == (None, [])


def test_the_digest_that_the_engine_told_is_read_where_the_name_has_none(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "run", ["h.one", "h.two"])
    plan = (folder / "plan.json").read_text().replace("@sha256:" + "a" * 64, ":26.03")
    (folder / "plan.json").write_text(plan)
    for task in ("h.one", "h.two"):
        results_yml(folder / task, {"one": {"acc": {"acc": (0.5, {})}}})
        ended(folder / task)
    told = f"registry.example/harness@sha256:{'b' * 64}\n"
    (folder / "h.one" / "logs" / "image_digest").write_text(told)
    (folder / "h.two" / "logs" / "image_digest").write_text("nonsense\n")
    one, two = read_run(folder).tasks
    assert (one.image_digest, two.image_digest) == (f"sha256:{'b' * 64}", "")


def test_gpus_that_were_counted_when_it_ran(tmp_path: Path) -> None:
    """Where the plan has no number."""
    local = bundle(tmp_path / "local", ["h.one"], gpus=None)
    ended(local / "h.one")
    assert [spent.gpus for spent in read_run(local).spent["suite"]] == [None]
    (local / "logs").mkdir()
    (local / "logs" / "gpus").write_text("8\n")
    assert [spent.gpus for spent in read_run(local).spent["suite"]] == [8]
    ((_, (cost,)),) = tabulate([read_run(local)]).costs()
    assert cost.gpu_hours == 8.0
    slurm = bundle(tmp_path / "slurm", ["h.one"], backend="slurm", gpus=None)
    ended(slurm / "h.one")
    (slurm / "h.one" / "logs" / "journal").write_text(
        f"{BEGAN} chain job=7\n"
        f"{BEGAN} attempt n=1 job=7 restart=0 node=n1 start=1000 done=0:0 gpus=16\n"
        f"{ENDED} end job=7 restart=0 exit=0 kind=finished elapsed=1800\n"
    )
    ((_, (cost,)),) = tabulate([read_run(slurm)]).costs()
    assert cost.gpu_hours == 8.0


def test_a_folder_of_runs_is_none(tmp_path: Path) -> None:
    for number in range(5):
        run = bundle(tmp_path / "results" / f"run{number}", ["h.one"])
        lm_eval(run / "h.one", "one", [1, 0])
    (tmp_path / "results" / "file").touch()
    with pytest.raises(FolderOfRuns) as caught:
        read_run(tmp_path / "results")
    assert "results is a folder of runs" in str(caught.value)
    assert caught.value.hint.endswith("run2 and 2 more")
    # What 'evalc export' has copied is such a folder, too.
    copied = tmp_path / "exported" / "k3fw8t2q" / "h.one" / "artifacts"
    copied.mkdir(parents=True)
    (copied / "results.json").write_text('{"results": {"one": {"acc,none": 0.5}}}')
    with pytest.raises(FolderOfRuns):
        read_run(tmp_path / "exported")
    assert read_run(tmp_path / "exported" / "k3fw8t2q").scores()
