"""Interrupts: everything that a script started is stopped, work is kept, and the truth is told.

That nothing is left, no process, no container, no used port, is asserted by the fixture ``lab`` at
the end of every test.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backends.local.lab import (
    SCRIPTS,
    Bundle,
    Lab,
    by_each_script,
    contents,
    in_containers,
    on_the_host,
)
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEPY = {"limit_samples": 2, "extra": {"sleep": 60}}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class Terminal:
    """A script in the foreground of a terminal of its own."""

    def __init__(self, lab: Lab, command: list[str]) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(lab.folder)
                os.execvpe(command[0], command, {**lab.environment, "TERM": "dumb"})
            finally:
                os._exit(126)
        self.said = b""
        self.open = True
        # Somebody must read, or whoever writes waits.
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        while self.open:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.said += os.read(self.master, 4096)
                except OSError:  # nobody has the terminal any more
                    return

    def types(self, text: str) -> None:
        os.write(self.master, text.encode())

    def hangs_up(self) -> None:
        """As when the window is closed, or the line is cut."""
        self.open = False
        self.reader.join()
        os.close(self.master)

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return b") Z" not in contents(Path(f"/proc/{self.pid}/stat"))

    def ends(self) -> int:
        """The exit code, 128 and more for a signal that it died of."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            time.sleep(0.02)
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"still at work: {self.said.decode()}")


def evaluates(bundle: Bundle) -> bool:
    return "request 1 of 2" in bundle.text("alpha", "logs", "client_stdout.log")


def check(bundle: Bundle, script: str, number: signal.Signals) -> None:
    """What every interrupted evaluation leaves."""
    assert bundle.path("alpha", "artifacts", ".nemo_evaluator_interrupted").exists()
    code, reason = bundle.exit()
    # run_all.sh tells its tasks by SIGTERM.
    told = number if script == "alpha/run.sh" else signal.SIGTERM
    assert (code, reason) == (CODES[told], f"interrupted by {told.name}")


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@on_the_host
def test_a_signal_during_the_evaluation(lab: Lab, script: str, number: signal.Signals) -> None:
    bundle = lab.bundle(
        lab.harness(params=SLEEPY), lab.command("true", "beta"), deployment=lab.server()
    )
    running = bundle.start(script)
    wait_for(lambda: evaluates(bundle))
    running.signal(number)
    ran = running.ends()
    assert ran.code == CODES[number]
    assert f"interrupted by {number.name}" in ran.said
    check(bundle, script, number)
    assert bundle.stages("beta") == {}


@in_containers
def test_sigterm_during_the_evaluation(lab: Lab) -> None:
    bundle = lab.bundle(lab.harness(params=SLEEPY), deployment=lab.server())
    running = bundle.start("alpha/run.sh")
    wait_for(lambda: evaluates(bundle))
    running.signal(signal.SIGTERM)
    assert running.ends().code == 143
    check(bundle, "alpha/run.sh", signal.SIGTERM)


@pytest.mark.parametrize("script", SCRIPTS)
def test_ctrl_c(lab: Lab, script: str) -> None:
    bundle = lab.bundle(
        lab.harness(params=SLEEPY), lab.command("true", "beta"), deployment=lab.server()
    )
    terminal = Terminal(lab, ["bash", str(bundle.path(script))])
    wait_for(lambda: evaluates(bundle))
    terminal.types("\x03")
    assert terminal.ends() == 130
    check(bundle, script, signal.SIGINT)
    assert bundle.stages("beta") == {}
    assert b"interrupted by SIGINT" in terminal.said


@pytest.mark.parametrize("script", SCRIPTS)
@on_the_host
def test_ctrl_c_again_and_again(lab: Lab, script: str) -> None:
    """An impatient user gets no less tidy an end; the harness has time to save its work."""
    save = (
        "import os, signal, sys, time\n"
        "def stop(*_):\n"
        "    time.sleep(1)\n"
        "    open('saved', 'a').write('x')\n"
        "    open('.nemo_evaluator_interrupted', 'w').close()\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "open('begun', 'w').close()\n"
        "time.sleep(60)\n"
    )
    (lab.shared / "save.py").write_text(save)
    bundle = lab.bundle(
        lab.command(f"python3 {lab.shared}/save.py\ntouch next"), deployment=lab.server()
    )
    terminal = Terminal(lab, ["bash", str(bundle.path(script))])
    wait_for(bundle.path("alpha", "artifacts", "begun").exists)
    while terminal.runs():
        with suppress(OSError):  # nobody has the terminal any more
            terminal.types("\x03")
        time.sleep(0.001)
    assert terminal.ends() == 130
    check(bundle, script, signal.SIGINT)
    assert bundle.text("alpha", "artifacts", "saved") == "x"
    assert not bundle.path("alpha", "artifacts", "next").exists()


@in_containers
def test_a_command_in_a_container_saves_its_work(lab: Lab) -> None:
    """The program that a command's text runs, without exec, is told and waited for."""
    save = (
        "import os, signal, sys, time\n"
        "def stop(*_):\n"
        "    time.sleep(0.7)\n"
        "    open('/results/saved', 'a').write('x')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "open('/results/begun', 'w').close()\n"
        "time.sleep(60)\n"
    )
    (lab.shared / "save.py").write_text(save)
    bundle = lab.bundle(
        lab.command(
            f"python3 {lab.shared}/save.py\ntouch /results/next", post_cmd="touch /results/post"
        )
    )
    running = bundle.start()
    wait_for(bundle.path("alpha", "artifacts", "begun").exists)
    running.signal(signal.SIGTERM)
    assert running.ends().code == 143
    assert bundle.exit() == (143, "interrupted by SIGTERM")
    assert bundle.text("alpha", "artifacts", "saved") == "x"
    assert bundle.path("alpha", "artifacts", "post").exists()
    assert not bundle.path("alpha", "artifacts", "next").exists()


@pytest.mark.parametrize("script", SCRIPTS)
@on_the_host
def test_the_terminal_is_closed(lab: Lab, script: str) -> None:
    """Nothing can be said any more, and all the same everything is tidied up and written down."""
    bundle = lab.bundle(lab.harness(params=SLEEPY), deployment=lab.server())
    terminal = Terminal(lab, ["bash", str(bundle.path(script))])
    wait_for(lambda: evaluates(bundle))
    terminal.hangs_up()
    assert terminal.ends() == 129
    check(bundle, script, signal.SIGHUP)


@on_the_host
def test_in_the_background_of_a_terminal(lab: Lab) -> None:
    """The script's own job control does not fight for the terminal."""
    bundle = lab.bundle(lab.command("true"), deployment=lab.server())
    text = f'set -m; bash "{bundle.folder}/run_all.sh" & wait $!'
    assert Terminal(lab, ["bash", "-c", text]).ends() == 0
    assert bundle.exit() == (0, "")


@on_the_host
def test_nohup(lab: Lab) -> None:
    """Who asks that a hang-up is ignored gets that."""
    text = f'until [ -e "{lab.shared}/go" ]; do sleep 0.05; done'
    bundle = lab.bundle(lab.command(text), deployment=lab.server())
    terminal = Terminal(lab, ["nohup", "bash", str(bundle.path("run_all.sh"))])
    wait_for(bundle.path("alpha", "logs", "stage.running").exists)
    terminal.hangs_up()
    (lab.shared / "go").touch()
    assert terminal.ends() == 0
    assert bundle.exit() == (0, "")


@by_each_script
def test_while_waiting_for_the_server(lab: Lab, script: str) -> None:
    bundle = lab.bundle(lab.harness(), deployment=lab.server("--never-ready"))
    terminal = Terminal(lab, ["bash", str(bundle.path(script))])
    log = ("logs", "server_model_stdout.log")
    parts = log if script == "run_all.sh" else ("alpha", *log)
    wait_for(lambda: " 503 " in bundle.text(*parts))
    begun = time.monotonic()
    terminal.types("\x03")
    assert terminal.ends() == 130
    assert time.monotonic() - begun < 15
    if script == "run_all.sh":
        assert bundle.stages() == {}
    else:
        assert bundle.exit() == (130, "interrupted by SIGINT")


@contextmanager
def silent_registry() -> Iterator[int]:
    """A port that takes connections and never answers, as a registry behind a bad line."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@in_containers
def test_while_an_image_is_pulled(lab: Lab, number: signal.Signals) -> None:
    with silent_registry() as registry:
        image = f"127.0.0.1:{registry}/x:1"
        bundle = lab.bundle(lab.command("true", container=image))
        running = bundle.start("alpha/run.sh")
        wait_for(lambda: bundle.text("alpha", "logs", "client_stdout.log"))
        begun = time.monotonic()
        running.signal(number, group=True)
        assert running.ends().code == CODES[number]
        assert time.monotonic() - begun < 15
    assert bundle.exit() == (CODES[number], f"interrupted by {number.name}")


@in_containers
def test_at_any_moment_of_a_start(lab: Lab) -> None:
    """From before the engine knows of a container until it runs."""
    bundle = lab.bundle(lab.command("sleep 60"))
    for delay in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4):
        running = bundle.start("alpha/run.sh")
        running.says("evaluating")
        time.sleep(delay)
        begun = time.monotonic()
        running.signal(signal.SIGTERM)
        assert running.ends().code == 143
        # Being told only once would last the grace of 30 s.
        assert time.monotonic() - begun < 20
        assert bundle.exit() == (143, "interrupted by SIGTERM")
        lab.nothing_is_left()


@in_containers
def test_between_a_container_and_its_start(lab: Lab) -> None:
    """The engine has made it, so that it can be stopped, and starts it all the same."""
    assert lab.box is not None
    real = shutil.which(lab.engine, path=lab.path)
    slow = lab.folder / "bin" / lab.engine
    slow.parent.mkdir()
    slow.write_text(
        "#!/bin/bash\n"
        f'[ "$1" = run ] || exec "{real}" "$@"\n'
        # As the real one between the two: deaf.
        "trap '' TERM\n"
        f'"{real}" create "${{@:2}}" && touch "{lab.shared}/made" && sleep 1 &&\n'
        f'    exec "{real}" start --attach "$3"\n'
    )
    slow.chmod(0o755)
    bundle = lab.bundle(lab.command("sleep 60"))
    running = bundle.start("alpha/run.sh", env={"PATH": f"{slow.parent}:{lab.path}"})
    wait_for((lab.shared / "made").exists)
    running.signal(signal.SIGTERM)
    ran = running.ends()
    assert (ran.code, bundle.exit()) == (143, (143, "interrupted by SIGTERM"))
    assert ran.seconds < 15


@in_containers
def test_a_container_that_has_just_been_started(lab: Lab) -> None:
    """The kernel drops what a first process has no handler for yet."""
    (lab.shared / "slow").write_text(f"touch {lab.shared}/starts; sleep 1.5\n")
    slow = ["--env", f"BASH_ENV={lab.shared}/slow"]
    bundle = lab.bundle(lab.command("sleep 60"), execution={"docker_args": slow})
    running = bundle.start("alpha/run.sh")
    wait_for((lab.shared / "starts").exists)
    running.signal(signal.SIGTERM)
    ran = running.ends()
    assert (ran.code, bundle.exit()) == (143, (143, "interrupted by SIGTERM"))
    assert ran.seconds < 15


@on_the_host
def test_at_any_moment_at_all(lab: Lab) -> None:
    """From its first line on."""
    bundle = lab.bundle(lab.command("sleep 60"), deployment=lab.server("--ready-after 0.3"))
    for step in range(6):
        running = bundle.start("alpha/run.sh" if step % 2 else "run_all.sh")
        time.sleep(step * 0.2)
        running.signal(signal.SIGTERM)
        ran = running.ends()
        # -15 before bash has read the line that catches signals: the shell makes 143 of it.
        assert ran.code in {143, -signal.SIGTERM}, ran.said
        lab.nothing_is_left()


def test_a_harness_that_ignores_the_signal(lab: Lab) -> None:
    """It is killed in the end. (The grace is shortened: nobody waits for 30 s here.)"""
    text = "trap '' TERM; touch $RESULTS_DIR/begun; while :; do sleep 0.2; done"
    bundle = lab.bundle(lab.command(text), deployment=lab.server())
    library = bundle.path("lib", "work.sh")
    changed = library.read_text().replace("_GRACE=30", "_GRACE=2")
    assert changed != library.read_text()
    library.write_text(changed)
    running = bundle.start("alpha/run.sh")
    wait_for(bundle.path("alpha", "artifacts", "begun").exists)
    running.signal(signal.SIGTERM)
    ran = running.ends()
    assert ran.code == 143
    assert bundle.exit() == (143, "interrupted by SIGTERM")


@on_the_host
def test_interrupted_in_pre_cmd(lab: Lab) -> None:
    bundle = lab.bundle(
        lab.command(
            "touch ran", pre_cmd="touch begun; sleep 60; touch later", post_cmd="touch post"
        )
    )
    running = bundle.start("alpha/run.sh")
    wait_for(bundle.path("alpha", "artifacts", "begun").exists)
    begun = time.monotonic()
    running.signal(signal.SIGINT, group=True)
    assert running.ends().code == 130
    assert time.monotonic() - begun < 10
    left = {path.name for path in bundle.path("alpha", "artifacts").iterdir()}
    assert left == {"begun", "post"}


# kill -9 -----------------------------------------------------------------------------------------


def patient(lab: Lab, name: str = "alpha", **keys: Any) -> dict[str, Any]:
    """A task that ends when the file 'go' is there, and counts how often it was told to stop."""
    text = f"""
        trap 'echo told >>"{lab.shared}/told"; exit 143' TERM
        echo begun >>"{lab.shared}/begun"
        until [ -e "{lab.shared}/go" ]; do sleep 0.05; done
        echo done >>"{lab.shared}/done"
    """
    return lab.command(text, name, **keys)


def begun(lab: Lab) -> int:
    file = lab.shared / "begun"
    return len(file.read_text().split()) if file.exists() else 0


@by_each_script
def test_all_is_killed_and_run_again(lab: Lab, script: str) -> None:
    """Server and evaluation are left behind, and the next run clears them away first."""
    bundle = lab.bundle(patient(lab), deployment=lab.server())
    running = bundle.start(script)
    wait_for(lambda: begun(lab) == 1)
    assert bundle.exit() == (None, "")
    running.signal(signal.SIGKILL, group=True)
    assert running.ends().code == -9
    assert lab.processes()
    again = bundle.start(script)
    wait_for(lambda: begun(lab) == 2)
    (lab.shared / "go").touch()
    ran = again.ends()
    assert ran.code == 0, ran.said
    assert (lab.starts(), bundle.exit()) == (2, (0, ""))
    assert (lab.shared / "done").read_text() == "done\n"


@on_the_host
def test_run_all_alone_is_killed_and_run_again(lab: Lab) -> None:
    """Its tasks run on without it; the next one lets them finish, with the server that they use, and
    starts only the others."""
    tasks = [patient(lab), patient(lab, "model"), lab.command("true", "late")]
    bundle = lab.bundle(
        *tasks, deployment=lab.server(), execution={"mode": "parallel", "parallelism": 2}
    )
    running = bundle.start()
    wait_for(lambda: begun(lab) == 2)
    running.signal(signal.SIGKILL)
    assert running.ends().code == -9
    again = bundle.start("run_all.sh", "--only", "late")
    again.says("model runs already")
    (lab.shared / "go").touch()
    ran = again.ends()
    assert ran.code == 0, ran.said
    assert (begun(lab), lab.starts()) == (2, 1)
    assert (lab.shared / "done").read_text() == "done\ndone\n"
    assert not (lab.shared / "told").exists()
    assert len(re.findall("runs already .*, and goes on", ran.said)) == 2
    assert [bundle.exit(task)[0] for task in ("alpha", "model", "late")] == [0, 0, 0]
    assert len(re.findall("  finished$", ran.said, re.MULTILINE)) == 3


@on_the_host
@pytest.mark.parametrize("how", ["force", "another config"])
def test_run_all_alone_is_killed_and_its_task_repeated(lab: Lab, how: str) -> None:
    """What is to be repeated, or is of another config, is stopped in its own good order."""
    bundle = lab.bundle(patient(lab), deployment=lab.server())
    running = bundle.start()
    wait_for(lambda: begun(lab) == 1)
    running.signal(signal.SIGKILL)
    assert running.ends().code == -9
    if how == "another config":
        bundle.path("alpha", "logs", "digest").write_text("0123\n")
    again = bundle.start("run_all.sh", *(["--force"] if how == "force" else []))
    wait_for(lambda: begun(lab) == 2)
    assert (lab.shared / "told").read_text() == "told\n"
    (lab.shared / "go").touch()
    ran = again.ends()
    assert ran.code == 0, ran.said
    assert "which an earlier run left behind" in ran.said


@on_the_host
def test_what_was_found_at_work_is_stopped_and_told_like_the_rest(lab: Lab) -> None:
    bundle = lab.bundle(
        patient(lab), patient(lab, "beta"), deployment=lab.server(), execution={"mode": "parallel"}
    )
    running = bundle.start()
    wait_for(lambda: begun(lab) == 2)
    running.signal(signal.SIGKILL)
    assert running.ends().code == -9
    again = bundle.start()
    again.says("beta runs already")
    again.signal(signal.SIGTERM)
    assert again.ends().code == 143
    assert bundle.exit() == (143, "interrupted by SIGTERM")


@on_the_host
def test_a_task_is_killed_under_run_all(lab: Lab) -> None:
    """run_all.sh tells it as a failure and goes on; running again tidies up and finishes."""
    bundle = lab.bundle(patient(lab), lab.command("true", "beta"))
    running = bundle.start()
    wait_for(lambda: begun(lab) == 1)
    os.kill(lab.find("alpha/run.sh"), signal.SIGKILL)
    ran = running.ends()
    assert (ran.code, bundle.exit("beta")) == (1, (0, ""))
    assert "  alpha  did not end" in ran.said
    (lab.shared / "go").touch()
    assert bundle.run().code == 0
    assert bundle.exit() == (0, "")


@on_the_host
def test_a_pid_of_another_process_is_left_alone(lab: Lab) -> None:
    """Numbers come again; what was noted is a process and when it started."""
    bundle = lab.bundle(lab.command("true"), deployment=lab.server())
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        for folder in (bundle.path("logs"), bundle.path("alpha", "logs")):
            folder.mkdir(exist_ok=True)
            for name in ("model", "client", "task.alpha"):
                (folder / f"{name}.pid").write_text(f"{process.pid} 12345\n")
        assert bundle.run().code == 0
        assert Path(f"/proc/{process.pid}").exists()
        assert process.poll() is None
        process.kill()
