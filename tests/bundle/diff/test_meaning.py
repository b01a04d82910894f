"""What two plans mean differently, and how that is said.

Each case changes golden/slurm_judge's plan and manifest, to which a second job is added: two
servers, two tasks, a job each.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalc.bundle.diff import MISSING, Change, Of, facts_of, meaning
from evalc.cli.report.changes.wording import plain, sentence, walltime

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "slurm_judge"
PLAN, MANIFEST = (
    json.loads((GOLDEN / name).read_text()) for name in ("plan.json", "manifest.json")
)
A, B = PLAN["jobs"][0]["id"], "second"

Documents = dict[str, Any]
Edit = Callable[[Documents, Documents], Any]


def differ(edit: Edit, *, before: Edit | None = None) -> tuple[Change, ...]:
    """What differs when ``edit`` is done to both documents, after ``before`` was done to all."""
    plan, manifest = copy.deepcopy((PLAN, MANIFEST))
    if before:
        before(plan, manifest)
    old = facts_of(plan, manifest)
    plan, manifest = copy.deepcopy((plan, manifest))
    edit(plan, manifest)
    return meaning(old, facts_of(plan, manifest))


def said(edit: Edit, *, before: Edit | None = None) -> list[str]:
    return [plain(sentence(change)) for change in differ(edit, before=before)]


def steps(plan: Documents) -> list[Documents]:
    return [step for job in plan["jobs"] for step in job["steps"]]


def one_more(plan: Documents, manifest: Documents, name: str = "third") -> None:
    """A task more, as a job of its own."""
    job = copy.deepcopy(plan["jobs"][0])
    job["id"] = job["steps"][0]["id"] = name
    plan["jobs"].append(job)
    manifest["jobs"].append({**manifest["jobs"][0], "id": name, "steps": [name]})


one_more(PLAN, MANIFEST, B)


def double(plan: Documents, manifest: Documents) -> None:
    for job in plan["jobs"]:
        job["resources"]["walltime"] = 28800
    plan["options"]["walltime"] = "8:00:00"
    for job in manifest["jobs"]:
        job["gpu_hours"] *= 2


MORE = {"resources": {"nodes": 3, "gpus_per_node": 4}, "retry": {"attempts": 3, "failed": 2}}
SECRET = {"parts": [{"secret": "HF_TOKEN", "scope": "host"}]}
OPTIONS = [
    ("tensor-parallel-size", ": it was 1"),
    ("pipeline-parallel-size", ": it was 1"),
    ("data-parallel-size", ": it was 1"),
    ("trust-remote-code", ""),
    ("gpu-memory-utilization", ": it was 0.95"),
]
MODEL = PLAN["services"][0]

CASES: list[tuple[str, Edit, list[str]]] = [
    ("nothing", lambda _p, _m: None, []),
    ("the text alone", lambda _p, m: m["files"]["README.md"].update(sha256="0" * 64), []),
    (
        "another compiler, first",
        lambda p, m: (m["compiler"].update(version="9.0"), p.update(name="x")),
        [f"compiled by evalc {MANIFEST['compiler']['version']} → evalc 9.0; what differs below may be the compiler's doing",
         "name slurm_judge → x"],
    ),
    ("another engine", lambda _p, m: m["needs"].update(engine="apptainer"), ["engine pyxis → apptainer"]),
    (
        "a folder that is known later",
        lambda p, _m: p.update(output_dir={"parts": [{"env": "OUT", "default": "/x"}, "/y"]}),
        ["output folder /lustre/nlp/evaluations → ${oc.env:OUT,/x}/y"],
    ),
    ("walltime and its costs", double, ["walltime 4:00:00 → 8:00:00 on both jobs", "GPU hours 1280 → 2560, at most"]),
    ("walltime of one", lambda p, _m: p["jobs"][0]["resources"].update(walltime=90061), [f"walltime 4:00:00 → 1-01:01:01 on job {A}"]),
    ("no walltime", lambda p, _m: [j["resources"].update(walltime=None) for j in p["jobs"]], ["walltime 4:00:00 → unlimited on both jobs"]),
    ("no bound of costs", lambda _p, m: m["jobs"][0].update(gpu_hours=None), ["GPU hours 1280 → unlimited, at most"]),
    ("a backend that can't tell costs", lambda _p, m: [job.pop("gpu_hours") for job in m["jobs"]], ["GPU hours 1280 → unknown, at most"]),
    (
        "more of everything",
        lambda p, _m: [j[part].update(x) for j in p["jobs"] for part, x in MORE.items()],
        ["nodes 2 → 3 on both jobs", "GPUs per node 8 → 4 on both jobs", "attempts 10 → 3 on both jobs",
         "attempts after one that failed 0 → 2 on both jobs"],
    ),
    ("a key of execution", lambda p, _m: p["options"].update(partition="long"), ["execution.partition gpu → long"]),
    ("a key within a key", lambda p, _m: p["options"]["mounts"].update(mount_home=False), ["execution.mounts.mount_home true → false"]),
    ("a key that is told of jobs, and not there", lambda p, _m: p["options"].update(gres="gpu:4"), ["execution.gres gpu:8 → gpu:4"]),
    ("a new secret", lambda _p, m: m["needs"]["secrets"].append("Z_TOKEN"), ["new secret Z_TOKEN"]),
    ("a secret less", lambda _p, m: m["needs"].update(secrets=[]), [f"secret {name} is not needed any more" for name in MANIFEST["needs"]["secrets"]]),
    ("a tool and a variable", lambda _p, m: (m["needs"]["tools"].append("x"), m["needs"]["runtime_env"].append("Y")), ["new variable Y", "new tool x"]),
    ("an image of nobody's", lambda _p, m: m["needs"]["images"].append("haproxy:3"), ["new image haproxy:3"]),
    ("a task more", one_more, ["task third added", "GPU hours 1280 → 1920, at most"]),
    ("a task less", lambda p, m: (p["jobs"].pop(), m["jobs"].pop()), [f"task {B} removed", "GPU hours 1280 → 640, at most"]),
    ("another order", lambda p, _m: p["jobs"].reverse(), ["the tasks are in another order"]),
    ("a server less", lambda p, _m: (p["services"].pop(), [j.update(services=["model"]) for j in p["jobs"]]), ["server judge removed"]),
    ("a server that a job does without", lambda p, _m: p["jobs"][0].update(services=["model"]), [f'servers ["model", "judge"] → ["model"] on job {A}']),
    (
        "one job for all",
        lambda p, _m: p.update(jobs=[{**p["jobs"][0], "id": p["name"], "steps": steps(p)}]),
        ["job all tasks added", f"job {A} removed", f"job {B} removed"],
    ),
    (
        "another version of the server's image",
        lambda p, m: (p["services"][0].update(image="vllm/vllm-openai:v1"), m["needs"]["images"].append("vllm/vllm-openai:v1")),
        ["image vllm/vllm-openai:latest → vllm/vllm-openai:v1 of server model"],
    ),
    ("a pinned image", lambda p, _m: p["services"][0].update(image=f"{MODEL['image']}@sha256:{'ab' * 32}"), ["image vllm/vllm-openai:latest is pinned to sha256:abababababab of server model"]),
    ("no containers", lambda p, _m: [s.update(image=None) for s in p["services"]], ["image vllm/vllm-openai:latest → none of both servers"]),
    (
        "options of a server's command",
        lambda p, _m: p["services"][1]["command"]["argv"].__setitem__(3, "--tensor-parallel-size=4"),
        ["--tensor-parallel-size 8 → 4 of server judge"],
    ),
    ("a flag", lambda p, _m: p["services"][1]["command"]["argv"].append("--enforce-eager"), ["--enforce-eager added to server judge"]),
    ("a flag less", lambda p, _m: p["services"][1]["command"]["argv"].remove("--trust-remote-code"), ["--trust-remote-code removed from server judge"]),
    (
        "a port is told once",
        lambda p, _m: (p["services"][0].update(port=9), p["services"][0]["command"]["argv"].__setitem__(7, "9")),
        ["port 8000 → 9 of server model"],
    ),
    ("a command of bash", lambda p, _m: p["services"][0].update(command={"shell": "a\nb\n"}),
     ["command changed of server model",
      *[f"--{o} removed from server model{v}" for o, v in OPTIONS]]),
    ("seconds to be ready", lambda p, _m: p["services"][1].update(readiness_timeout=60), ["seconds to be ready 3600 → 60 of server judge"]),
    ("an endpoint more", lambda p, _m: p["services"][1]["endpoints"].update(x="/v1/x"), ["path of the endpoint x added to server judge: /v1/x"]),
    ("a variable of a server", lambda p, _m: p["services"][0]["env"].append({"name": "HF_TOKEN", "value": SECRET}), ["variable HF_TOKEN added to server model: host:HF_TOKEN"]),
    ("a mount", lambda p, _m: p["services"][0]["mounts"][0].update(read_only=True), ["mount /root/.cache/huggingface /lustre/nlp/huggingface → /lustre/nlp/huggingface (read only) of server model"]),
    (
        "a setting of all tasks",
        lambda p, _m: [s["run_config"]["config"]["params"].update(temperature=0.6) for s in steps(p)],
        ["config.params.temperature added to both tasks: 0.6"],
    ),
    (
        "a setting of a list of settings",
        lambda p, _m: steps(p)[0]["run_config"]["target"].update(x=[{"name": "caching"}]),
        [f"target.x.0.name added to task {A}: caching"],
    ),
    (
        "what follows from a task is told once",
        lambda p, _m: (steps(p)[0].update(model_id="m"), steps(p)[0]["run_config"]["target"]["api_endpoint"].update(model_id="m")),
        [f"model qwen3-8b → m of task {A}"],
    ),
    ("fewer samples", lambda p, _m: steps(p)[0].update(limit_samples="5"), [f"samples unlimited → 5 of task {A}"]),
    ("a command of two lines", lambda p, _m: steps(p)[0].update(pre_cmd="a\nb"), [f"pre_cmd changed of task {A}"]),
    ("a data set", lambda p, _m: steps(p)[0].update(dataset={"source": "/d", "target": "/datasets", "read_only": True}),
     [f"data set added to task {A}: /d", f"data set's place in the container added to task {A}: /datasets"]),
    ("a file", lambda p, _m: steps(p)[0]["files"].append({"path": "a.py", "sha256": "ab" * 32, "executable": True}), [f"file a.py added to task {A}: sha256 abababababababab, a program"]),
    ("what would move a cursor", lambda p, _m: p["options"].update(partition="a\x1b[2J"), ["execution.partition gpu → a\\x1b[2J"]),
    ("true is not 1", lambda p, _m: p["options"].update(nodes=True), ["execution.nodes 1 → true"]),
    ("1.0 is", lambda p, _m: p["options"].update(nodes=1.0), []),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_differs_is_said(edit: Edit, expected: list[str]) -> None:
    assert said(edit) == expected


def test_some_of_many_are_counted_or_named() -> None:
    def five(plan: Documents, manifest: Documents) -> None:
        for number in range(3):
            one_more(plan, manifest, f"t{number}")

    def slow(count: int) -> Edit:
        return lambda p, _m: [j["resources"].update(walltime=60) for j in p["jobs"][-count:]]

    assert said(slow(1), before=five) == ["walltime 4:00:00 → 0:01:00 on job t2"]
    assert said(slow(3), before=five) == ["walltime 4:00:00 → 0:01:00 on 3 jobs: t0, t1, t2"]
    assert said(slow(4), before=five) == ["walltime 4:00:00 → 0:01:00 on 4 of 5 jobs"]
    assert said(slow(5), before=five) == ["walltime 4:00:00 → 0:01:00 on all 5 jobs"]


def test_a_digest_that_changed_is_told_as_that() -> None:
    def pin(digits: str) -> Edit:
        return lambda p, _m: p["services"][0].update(image=f"r.io:5000/v:1@sha256:{digits * 32}")

    assert said(pin("cd"), before=pin("ab")) == [
        "image r.io:5000/v:1 changed digest: sha256:abababababab → sha256:cdcdcdcdcdcd of server model"
    ]
    (change,) = differ(pin("cd"), before=pin("ab"))
    assert (change.of, change.names, change.total) == (Of.SERVER, ("model",), 2)


def test_a_change_backwards_is_the_other_kind() -> None:
    old, new = facts_of(PLAN, MANIFEST), copy.deepcopy((PLAN, MANIFEST))
    one_more(*new)
    (added, _), (removed, _) = (
        meaning(old, facts_of(*new)),
        meaning(facts_of(*new), old),
    )
    assert (added.kind, added.before, added.after) == ("added", MISSING, "third")
    assert (removed.kind, removed.before, removed.after) == ("removed", "third", MISSING)


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "0:00:59"), (86399, "23:59:59"), (86400, "1-00:00:00")]
)
def test_times_are_as_people_write_them(seconds: int, text: str) -> None:
    assert walltime(seconds) == text
