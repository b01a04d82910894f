"""Servers on several nodes, several servers, and several tasks in one job or array."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backends.slurm.lab import MODEL
from waiting import wait_for

if TYPE_CHECKING:
    from backends.slurm.lab import Lab

BOTH = ("alpha", "beta")
TESTBED = Path(__file__).resolve().parents[2] / "testbed"


def tasks(lab: Lab, text: str, **keys: object) -> list[dict[str, object]]:
    return [lab.command(text, id=name, **keys) for name in BOTH]


@pytest.mark.parametrize("lab", ["none", "pyxis"], indirect=True)
def test_several_instances_behind_a_load_balancer(lab: Lab) -> None:
    """A real haproxy; engine none finds it in PATH, Pyxis in the image."""
    ask = 'import os,urllib.request as u\nfor _ in range(8): u.urlopen(u.Request(os.environ[\'MODEL_URL\'], b\'{"messages":[{"content":"a b"}]}\')).read()'
    bundle = lab.bundle(
        lab.command(f"echo $MODEL_URL >url; python3 -c {shlex.quote(ask)}"),
        deployment=lab.server(),
        execution={"nodes": 3, "num_instances": 3},
    )
    bundle.submit()
    assert bundle.ends().name == "done", bundle.everything()
    logs = [bundle.text("alpha", "logs", f"server_model-{n}_stdout.log") for n in range(3)]
    assert all(log.count("POST /v1/chat/completions") >= 1 for log in logs), bundle.everything()
    assert sum(log.count("POST /v1/chat/completions") for log in logs) == 8
    config = bundle.text("alpha", "logs", "haproxy_model.cfg")
    assert [line.split()[2] for line in config.splitlines() if line.startswith("  server ")] == [
        "n1:8000", "n2:8000", "n3:8000",
    ]  # fmt: skip


def test_one_instance_over_several_nodes(lab: Lab, tmp_path: Path) -> None:
    """Ray's head on the first node, workers on the others; stand-ins for ray and vllm."""
    _ray(lab, tmp_path)
    bundle = lab.bundle(
        lab.harness(),
        deployment={
            "type": "vllm_ray",
            "hf_model_handle": "some/model",
            "served_model_name": MODEL,
        },
        execution={"nodes": 2, "gres": None},
    )
    bundle.submit()
    assert bundle.ends().name == "done", bundle.everything()
    log = bundle.text("alpha", "logs", "server_model_stdout.log")
    assert "0: ray start --head" in log
    assert "on n1" in log
    assert "1: ray start --block" in log
    assert "on n2" in log
    assert "0: vllm serve some/model" in log
    assert "1: vllm" not in log


def _ray(lab: Lab, folder: Path) -> None:
    script = TESTBED / "ray_cluster.py"
    for name in ("ray", "vllm"):
        program = folder / name
        # By a link of that name, since the stand-in looks at how it is called.
        link = folder / f"{name}.d" / name
        link.parent.mkdir()
        link.symlink_to(script)
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {link} "$@"\n')
        program.chmod(0o755)
    lab.env["PATH"] = f"{folder}:{lab.env['PATH']}"


def test_a_judge_on_a_node_of_its_own(lab: Lab) -> None:
    judge = {
        "type": "generic", "served_model_name": "the judge", "port": 8000, "gpus": "none",
        "command": ["model-server", "--host", "0.0.0.0", "--port", "8000"],
        "endpoints": {"chat": "/v1/chat/completions", "health": "/health"},
    }  # fmt: skip
    text = 'curl -s -d \'{"messages":[{"content":"a b"}]}\' $JUDGE_CHAT_URL >judged; echo $JUDGE_CHAT_URL $JUDGE_MODEL_ID $MODEL_URL >urls'
    bundle = lab.bundle(
        lab.command(text), deployment=lab.server(), auxiliary_deployments={"judge": judge}
    )
    bundle.submit()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.text("alpha", "artifacts", "urls").split() == [
        "http://n2:8000/v1/chat/completions", "the", "judge",
        "http://127.0.0.1:8000/v1/chat/completions",
    ]  # fmt: skip
    assert "choices" in bundle.text("alpha", "artifacts", "judged")
    assert "POST" in bundle.text("alpha", "logs", "server_judge_stdout.log")
    assert "POST" not in bundle.text("alpha", "logs", "server_model_stdout.log")


def test_tasks_that_share_a_server(lab: Lab) -> None:
    """The server starts once; the tasks run side by side."""
    text = "touch here; until [ -e ../../alpha/artifacts/here ] && [ -e ../../beta/artifacts/here ]; do sleep 0.1; done"
    bundle = lab.bundle(
        *tasks(lab, text),
        deployment=lab.server(),
        execution={"sharing": "shared", "parallelism": 2},
    )
    bundle.submit()
    assert bundle.ends("").name == "done", bundle.everything("")
    assert [bundle.exit(name) for name in BOTH] == [(0, ""), (0, "")]
    assert bundle.text("logs", "server_model_stdout.log").count("listening") == 1
    assert len(bundle.events("attempt", "")) == 1


def test_a_task_that_fails_beside_one_that_does_not(lab: Lab) -> None:
    bundle = lab.bundle(
        lab.command("exit 7", id="alpha"),
        lab.command("true", id="beta"),
        deployment=lab.server(),
        execution={"sharing": "shared"},
    )
    bundle.submit()
    job = bundle.events("submitted", "")[0]["job"]
    assert bundle.ends("").name == "stop"
    assert bundle.exit("alpha") == (7, "the harness failed")
    assert bundle.exit("beta") == (0, "")
    assert lab.cluster.state(job) == "FAILED"
    assert len(bundle.events("attempt", "")) == 1


def test_an_array(lab: Lab) -> None:
    bundle = lab.bundle(*tasks(lab, "echo $SLURM_ARRAY_TASK_ID >index"), execution={"array": True})
    said = bundle.submit().stderr
    for name in BOTH:
        assert bundle.ends(name).name == "done", bundle.everything(name)
    assert [bundle.text(name, "artifacts", "index") for name in BOTH] == ["0\n", "1\n"]
    jobs = [bundle.events("submitted", name)[0]["job"] for name in BOTH]
    assert jobs[0].endswith("_0")
    assert jobs[1].endswith("_1")
    assert jobs[0].split("_")[0] in said


def test_an_array_submits_what_is_missing(lab: Lab) -> None:
    bundle = lab.bundle(
        *tasks(lab, "[ -e ../ok ] || exit 3"), execution={"array": True, "array_limit": 1}
    )
    bundle.path("beta").mkdir(exist_ok=True)
    bundle.path("beta", "ok").touch()
    bundle.submit()
    assert bundle.ends("alpha").name == "stop"
    assert bundle.ends("beta").name == "done"
    bundle.path("alpha", "ok").touch()
    again = bundle.run("submit_all.sh")
    assert again.returncode == 1
    assert "has stopped" in again.stderr
    assert "1 tasks" in bundle.submit("--again").stderr
    wait_for(lambda: bundle.exit("alpha")[0] == 0)


def test_a_chain_of_an_array_s_element(lab: Lab) -> None:
    """What goes on after an element is a job of its own."""
    bundle = lab.bundle(
        *tasks(lab, "if [ -e once ]; then exit 0; fi; touch once; sleep 600"),
        execution={"array": True, "walltime": "00:05:00"},
    )
    bundle.submit()
    for name in BOTH:
        wait_for(bundle.path(name, "artifacts", "once").exists)
    lab.cluster.move_clock(400)
    for name in BOTH:
        assert bundle.ends(name).name == "done", bundle.everything(name)
        first, second = bundle.events("attempt", name)
        assert first["job"] == bundle.events("submitted", name)[0]["job"]
        assert second["after"] == first["job"]
        assert "_" not in second["job"]
