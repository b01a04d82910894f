"""The stand-in for Lepton, by the real ``leptonai`` client and the real ``lep`` command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lepton import running
from waiting import wait_for

if TYPE_CHECKING:
    from lepton import Lepton

JOB = {
    "resource_shape": "cpu.small",
    "container": {"image": "any:1", "command": ["bash", "-c", "echo hello"]},
    "ttl_seconds_after_finished": 600,
}
SERVE = "exec python3 -u -m http.server --bind 0.0.0.0 --directory /usr/share 8080"


@pytest.fixture
def client(lepton: Lepton, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real client. What it remembers of a workspace is of this test alone."""
    for name, value in lepton.env.items():
        monkeypatch.setenv(name, value)
    # After the variables are set: they are read when it is imported.
    from leptonai.api.v2 import client as module

    module.reset_new_deployment_api_flag_cache()
    return module.APIClient()


def job(command: str, **spec: Any) -> Any:
    from leptonai.api.v2.types.job import LeptonJob

    container = {"image": "any:1", "command": ["bash", "-c", command]}
    spec = {**JOB, "container": container, **spec}
    return LeptonJob.model_validate({"metadata": {"name": "evalc-test"}, "spec": spec})


def endpoint(command: str = SERVE, **spec: Any) -> Any:
    from leptonai.api.v2.types.deployment import LeptonDeployment

    whole = {
        "container": {
            "image": "any:1",
            "command": ["bash", "-c", command],
            "ports": [{"container_port": 8080}],
        },
        "resource_requirement": {"resource_shape": "cpu.small", "min_replicas": 1},
        "api_tokens": [{"value": "door"}],
        **spec,
    }
    return LeptonDeployment.model_validate({"metadata": {"name": "evalc-serve"}, "spec": whole})


def state(client: Any, id_: str) -> str:
    found: str = client.job.get(id_).status.state.value
    return found


def ends(client: Any, id_: str) -> str:
    return str(
        wait_for(lambda: state(client, id_) in ("Completed", "Failed") and state(client, id_))
    )


def lep(lepton: Lepton, *arguments: str, code: int = 0) -> str:
    ran = subprocess.run(
        [Path(sys.executable).with_name("lep"), *arguments],
        env={**os.environ, **lepton.env, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout


def status(url: str, token: str = "door") -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_job_by_the_client(lepton: Lepton, client: Any) -> None:
    volume = lepton.volume("node-nfs:shared", "/runs")
    lepton.secrets(NAME="needle")
    envs = [
        {"name": "KEY", "value_from": {"secret_name_ref": "NAME"}},
        {"name": "A", "value": "b c"},
    ]
    mounts = [{"from": "node-nfs:shared", "path": "/runs", "mount_path": "/mnt/results"}]
    text = 'echo "$KEY $A" >/mnt/results/said; echo gone >/root/evalc-test; echo "$LEPTON_JOB_NAME"'
    made = client.job.create(job(text, envs=envs, mounts=mounts))
    id_ = made.metadata.id_
    assert id_.startswith("evalc-test-")
    assert len(id_) == len("evalc-test-") + 4
    assert ends(client, id_) == "Completed"
    assert (volume / "said").read_text() == "needle b c\n"
    assert not Path("/root/evalc-test").exists()
    events = [event.reason for event in client.job.get_events(id_)]
    assert events == ["Queueing", "Starting", "Running", "ExitCode0", "Completed"]
    (replica,) = client.job.get_replicas(id_)
    assert "".join(client.job.get_log(id_, replica)) == f"{id_}\n"
    # Names are not unique, and nothing stops a second one.
    second = client.job.create(job("exit 3")).metadata.id_
    assert second != id_
    assert ends(client, second) == "Failed"
    lepton.set(page=1)
    assert [one.metadata.id_ for one in client.job.list_all()] == [second, id_]
    client.job.delete(second)
    wait_for(lambda: [one.metadata.id_ for one in client.job.list_all()] == [id_])
    assert state(client, second) == "Deleted"


def test_a_job_is_stopped_with_all_it_started(lepton: Lepton, client: Any) -> None:
    lepton.set(grace=0.3)
    text = "trap 'echo told' TERM; sleep 1234.5 & echo on; while :; do wait; done"
    id_ = client.job.create(job(text)).metadata.id_
    wait_for(lambda: state(client, id_) == "Running")
    (replica,) = client.job.get_replicas(id_)
    log = client.job.get_log(id_, replica)
    assert next(log) == "on\n"
    client.job.update(id_, {"spec": {"stopped": True}})
    assert "told" in "".join(log)
    wait_for(lambda: state(client, id_) == "Stopped")
    assert subprocess.run(["pgrep", "-f", "sleep 1234.5"], check=False).returncode == 1
    client.job.update(id_, {"spec": {"stopped": False}})
    wait_for(lambda: state(client, id_) == "Running")


def test_a_job_that_has_ended_is_forgotten(lepton: Lepton, client: Any) -> None:
    from leptonai.api.v2.api_resource import ClientError

    id_ = client.job.create(job("true")).metadata.id_
    ends(client, id_)
    lepton.move_clock(601)
    wait_for(lambda: not client.job.list_all())
    assert state(client, id_) == "Completed"
    assert client.job.list_all(job_query_mode="archive_only")
    lepton.move_clock(90000)
    wait_for(lambda: not client.job.list_all(job_query_mode="alive_and_archive"))
    with pytest.raises(ClientError, match="404"):
        state(client, id_)


def test_a_worker_is_tried_again(lepton: Lepton, client: Any) -> None:
    text = "[ -e /mnt/v/tried ] || { touch /mnt/v/tried; exit 1; }"
    mounts = [{"from": "node-nfs:retry", "path": "/", "mount_path": "/mnt/v"}]
    id_ = client.job.create(job(text, mounts=mounts, max_failure_retry=1)).metadata.id_
    assert ends(client, id_) == "Completed"
    (before,) = client.job.get(id_).status.job_history
    assert before.state.value == "Failed"
    assert "PendingRetry" in [event.reason for event in client.job.get_events(id_)]
    assert lepton.states() == ["Completed"]


def test_logs_live_and_of_the_past(client: Any) -> None:
    id_ = client.job.create(
        job("printf 'sm\\303\\270rrebr\\303\\270d\\n[/INST] [none]\\n'")
    ).metadata.id_
    begin = time.time_ns() - 10**10
    ends(client, id_)
    (replica,) = client.job.get_replicas(id_)
    # Characters are cut: what decodes each chunk for itself must fail.
    with pytest.raises(UnicodeDecodeError):
        list(client.job.get_log(id_, replica))
    path = f"/jobs/{id_}/replicas/{replica.metadata.id_}/log"
    chunks = list(client._get(path, stream=True).iter_content(chunk_size=None))
    assert b"".join(chunks).decode() == "smørrebrød\n[/INST] [none]\n"
    assert len(chunks) > 1
    past = client.log.get_log(name_or_job=id_, start=begin, end=time.time_ns(), limit=1)
    ((when, line),) = past["data"]["result"][0]["values"]
    assert line == "[/INST] [none]"
    assert begin < int(when) < time.time_ns()
    earlier = client.log.get_log(name_or_job=id_, start=begin, end=int(when))
    assert [line for _, line in earlier["data"]["result"][0]["values"]] == ["smørrebrød"]


@pytest.mark.parametrize("new_api", [False, True])
def test_an_endpoint_by_the_client(lepton: Lepton, client: Any, new_api: bool) -> None:
    from leptonai.api.v2.api_resource import ClientError

    lepton.set(new_api=new_api)
    api = client.deployment
    created = api.create_with_response(endpoint())
    assert created.metadata.name == "evalc-serve"
    with pytest.raises(ClientError, match="409"):
        api.create(endpoint())
    wait_for(lambda: api.get("evalc-serve").status.state.value == "Ready")
    (family,) = {r["path"].split("/")[1] for r in lepton.requests("POST")}
    assert family == ("endpoints" if new_api else "deployments")
    url = api.get("evalc-serve").status.endpoint.external_endpoint
    assert status(url) == 200
    assert status(url, "nobody") == 401
    (replica,) = api.get_replicas("evalc-serve")
    assert "code 404, message File not found" in next(
        line
        for line in api.get_log("evalc-serve", replica)
        if status(f"{url}/no") == 404 and "404" in line
    )
    if not new_api:
        assert (
            api.get_readiness("evalc-serve").root[replica.metadata.id_][0].reason.value == "Ready"
        )
        assert api.get_termination("evalc-serve").root == {}
    api.stop("evalc-serve")
    wait_for(lambda: api.get("evalc-serve").status.phase.value == "Stopped")
    assert api.get("evalc-serve").status.state.value == "Not Ready"
    assert status(url) == 503
    api.restart("evalc-serve") if new_api else None
    api.delete("evalc-serve")
    wait_for(lambda: not api.list_all())
    with pytest.raises(ClientError, match="404"):
        api.get("evalc-serve")


def test_an_endpoint_that_does_not_come(lepton: Lepton, client: Any) -> None:
    lepton.set(never_ready=["evalc-*"])
    client.deployment.create(endpoint())
    url = client.deployment.get("evalc-serve").status.endpoint.external_endpoint
    wait_for(lambda: status(url) == 200)
    assert client.deployment.get("evalc-serve").status.state.value == "Starting"
    lepton.set(errors=["evalc-*"])
    wait_for(lambda: client.deployment.get("evalc-serve").status.state.value == "Error")


def test_a_server_that_nobody_can_reach(lepton: Lepton, client: Any) -> None:
    client.deployment.create(endpoint(SERVE.replace("0.0.0.0", "127.0.0.1")))
    (one,) = lepton.endpoints()
    url = one["status"]["endpoint"]["external_endpoint"]
    wait_for(lambda: client.deployment.get_replicas("evalc-serve"))
    time.sleep(0.5)
    assert status(url) == 503
    assert client.deployment.get("evalc-serve").status.state.value == "Starting"


def test_a_server_that_ends_is_started_again(lepton: Lepton, client: Any) -> None:
    client.deployment.create(endpoint("exit 7"))
    wait_for(lambda: len(client.deployment.get_termination("evalc-serve").root) == 1)
    (ended,) = client.deployment.get_termination("evalc-serve").root.values()
    assert ended[0].exit_code == 7
    wait_for(lambda: lepton.endpoints()[0]["status"]["state"] == "Not Ready")


def test_what_is_refused(lepton: Lepton, client: Any) -> None:
    from leptonai.api.v2 import APIClient
    from leptonai.api.v2.api_resource import ClientError

    with pytest.raises(ClientError, match="no such secret: NOBODY"):
        client.job.create(
            job("true", envs=[{"name": "A", "value_from": {"secret_name_ref": "NOBODY"}}])
        )
    with pytest.raises(ClientError, match="resource_shape"):
        client.job.create(job("true", resource_shape=None))
    with pytest.raises(ClientError, match="401"):
        APIClient(auth_token="stranger").job.list_all()
    lepton.token(left=1)
    assert client.job.list_all() == []
    with pytest.raises(ClientError, match="401"):
        client.job.list_all()
    assert lepton.jobs() == []


def test_what_else_the_client_asks(client: Any) -> None:
    assert client.info().workspace_name == "testspace"
    (group,) = client.nodegroup.list_all()
    assert client.nodegroup.get(group).metadata.name == "test-group"
    assert len(client.nodegroup.list_nodes(group)) == 1
    assert "cpu.small" in [shape.metadata.id_ for shape in client.shapes.list_shapes()]
    from leptonai.api.v2.types.secret import SecretItem

    client.secret.create([SecretItem(name="A", value="b")])
    assert [secret.name for secret in client.secret.list_all()] == ["A"]
    client.secret.delete("A")
    assert client.secret.list_all() == []


def test_what_goes_wrong_when_it_is_asked_to(lepton: Lepton, client: Any) -> None:
    import requests
    from leptonai.api.v2.api_resource import ClientError, ServerError

    lepton.fault("lost", "POST", "/jobs")
    with pytest.raises(requests.ConnectionError):
        client.job.create(job("true"))
    assert len(lepton.jobs()) == 1
    lepton.fault("status", code=429, retry_after=3)
    with pytest.raises(ClientError) as refused:
        client.job.create(job("true"))
    assert refused.value.response.headers["Retry-After"] == "3"
    lepton.fault("status", "GET", code=500, count=2)
    for _ in range(2):
        with pytest.raises(ServerError):
            client.job.list_all()
    assert len(client.job.list_all()) == 1
    lepton.fault("broken", "POST")
    with pytest.raises(RuntimeError, match="programming error"):
        client.job.create(job("true"))
    assert len(lepton.jobs()) == 2
    lepton.fault("slow", seconds=0.4)
    with pytest.raises(requests.ReadTimeout):
        client._get("/jobs", timeout=0.1)
    codes = [request["code"] for request in lepton.requests("POST", "/jobs")]
    assert codes == [0, 429, 201]


def test_a_job_by_the_command(lepton: Lepton, tmp_path: Path) -> None:
    file = tmp_path / "job.spec.json"
    file.write_text(json.dumps(JOB))
    assert "hello" not in lep(lepton, "job", "create", "-n", "evalc-lep", "-f", str(file))
    lepton.wait("Completed")
    (made,) = lepton.jobs()
    id_ = made["metadata"]["id"]
    assert made["spec"]["ttl_seconds_after_finished"] == 259200
    assert id_ in lep(lepton, "job", "list")
    # A specification, as it takes it.
    lep(lepton, "job", "get", "-i", id_, "--path", str(tmp_path / "got.json"))
    assert json.loads((tmp_path / "got.json").read_text())["container"]["command"] == [
        "bash",
        "-c",
        "echo hello",
    ]
    assert "hello" in lep(lepton, "job", "log", "-i", id_)
    lep(lepton, "job", "stop", "-i", id_)
    lep(lepton, "job", "remove", "-i", id_)
    wait_for(lambda: lepton.states() == ["Deleted"])


def test_an_endpoint_by_the_command(lepton: Lepton, tmp_path: Path) -> None:
    file = tmp_path / "endpoint.spec.json"
    file.write_text(endpoint().spec.model_dump_json(exclude_none=True, by_alias=True))
    lep(lepton, "endpoint", "create", "-n", "evalc-lep", "-f", str(file), "-r", "1")
    wait_for(lambda: lepton.endpoints()[0]["status"]["state"] == "Ready")
    assert "evalc-lep" in lep(lepton, "endpoint", "list")
    got = json.loads(lep(lepton, "endpoint", "get", "-n", "evalc-lep"))
    assert status(got["status"]["endpoint"]["external_endpoint"]) == 200
    lep(lepton, "endpoint", "remove", "-n", "evalc-lep")
    wait_for(lambda: not lepton.endpoints())


def test_nothing_is_left(stand_ins: Path) -> None:
    with running(stand_ins) as server:
        folder = Path(server.env["LEPTON_CACHE_DIR"]).parent
        body = {
            "metadata": {"name": "a"},
            "spec": {**JOB, "container": {"command": ["sleep", "4321.5"]}},
        }
        request = urllib.request.Request(
            f"{server.url}/jobs",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {server.env['LEPTON_WORKSPACE_TOKEN']}"},
        )
        urllib.request.urlopen(request, timeout=5).close()
        wait_for(lambda: server.states() == ["Running"])
    assert subprocess.run(["pgrep", "-f", "sleep 4321.5"], check=False).returncode == 1
    assert not folder.exists()
