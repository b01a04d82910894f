"""A cluster that keeps no accounts, over real ssh: the controller's memory and the journals suffice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from clusters import running
from runner.test_submission import TASKS, Runner, states
from sshd import running as ssh_server
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clusters import Cluster
    from sshd import Sshd

# With the tests of the other cluster: all are made with one image.
pytestmark = pytest.mark.xdist_group("slurm")


@pytest.fixture(scope="module")
def unaccounted(
    image_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Sshd]]:
    shared = tmp_path_factory.getbasetemp()
    with (
        running(image_file, shared, accounting=False) as cluster,
        ssh_server(cluster.env) as server,
    ):
        yield cluster, server


@pytest.fixture
def evalc(unaccounted: tuple[Cluster, Sshd], tmp_path: Path) -> Iterator[Runner]:
    cluster, server = unaccounted
    assert "accounting storage is disabled" in cluster("sacct").stderr
    yield Runner(cluster, server, tmp_path)
    cluster.restore()
    server.restore()


def submitted(evalc: Runner) -> str:
    """A run of all tasks, which are at work; its id."""
    id_: str = json.loads(evalc("run", "suite.yaml", "--json").stdout)[0]["invocation"]
    wait_for(lambda: states(evalc, id_) == ["running"] * len(TASKS))
    return id_


def test_a_chain_goes_on_after_a_time_out(evalc: Runner) -> None:
    evalc.write_config(resume={"strategy": "self", "signal_before": 0})
    id_ = submitted(evalc)
    wait_for(lambda: len(evalc.queued()) == 2 * len(TASKS))
    # Evaluating has to be under way: what Slurm ends before a step is there is a step that failed.
    steps = ("squeue", "--noheader", "--steps", "--format=%j")
    wait_for(lambda: evalc.cluster(*steps).stdout.count("evaluate.") == len(TASKS))
    evalc.cluster.move_clock(11 * 60)
    wait_for(lambda: [job["attempt"] for job in evalc.jobs(id_)] == [2] * len(TASKS))
    assert states(evalc, id_) == ["running"] * len(TASKS)
    (evalc.folder / "go").touch()
    ended = evalc("status", id_, "--watch", "--interval", "0.3").stdout
    assert ended.count("completed  2/") == len(TASKS)
    assert evalc.queued() == []
    told = evalc("doctor", "suite.yaml").stdout
    assert "ok    partition 'batch' is the default" in told


def test_kill_and_resume(evalc: Runner) -> None:
    evalc.write_config(resume={"strategy": "self"})
    id_ = submitted(evalc)
    evalc("kill", id_)
    wait_for(lambda: evalc.queued() == [])
    assert set(states(evalc, id_)) == {"cancelled"}
    (evalc.folder / "go").touch()
    evalc("resume", id_)
    assert evalc("status", id_, "--watch", "--interval", "0.3").stdout.count("completed") == 3


def test_what_nobody_remembers_is_unknown_and_can_be_closed(evalc: Runner) -> None:
    """Jobs whose nodes were lost tell no end, and the controller forgets them."""
    id_ = submitted(evalc)
    for node in {job["node"] for job in evalc.jobs(id_)}:
        evalc.cluster.lose_node(node)
    wait_for(lambda: evalc.queued() == [])
    evalc.cluster.move_clock(1200)

    def is_forgotten() -> bool:
        listed = evalc.cluster("squeue", "--noheader", "--states=all", "--format=%o")
        return str(evalc.results) not in listed.stdout

    wait_for(is_forgotten)
    told = evalc("status", id_, code=4).stdout
    assert told.count("unknown") == len(TASKS)
    assert "the accounting could not be asked: Slurm accounting storage is disabled" in told
    assert evalc("kill", id_).stdout.count("nothing of it was in the queue") == len(TASKS)
    assert set(states(evalc, id_)) == {"cancelled"}
    assert "nothing is under way" in evalc("status").stderr
