"""submit_all.sh against the loopback server: everything once, whatever goes wrong, and nothing left."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from backends.lepton.lab import SERVER, TARGET, Lab, config
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.xdist_group("lepton")

# A task that needs no model, and ends when a file appears on the volume.
OWN = {"name": "alpha", "container": "own:1"}
HOSTED = {"api_endpoint": {"url": "http://127.0.0.1:9/v1", "model_id": "m"}}


def own(command: str) -> dict[str, Any]:
    return config({**OWN, "command": command}, target=HOSTED)


def served(*tasks: str, sharing: str = "per_task", **more: Any) -> dict[str, Any]:
    return config(*tasks, deployment=SERVER, target=TARGET, execution={"sharing": sharing}, **more)


# All that is right


@pytest.mark.parametrize("new_api", [False, True])
def test_tasks_share_an_endpoint_that_goes_with_the_last_of_them(lab: Lab, new_api: bool) -> None:
    lab.lepton.set(new_api=new_api)
    lab.compile(served("alpha", "beta", sharing="shared"))
    said = lab.submit().said
    assert lab.stage("alpha") == lab.stage("beta") == "0"
    lab.no_endpoint()
    assert lab.events("alpha") == ["submitting", "submitted", "ended"]
    assert lab.events(".") == [f"endpoint {e}" for e in ("creating", "created", "ready", "removed")]
    assert "2 submitted, 0 running, 2 finished" in said
    family = "/endpoints" if new_api else "/deployments"
    assert [r["path"] for r in lab.lepton.requests("POST")] == [family, "/jobs", "/jobs"]


def test_each_task_has_an_endpoint_of_its_own(lab: Lab) -> None:
    lab.compile(served("alpha", "beta"))
    lab.submit()
    assert len({r["path"] for r in lab.lepton.requests("DELETE")}) == 2
    for task in ("alpha", "beta"):
        assert lab.stage(task) == "0"
        assert lab.events(task)[-1] == "endpoint removed"
        sent = json.loads((lab.bundle / task / "logs/job.json").read_text())
        assert "@@{" not in json.dumps(sent["spec"]["envs"])


def test_an_endpoint_that_runs_already_is_looked_up_and_left_alone(lab: Lab) -> None:
    lab.compile(served("alpha"))
    lab.submit("--no-wait")
    (name,) = (one["metadata"]["name"] for one in lab.lepton.endpoints())
    other = Lab(lab.lepton, lab.folder.parent / "other")
    endpoint = {"type": "lepton", "deployment_name": name, "model_id": "stand-in"}
    other.compile(config(target={"api_endpoint": {**endpoint, "api_key_name": "DOOR"}}))
    assert other.submit("--wait").code == 0
    assert other.stage() == "0"
    assert [one["metadata"]["name"] for one in lab.lepton.endpoints()] == [name]


def test_an_endpoint_that_should_run_and_does_not(lab: Lab) -> None:
    endpoint = {"type": "lepton", "deployment_name": "not-there", "model_id": "m"}
    lab.compile(config(target={"api_endpoint": endpoint}))
    assert "there is no endpoint not-there" in lab.submit(code=69).said
    assert lab.created() == []


def test_what_the_environment_says_goes_into_the_json_whole(lab: Lab) -> None:
    value = 'a "b" \\ $(touch PWNED) é @@{EVALC_INVOCATION}@@ \u2028 end'
    lab.env["WHO"] = value
    lab.env["LC_ALL"] = "C.UTF-8"
    task = {**OWN, "command": 'printf %s "$MODEL_ID" >"$RESULTS_DIR/model"'}
    lab.compile(
        config(task, target={"api_endpoint": {"url": "http://x", "model_id": "${oc.env:WHO}"}})
    )
    lab.submit("--wait")
    assert (lab.results() / "artifacts/model").read_text() == value


def test_a_default_stands_in_for_a_variable(lab: Lab) -> None:
    task = {**OWN, "command": 'printf %s "$MODEL_ID" >"$RESULTS_DIR/model"'}
    lab.compile(
        config(
            task, target={"api_endpoint": {"url": "http://x", "model_id": "${oc.env:WHO,nobody}"}}
        )
    )
    lab.submit("--wait")
    assert (lab.results() / "artifacts/model").read_text() == "nobody"


def test_a_variable_that_must_be_set(lab: Lab) -> None:
    lab.compile(
        config(
            OWN | {"command": "true"},
            target={"api_endpoint": {"url": "http://x", "model_id": "${oc.env:WHO}"}},
        )
    )
    assert "not set in the environment: WHO" in lab.submit(code=78).said
    assert lab.lepton.requests() == []


# Again


def test_running_it_again_submits_nothing_twice(lab: Lab) -> None:
    lab.compile(own("sleep 1"))
    lab.submit()
    first = lab.created()
    assert "0 submitted, 1 running" in lab.submit().said
    assert "0 submitted, 0 running, 1 finished" in lab.submit("--wait").said
    assert lab.created() == first


def test_a_job_that_failed_is_submitted_on_request_alone(lab: Lab) -> None:
    lab.compile(own('[ -e "$RESULTS_DIR/../again" ] || { touch "$RESULTS_DIR/../again"; exit 7; }'))
    assert "alpha: ended (Failed)" in lab.submit("--wait", code=1).said
    assert lab.stage() == "7 the harness failed"
    assert "--again submits it" in lab.submit(code=1).said
    lab.submit("--again", "--wait")
    assert lab.stage() == "0"
    assert lab.events() == ["submitting", "submitted", "ended"] * 2
    begun = [line.split() for line in lab.journal() if line.startswith("submitting")]
    assert [number for _, _, number, _ in begun] == ["n=1", "n=2"]


def test_a_finished_task_that_is_submitted_again_ends_at_once(lab: Lab) -> None:
    lab.compile(own('echo ran >>"$RESULTS_DIR/count"'))
    lab.submit("--wait")
    shutil.rmtree(lab.bundle / "alpha/logs")
    lab.lepton.move_clock(1e9)  # the platform has forgotten it
    lab.lepton.set(archive=0)
    lab.submit("--again", "--wait", code=None)
    assert (lab.results() / "artifacts/count").read_text() == "ran\n"


def test_one_task_of_several(lab: Lab) -> None:
    lab.compile(served("alpha", "beta", sharing="shared"))
    lab.submit("--only", "beta")
    assert [name.partition("-")[0] for name in lab.created()] == ["beta"]
    lab.no_endpoint()
    lab.submit()
    assert [name.partition("-")[0] for name in lab.created()] == ["beta", "alpha"]


def test_without_waiting_the_endpoint_stays_until_it_is_run_again(lab: Lab) -> None:
    lab.compile(served("alpha"))
    assert "an endpoint is up" in lab.submit("--no-wait").said
    assert len(lab.lepton.endpoints()) == 1
    lab.lepton.wait("Completed")
    lab.submit("--no-wait")
    lab.no_endpoint()


def test_stopping_stops_jobs_and_removes_endpoints(lab: Lab) -> None:
    lab.compile(served("alpha", params={"limit_samples": 2, "extra": {"sleep": 60}}))
    lab.submit("--no-wait")
    lab.lepton.wait("Running")
    lab.submit("--stop")
    lab.lepton.wait("Stopped")
    lab.no_endpoint()
    assert "stopped" in lab.events()
    assert "alpha: Stopped; --again submits it" in lab.submit(code=1).said


# Whatever goes wrong


def test_an_answer_that_is_lost_makes_no_second_job(lab: Lab) -> None:
    lab.lepton.fault("lost", "POST", "/jobs")
    lab.compile(own("true"))
    lab.submit("--wait")
    assert len(lab.created()) == 1
    assert lab.events() == ["submitting", "submitted", "ended"]


def test_an_answer_that_is_cut_makes_no_second_job(lab: Lab) -> None:
    lab.lepton.fault("broken", "POST", "/jobs")
    lab.compile(own("true"))
    lab.submit("--wait")
    assert len(lab.created()) == 1


@pytest.mark.parametrize("code", [429, 500, 503])
@pytest.mark.parametrize("path", ["/jobs", "/deployments.*", "/workspace"])
def test_a_storm_passes(lab: Lab, code: int, path: str) -> None:
    lab.lepton.fault("status", path=path, code=code, count=3)
    lab.compile(served("alpha"))
    lab.submit()
    assert len(lab.created()) == 1
    lab.no_endpoint()
    assert lab.stage() == "0"


def test_a_storm_that_does_not_pass_ends_it_and_it_goes_on_later(lab: Lab) -> None:
    lab.lepton.fault("status", "POST", "/jobs", code=500, count=100)
    lab.compile(served("alpha"))
    assert "run this again later" in lab.submit(code=69).said
    lab.lepton.no_faults()
    lab.submit()
    assert len(lab.created()) == 1
    assert len(lab.lepton.requests("POST", "/deployments")) == 1


def test_a_lost_answer_to_the_endpoint_makes_no_second_one(lab: Lab) -> None:
    lab.lepton.fault("lost", "POST", "/deployments")
    lab.compile(served("alpha"))
    lab.submit()
    assert len(lab.lepton.requests("POST", "/deployments")) == 1
    lab.no_endpoint()


def test_a_job_that_is_refused(lab: Lab) -> None:
    lab.lepton.fault("status", "POST", "/jobs", code=400, count=100)
    lab.compile(served("alpha"))
    assert "refused" in lab.submit(code=1).said
    lab.no_endpoint()
    assert "refused" in lab.events()


def test_an_endpoint_that_is_refused(lab: Lab) -> None:
    lab.lepton.fault("status", "POST", "/deployments", code=422, count=100)
    lab.compile(served("alpha"))
    assert "the endpoint was refused" in lab.submit(code=69).said
    assert lab.created() == []


@pytest.mark.parametrize(
    ("setting", "why"), [("errors", "is Error"), ("never_ready", "not ready within 1 s")]
)
def test_an_endpoint_that_never_gets_ready_is_removed(lab: Lab, setting: str, why: str) -> None:
    lab.lepton.set(**{setting: ["*"]})
    values = served("alpha", "beta", sharing="shared")
    values["execution"]["endpoint_readiness_timeout"] = 1
    lab.compile(values)
    assert why in lab.submit(code=69).said
    assert lab.created() == []
    lab.no_endpoint()
    assert "endpoint failed" in lab.events(".")


@pytest.mark.parametrize("left", [0, 1, 3, 5, 6, 7, 8, 10])
def test_a_token_that_expires_midway(lab: Lab, left: int) -> None:
    lab.lepton.token(left=left)
    lab.compile(served("alpha"))
    ran = lab.submit(code=None)
    if ran.code:
        assert ran.code == 77
        assert "export LEPTON_WORKSPACE_TOKEN anew" in ran.said
    lab.lepton.token("new-token")
    lab.env["LEPTON_WORKSPACE_TOKEN"] = "new-token"
    lab.submit()
    assert len(lab.created()) == 1
    lab.no_endpoint()
    assert lab.stage() == "0"


def reached(lab: Lab, method: str, path: str, count: int) -> Callable[[], bool]:
    return lambda: len(lab.lepton.requests(method, path)) >= count


@pytest.mark.parametrize(
    ("method", "path", "count"),
    [
        ("GET", "/jobs", 1), ("GET", "/workspace", 1), ("GET", "/deployments", 1),
        ("POST", "/deployments", 1), ("GET", "/deployments", 2), ("POST", "/jobs", 1),
        ("POST", "/jobs", 2), ("GET", "/jobs", 4), ("DELETE", "/deployments", 1),
    ],
)  # fmt: skip
def test_it_can_be_killed_anywhere(lab: Lab, method: str, path: str, count: int) -> None:
    lab.compile(served("alpha", "beta", sharing="shared"))
    # Slow enough to be killed before the answer.
    lab.lepton.fault("slow", method, f"{path}.*", seconds=0.3, count=count)
    with lab.start() as process:
        wait_for(reached(lab, method, path, count))
        os.killpg(process.pid, signal.SIGKILL)
    lab.lepton.no_faults()
    lab.submit()
    assert sorted(name.partition("-")[0] for name in lab.created()) == ["alpha", "beta"]
    assert lab.stage("alpha") == lab.stage("beta") == "0"
    lab.no_endpoint()


def test_an_endpoint_that_comes_after_a_kill_is_removed(lab: Lab) -> None:
    lab.compile(served("alpha"))
    lab.lepton.fault("slow", "POST", "/deployments", seconds=1)
    with lab.start() as process:
        wait_for(lambda: lab.lepton.requests("POST", "/deployments"))
        os.killpg(process.pid, signal.SIGKILL)
    assert "removed the endpoint" in lab.submit("--stop").said
    lab.no_endpoint()


def test_of_twins_one_stays(lab: Lab) -> None:
    # A request of which nobody hears any more is served after all, when another one was sent.
    lab.env["EVALC_SETTLE_SECONDS"] = "0"
    lab.compile(own('until [ -e "$RESULTS_DIR/../go" ]; do sleep 0.05; done'))
    lab.lepton.fault("slow", "POST", "/jobs", seconds=1.5)
    with lab.start() as process:
        wait_for(lambda: lab.lepton.requests("POST", "/jobs"))
        os.killpg(process.pid, signal.SIGKILL)
    lab.submit()
    wait_for(lambda: len(lab.created()) == 2)
    with lab.start("--wait") as process:
        wait_for(lambda: sorted(lab.lepton.states()) == ["Running", "Stopped"])
        (lab.results() / "go").touch()
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "does the same" in said
    assert lab.events().count("submitted") == 1


def test_a_signal_leaves_what_runs_and_says_so(lab: Lab) -> None:
    lab.compile(served("alpha", params={"limit_samples": 2, "extra": {"sleep": 1}}))
    with lab.start() as process:
        wait_for(lab.created)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 143, said
    assert "goes on" in said
    assert len(lab.lepton.endpoints()) == 1
    lab.submit()
    lab.no_endpoint()
    assert len(lab.created()) == 1


def test_two_at_once_are_one(lab: Lab) -> None:
    lab.compile(own("sleep 1"))
    with lab.start("--wait") as process:
        wait_for((lab.bundle / "logs/submit.lock").exists)
        assert "at work here already" in lab.submit(code=75).said
        process.communicate(timeout=30)
    assert len(lab.created()) == 1


def test_a_lost_journal_is_made_up_for(lab: Lab) -> None:
    lab.compile(own("true"))
    lab.submit("--wait")
    shutil.rmtree(lab.bundle / "alpha/logs")
    assert "1 finished" in lab.submit().said
    assert len(lab.created()) == 1


# What it does not do


def test_the_token_is_on_no_command_line_and_in_no_file(lab: Lab) -> None:
    real = shutil.which("curl")
    assert real
    log, programs = lab.folder.parent / "calls", lab.folder.parent / "bin"
    programs.mkdir()
    (programs / "curl").write_text(
        f'#!/bin/bash\nprintf "%s\\n" "$@" >>"{log}"; env >>"{log}"\nexec {real} "$@"\n'
    )
    (programs / "curl").chmod(0o755)
    lab.env["PATH"] = f"{programs}:{os.environ['PATH']}"
    lab.compile(served("alpha"))
    said = lab.submit().said
    token = lab.lepton.env["LEPTON_WORKSPACE_TOKEN"]
    assert log.read_text()
    assert token not in log.read_text()
    assert token not in said
    for path in lab.bundle.rglob("*"):
        assert not path.is_file() or token not in path.read_text()


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"LEPTON_WORKSPACE_TOKEN": ""}, "LEPTON_WORKSPACE_TOKEN is not set"),
        ({"LEPTON_WORKSPACE_TOKEN": 'x" -o /tmp/x'}, "holds what no token can"),
        ({"LEPTON_WORKSPACE_URL": "", "LEPTON_WORKSPACE_ID": ""}, "set LEPTON_WORKSPACE_ID"),
        ({"LEPTON_WORKSPACE_URL": "http://example.com/x"}, "begins with https://"),
        ({"LEPTON_WORKSPACE_URL": "https://x/$(y)"}, "can't be the URL"),
    ],
)
def test_a_workspace_that_can_not_be(lab: Lab, env: dict[str, str], why: str) -> None:
    lab.compile(own("true"))
    lab.env.update(env)
    assert why in lab.submit(code=78).said
    assert lab.lepton.requests() == []


def test_help_and_usage(lab: Lab) -> None:
    lab.compile(own("true"))
    assert "usage:" in lab.submit("--help").said
    assert "unknown argument '-x'" in lab.submit("-x", code=2).said
    assert "there is no task 'x'" in lab.submit("--only", "x", code=2).said
    assert "needs the name of a task" in lab.submit("--only", code=2).said


def test_a_dry_run_asks_nobody_and_writes_nothing(lab: Lab) -> None:
    lab.compile(served("alpha"))
    before = sorted(lab.bundle.rglob("*"))
    said = lab.submit("--dry-run").said
    assert re.search(
        r"create the endpoint generic-alpha-\w{8}-\w{8} from alpha/endpoint.json", said
    )
    assert re.search(r"create the job alpha-\w{8}-\w{8} from alpha/job.json with the URL of", said)
    assert sorted(lab.bundle.rglob("*")) == before
    assert lab.lepton.requests() == []


def test_the_invocation_is_the_end_of_a_runs_folder(lab: Lab) -> None:
    lab.compile(own("true"))
    run = lab.folder / "2026-11-25-23-59-59-k3fw8t2q"
    lab.bundle.rename(run)
    run.joinpath("../bundle").resolve().symlink_to(run)
    lab.submit("--wait")
    assert lab.invocation == "k3fw8t2q"
    assert lab.created()[0].endswith("-k3fw8t2q")
