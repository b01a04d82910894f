"""What is said of a job and an endpoint, by what was seen of them."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from evalc.backends.lepton.runs.answers import Endpoint, Job
from evalc.backends.lepton.runs.folder import Stage
from evalc.backends.lepton.runs.journal import Told, ToldOfEndpoint
from evalc.backends.lepton.runs.judge import Evidence, Readiness, judge, judge_endpoint
from evalc.backends.running import State

NOW = 1_800_000_000.0


def job(state: str, number: int = 1) -> Job:
    return Job(f"alpha-{number}", "alpha", state, created=NOW - 100 + number)


def told(*ids: str, **more: Any) -> Told:
    return Told(ids=list(ids), submissions=len(ids), **{"at": NOW - 3600, **more})


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("", State.PENDING),
        ("Queueing", State.PENDING),
        ("Awaiting", State.PENDING),
        ("Starting", State.PENDING),
        ("PendingRetry", State.PENDING),
        ("Restarting", State.PENDING),
        ("Running", State.RUNNING),
        ("Stopping", State.RUNNING),
        ("Terminating", State.RUNNING),
        ("Deleting", State.RUNNING),
        ("Completed", State.COMPLETED),
        ("Failed", State.FAILED),
        ("Stopped", State.CANCELLED),
        ("Deleted", State.CANCELLED),
        ("Archived", State.UNKNOWN),
        ("UNK", State.UNKNOWN),
        ("Brand New", State.UNKNOWN),
    ],
)
def test_every_word_of_the_platform(word: str, state: State) -> None:
    sight = judge(Evidence(jobs=(job(word),), told=told("alpha-1"), now=NOW))
    assert sight.state is state
    assert sight.native == ("alpha-1",)
    assert sight.reason or state in (State.RUNNING, State.COMPLETED)


def test_every_word_is_in_the_client() -> None:
    from leptonai.api.v2.types.deployment import LeptonDeploymentState
    from leptonai.api.v2.types.job import LeptonJobState

    module = sys.modules[judge.__module__]
    ours = {*module._LIVE, *module._OVER, "UNK"} - {""}
    assert ours == {state.value for state in LeptonJobState}
    dead = {"Stopping", "Stopped", "Deleting", "Error"}
    assert {*module._WAITS, *dead, "Ready"} - {""} == {
        state.value for state in LeptonDeploymentState
    }


@pytest.mark.parametrize(
    ("seen", "state", "reason"),
    [
        # The volume tells more than the platform.
        ({"jobs": (job("Failed"),), "stage": Stage(code=3, reason="the harness failed")}, State.FAILED, "the harness failed (exit code 3)"),
        ({"jobs": (job("Failed"),), "stage": Stage(code=124, reason="its time was over")}, State.TIMED_OUT, "exit code 124"),
        ({"jobs": (job("Stopped"),), "stage": Stage(code=0)}, State.COMPLETED, ""),
        ({"jobs": (job("Deleted"),), "stage": Stage(code=0)}, State.COMPLETED, ""),
        ({"jobs": (job("Archived"),), "stage": Stage(code=0)}, State.COMPLETED, ""),
        # A finished task that runs again is under way.
        ({"jobs": (job("Running"),), "stage": Stage(code=0)}, State.RUNNING, ""),
        # Gone after its TTL: the volume knows, or the journal, or nobody.
        ({"stage": Stage(code=0)}, State.COMPLETED, ""),
        ({"stage": Stage(code=1)}, State.FAILED, "exit code 1"),
        ({"stage": Stage(began=1.0)}, State.UNKNOWN, "does not know how job alpha-1 ended"),
        ({}, State.UNKNOWN, "the volume can't be read here"),
        ({"told": told("alpha-1", ends={"alpha-1": "Completed"})}, State.COMPLETED, ""),
        ({"told": told("alpha-1", ends={"alpha-1": "Failed"})}, State.FAILED, "Lepton says so"),
        (
            {"jobs": (job("Failed"),), "told": told("alpha-1", exits={"alpha-1": (None, "")})},
            State.FAILED,
            "Lepton says so",
        ),
        (
            {"jobs": (job("Failed"),), "told": told("alpha-1", exits={"alpha-1": (3, "oh")})},
            State.FAILED,
            "oh (exit code 3)",
        ),
        (
            {"jobs": (job("Failed"),), "told": told("alpha-1", exits={"alpha-1": (124, "slow")})},
            State.TIMED_OUT,
            "slow (exit code 124)",
        ),
        ({"told": told("alpha-1", stopped=True)}, State.CANCELLED, ""),
        ({"jobs": (job("Archived"),), "told": told("alpha-1", ends={"alpha-1": "Completed"})}, State.COMPLETED, ""),
        # Not shown yet is another thing than gone.
        ({"told": told("alpha-1", at=NOW - 5)}, State.PENDING, "does not show job alpha-1 yet"),
        ({"told": told("alpha-1", at=NOW - 5, gone={"alpha-1"})}, State.UNKNOWN, "does not know"),
        # The newest submission counts.
        ({"jobs": (job("Failed", 1), job("Running", 2)), "told": told("alpha-1", "alpha-2")}, State.RUNNING, ""),
        ({"jobs": (job("Failed", 1),), "told": told("alpha-1", "alpha-2", at=NOW - 5)}, State.PENDING, "alpha-2"),
        # Stopped, and by whom.
        ({"jobs": (job("Stopped"),), "told": told("alpha-1", stopped=True)}, State.CANCELLED, ""),
        ({"jobs": (job("Stopped"),)}, State.CANCELLED, "not by evalc"),
        # Nothing was created yet.
        ({"told": Told()}, State.SUBMITTING, "'evalc resume' does it"),
        ({"told": Told(), "trouble": "no token"}, State.SUBMITTING, "(no token)"),
        ({"told": Told(), "at_work": True}, State.SUBMITTING, ""),
        ({"told": Told(open=True, submissions=1)}, State.SUBMITTING, "was interrupted"),
        ({"told": Told(open=True, submissions=1), "at_work": True}, State.SUBMITTING, ""),
        ({"told": Told(open=True, submissions=1), "jobs": (job("Running"),)}, State.RUNNING, ""),
        ({"told": Told(refused="no such shape")}, State.FAILED, "Lepton refused it: no such shape"),
        ({"told": Told(stopped=True)}, State.CANCELLED, "before it was submitted"),
        # It was, and is to be created once more.
        ({"jobs": (job("Failed"),), "to_come": True}, State.PENDING, "waits for its endpoint"),
        ({"stage": Stage(code=0), "to_come": True}, State.PENDING, "waits for its endpoint"),
        # Its endpoint.
        ({"told": Told(), "at_work": True, "endpoint_told": ToldOfEndpoint("created"), "endpoint": Endpoint("e", "Starting")}, State.PENDING, "waits for its endpoint (Starting)"),
        ({"told": Told(), "at_work": True, "endpoint_told": ToldOfEndpoint("creating")}, State.PENDING, "waits for its endpoint"),
        ({"told": Told(), "endpoint_told": ToldOfEndpoint("created"), "endpoint": Endpoint("e", "Ready")}, State.SUBMITTING, "has not been submitted"),
        ({"told": Told(), "endpoint_told": ToldOfEndpoint("removed", "it was not ready in 9 s")}, State.FAILED, "its endpoint failed: it was not ready in 9 s"),
    ],
)  # fmt: skip
def test_what_else_is_known(seen: dict[str, Any], state: State, reason: str) -> None:
    sight = judge(Evidence(**{"told": told("alpha-1"), "now": NOW, **seen}))
    assert sight.state is state
    assert reason in sight.reason
    assert bool(reason) == bool(sight.reason)


@pytest.mark.parametrize(
    ("state", "phase", "readiness"),
    [
        ("Ready", "", Readiness.READY),
        ("Ready", "Ready", Readiness.READY),
        ("Not Ready", "", Readiness.COMING),
        ("Not Ready", "Not Ready", Readiness.COMING),
        ("Not Ready", "Stopping", Readiness.DEAD),
        ("Not Ready", "Stopped", Readiness.DEAD),
        ("Starting", "Starting", Readiness.COMING),
        ("Updating", "", Readiness.COMING),
        ("Scaling", "", Readiness.COMING),
        ("Migrating", "", Readiness.COMING),
        ("Restarting", "", Readiness.COMING),
        ("UNK", "", Readiness.COMING),
        ("Deleting", "Deleting", Readiness.DEAD),
        ("Error", "Error", Readiness.DEAD),
        ("Brand New", "", Readiness.DEAD),
    ],
)
def test_what_an_endpoint_is_good_for(state: str, phase: str, readiness: Readiness) -> None:
    assert judge_endpoint(Endpoint("e", state, phase))[0] is readiness


def test_times_and_attempts() -> None:
    jobs = (job("Failed", 1), Job("alpha-2", "alpha", "Failed", NOW - 50, NOW - 10))
    stage = Stage(began=NOW - 40, ended=NOW - 20, code=1, done=7)
    sight = judge(Evidence(jobs=jobs, told=told("alpha-1", "alpha-2"), stage=stage, now=NOW))
    assert (sight.began, sight.ended, sight.attempt, sight.done) == (NOW - 40, NOW - 20, 2, 7)
    sight = judge(Evidence(jobs=jobs, told=told("alpha-1", "alpha-2"), now=NOW))
    assert (sight.began, sight.ended) == (NOW - 50, NOW - 10)
