"""The Slurm cluster itself: what other tests take for granted about it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import clusters
import pytest
from waiting import wait_for

if TYPE_CHECKING:
    from clusters import Cluster

TESTS = Path(clusters.__file__).parent


def script(folder: Path, text: str) -> Path:
    """A job's script in the folder, which its log then goes to, too."""
    file = folder / "job.sh"
    file.write_text(f"#!/usr/bin/env bash\n#SBATCH --output={folder}/log\n{textwrap.dedent(text)}")
    return file


def log_of(slurm: Cluster, folder: Path, text: str, *options: str) -> list[str]:
    """Lines that a job with this script writes, which succeeds."""
    job = slurm.submit(*options, script(folder, text))
    state = slurm.wait(job, "COMPLETED", "FAILED")
    log = (folder / "log").read_text()
    assert state == "COMPLETED", log
    return log.splitlines()


def test_a_job_runs_on_a_node(slurm: Cluster, tmp_path: Path) -> None:
    (line,) = log_of(slurm, tmp_path, 'echo "$(hostname) $SLURMD_NODENAME $SLURM_JOB_PARTITION"')
    host, node, partition = line.split()
    assert host == node
    assert (node in clusters.NODES, partition) == (True, "batch")


def test_tests_of_the_cluster_are_one_group(slurm: Cluster, request: pytest.FixtureRequest) -> None:
    assert slurm.queue() == []
    groups = [mark.args for mark in request.node.iter_markers("xdist_group")]
    assert groups == [("slurm",)]


def test_a_step_spans_nodes_with_addresses_of_their_own(slurm: Cluster, tmp_path: Path) -> None:
    lines = log_of(slurm, tmp_path, "srun bash -c 'getent hosts $(hostname)'", "--nodes=4")
    addresses, names = zip(*(line.split() for line in lines), strict=True)
    assert sorted(names) == list(clusters.NODES)
    assert len(set(addresses)) == 4


def test_two_nodes_listen_on_one_port(slurm: Cluster, tmp_path: Path) -> None:
    text = f"""
        nodes=($(scontrol show hostnames))
        srun bash -c 'cd "$(mktemp -d)" && hostname >name &&
          exec {sys.executable} -m http.server 8000 2>/dev/null' &
        for node in "${{nodes[@]}}"; do
          curl --silent --retry 50 --retry-delay 1 --retry-connrefused "http://$node:8000/name"
        done
        kill $! && wait || true
    """
    names = log_of(slurm, tmp_path, text, "--nodes=2")
    assert len({*names} & {*clusters.NODES}) == 2


def test_only_the_shared_folders_are_shared(slurm: Cluster, tmp_path: Path) -> None:
    text = f"""
        srun bash -c 'touch /tmp/mine-$SLURM_NODEID "{tmp_path}/ours-$SLURM_NODEID"'
        srun bash -c 'ls -d /tmp/mine-* && rm /tmp/mine-*'
    """
    lines = log_of(slurm, tmp_path, text, "--nodes=2")
    assert sorted(lines) == ["/tmp/mine-0", "/tmp/mine-1"]
    assert sorted(path.name for path in tmp_path.glob("ours-*")) == ["ours-0", "ours-1"]
    assert not list(Path("/tmp").glob("mine-*"))


def test_nothing_outside_the_machine_is_reachable(slurm: Cluster) -> None:
    for node in clusters.NODES:
        routes = slurm.on(node, "ip", "-4", "route").stdout.splitlines()
        assert len(routes) == 1, routes
        assert re.match(r"10\.213\.\d+\.0/24 dev eth0 ", routes[0])


def test_jobs_submit_jobs(slurm: Cluster, tmp_path: Path) -> None:
    text = f"sbatch --parsable --wait --output={tmp_path}/inner --wrap=hostname"
    (inner,) = log_of(slurm, tmp_path, text)
    assert slurm.wait(inner, "COMPLETED") == "COMPLETED"
    assert (tmp_path / "inner").read_text().strip() in clusters.NODES


def test_gpus_are_counted(slurm: Cluster, tmp_path: Path) -> None:
    lines = log_of(slurm, tmp_path, "echo $CUDA_VISIBLE_DEVICES", "--gpus-per-node=3")
    assert lines == ["0,1,2"]
    refused = slurm("sbatch", "--gpus-per-node=9", script(tmp_path, "true"))
    assert refused.returncode != 0


def test_accounting_knows_the_exit_code(slurm: Cluster, tmp_path: Path) -> None:
    job = slurm.submit("--no-requeue", script(tmp_path, "exit 7"))
    slurm.wait(job, "FAILED")

    def row() -> str:
        return slurm("sacct", "-XnP", "-j", job, "--format=JobID,State,ExitCode").stdout.strip()

    # It lags behind the controller by a second or so.
    wait_for(lambda: row() == f"{job}|FAILED|7:0")


def test_a_walltime_ends_when_the_clock_moves(slurm: Cluster, tmp_path: Path) -> None:
    long = slurm.submit("--time=4:00:00", script(tmp_path, "sleep 600"))
    after = ("--dependency", f"afternotok:{long}", "--kill-on-invalid-dep=yes")
    successor = slurm.submit(*after, "--output=/dev/null", "--wrap=true")
    slurm.wait(long, "RUNNING")
    assert slurm.state(successor) == "PENDING"
    slurm.move_clock(4 * 3600 + 60)
    slurm.wait(long, "TIMEOUT", seconds=20)
    slurm.wait(successor, "COMPLETED", seconds=20)


def test_queries_tell_the_controllers_time(slurm: Cluster, tmp_path: Path) -> None:
    slurm.move_clock(24 * 3600)
    # The shell that is asked for sets a PATH of its own; accounting shows what began since midnight.
    text = """
        PATH=/usr/bin:/bin
        for ((tries = 0; tries < 50; tries++)); do
          ! sacct -XnP --format=JobID | grep -Fx "$SLURM_JOB_ID" || break
          sleep 0.1
        done
        squeue --noheader --job "$SLURM_JOB_ID" --format=%M
        date +%s
    """
    job, elapsed, date = log_of(slurm, tmp_path, text)
    assert job in slurm("sacct", "-XnP", "--format=JobID").stdout.split()
    assert re.fullmatch(r"0:0\d", elapsed)
    assert slurm.now() - int(date) > 24 * 3600 - 60


def test_a_lost_node_fails_its_jobs_and_comes_back(slurm: Cluster, tmp_path: Path) -> None:
    text = script(tmp_path, f"sleep 601; touch {tmp_path}/survived")
    job = slurm.submit("--no-requeue", "--nodelist=n2", text)
    slurm.wait(job, "RUNNING")
    slurm.lose_node("n2")
    slurm.wait(job, "NODE_FAIL", seconds=20)
    assert slurm.submit("--nodelist=n2", "--wrap=true", "--output=/dev/null") in slurm.queue()
    assert "sleep\x00601" not in command_lines()
    slurm.restore_node("n2")
    slurm.idle()


def test_jobs_that_allow_it_are_requeued(slurm: Cluster, tmp_path: Path) -> None:
    # All four nodes, and the job that preempts needs one of them.
    text = 'echo "run ${SLURM_RESTART_COUNT:-0}"; [[ -n ${SLURM_RESTART_COUNT:-} ]] || sleep 600'
    options = ("--nodes=4", "--exclusive", "--open-mode=append")
    job = slurm.submit(*options, script(tmp_path, text))
    slurm.wait(job, "RUNNING")
    wait_for((tmp_path / "log").exists)
    high = slurm.submit("--partition=high", "--output=/dev/null", "--wrap=true")
    slurm.wait(high, "COMPLETED", seconds=20)
    slurm.wait(job, "COMPLETED")
    runs = [line for line in (tmp_path / "log").read_text().splitlines() if line[:4] == "run "]
    assert runs == ["run 0", "run 1"]


def test_daemons_stop_and_start(slurm: Cluster, tmp_path: Path) -> None:
    job = slurm.submit(script(tmp_path, f"until [[ -e {tmp_path}/end ]]; do sleep 0.1; done"))
    slurm.wait(job, "RUNNING")
    slurm.stop("slurmctld")
    assert slurm("sbatch", "--wrap=true").returncode != 0
    (tmp_path / "end").touch()
    slurm.start("slurmctld")
    slurm.wait(job, "COMPLETED")
    slurm.stop("slurmdbd")
    assert slurm("sacct", "-j", job).returncode != 0
    assert slurm.state(job) == "COMPLETED"
    slurm.start("slurmdbd")
    assert slurm("sacct", "-j", job).returncode == 0


def test_all_is_put_back(slurm: Cluster, tmp_path: Path) -> None:
    for _ in range(6):
        slurm.submit("--exclusive", script(tmp_path, "sleep 600"))
    slurm("scontrol", "update", "nodename=n3", "state=drain", "reason=test")
    slurm.lose_node("n1")
    slurm.stop("slurmdbd")
    slurm.stop("slurmctld")
    slurm.restore()
    assert slurm.queue() == []
    lines = log_of(slurm, tmp_path, "srun hostname", "--nodes=4")
    assert sorted(lines) == list(clusters.NODES)


def pyxis(*options: str) -> str:
    """A job's line that runs what comes after it in a container."""
    return " ".join(["srun", "--container-image=nvcr.io#nvidia/eval:1", *options])


def test_a_step_in_a_container(slurm: Cluster, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "file").write_text("content")
    mounts = f"{tmp_path}/a b:/results,{tmp_path}/file:/in/file:ro"
    run = pyxis(f'"--container-mounts={mounts}"', "--no-container-mount-home")
    text = f"""
        export OWN='a  b' PATH=/no/such/place:$PATH
        {run} --container-workdir=/results bash -c 'pwd; hostname; echo "$OWN $PATH" >out; ls {tmp_path}'
        {run} bash -c 'pwd; cat /in/file && echo; echo changed >/in/file'
        {run} --container-env=OWN,PATH bash -c 'echo "${{PATH%%:*}}"; command -v nemo-evaluator'
    """
    job = slurm.submit("--nodelist=n3", script(tmp_path, text))
    slurm.wait(job, "COMPLETED", "FAILED")
    lines = (tmp_path / "log").read_text().splitlines()
    said = [line for line in lines if ": " not in line]
    assert said == [
        "/results",
        "n3",
        "/",
        "content",
        "/no/such/place",
        "/usr/local/bin/nemo-evaluator",
    ]
    assert any(line.startswith("ls: ") and "No such file" in line for line in lines)
    assert any("/in/file: Read-only file system" in line for line in lines)
    out = (tmp_path / "a b" / "out").read_text()
    assert out.startswith("a  b /usr/local/sbin:")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--container-mounts=/no/such:/x", "/no/such at /x: No such file or directory"),
        ("--container-mounts=/etc:/x:rw+nonsense", "invalid flag in --container-mounts: nonsense"),
        ("--container-workdir=/no/such", "/no/such: No such file or directory"),
        ("--container-image=nvcr.io/nvidia/eval:1", "a registry is separated by '#'"),
        ("--container-image=/no/such.sqsh", "no such image: /no/such.sqsh"),
        ("--container-image=/etc/passwd", "not a squashfs file: /etc/passwd"),
        ("--container-save=/x", "unrecognized option '--container-save=/x'"),
    ],
)
def test_a_container_that_cannot_start_says_why(
    slurm: Cluster, tmp_path: Path, options: str, says: str
) -> None:
    job = slurm.submit("--no-requeue", script(tmp_path, f"{pyxis(options)} echo started"))
    slurm.wait(job, "FAILED")
    log = (tmp_path / "log").read_text()
    assert says in log
    assert "started" not in log


def test_images_are_names_folders_or_squashfs(slurm: Cluster, tmp_path: Path) -> None:
    packed = slurm.folder / "image.sqsh"
    # Not compressed: that is most of the time it takes.
    fast = ("-noI", "-noD", "-noF", "-noX", "-no-progress")
    assert slurm("mksquashfs", slurm.image, packed, *fast).returncode == 0
    try:
        images = (
            slurm.image,
            packed,
            "docker://vllm/vllm-openai:latest",
            "vllm/vllm-openai:v1",
            "busybox",
        )
        text = "set -e\n" + "\n".join(
            f"srun '--container-image={image}' bash -c 'command -v model-server'"
            for image in images
        )
        lines = log_of(slurm, tmp_path, text)
    finally:
        packed.unlink()
    assert lines.count("/usr/local/bin/model-server") == len(images)


def test_apptainer(slurm: Cluster, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    options = "--nv --cleanenv --no-home --pwd /results --env NAME=value"
    binds = f"--bind {tmp_path}/out:/results --bind {tmp_path}/job.sh:/in/job.sh:ro"
    text = f"""
        export OWN=lost APPTAINERENV_KEPT='a  b'
        apptainer exec {options} {binds} docker://nvcr.io/nvidia/eval:1 bash -c '
          pwd; hostname; echo "${{OWN:-none}} $NAME $KEPT" >out; command -v nemo-evaluator
          ! (echo >>/in/job.sh) 2>/dev/null && ! touch /etc/new 2>/dev/null && echo read-only'
        apptainer exec --bind /no/such {slurm.image} true || echo "code $?"
        apptainer exec --no-such-option {slurm.image} true || echo "code $?"
        apptainer exec {slurm.image} bash -c 'exit 7' || echo "code $?"
    """
    lines = log_of(slurm, tmp_path, text, "--nodelist=n4")
    said = [line for line in lines if not line.startswith("FATAL:")]
    assert said == [
        "/results", "n4", "/usr/local/bin/nemo-evaluator", "read-only", "code 255", "code 255", "code 7",
    ]  # fmt: skip
    assert (tmp_path / "out" / "out").read_text() == "none value a  b\n"


def command_lines() -> str:
    """The command lines of all processes of the machine."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_text(errors="replace"))
        except OSError:  # it has just ended
            continue
    return "\n".join(found)


def links() -> set[str]:
    """The names of the machine's network interfaces."""
    return set(os.listdir("/sys/class/net"))  # noqa: PTH208 - names are what is wanted


# The owner of a second cluster: it runs a job there, says what there is, and waits to be killed.
OWNER = """
import json, sys, time
from pathlib import Path
import clusters
with clusters.running(Path(sys.argv[1]), Path(sys.argv[2])) as cluster:
    job = cluster.submit("--time=30", "--wrap=sleep 602")
    cluster.wait(job, "RUNNING")
    print(json.dumps([str(cluster.folder.parent), job, cluster.queue()]), flush=True)
    time.sleep(600)
"""


def test_nothing_stays_when_the_owner_is_killed(
    slurm: Cluster, image_file: Path, tmp_path: Path
) -> None:
    before = links()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, image_file, tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    ) as owner:
        try:
            assert owner.stdout is not None
            folder, job, queue = json.loads(owner.stdout.readline())
            assert queue == [job]
            assert slurm.queue() == []  # two clusters at once do not see each other
            (link,) = links() - before
            assert folder in command_lines()
        finally:
            owner.kill()
    wait_for(lambda: not Path(folder).exists())
    assert link not in links()
    processes = command_lines()
    assert folder not in processes
    assert "sleep\x00602" not in processes
    assert folder not in Path("/proc/self/mounts").read_text()
