"""A cluster whose Slurm is in PATH only after a login, over real ssh."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from runner.test_submission import TASKS, Runner
from sshd import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusters import Cluster
    from sshd import Sshd

SLURM = ("sbatch", "squeue", "sacct", "scontrol", "sinfo", "srun", "scancel", "sacctmgr")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An ssh server in whose PATH there is everything but Slurm."""
    tools = tmp_path_factory.mktemp("tools")
    for folder in (Path("/usr/bin"), Path("/bin")):
        for file in folder.iterdir():
            if file.name not in SLURM and not (tools / file.name).exists():
                (tools / file.name).symlink_to(file)
    with running({"PATH": str(tools)}) as server:
        yield server


@pytest.fixture
def evalc(slurm: Cluster, bare: Sshd, tmp_path: Path) -> Iterator[Runner]:
    yield Runner(slurm, bare, tmp_path)
    bare.restore()


def write_profile(evalc: Runner, server: Sshd) -> None:
    """One that talks, asks, counts how often it is read, and fails in the end."""
    env = evalc.cluster.env
    (server.home / ".bash_profile").write_text(
        f"""
        echo 'Welcome!   2026-01-01 squeue 0'
        printf 'evalc=1\\0PATH=/nowhere\\0'
        echo 'All is recorded.' >&2
        read -r -p 'Which project? ' project
        echo read >>"$HOME/read"
        export PATH={Path(env["PATH"].partition(":")[0])}:{Path(shutil.which("sbatch") or "").parent}:$PATH
        export SLURM_CONF={env["SLURM_CONF"]} ODD=$'two\\nlines = x'
        false
        """
    )


def test_the_profile_leads_to_slurm(evalc: Runner, bare: Sshd) -> None:
    write_profile(evalc, bare)
    evalc("run", "suite.yaml")
    assert len(evalc.queued()) == len(TASKS)
    assert evalc.agrees()
    told = evalc("doctor", "suite.yaml").stdout
    assert "ok    sbatch is there" in told
    assert "ok    Slurm is found by a login shell's profile" in told
    assert "ok    partition 'batch' is the default" in told
    (evalc.folder / "go").touch()
    (run,) = {job["id"].partition(".")[0] for job in evalc.jobs()}
    assert evalc("status", run, "--watch", "--interval", "0.3").stdout.count("completed") >= len(
        TASKS
    )
    killed = evalc("kill", run)
    assert killed.stdout.count("had finished already") == len(TASKS)


def test_no_profile_leads_to_it(evalc: Runner, bare: Sshd) -> None:
    (bare.home / ".bash_profile").write_text("PATH=/nowhere\nexit 3\n")
    refused = evalc("run", "suite.yaml", code=4)
    assert "sbatch is not in PATH" in refused.stderr
    assert {job["reason"] for job in evalc.jobs()} == {"could not ask: squeue is not in PATH there"}
    told = evalc("doctor", "suite.yaml", code=1).stdout
    assert "WRONG sbatch is not there: is this the login node?" in told


def test_no_profile_is_read_where_slurm_is_in_path(slurm: Cluster, tmp_path: Path) -> None:
    with running(slurm.env) as server:
        evalc = Runner(slurm, server, tmp_path)
        write_profile(evalc, server)
        evalc("run", "suite.yaml")
        evalc("kill", *{job["id"].partition(".")[0] for job in evalc.jobs()})
        assert not (server.home / "read").exists()
