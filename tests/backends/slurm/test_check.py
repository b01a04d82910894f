"""What Slurm refuses or warns of, beyond the files in ``examples/invalid``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from backends.slurm.lowering import HOSTED, SERVED, SERVER, TASK, TWO, Lowering

from evalc.backends.slurm.check import MAX_ARRAY

if TYPE_CHECKING:
    from pathlib import Path

PAIR = "nodes: 2\nnum_instances: 2"


@pytest.fixture
def config(tmp_path: Path) -> Lowering:
    """Writes configs into a folder of its own."""
    return Lowering(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("account", '"a b"'),
        ("account", '"a\\nb"'),
        ("account", "-a"),
        ("partition", '"a\'b"'),
        ("qos", '"a#b"'),
        ("subproject", '"a\\\\b"'),
        ("gres", '"gpu:1 --wrap"'),
        ("walltime", "1-2-3"),
        ("walltime", "-1"),
        ("max_walltime", "soon"),
        ("memory", "64 G"),
        ("memory", "-1"),
        ("evaluation_gpu_visible", '"0 1"'),
    ],
)
def test_values_without_the_form_that_they_need(config: Lowering, key: str, value: str) -> None:
    ((code, at),) = config.errors(f"{key}: {value}", HOSTED + TASK)
    assert code == "bad-value"
    assert at == value


@pytest.mark.parametrize(
    "key", ["account", "partition", "qos", "comment", "gres", "walltime", "memory"]
)
def test_values_that_must_be_known_now(config: Lowering, key: str) -> None:
    found = config.errors(f"{key}: ${{oc.env:X}}", HOSTED + TASK)
    assert found == [("needs-value", "${oc.env:X}")]


@pytest.mark.parametrize("value", ['"a\\nb"', '"a\\tb"', '"a\\u2028b"'])
def test_values_that_a_directive_can_not_carry(config: Lowering, value: str) -> None:
    assert config.errors(f"comment: {value}", HOSTED + TASK) == [("cannot-carry", "comment")]
    flag = f"sbatch_extra_flags: {{constraint: {value}}}"
    assert config.errors(flag, HOSTED + TASK) == [("cannot-carry", "constraint")]


@pytest.mark.parametrize("value", ["a b", "ü # $HOME `id` $(id) ; & |", "-x", "100%"])
def test_values_that_it_can(config: Lowering, value: str) -> None:
    assert config.plan(f"comment: '{value}'", HOSTED + TASK).options["comment"] == value


@pytest.mark.parametrize("flag", ["job-name", "output", "nodes", "array", "parsable", "dependency"])
def test_flags_that_are_not_the_users(config: Lowering, flag: str) -> None:
    # Left out or not: it does not do what it says.
    for value in ("1", "true", "false"):
        found = config.errors(f"sbatch_extra_flags: {{{flag}: {value}}}", HOSTED + TASK)
        assert found == [("contradiction", flag)]


def test_flags_that_are(config: Lowering) -> None:
    flags = "{exclusive: true, constraint: 'a|b', switches: 1, x-why: any, unheard-of: 1}"
    config.plan(f"sbatch_extra_flags: {flags}", HOSTED + TASK)


@pytest.mark.parametrize("where", ["/o", "'${oc.env:HOME}/o'", "'${oc.env:O}'"])
def test_folders_that_every_node_finds(config: Lowering, where: str) -> None:
    config.plan(f"output_dir: {where}", HOSTED + TASK)


@pytest.mark.parametrize("where", ["o", "./o", "'~/o'", "'x/${oc.env:HOME}'"])
def test_folders_that_none_finds(config: Lowering, where: str) -> None:
    ((code, at),) = config.errors(f"output_dir: {where}", HOSTED + TASK)
    assert (code, at) == ("contradiction", "output_dir")


def test_a_config_must_say_where(config: Lowering) -> None:
    ((code, _),) = config.errors("output_dir: null", HOSTED + TASK)
    assert code == "wrong-type"


@pytest.mark.parametrize(
    ("execution", "key"),
    [
        (PAIR.replace("nodes: 2", "nodes: 3"), "num_instances"),
        (f"{PAIR}\ndeployment: {{n_tasks: 3}}", "n_tasks"),
        ("nodes: 2\ndeployment: {n_tasks: 1}", "n_tasks"),
    ],
)
def test_servers_and_nodes(config: Lowering, execution: str, key: str) -> None:
    assert config.errors(execution, SERVED + TASK) == [("contradiction", key)]


def test_more_processes_than_nodes_are_fine(config: Lowering) -> None:
    config.plan("nodes: 2\ndeployment: {n_tasks: 16}", SERVED + TASK)


@pytest.mark.parametrize(
    ("port", "proxy", "judges", "at"),
    [
        (5009, "", 0, "port"),
        (5010, "", 1, "port"),
        (8000, "\nproxy: {config: {haproxy_port: 8000}}", 0, "haproxy_port"),
        (8000, "\nproxy: {config: {haproxy_port: 5011}}", 2, "haproxy_port"),
    ],
)
def test_ports_that_clash(config: Lowering, port: int, proxy: str, judges: int, at: str) -> None:
    pair = f"{{{SERVER}, num_nodes: 2, num_instances: 2}}"
    names = ", ".join(f"j{number}: {pair}" for number in range(judges))
    rest = f"deployment: {{{SERVER}, port: {port}}}\nauxiliary_deployments: {{{names}}}\n{TASK}"
    assert config.errors(PAIR + proxy, rest) == [("contradiction", at)]


def test_ports_that_do_not(config: Lowering) -> None:
    # A judge has nodes of its own, and one server needs no load balancer.
    rest = f"deployment: {{{SERVER}, port: 5009}}\nauxiliary_deployments: {{j: {{{SERVER}, port: 5009}}}}\n"
    config.plan("", rest + TASK)


@pytest.mark.parametrize(
    ("execution", "key"),
    [
        ("walltime: 2-0\nmax_walltime: 1-0", "max_walltime"),
        ("walltime: 121:00:00", "walltime"),
        ("walltime: UNLIMITED", "walltime"),
        ("walltime: 2:00\nresume: {signal_before: 120}", "signal_before"),
    ],
)
def test_times_that_contradict(config: Lowering, execution: str, key: str) -> None:
    assert config.errors(execution, HOSTED + TASK) == [("contradiction", key)]


@pytest.mark.parametrize(
    "execution",
    [
        "walltime: 120:00:00",
        "walltime: 1",
        "walltime: UNLIMITED\nmax_walltime: null",
        "walltime: 1\nresume: {signal_before: 0}",
        "walltime: 1\nresume: {signal_before: 59}",
    ],
)
def test_times_that_do_not(config: Lowering, execution: str) -> None:
    config.plan(execution, HOSTED + TASK)


def test_arrays(config: Lowering) -> None:
    config.plan("array: true\narray_limit: 2", HOSTED + TWO)
    assert config.errors("array: true", SERVED + TWO) == [("contradiction", "array")]
    assert config.errors("array: true\nsharing: shared", HOSTED + TWO) == [
        ("contradiction", "array")
    ]


def test_an_array_has_an_end(config: Lowering) -> None:
    def tasks(count: int) -> str:
        items = "".join(f"    - {{name: t{n}, container: i, command: c}}\n" for n in range(count))
        return f"evaluation:\n  tasks:\n{items}"

    config.plan("array: true", HOSTED + tasks(MAX_ARRAY))
    assert config.errors("array: true", HOSTED + tasks(MAX_ARRAY + 1)) == [
        ("contradiction", "array")
    ]


@pytest.mark.parametrize(
    ("execution", "rest", "keys"),
    [
        ("array_limit: 3", HOSTED, ["execution.array_limit"]),
        ("parallelism: 3", HOSTED, ["execution.parallelism"]),
        ("nodes: 2\nnum_instances: 2", HOSTED, ["execution.nodes", "execution.num_instances"]),
        ("auto_export: {launcher_install_cmd: 'true'}", HOSTED, ["execution.auto_export"]),
        (
            "auto_export: {destinations: [local], export_mounts: {/a: /b}}",
            HOSTED,
            ["execution.auto_export.export_mounts"],
        ),
        (
            "auto_export: {destinations: [local], export_image: i, export_mounts: {/a: /b}}",
            HOSTED,
            ["execution.auto_export.export_image"],
        ),
        (
            "engine: none\nauto_export: {destinations: [gsheets], export_image: i}",
            HOSTED,
            ["execution.auto_export.export_image"],
        ),
        ("", f"deployment: {{{SERVER}, head_command: [ray]}}\n", ["deployment.head_command"]),
        (
            "engine: none\nmounts: {deployment: {/a: /b}}\nevaluation_gpu_visible: true",
            SERVED,
            ["execution.mounts.deployment", "execution.evaluation_gpu_visible"],
        ),
    ],
)
def test_keys_without_an_effect(
    config: Lowering, execution: str, rest: str, keys: list[str]
) -> None:
    assert config.warnings(execution, rest + TASK) == keys


def test_built_in_keys_are_nobodys_fault(config: Lowering) -> None:
    ray = "deployment: {type: vllm_ray, hf_model_handle: a/b, served_model_name: m}\n"
    config.plan("engine: none", ray + TASK)


@pytest.mark.parametrize("engine", ["pyxis", "apptainer"])
@pytest.mark.parametrize(
    ("mounts", "error"),
    [
        ("{deployment: {a: /b}}", ("contradiction", "a")),
        ("{evaluation: {'/a,b': /c}}", ("cannot-carry", "'/a,b'")),
        ("{evaluation: {'/a:b': /c}}", ("cannot-carry", "'/a:b'")),
        ("{evaluation: {/a: '/b,c'}}", ("cannot-carry", "/a")),
        ('{evaluation: {"/a\\nb": /c}}', ("cannot-carry", '"/a\\nb"')),
        ("{auxiliary: {nobody: {/a: /b}}}", ("contradiction", "nobody")),
    ],
)
def test_mounts(config: Lowering, engine: str, mounts: str, error: tuple[str, str]) -> None:
    assert config.errors(f"engine: {engine}\nmounts: {mounts}", SERVED + TASK) == [error]


def test_a_place_that_is_a_variable_alone(config: Lowering) -> None:
    """There is no text to find it by."""
    task = "evaluation: {tasks: [{name: t, container: i, command: c, dataset_dir: '${oc.env:SETS}'}]}\n"
    config.plan("", HOSTED + task)


def test_a_text_is_not_found_where_nothing_is_said(config: Lowering) -> None:
    task = TASK.replace("}]", ", dataset_dir: 'null'}]")
    assert config.errors("hostname: null", HOSTED + task) == [("contradiction", "'null'")]


@pytest.mark.parametrize("engine", ["pyxis", "none"])
def test_data_sets_have_a_place(config: Lowering, engine: str) -> None:
    task = "evaluation: {tasks: [{name: t, container: i, command: c, dataset_dir: sets/a}]}\n"
    ((code, _),) = config.errors(f"engine: {engine}", HOSTED + task)
    assert code == "contradiction"
    config.plan(
        f"engine: {engine}", HOSTED + task.replace("sets", "'${oc.env:SETS}'").replace("'/a", "/a'")
    )


@pytest.mark.parametrize(
    "name", ["ALL_NODE_IPS", "MASTER_IP", "NODES_PER_INSTANCE", "PROC_ID", "RESULTS_DIR"]
)
@pytest.mark.parametrize(
    "block", ["env_vars: {%s: lit:1}\n", f"deployment: {{{SERVER}, env_vars: {{%s: lit:1}}}}\n"]
)
def test_variables_of_the_scripts(config: Lowering, name: str, block: str) -> None:
    rest = block % name + ("" if "deployment" in block else SERVED)
    assert config.errors("", rest + TASK) == [("bad-env-name", name)]


def test_setup_is_bash(config: Lowering) -> None:
    config.plan("setup: 'module load cuda; export A=$B'", HOSTED + TASK)
    assert config.errors("setup: 'if true'", HOSTED + TASK) == [("bad-command", "'if true'")]


@pytest.mark.parametrize("flag", ["dep: singleton", "requeu: true", "wra: id", "out: x"])
def test_flags_that_sbatch_would_complete(config: Lowering, flag: str) -> None:
    ((code, _),) = config.errors(f"sbatch_extra_flags: {{{flag}}}", HOSTED + TASK)
    assert code == "contradiction"


def test_gpus_is_a_flag_of_its_own(config: Lowering) -> None:
    config.plan("sbatch_extra_flags: {gpus: 2, mail-type: END}", HOSTED + TASK)


@pytest.mark.parametrize("path", ['/h?u="$USER"', "/a b", "/a#b", "/[a]"])
def test_health_paths_that_are_none(config: Lowering, path: str) -> None:
    rest = f"deployment: {{{SERVER}, endpoints: {{health: '{path}'}}}}\n{TASK}"
    ((code, _),) = config.errors("", rest)
    assert code == "contradiction"


@pytest.mark.parametrize("name", ["SLURM_JOB_ID", "SRUN_DEBUG", "SBATCH_QOS"])
def test_variables_of_slurm(config: Lowering, name: str) -> None:
    ((code, _),) = config.errors("", f"env_vars: {{{name}: lit:1}}\n{HOSTED}{TASK}")
    assert code == "bad-env-name"


def test_an_array_of_chains_queued_beforehand(config: Lowering) -> None:
    ((code, at),) = config.errors("array: true\nresume: {strategy: prequeued}", HOSTED + TWO)
    assert (code, at) == ("contradiction", "array")
