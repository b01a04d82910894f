"""Model servers: started when needed, waited for, watched, and stopped whatever happens."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from backends.local.lab import BOXES, SCRIPTS, Lab, by_each_script, in_containers, on_the_host
from waiting import wait_for

QUICK = {"endpoint_readiness_timeout": 2}
SLEEPY = {"limit_samples": 2, "extra": {"sleep": 60}}


def test_one_server_for_all_or_one_for_each(lab: Lab) -> None:
    tasks = [lab.harness("alpha"), lab.harness("beta")]
    shared = lab.bundle(*tasks, deployment=lab.server())
    ran = shared.run()
    assert (ran.code, lab.starts()) == (0, 1), ran.said
    assert "POST" in shared.text("logs", "server_model_stdout.log")
    each = lab.bundle(
        *tasks, name="each", deployment=lab.server(), execution={"sharing": "per_task"}
    )
    ran = each.run()
    assert (ran.code, lab.starts()) == (0, 3), ran.said
    ran = each.run("run_all.sh", "--jobs", "2", "--force")
    assert (ran.code, lab.starts()) == (2, 3)
    assert "each task starts a server of its own" in ran.said
    for task in ("alpha", "beta"):
        assert "POST" in each.text(task, "logs", "server_model_stdout.log")


@on_the_host
def test_a_shared_server_serves_a_task_run_alone(lab: Lab) -> None:
    bundle = lab.bundle(lab.harness("alpha"), lab.harness("beta"), deployment=lab.server())
    assert bundle.run("beta/run.sh").code == 0
    assert bundle.run().code == 0
    assert lab.starts() == 2


def test_a_server_that_needs_time(lab: Lab) -> None:
    bundle = lab.bundle(lab.harness(), deployment=lab.server("--ready-after 1.2"))
    ran = bundle.run("alpha/run.sh")
    assert ran.code == 0, ran.said
    assert " 503 " in bundle.text("alpha", "logs", "server_model_stdout.log")


@by_each_script
def test_a_server_that_is_never_ready(lab: Lab, script: str) -> None:
    bundle = lab.bundle(
        lab.harness(), lab.harness("beta"), deployment=lab.server("--never-ready"), execution=QUICK
    )
    ran = bundle.run(script)
    assert (ran.code, lab.starts()) == (69, 1)
    why = "the server 'model' was not ready within 2 s"
    assert f"{why}\n" in ran.said
    assert f"    listening on 127.0.0.1:{lab.port}\n" in ran.said
    if script == "run_all.sh":
        assert f"  alpha  failed (69) {why}\n  beta   failed (69) {why}\n" in ran.said
        assert bundle.exit("beta") == (69, why)
    assert bundle.exit() == (69, why)
    assert not bundle.path("alpha", "logs", "stage.running").exists()
    assert ran.seconds < 20


@by_each_script
def test_a_server_that_dies_before_it_is_ready(lab: Lab, script: str) -> None:
    bundle = lab.bundle(lab.harness(), deployment=lab.server("--never-ready --die-after 0.3"))
    ran = bundle.run(script)
    assert ran.code == 69
    why = "the server 'model' died before it was ready (exit code 13)"
    assert f"{why}\n" in ran.said
    assert "    out of memory: the model server dies, as it was told\n" in ran.said
    assert bundle.exit() == (69, why)
    assert ran.seconds < 20


@on_the_host
def test_a_server_that_cannot_start(lab: Lab) -> None:
    for keys, code in (
        ({"command": "no-such-program --here"}, 127),
        ({"command": "true"}, 0),
        ({"command": "touch ran", "pre_cmd": "exit 3"}, 3),
        ({"command": "touch ran", "pre_cmd": "false"}, 1),
        ({"command": ["no-such-program"], "pre_cmd": ""}, 127),
    ):
        bundle = lab.bundle(lab.command("true"), deployment=lab.server(**keys))
        assert bundle.run("alpha/run.sh").code == 69
        why = f"the server 'model' died before it was ready (exit code {code})"
        assert bundle.exit() == (69, why)
    assert not (lab.folder / "ran").exists()


@by_each_script
def test_a_server_that_dies_during_the_evaluation(lab: Lab, script: str) -> None:
    bundle = lab.bundle(lab.harness(params=SLEEPY), lab.harness("beta"), deployment=lab.server())
    running = bundle.start(script)
    wait_for(lambda: "request 1 of 2" in bundle.text("alpha", "logs", "client_stdout.log"))
    os.kill(lab.find(f"--port {lab.port}"), signal.SIGKILL)
    ran = running.ends(30)
    assert (ran.code, ran.raw) == (69, [])
    assert bundle.exit() == (69, "the server 'model' died during the evaluation")
    assert f"    listening on 127.0.0.1:{lab.port}\n" in ran.said
    # The harness was told, and had its time.
    assert bundle.path("alpha", "artifacts", ".nemo_evaluator_interrupted").exists()
    if script == "run_all.sh":
        assert "the server 'model' died (exit code 137)\n" in ran.said
        assert bundle.exit("beta") == (69, "the server 'model' died (exit code 137)")
        assert "  beta   failed (69) the server 'model' died (exit code 137)\n" in ran.said
    # And the next run goes through.
    assert bundle.run("beta/run.sh").code == 0


@pytest.mark.parametrize("script", SCRIPTS)
@on_the_host
def test_a_port_that_is_in_use(lab: Lab, script: str) -> None:
    bundle = lab.bundle(lab.harness(), deployment=lab.server())
    with socket.create_server(("127.0.0.1", lab.port)):
        ran = bundle.run(script)
    assert (ran.code, lab.starts()) == (69, 0)
    why = f"port {lab.port}, which the server 'model' wants, is in use"
    assert why in ran.said
    assert bundle.exit() == (69, why)


@on_the_host
def test_stage_files_and_the_summary_are_of_this_run(lab: Lab) -> None:
    """What an older run left there is not said again."""
    deployment = lab.server('$([ -e "$DIR/go" ] || echo --never-ready)')
    deployment["env_vars"] = {"DIR": f"lit:{lab.shared}"}
    bundle = lab.bundle(
        lab.command('touch "$RESULTS_DIR/x"'),
        lab.command(f'[ ! -e "{lab.shared}/wrong" ]', "beta"),
        deployment=deployment,
        execution=QUICK,
    )
    (lab.shared / "go").touch()
    (lab.shared / "wrong").touch()
    assert bundle.run().code == 1
    first = (bundle.exit(), bundle.exit("beta"))
    assert first == ((0, ""), (1, "the harness failed"))

    # What is finished stays so; what was to run is told anew.
    (lab.shared / "go").unlink()
    unready = "the server 'model' was not ready within 2 s"
    ran = bundle.run()
    assert ran.code == 69
    assert f"  alpha  finished\n  beta   failed (69) {unready}\n" in ran.said
    assert (bundle.exit(), bundle.exit("beta")) == ((0, ""), (69, unready))
    busy = f"port {lab.port}, which the server 'model' wants, is in use"
    with socket.create_server(("127.0.0.1", lab.port)):
        ran = bundle.run()
        assert (ran.code, bundle.exit("beta")) == (69, (69, busy))
        assert f"  alpha  finished\n  beta   failed (69) {busy}\n" in ran.said
        # What is to be repeated is not finished any more.
        ran = bundle.run("run_all.sh", "--force", "--only", "alpha")
        assert (ran.code, bundle.exit()) == (69, (69, busy))
        assert ran.said.endswith(f"  alpha  failed (69) {busy}\n")
    assert bundle.path("alpha", "artifacts.old", "x").exists()
    assert not bundle.path("alpha", "artifacts", "x").exists()

    # An interrupt leaves what has not begun as it was, and says nothing else of it.
    running = bundle.start()
    running.says("waiting for the server")
    running.signal(signal.SIGTERM)
    ran = running.ends()
    assert ran.code == 143
    assert ran.said.endswith("  alpha  not run\n  beta   not run\n")
    assert bundle.exit() == (69, busy)

    (lab.shared / "go").touch()
    (lab.shared / "wrong").unlink()
    assert bundle.run().code == 0
    assert (bundle.exit(), bundle.exit("beta")) == ((0, ""), (0, ""))


@on_the_host
def test_a_task_that_somebody_else_runs_is_left_alone(lab: Lab) -> None:
    """run_all.sh, whose server fails, has nothing to say about it."""
    text = f'until [ -e "{lab.shared}/go" ]; do sleep 0.05; done'
    bundle = lab.bundle(lab.command(text), lab.command("true", "beta"), deployment=lab.server())
    alone = bundle.start("alpha/run.sh")
    alone.says("evaluating")
    ran = bundle.run()
    assert (ran.code, bundle.exit("beta")[0]) == (69, 69)
    assert "  alpha  not run\n  beta   failed (69) port " in ran.said
    (lab.shared / "go").touch()
    assert (alone.ends().code, bundle.exit()) == (0, (0, ""))


@pytest.mark.parametrize("lab", [BOXES[0]], indirect=True)
def test_the_daemon_is_down(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"), lab.command("true", "beta"), deployment=lab.server())
    assert bundle.run().code == 0
    down = {"DOCKER_HOST": f"unix://{lab.folder}/nobody"}
    ran = bundle.run("run_all.sh", "--force", "--only", "alpha", env=down)
    assert ran.code == 69
    code, reason = bundle.exit()
    assert (code, bundle.exit("beta")) == (69, (0, ""))
    assert reason.startswith("the server 'model' can't start: docker says: ")
    assert ran.said.endswith(f"  alpha  failed (69) {reason}\n")
    assert bundle.run().code == 0


@on_the_host
def test_a_harness_that_is_done_when_its_server_dies(lab: Lab) -> None:
    """Its results count, and the server's children go too."""
    text = f'until [ -e "{lab.shared}/go" ]; do sleep 0.05; done'
    bundle = lab.bundle(lab.command(text), deployment=lab.server())
    running = bundle.start("alpha/run.sh")
    running.says("evaluating")
    step = lab.find("step.sh")
    # While the script can't look, both end.
    running.signal(signal.SIGSTOP)
    os.kill(lab.find("serve.sh"), signal.SIGKILL)
    (lab.shared / "go").touch()
    wait_for(lambda: ") Z" in Path(f"/proc/{step}/stat").read_text())
    running.signal(signal.SIGCONT)
    assert running.ends().code == 0
    assert bundle.exit() == (0, "")


@on_the_host
def test_a_server_may_finish_what_it_does(lab: Lab) -> None:
    """A server that is told to stop is not killed while it still works at that."""
    (lab.shared / "serve.py").write_text(
        "import http.server, os, signal, sys, time\n"
        "def stop(*_):\n"
        "    time.sleep(0.6)\n"
        "    open(os.environ['DIR'] + '/stopped', 'w').close()\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers()\n"
        "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()\n"
    )
    server = lab.server(
        command=f"python3 {lab.shared}/serve.py\necho never >{lab.shared}/next",
        env_vars={"DIR": f"lit:{lab.shared}"},
    )
    assert lab.bundle(lab.command("true"), deployment=server).run().code == 0
    assert (lab.shared / "stopped").exists()
    assert not (lab.shared / "next").exists()


def test_a_server_that_does_not_listen_to_signals(lab: Lab) -> None:
    """Neither exec nor a handler in a container's first process: it stops at once all the same."""
    plain = 'python3 -m http.server --bind 127.0.0.1 "$PORT"\necho never'
    server = lab.server(command=plain, endpoints={"chat": "/", "health": "/"})
    ran = lab.bundle(lab.command("true"), deployment=server).run()
    assert ran.code == 0
    assert ran.seconds < 15


@in_containers
def test_a_server_without_a_shell(lab: Lab) -> None:
    """A list of words is the program and its arguments, and no shell reads them."""
    server = lab.server(
        command=["model-server", "--port", str(lab.port), "--ready-after", "0"], pre_cmd=""
    )
    bundle = lab.bundle(lab.harness(), deployment=server)
    assert bundle.run().code == 0
    assert "serve.sh" not in bundle.text("services", "model.sh")
