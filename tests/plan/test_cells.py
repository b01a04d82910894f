"""The plans of a matrix's cells: each as it would be alone, under names of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from evalc.bundle.diff import texts
from evalc.errors import ConfigError
from evalc.plan.serialise import plan_text

if TYPE_CHECKING:
    from plan.configs import Config

    from evalc.plan import Plan

TASKS = """
evaluation:
  tasks:
    - {name: lm-evaluation-harness.ifeval}
    - {name: own, container: i, command: "true"}
"""
SLURM = """
defaults: [{execution: slurm/default}, {deployment: vllm}, _self_]
execution: {output_dir: /results, account: a, gpus_per_node: 8}
deployment: {image: "vllm:1", served_model_name: m}
"""
MATRIX = """
matrix:
  model:
    - {name: small, deployment.hf_model_handle: o/small, execution.gpus_per_node: 1}
    - name: large
      deployment: {checkpoint_path: /ckpt, tensor_parallel_size: 8}
      execution: {walltime: "8:00:00", num_nodes: 2, partition: big}
"""
# The same two as -o has it.
SMALL = ("++deployment.hf_model_handle=o/small", "++execution.gpus_per_node=1")
LARGE = (
    "++deployment={checkpoint_path: /ckpt, tensor_parallel_size: 8}",
    "++execution={walltime: '8:00:00', num_nodes: 2, partition: big}",
)


def alone(plan: Plan, cell: str) -> list[str]:
    """The jobs and servers of a cell as they would be called without a matrix, as JSON."""
    (part,) = (part for part in plan.cells if part.cell == cell)

    def bare(name: str) -> str:
        return name.removeprefix(f"{cell}.")

    jobs = tuple(
        replace(
            job,
            id=plan.name if job.id == cell else bare(job.id),
            steps=tuple(replace(step, id=bare(step.id)) for step in job.steps),
            services=tuple(replace(one, name=bare(one.name)) for one in job.services),
            cell="",
            options=None,
        )
        for job in part.jobs
    )
    return plan_text(replace(part, jobs=jobs)).splitlines()


@pytest.mark.parametrize("sharing", ["per_task", "shared"])
@pytest.mark.parametrize(("cell", "overrides"), [("small", SMALL), ("large", LARGE)])
def test_a_cell_is_what_the_same_overrides_give(
    config: Config, sharing: str, cell: str, overrides: tuple[str, ...]
) -> None:
    shared = f"execution.sharing={sharing}"
    plan = config.plan(SLURM + MATRIX + TASKS, shared)
    assert (
        alone(plan, cell) == plan_text(config.plan(SLURM + TASKS, shared, *overrides)).splitlines()
    )


def test_the_scripts_of_a_cell_are_those_of_the_same_overrides(config: Config) -> None:
    """But for the names, and the digests of what these stand in."""
    files = config.compiled(SLURM + MATRIX + TASKS).bundle.files
    same = config.compiled(SLURM + TASKS, *LARGE).bundle.files
    mine = files["large.own/sbatch_large.own.sh"].data.decode()
    theirs = same["own/sbatch_own.sh"].data.decode()
    digest = r"own:"
    assert [line for line in mine.replace("large.", "").splitlines() if digest not in line] == [
        line for line in theirs.splitlines() if digest not in line
    ]
    config_file = "large.lm-evaluation-harness.ifeval/run_config.yml"
    assert files[config_file].data == same[config_file.removeprefix("large.")].data


def test_what_jobs_have_in_common_is_said_once(config: Config) -> None:
    plan = config.plan(SLURM + MATRIX + TASKS)
    assert plan.options["account"] == "a"
    own = {job.id: job.options for job in plan.jobs}
    small, large = own["small.own"], own["large.own"]
    assert small
    assert large
    assert (small["gpus_per_node"], large["gpus_per_node"]) == (1, 8)
    assert (large["partition"], large["nodes"], large["walltime"]) == ("big", 2, "8:00:00")
    assert set(large).isdisjoint(plan.options)
    assert [job.resources.nodes for job in plan.jobs] == [1, 1, 2, 2]
    assert [service.name for service in plan.services] == ["small.model", "large.model"]
    written = json.loads(plan_text(plan))["jobs"]
    assert [job["cell"] for job in written] == ["small", "small", "large", "large"]


@pytest.mark.parametrize(
    ("wanted", "jobs"),
    [
        (("own",), ["small.own", "large.own"]),
        (("large",), ["large.lm-evaluation-harness.ifeval", "large.own"]),
        (("small.own",), ["small.own"]),
        (("large.own", "ifeval"), [
            "small.lm-evaluation-harness.ifeval", "large.lm-evaluation-harness.ifeval", "large.own",
        ]),
    ],
)  # fmt: skip
def test_tasks_are_picked_by_their_names_cells_and_ids(
    config: Config, wanted: tuple[str, ...], jobs: list[str]
) -> None:
    assert [job.id for job in config.plan(SLURM + MATRIX + TASKS, tasks=wanted).jobs] == jobs


def test_a_selection_that_nothing_matches(config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        config.compiled(SLURM + MATRIX + TASKS, tasks=("larg",))
    (problem,) = caught.value.problems
    assert problem.label == "did you mean 'large'?"


LOCAL = """
defaults: [{execution: local}, {deployment: vllm}, _self_]
execution: {engine: docker}
deployment: {image: "vllm:1", served_model_name: m}
"""
LEPTON = """
defaults: [{execution: lepton/default}, {deployment: vllm}, _self_]
execution:
  lepton_platform: {tasks: {mounts: [{from: "v:x", path: /x, mount_path: /x}]}}
deployment: {image: "vllm:1", served_model_name: m, lepton_config: {resource_shape: gpu.1xh200}}
"""
OF_ALL = (
    "manifest.json", "plan.json", "config.yaml", "README.md", "submit_all.sh", "run_all.sh",
    "lepton.json",
)  # fmt: skip


@pytest.mark.parametrize("base", [SLURM, LOCAL, LEPTON], ids=["slurm", "local", "lepton"])
def test_a_cell_more_is_seen_and_nothing_else(config: Config, base: str) -> None:
    matrix = "matrix:\n  model:\n    - {name: small, deployment.hf_model_handle: o/s}\n"
    # Before the others and after them; another option may be no longer common.
    own = "{name: tiny, deployment.hf_model_handle: o/t, execution.endpoint_readiness_timeout: 9}"
    for more in (matrix.replace("- {", f"- {own}\n    - {{"), f"{matrix}    - {own}\n"):
        for sharing in ("per_task", "shared"):
            shared = f"execution.sharing={sharing}"
            before = config.compiled(base + matrix + TASKS, shared).bundle.files
            after = config.compiled(base + more + TASKS, shared).bundle.files
            for file in texts(before, after):
                is_own = file.path.startswith(("tiny/", "tiny.", "services/tiny."))
                assert is_own or file.path in OF_ALL, "\n".join(file.lines)


def test_cells_do_not_start_servers_side_by_side(config: Config) -> None:
    tasks = "\nevaluation: {tasks: [{name: own, container: i, command: x}]}\n"
    base = LOCAL.replace("engine: docker", "engine: docker, mode: parallel, sharing: per_task")
    matrix = MATRIX.replace(", num_nodes: 2, partition: big", "").replace("walltime", "x-w")
    matrix = matrix.replace("execution.gpus_per_node", "execution.x-gpus")
    (problem,) = config.problems(base + matrix + tasks)
    assert "can't each start a server on the same port" in problem.message
    config.plan(base + matrix + tasks, "execution.sharing=shared")


def test_what_is_of_the_whole_run_can_not_differ(config: Config) -> None:
    matrix = """
matrix:
  execution.output_dir: [{name: x, value: /x}, {name: y, value: /y}]
  model: [{name: m, deployment.hf_model_handle: o/m}]
"""
    problems = config.problems(SLURM.replace("output_dir: /results, ", "") + matrix + TASKS)
    assert [problem.message for problem in problems] == [
        "'execution.output_dir' is of the whole run, and can't differ between cells of the matrix"
    ]
    matrix = matrix.replace("output_dir", "engine").replace("/x", "none").replace("/y", "pyxis")
    (problem,) = config.problems(SLURM + matrix + TASKS)
    assert "'execution.engine' is of the whole run" in problem.message
    matrix = MATRIX.replace("execution.gpus_per_node: 1", "export.wandb.group: small")
    (problem,) = config.problems(SLURM + matrix + TASKS + "export: {wandb: {project: p}}\n")
    assert "'export' is of the whole run" in problem.message


def test_the_same_problem_of_several_cells_is_told_once(config: Config) -> None:
    tasks = TASKS.replace("ifeval", "ifevall")
    (problem,) = config.problems(SLURM + MATRIX + tasks)
    assert problem.code == "unknown-task"


def test_one_run_may_hold_a_hosted_model_and_a_served_one(config: Config) -> None:
    plan = config.plan(
        """
defaults: [{execution: local}, {deployment: none}, _self_]
execution: {engine: none}
matrix:
  model:
    - {name: hosted, target.api_endpoint: {url: "http://h/v1/chat/completions", model_id: h}}
    - name: served
      deployment: {type: generic, served_model_name: s, command: serve}
"""
        + TASKS.replace("lm-evaluation-harness.ifeval", "ifeval, command: x")
    )
    assert [(job.id, len(job.services), len(job.steps)) for job in plan.jobs] == [
        ("hosted.ifeval", 0, 1),
        ("hosted.own", 0, 1),
        ("served", 1, 2),
    ]


def test_what_one_cell_uses_is_not_without_effect(config: Config) -> None:
    mirror = "image_mirror: {r.io/s: m/s, r.io/l: m/l, r.io/none: m/n}"
    base = SLURM.replace("account: a", f"account: a, {mirror}")
    matrix = """
matrix:
  model:
    - {name: small, deployment.hf_model_handle: o/s, deployment.image: "r.io/s/v:1"}
    - {name: large, deployment.hf_model_handle: o/l, deployment.image: "r.io/l/v:1"}
"""
    (warning,) = config.compiled(base + matrix + TASKS).warnings
    assert "r.io/none" in warning.message
