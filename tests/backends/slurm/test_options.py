"""The keys of ``execution`` that only Slurm knows, and what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from backends.slurm.lowering import HOSTED, SERVED, SERVER, TASK, Lowering

from evalc.backends.slurm.options import (
    SCRIPT_VARIABLES,
    Options,
    gpu_flags,
    provided_variables,
    proxy_ports,
)
from evalc.words import RuntimeEnv, literal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> Lowering:
    """Writes configs into a folder of its own."""
    return Lowering(tmp_path)


def options(config: Lowering, execution: str, rest: str = HOSTED + TASK) -> Options:
    return Options.of(config.lowered(execution, rest)[0].options)


def test_defaults(config: Lowering) -> None:
    found = options(config, "")
    # A plan of somebody else's may leave out what the built-in group has.
    assert found.engine == "pyxis"
    assert (found.account, found.partition, found.qos) == (None, None, None)
    assert (found.comment, found.subproject) == (None, None)
    assert (found.gres, found.gpus_per_node, found.memory) == ("gpu:8", None, None)
    assert (found.ntasks_per_node, found.cpus_per_task) == (None, None)
    assert (found.extra_flags, found.walltime, found.setup) == ((), "01:00:00", "")
    assert (found.strategy, found.signal_before) == ("self", 120)
    assert (found.array, found.array_limit, found.parallelism) == (False, None, 1)
    assert (found.mount_home, found.gpus_visible) == (True, None)
    proxy = found.proxy
    assert (proxy.port, proxy.image) == (5009, literal("haproxy:latest"))
    assert (proxy.health_path, proxy.health_status) == (None, 200)


def test_every_key(config: Lowering) -> None:
    execution = """\
        engine: apptainer
        account: nlp
        partition: a,b
        qos: high
        comment: "50% of # it"
        subproject: safety
        gres: gpu:a100:4
        gpus_per_node: 4
        ntasks_per_node: 2
        cpus_per_task: 16
        memory: 0
        walltime: 90
        setup: module load cuda
        mounts: {mount_home: false}
        proxy: {image: "${oc.env:IMAGE}", config: {haproxy_port: 5, health_check_path: /up, health_check_status: 204}}
        evaluation_gpu_visible: 0,1
        array: true
        array_limit: 7
        resume: {strategy: none, signal_before: 0}
        """
    found = options(config, execution)
    assert found == Options(
        engine="apptainer",
        account="nlp",
        partition="a,b",
        cpu_partition=None,
        qos="high",
        comment="50% of # it",
        subproject="safety",
        gres="gpu:a100:4",
        gpus_per_node=4,
        ntasks_per_node=2,
        cpus_per_task=16,
        memory="0",
        extra_flags=(),
        walltime="90",
        setup="module load cuda",
        strategy="none",
        signal_before=0,
        array=True,
        array_limit=7,
        parallelism=1,
        mount_home=False,
        proxy=found.proxy,
        gpus_visible="0,1",
    )
    assert found.proxy.image == (RuntimeEnv("IMAGE"),)
    assert (found.proxy.port, found.proxy.health_path, found.proxy.health_status) == (5, "/up", 204)


def test_further_flags_keep_their_order_and_their_values(config: Lowering) -> None:
    flags = (
        "{switches: 1, exclusive: true, hold: false, constraint: 'a&b', mail-user: null, x-a: 1}"
    )
    found = options(config, f"sbatch_extra_flags: {flags}")
    assert found.extra_flags == (("switches", "1"), ("exclusive", None), ("constraint", "a&b"))


@pytest.mark.parametrize(
    ("given", "visible"),
    [
        ("true", "all"),
        ("false", None),
        ("null", None),
        ("0", "0"),
        ("'0,2'", "0,2"),
        ("all", "all"),
    ],
)
def test_gpus_that_evaluations_see(config: Lowering, given: str, visible: str | None) -> None:
    assert options(config, f"evaluation_gpu_visible: {given}").gpus_visible == visible


@pytest.mark.parametrize(
    ("execution", "gpus", "flags"),
    [
        ("", "all", [("gres", "gpu:8")]),
        # A site without GPUs would refuse what nobody asked for.
        ("", "none", []),
        ("gres: gpu:8", "none", [("gres", "gpu:8")]),
        ("gres: null", "all", []),
        ("gpus_per_node: 4", "all", [("gpus-per-node", "4")]),
        ("gpus_per_node: 4\ngres: nvme:1", "all", [("gpus-per-node", "4"), ("gres", "nvme:1")]),
    ],
)
def test_flags_for_gpus(
    config: Lowering, execution: str, gpus: str, flags: list[tuple[str, str]]
) -> None:
    plan = config.plan(execution, f"deployment: {{{SERVER}, gpus: {gpus}}}\n{TASK}")
    assert gpu_flags(plan, Options.of(plan.options)) == flags


def test_a_task_without_a_server_asks_for_no_gpus(config: Lowering) -> None:
    plan = config.plan("", HOSTED + TASK)
    assert gpu_flags(plan, Options.of(plan.options)) == []


def test_ports_of_load_balancers_and_variables_of_scripts(config: Lowering) -> None:
    two = "num_nodes: 2, num_instances: 2"
    rest = f"auxiliary_deployments: {{a: {{{SERVER}, {two}}}, b: {{{SERVER}}}, c: {{{SERVER}, {two}}}}}\n"
    plan = config.plan("nodes: 2\nnum_instances: 2", SERVED + rest + TASK)
    assert proxy_ports(plan, Options.of(plan.options)) == {"model": 5009, "a": 5010, "c": 5011}
    of_services = {f"{s}_{v}" for s in "ABC" for v in ("CHAT_URL", "COMPLETIONS_URL", "MODEL_ID")}
    assert provided_variables(plan) == SCRIPT_VARIABLES | of_services
