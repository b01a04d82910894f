"""Runs through evalc's own interface: what is created, told, stopped, and what goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from backends.lepton.desk import Desk
from backends.lepton.lab import SERVER, TARGET, VOLUME, config
from waiting import wait_for

from evalc.backends.lepton.runs import keeping, known, lock, platform, reading
from evalc.backends.lepton.runs.judge import judge
from evalc.backends.lepton.runs.platform import ClientMissing, NotLoggedIn
from evalc.backends.running import State, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lepton import Lepton

HOSTED = {
    "target": {"api_endpoint": {"url": "http://127.0.0.1:9/v1/chat/completions", "model_id": "m"}}
}
SERVED = {"deployment": SERVER, "target": TARGET}
WAITS = 'until [ -e "$RESULTS_DIR/../go" ]; do sleep 0.05; done'


@pytest.fixture
def desk(lepton: Lepton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    lepton.secrets(DOOR="open sesame")
    lepton.set(queue=0.02, start=0.02, grace=0.3)
    for name, value in {
        **lepton.env,
        "EVALC_POLL_SECONDS": "0.2",
        "EVALC_SETTLE_SECONDS": "3",
        "EVALC_LEPTON_RESULTS": str(lepton.volume(VOLUME, "/runs")),
    }.items():
        monkeypatch.setenv(name, value)
    from leptonai.api.v2.client import reset_new_deployment_api_flag_cache

    reset_new_deployment_api_flag_cache()
    monkeypatch.setattr(platform, "_PATIENCE", 20.0)
    monkeypatch.setattr(reading, "_SILENCE", 0.3)
    desk = Desk(lepton, tmp_path)
    yield desk
    desk.close()


def task(command: str, name: str = "alpha") -> dict[str, Any]:
    return {"name": name, "container": "any:1", "command": command}


def go(desk: Desk, name: str = "alpha") -> None:
    """Lets a task that waits go on."""
    place = desk.place.stored(desk.place.jobs[name])
    assert place is not None
    # The platform calls a job running before its script has made the folder.
    wait_for(place.is_dir)
    (place / "go").touch()


def test_jobs_without_an_endpoint(desk: Desk) -> None:
    desk.compile(config(task("echo sm\u00f8r"), task("exit 3", "beta"), **HOSTED))
    assert all(sight.native for sight in desk.submit().values())
    assert desk.keeper() is None
    assert desk.ends() == [State.COMPLETED, State.FAILED]
    alpha, beta = desk.sights().values()
    assert beta.reason == "the harness failed (exit code 3)"
    assert alpha.began is not None
    assert alpha.ended is not None
    assert desk.log("client").decode() == "sm\u00f8r\n"
    assert "evaluating" in desk.log("job", tail=3).decode()
    assert desk.log("job", tail=1).count(b"\n") == 1
    # What is there is not created again, and what is finished never.
    desk.submit()
    desk.submit(again=True)
    assert desk.ends() == [State.COMPLETED, State.FAILED]
    names = [job["metadata"]["name"].partition("-")[0] for job in desk.lepton.jobs()]
    assert names == ["alpha", "beta", "beta"]
    assert len(desk.sights()["beta"].native) == 2


@pytest.mark.parametrize("new_api", [False, True])
def test_an_endpoint_comes_and_goes(desk: Desk, new_api: bool) -> None:
    desk.lepton.set(new_api=new_api)
    desk.compile(config(task('echo "$MODEL_URL"'), **SERVED))
    (sight,) = desk.submit().values()
    assert sight.state is State.PENDING
    assert "waits for its endpoint" in sight.reason
    assert desk.keeper() is not None
    wait_for(lambda: not desk.lepton.endpoints() and desk.lepton.states() == ["Completed"])
    wait_for(lambda: desk.keeper() is None)
    assert desk.states() == [State.COMPLETED]
    assert desk.log("client").decode().startswith("http://127.0.0.1:")
    # The platform has forgotten it, the run's folder has not.
    assert b"listening" in desk.log("server")


def test_the_endpoint_is_gone_when_the_run_is_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who asks first sees to it, whatever becomes of the process that was to.
    monkeypatch.setenv("EVALC_POLL_SECONDS", "3600")
    desk.compile(config(task("true"), **SERVED))
    desk.submit()
    assert desk.ends() == [State.COMPLETED]
    wait_for(lambda: not desk.lepton.endpoints())
    assert desk.keeper() is None


def test_a_run_is_not_over_while_somebody_else_is_to_remove_its_endpoint(desk: Desk) -> None:
    desk.compile(config(task("true"), **SERVED))
    desk.submit()
    wait_for(desk.lepton.jobs)
    desk.kill_keeper()
    path = desk.place.logs / keeping.LOCK
    # Whoever submits by the script, for instance, and looks every 15 seconds.
    with subprocess.Popen(["sleep", "60"]) as other:
        lock.hand_over(path, other.pid)
        wait_for(lambda: desk.lepton.states() == ["Completed"])
        (sight,) = desk.sights().values()
        assert sight.state is State.RUNNING
        assert "it has ended (completed); its endpoint is still to be removed" in sight.reason
        other.kill()
    assert desk.states() == [State.COMPLETED]
    wait_for(lambda: not desk.lepton.endpoints())


def test_stopping(desk: Desk) -> None:
    whole = config(task(WAITS), task(WAITS, "beta"), execution={"sharing": "shared"}, **SERVED)
    whole["execution"]["lepton_platform"] = config()["execution"]["lepton_platform"]
    desk.compile(whole)
    desk.submit()
    wait_for(lambda: desk.states() == [State.RUNNING, State.RUNNING])
    (stopped,) = desk.stop("alpha")
    assert stopped.done
    assert "stopped job alpha-" in stopped.what[0]
    # The other one needs the endpoint.
    assert len(desk.lepton.endpoints()) == 1
    assert desk.states() == [State.CANCELLED, State.RUNNING]
    assert desk.keeper() is not None
    (stopped,) = desk.stop("beta")
    assert any("removed endpoint" in text for text in stopped.what)
    wait_for(lambda: not desk.lepton.endpoints())
    assert desk.states() == [State.CANCELLED, State.CANCELLED]
    assert desk.stop("beta")[0].done
    # It goes on where it was, with a new endpoint.
    go(desk, "beta")
    desk.submit("beta", again=True)
    assert desk.ends() == [State.CANCELLED, State.COMPLETED]


def test_stopping_what_waits_for_its_endpoint(desk: Desk) -> None:
    desk.lepton.set(never_ready=["*"])
    desk.compile(config(task("true"), **SERVED))
    desk.submit()
    (stopped,) = desk.stop()
    assert stopped.done
    assert stopped.what[0] == "it had not been submitted, and will not be"
    assert desk.states() == [State.CANCELLED]
    wait_for(lambda: not desk.lepton.endpoints())
    assert desk.lepton.jobs() == []


def test_an_endpoint_that_runs_already(desk: Desk) -> None:
    more = {
        "target": {"api_endpoint": {"type": "lepton", "deployment_name": "mine", "model_id": "m"}}
    }
    desk.compile(config(task('echo "$MODEL_URL"'), **more))
    assert "no endpoint 'mine'" in desk.submit()["alpha"].reason
    assert desk.states() == [State.FAILED]


def test_logs_while_it_runs(desk: Desk) -> None:
    desk.compile(config(task(f"echo begun; {WAITS}; echo ended"), **HOSTED))
    assert desk.log("job") == b""
    desk.submit()
    wait_for(lambda: desk.states() == [State.RUNNING])
    wait_for(lambda: b"begun" in desk.log("client"))
    pieces = desk._runs.told(desk._host, desk.run, "alpha", "job", tail=1, follow=True)
    assert next(pieces) == b"begun\n"
    go(desk)
    assert b"ended" in b"".join(pieces)


def test_what_the_platform_has_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.compile(config(task("exit 4"), **HOSTED))
    desk.submit()
    wait_for(lambda: desk.lepton.states() == ["Failed"])
    desk.lepton.move_clock(300000)
    desk.lepton.set(archive=-1)
    wait_for(lambda: not desk.lepton.jobs())
    assert desk.states() == [State.FAILED]
    monkeypatch.setenv("EVALC_LEPTON_RESULTS", "/nowhere/at/all")
    assert desk.sights()["alpha"].state is State.PENDING
    monkeypatch.setattr(known, "GRACE", 0)
    monkeypatch.setattr(sys.modules[judge.__module__], "GRACE", 0)
    (sight,) = desk.sights().values()
    assert sight.state is State.UNKNOWN
    assert "can't be read here" in sight.reason


def test_an_answer_that_never_comes(desk: Desk) -> None:
    desk.compile(config(task("true"), **HOSTED))
    desk.lepton.fault("lost", "POST", "/jobs")
    desk.submit()
    assert "found job alpha-" in desk.said[-1]
    assert desk.ends() == [State.COMPLETED]
    assert len(desk.lepton.jobs()) == 1
    assert len(desk.lepton.requests("POST", "/jobs")) == 1


def test_an_answer_that_can_not_be_read(desk: Desk) -> None:
    desk.compile(config(task("true"), **SERVED))
    desk.lepton.fault("broken", "POST", "/(jobs|deployments)", count=2)
    desk.submit()
    assert desk.ends() == [State.COMPLETED]
    assert len(desk.lepton.jobs()) == 1
    wait_for(lambda: not desk.lepton.endpoints())


def test_an_endpoint_whose_creation_is_not_answered(desk: Desk) -> None:
    desk.compile(config(task("true"), **SERVED))
    desk.lepton.fault("lost", "POST", "/deployments")
    desk.submit()
    assert desk.ends() == [State.COMPLETED]
    assert len(desk.lepton.requests("POST", "/deployments")) == 1


def test_a_storm(desk: Desk) -> None:
    desk.compile(config(task("true"), **HOSTED))
    desk.lepton.fault("status", code=429, retry_after=1, count=2)
    desk.lepton.fault("status", "POST", code=429, count=2)
    desk.lepton.fault("status", "POST", code=500, count=2)
    desk.lepton.fault("status", "GET", code=503)
    desk.submit()
    assert desk.ends() == [State.COMPLETED]
    assert len(desk.lepton.jobs()) == 1


def test_a_storm_over_the_choice_of_an_api(desk: Desk) -> None:
    desk.lepton.set(new_api=True)
    desk.compile(config(task("true"), **SERVED))
    # As often as the client asks before it takes the wrong one.
    desk.lepton.fault("status", "GET", "/workspace", code=503, count=6)
    desk.submit()
    assert desk.ends() == [State.COMPLETED]
    assert {request["path"] for request in desk.lepton.requests("POST")} == {"/endpoints", "/jobs"}


def test_a_storm_that_does_not_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "_PATIENCE", 1.0)
    desk.compile(config(task("true"), **HOSTED))
    desk.lepton.fault("status", code=500, count=100)
    with pytest.raises(Unreachable):
        desk.submit()
    with pytest.raises(Unreachable):
        desk.states()
    desk.lepton.no_faults()
    assert desk.states() == [State.SUBMITTING]
    desk.submit(again=True)
    assert desk.ends() == [State.COMPLETED]


def test_an_endpoint_that_does_not_get_ready(desk: Desk) -> None:
    desk.lepton.set(never_ready=["*"])
    desk.compile(
        config(
            task("true"),
            execution={**config()["execution"], "endpoint_readiness_timeout": 1},
            **SERVED,
        )
    )
    desk.submit()
    assert desk.ends() == [State.FAILED]
    assert "was not ready in 1 s (Lepton says Starting)" in desk.sights()["alpha"].reason
    wait_for(lambda: not desk.lepton.endpoints() and desk.keeper() is None)
    assert desk.lepton.jobs() == []
    desk.lepton.set(never_ready=[])
    desk.submit(again=True)
    assert desk.ends() == [State.COMPLETED]


def test_an_endpoint_in_error(desk: Desk) -> None:
    desk.lepton.set(errors=["*"])
    desk.compile(config(task("true"), **SERVED))
    desk.submit()
    assert desk.ends() == [State.FAILED]
    assert "Lepton says Error" in desk.sights()["alpha"].reason
    wait_for(lambda: not desk.lepton.endpoints())


def test_a_token_that_expires(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.lepton.set(never_ready=["*"])
    desk.compile(config(task("true"), **SERVED))
    desk.submit()
    desk.lepton.token(left=3)
    wait_for(lambda: desk.keeper() is None)
    with pytest.raises(Unreachable, match="does not take the token"):
        desk.states()
    desk.lepton.token("another")
    monkeypatch.setenv("LEPTON_WORKSPACE_TOKEN", "another")
    (sight,) = desk.sights().values()
    assert sight.state is State.SUBMITTING
    assert "does not take the token" in sight.reason
    # Nobody waits for it any more.
    wait_for(lambda: not desk.lepton.endpoints())
    desk.lepton.set(never_ready=[])
    desk.submit(again=True)
    assert desk.ends() == [State.COMPLETED]
    assert len(desk.lepton.jobs()) == 1


def test_the_keeper_is_killed_before_the_job(desk: Desk) -> None:
    desk.lepton.set(never_ready=["*"])
    desk.compile(config(task("true"), **SERVED))
    desk.submit()
    desk.kill_keeper()
    (sight,) = desk.sights().values()
    assert sight.state is State.SUBMITTING
    wait_for(lambda: not desk.lepton.endpoints())
    desk.lepton.set(never_ready=[])
    desk.submit(again=True)
    assert desk.ends() == [State.COMPLETED]
    assert len(desk.lepton.jobs()) == 1


def test_the_keeper_is_killed_at_the_job(desk: Desk) -> None:
    desk.lepton.fault("slow", "POST", "/jobs", seconds=1)
    desk.compile(config(task("true"), **SERVED))
    desk.submit()
    wait_for(lambda: desk.lepton.requests("POST", "/jobs"))
    desk.kill_keeper()
    wait_for(desk.lepton.jobs)
    desk.submit(again=True)
    assert desk.ends() == [State.COMPLETED]
    assert len(desk.lepton.jobs()) == 1
    wait_for(lambda: not desk.lepton.endpoints())


def test_the_keeper_is_killed_after_the_job(desk: Desk) -> None:
    desk.compile(config(task(WAITS), **SERVED))
    desk.submit()
    wait_for(lambda: desk.states() == [State.RUNNING])
    desk.kill_keeper()
    assert desk.states() == [State.RUNNING]
    assert len(desk.lepton.endpoints()) == 1
    go(desk)
    assert desk.ends() == [State.COMPLETED]
    wait_for(lambda: not desk.lepton.endpoints())


def test_two_at_once(desk: Desk) -> None:
    desk.compile(config(task("true"), **HOSTED))
    path = desk.place.logs / keeping.LOCK
    path.parent.mkdir()
    lock.hand_over(path, os.getppid())
    with pytest.raises(Unreachable, match=f"process {os.getppid()} is at work"):
        desk.submit()
    assert desk.lepton.jobs() == []
    # One that is gone holds nothing.
    path.write_text(f"{os.getppid()} 1\n")
    desk.submit()
    assert len(desk.lepton.jobs()) == 1


def by_hand(desk: Desk) -> int:
    """The bundle's own submit_all.sh, in the same folder; its exit code."""
    script = desk.place.path / "submit_all.sh"
    env = {**os.environ, "EVALC_RETRY_SECONDS": "0.1"}
    return subprocess.run(["bash", script], env=env, timeout=80, check=False).returncode


def test_the_script_goes_on_where_evalc_was_ended(desk: Desk) -> None:
    desk.lepton.set(never_ready=["*"])
    desk.compile(config(task("true"), **SERVED))
    desk.submit()
    busy = 75
    assert by_hand(desk) == busy
    desk.kill_keeper()
    desk.lepton.set(never_ready=[])
    assert by_hand(desk) == 0
    assert desk.states() == [State.COMPLETED]
    assert desk.lepton.endpoints() == []
    # And the other way round: nothing is left to do.
    desk.submit()
    desk.submit(again=True)
    assert len(desk.lepton.jobs()) == 1


def test_a_twin_is_stopped(desk: Desk) -> None:
    desk.compile(config(task(WAITS), **HOSTED))
    desk.lepton.fault("lost", "POST", "/jobs")
    desk.submit()
    from leptonai.api.v2 import APIClient

    body = desk.place.body("alpha", "job.json", {"EVALC_SUBMISSION": "1"})
    from leptonai.api.v2.types.job import LeptonJob

    journal = desk.place.journal_of("alpha")
    # As if nobody had noted the first, and a request that was given up had been served after all.
    journal.write_text(journal.read_text().splitlines(keepends=True)[0])
    APIClient().job.create(LeptonJob.model_validate(body))
    wait_for(lambda: desk.lepton.states() == ["Running", "Running"])
    desk.submit()
    wait_for(lambda: sorted(desk.lepton.states()) == ["Running", "Stopped"])
    go(desk)
    assert desk.ends() == [State.COMPLETED]


def test_a_list_that_is_behind(desk: Desk) -> None:
    desk.lepton.set(lag=2)
    desk.compile(config(params={"limit_samples": 1, "extra": {"sleep": 0.5}}, **SERVED))
    desk.submit()
    wait_for(lambda: desk.lepton.states() == ["Running"])
    assert desk.states() == [State.RUNNING]
    # What nobody lists is there: it is not created again, and keeps its endpoint until it has ended.
    desk.submit(again=True)
    assert len(desk.lepton.requests("POST", "/jobs")) == 1
    assert desk.ends() == [State.COMPLETED]
    wait_for(lambda: not desk.lepton.endpoints())


def test_what_nobody_lists_is_stopped(desk: Desk) -> None:
    desk.lepton.set(lag=60)
    desk.compile(config(task(WAITS), **HOSTED))
    desk.submit()
    (stopped,) = desk.stop()
    assert stopped.done
    assert desk.lepton.states() == ["Stopped"]


def test_a_variable_that_is_not_set(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = config(task(WAITS), task("exit 3", "beta"), **HOSTED)
    whole["execution"]["lepton_platform"]["tasks"]["mounts"][0]["path"] = "/${oc.env:WHERE}"
    desk.compile(whole)
    said = "not set in the environment: WHERE"
    assert [sight.reason for sight in desk.submit().values()] == [said, said]
    assert desk.lepton.jobs() == []
    monkeypatch.setenv("WHERE", "runs")
    desk.submit()
    wait_for(lambda: desk.states() == [State.RUNNING, State.FAILED])
    monkeypatch.delenv("WHERE")
    # What runs is not said to have failed: nobody would ask for it again.
    alpha, beta = desk.submit(again=True).values()
    assert alpha.state is State.RUNNING
    assert (beta.state, beta.reason) == (State.FAILED, said)
    go(desk)
    assert desk.ends() == [State.COMPLETED, State.FAILED]


def test_a_refusal_by_403_is_no_matter_of_the_token(desk: Desk) -> None:
    desk.compile(config(task("true"), **HOSTED))
    desk.lepton.fault("status", "POST", "/jobs", code=403)
    (sight,) = desk.submit().values()
    assert sight.state is State.FAILED
    assert "as the test wants it (403)" in sight.reason


def test_a_refusal(desk: Desk) -> None:
    desk.lepton._order("reset")
    desk.compile(config(task("true"), **SERVED))
    (sight,) = desk.submit().values()
    assert sight.state is State.FAILED
    assert "no such secret: DOOR" in sight.reason
    assert desk.keeper() is None


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalc.backends import registry
    from evalc.backends.running import runs_of

    monkeypatch.setattr(platform, "find_spec", lambda _name: None)
    with pytest.raises(ClientMissing) as missing:
        runs_of(registry.get("lepton"))
    assert "pip install 'evalc[lepton]'" in missing.value.hint


def test_without_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEPTON_WORKSPACE_ID", "LEPTON_WORKSPACE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("leptonai.api.v2.workspace_record.WorkspaceRecord.current", lambda: None)
    with pytest.raises(NotLoggedIn):
        platform.connect()
