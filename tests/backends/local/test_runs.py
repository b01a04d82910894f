"""Runs that evalc starts in the background, follows and stops: real scripts, real engines.

That nothing is left, no process, no container, no used port, is asserted by the fixture ``lab`` at
the end of every test.
"""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.local.lab import Bundle, Lab, contents, in_containers, on_the_host
from waiting import wait_for

from evalc.backends.local import LocalBackend
from evalc.backends.local.runs import LocalRuns
from evalc.backends.running import Run, Sight, State, Stopped, Unreachable, runs_of
from evalc.bundle.read import read
from evalc.runner.transport import LocalHost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

    from evalc.backends.running import Ran

PATIENT = 'echo begun >>"{0}/begun"; until [ -e "{0}/go" ]; do sleep 0.05; done'
DEAF = "trap '' TERM; touch $RESULTS_DIR/begun; while :; do sleep 0.2; done"


class LabHost(LocalHost):
    """This machine, with the environment of a test."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.calls = 0
        self.patience: float | None = None

    def bash(
        self,
        script: str,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        said: Callable[[str], None] | None = None,
    ) -> Ran:
        self.calls += 1
        env = {**self.lab.environment, **(env or {})}
        return super().bash(
            script, *arguments, stdin=stdin, env=env, timeout=timeout or self.patience, said=said
        )


class Submitted:
    """A run of a bundle in its own folder."""

    def __init__(self, bundle: Bundle, **keys: Any) -> None:
        self.bundle = bundle
        self.lab = bundle.lab
        self.host = LabHost(bundle.lab)
        self.runs = LocalRuns(**keys)
        stored = read(bundle.folder)
        self.run = Run("abc", str(bundle.folder), stored.options, stored.jobs, time.time())

    def submit(
        self, *jobs: str, again: bool = False, env: Mapping[str, str] | None = None
    ) -> Mapping[str, Sight]:
        return self.runs.submit(
            self.host, self.run, jobs, again=again, env=env or {}, said=lambda _: None
        )

    def poll(self) -> Mapping[str, Sight]:
        return self.runs.poll(self.host, [self.run])["abc"]

    def sight(self, job: str = "alpha") -> Sight:
        return self.poll()[job]

    def told(self, job: str = "alpha") -> tuple[State, str]:
        sight = self.sight(job)
        return sight.state, sight.reason

    def becomes(self, state: State, job: str = "alpha") -> Sight:
        """Waits until a job has this state."""
        wait_for(lambda: self.sight(job).state is state or self.sight(job).state.is_end)
        sight = self.sight(job)
        assert sight.state is state, (sight, self.bundle.text("logs", "run_all.log"))
        return sight

    def over(self) -> None:
        """Waits until nothing works for the run any more."""
        wait_for(lambda: not self.bundle.path("logs", "runner.pid").exists())

    def cancel(self, *jobs: str) -> Sequence[Stopped]:
        return self.runs.cancel(self.host, self.run, jobs)

    def pid(self, *parts: str) -> int:
        """The process that a file of the run notes."""
        return int(wait_for(lambda: self.bundle.text(*parts)).split()[0])


def patient(lab: Lab, name: str = "alpha", **keys: Any) -> dict[str, Any]:
    """A task that notes that it begins, and ends when the file 'go' is there."""
    return lab.command(PATIENT.format(lab.shared), name, **keys)


def begun(lab: Lab) -> int:
    file = lab.shared / "begun"
    return len(file.read_text().split()) if file.exists() else 0


def go(lab: Lab) -> None:
    (lab.shared / "go").touch()


def kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        wait_for(partial(gone, pid))


def gone(pid: int) -> bool:
    stat = contents(Path(f"/proc/{pid}/stat"))
    return not stat or b") Z" in stat


def test_from_start_to_end(lab: Lab) -> None:
    """A shared server, two tasks; in a folder whose name would hurt who does not quote."""
    bundle = lab.bundle(
        patient(lab),
        lab.command("exit 3", "beta"),
        deployment=lab.server(),
        out=lab.folder / 'it\'s "a" $(run) of mine',
    )
    made = Submitted(bundle)
    (job,) = made.run.jobs
    assert made.told(job.id)[0] is State.UNKNOWN
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    sight = made.sight(job.id)
    assert (sight.state, sight.reason) == (State.RUNNING, "0 of 2 tasks are done")
    assert (sight.attempt, sight.attempts, len(sight.native)) == (1, 1, 1)
    began = sight.began
    assert began
    assert abs(began - time.time()) < 60
    go(lab)
    sight = made.becomes(State.FAILED, job.id)
    assert sight.reason == "beta: exit code 3: the harness failed"
    assert sight.ended
    assert sight.ended >= began
    made.over()
    # The words of all are in one place, the server's in another.
    (log,) = made.runs.logs(made.run, job.id, "job")
    assert "[alpha] finished" in bundle.text(log)
    server, *_ = made.runs.logs(made.run, job.id, "server")
    assert [path.name for path in bundle.folder.glob(server)] == ["server_model_stdout.log"]
    client = made.runs.logs(made.run, job.id, "client")
    assert [len(list(bundle.folder.glob(each))) for each in client] == [1, 1]
    assert lab.starts() == 1


def test_cancel(lab: Lab) -> None:
    """What runs saves its work, what waits does not begin, and the server goes."""
    bundle = lab.bundle(
        lab.harness(params={"limit_samples": 2, "extra": {"sleep": 60}}),
        lab.command("true", "beta"),
        deployment=lab.server(),
    )
    made = Submitted(bundle)
    (job,) = made.run.jobs
    made.submit()
    wait_for(lambda: "request 1 of 2" in bundle.text("alpha", "logs", "client_stdout.log"))
    (stopped,) = made.cancel()
    assert (stopped.job, stopped.done) == (job.id, True)
    assert "to stop, which it did" in stopped.what[0]
    lab.nothing_is_left()
    assert made.told(job.id)[0] is State.CANCELLED
    assert bundle.path("alpha", "artifacts", ".nemo_evaluator_interrupted").exists()
    assert bundle.stages("beta") == {}
    assert made.cancel() == [Stopped(job.id, True, ("nothing of it was running",))]


def test_all_scripts_are_killed(lab: Lab) -> None:
    """What runs on without them is told as running, and stopped by a cancel."""
    made = Submitted(lab.bundle(patient(lab), deployment=lab.server()))
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    (job,) = (job.id for job in made.run.jobs)
    kill(
        made.pid("logs", "runner.pid"), made.pid("logs", "lock"), made.pid("alpha", "logs", "lock")
    )
    state, reason = made.told(job)
    assert state is State.RUNNING
    what = (
        "the evaluation (process" if lab.engine == "none" else "the container evalc-alpha-client-"
    )
    assert reason.startswith(f"its script is gone, {what}")
    (stopped,) = made.cancel()
    assert stopped.done, stopped
    assert any("client" in what for what in stopped.what), stopped
    assert any("model" in what for what in stopped.what), stopped
    lab.nothing_is_left()
    assert made.told(job) == (State.CANCELLED, "it was stopped")


def test_resume_after_all_was_killed(lab: Lab) -> None:
    """It finishes, and repeats nothing that was finished."""
    done = lab.command(f'echo once >>"{lab.shared}/once"')
    bundle = lab.bundle(done, patient(lab, "beta"), deployment=lab.server())
    made = Submitted(bundle)
    (job,) = (job.id for job in made.run.jobs)
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    kill(*lab.processes())
    if lab.box:
        (box,) = (name for name in lab.containers() if "client" in name)
        lab.box("kill", box)
        state, reason = State.FAILED, "beta: was killed in the middle; 'evalc resume' goes on"
        assert made.told(job) == (state, reason)
    # Submitting is not resuming.
    made.submit()
    assert not bundle.path("logs", "stage.exit").exists()
    made.submit(again=True)
    wait_for(lambda: begun(lab) == 2)
    assert made.sight(job).state is State.RUNNING
    go(lab)
    made.becomes(State.COMPLETED, job)
    assert (lab.shared / "once").read_text() == "once\n"
    made.over()


@in_containers
def test_a_container_is_killed(lab: Lab) -> None:
    made = Submitted(lab.bundle(patient(lab)))
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    (box,) = lab.containers()
    assert lab.box is not None
    lab.box("kill", box)
    sight = made.becomes(State.FAILED)
    assert "exit code 137" in sight.reason
    made.over()


@in_containers
def test_an_engine_that_does_not_answer(lab: Lab) -> None:
    """Nobody knows is not the same as failed, and not the same as stopped."""
    made = Submitted(lab.bundle(patient(lab)))
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    kill(*(pid for pid, line in lab.processes().items() if "run" in line and "begun" not in line))
    deaf = lab.folder / "bin" / lab.engine
    deaf.parent.mkdir()
    deaf.write_text("#!/bin/sh\necho 'no daemon today' >&2\nexit 1\n")
    deaf.chmod(0o755)
    path, lab.path = lab.path, f"{deaf.parent}:{lab.path}"
    box = lab.box
    try:
        lab.box = None
        state, reason = made.told()
        (stopped,) = made.cancel()
    finally:
        lab.path, lab.box = path, box
    assert state is State.UNKNOWN
    assert "does not answer: no daemon today" in reason
    assert not stopped.done
    assert any("no daemon today" in what for what in stopped.what)
    (stopped,) = made.cancel()
    assert stopped.done


@on_the_host
def test_submitted_twice_starts_once(lab: Lab) -> None:
    made = Submitted(lab.bundle(patient(lab)))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: made.submit(), range(4)))
    wait_for(lambda: begun(lab) == 1)
    made.submit(again=True)
    go(lab)
    made.becomes(State.COMPLETED)
    made.over()
    assert made.submit()["alpha"].state is State.COMPLETED
    assert "at work here already" not in made.bundle.text("logs", "run_all.log")
    assert made.submit(again=True)["alpha"].state is State.COMPLETED
    made.over()
    assert begun(lab) == 1


@on_the_host
def test_a_submission_that_is_killed_anywhere(lab: Lab) -> None:
    """Whoever comes next starts what was not, and nothing that was."""
    bundle = lab.bundle(lab.command(f'echo begun >>"{lab.shared}/begun"'))
    broken = 0
    for step in range(12):
        made = Submitted(bundle.copy(lab.folder / f"copy {step}"))
        made.host.patience = step * 0.01
        try:
            made.submit()
        except Unreachable:
            broken += 1
        made.host.patience = None
        made.submit()
        made.becomes(State.COMPLETED)
        made.over()
        assert begun(lab) == step + 1, made.bundle.text("logs", "run_all.log")
        assert made.bundle.text("logs", "run_all.log").count("evaluating") == 1
    assert broken


@on_the_host
def test_what_failed_is_only_repeated_when_asked(lab: Lab) -> None:
    made = Submitted(lab.bundle(lab.command(f'echo x >>"{lab.shared}/begun"; exit 3')))
    made.submit()
    made.becomes(State.FAILED)
    assert made.submit()["alpha"].state is State.FAILED
    # At once, while what has just ended still tidies up.
    sight = made.submit(again=True)["alpha"]
    assert "at work" not in sight.reason
    wait_for(lambda: begun(lab) == 2)
    made.becomes(State.FAILED)
    made.over()
    assert begun(lab) == 2


@on_the_host
def test_what_waits_to_be_repeated_has_not_failed(lab: Lab) -> None:
    """An end before the resume says nothing about what comes after it."""
    text = f'[ -e "{lab.shared}/twice" ]'
    made = Submitted(
        lab.bundle(patient(lab), lab.command(text, "beta"), execution={"mode": "sequential"})
    )
    go(lab)
    made.submit("beta")
    made.becomes(State.FAILED, "beta")
    made.over()
    (lab.shared / "go").unlink()
    (lab.shared / "twice").touch()
    made.submit(again=True)
    wait_for(lambda: begun(lab) == 1)
    assert made.told("beta") == (State.PENDING, "waits for its turn")
    go(lab)
    made.becomes(State.COMPLETED, "beta")
    made.over()


@on_the_host
def test_some_jobs(lab: Lab) -> None:
    """Only what was asked for is started; the rest can't be while that is at work."""
    made = Submitted(lab.bundle(patient(lab), lab.command("true", "beta")))
    assert made.submit("alpha").keys() == {"alpha"}
    made.becomes(State.RUNNING)
    assert made.told("beta") == (State.UNKNOWN, "was not started; 'evalc resume' does it")
    sights = made.submit()
    assert sights["alpha"].state is State.RUNNING
    assert sights["beta"].state is State.FAILED
    assert "the run is at work on others (process " in sights["beta"].reason
    go(lab)
    made.becomes(State.COMPLETED)
    made.over()
    made.submit()
    made.becomes(State.COMPLETED, "beta")
    made.over()
    assert begun(lab) == 1


@on_the_host
def test_cancel_of_one_that_runs_and_of_one_that_waits(lab: Lab) -> None:
    tasks = [patient(lab, name) for name in ("alpha", "beta", "gamma")]
    made = Submitted(lab.bundle(*tasks, execution={"mode": "sequential"}))
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    (waited,) = made.cancel("beta")
    assert waited == Stopped("beta", True, ("it will be left out when its turn comes",))
    assert made.told("beta") == (State.CANCELLED, "was stopped before it began")
    (stopped,) = made.cancel("alpha")
    assert stopped.done
    assert made.told("alpha") == (State.CANCELLED, "interrupted by SIGTERM")
    # The others go on.
    made.becomes(State.RUNNING, "gamma")
    assert made.sight("beta").state is State.CANCELLED
    go(lab)
    made.becomes(State.COMPLETED, "gamma")
    made.over()
    made.submit(again=True)
    made.becomes(State.COMPLETED, "beta")
    made.becomes(State.COMPLETED)
    made.over()


@on_the_host
def test_cancel_of_what_never_began(lab: Lab) -> None:
    """It is for good: an earlier submission that comes late finds it."""
    made = Submitted(lab.bundle(lab.command("true")))
    assert made.cancel() == [Stopped("alpha", True, ("nothing of it was running",))]
    assert made.told() == (State.CANCELLED, "was stopped before it began")
    assert made.submit()["alpha"].state is State.CANCELLED
    made.submit(again=True)
    made.becomes(State.COMPLETED)
    made.over()


@on_the_host
def test_cancel_while_the_server_starts(lab: Lab) -> None:
    made = Submitted(lab.bundle(lab.command("true"), deployment=lab.server("--never-ready")))
    (job,) = (job.id for job in made.run.jobs)
    made.submit()
    sight = wait_for(lambda: (s := made.sight(job)).state is State.RUNNING and s)
    assert sight.reason == "waits for its servers (model)"
    assert made.cancel()[0].done
    assert made.told(job) == (State.CANCELLED, "was stopped before it began")


@on_the_host
def test_cancel_at_any_moment_of_a_start(lab: Lab) -> None:
    made = Submitted(lab.bundle(lab.command("sleep 60"), deployment=lab.server()))
    (job,) = (job.id for job in made.run.jobs)
    for step in range(5):
        made.submit(again=True)
        time.sleep(step * 0.05)
        (stopped,) = made.cancel()
        assert stopped.done, stopped
        lab.nothing_is_left()
        assert made.sight(job).state is State.CANCELLED


@on_the_host
def test_what_does_not_stop_is_killed(lab: Lab) -> None:
    made = Submitted(lab.bundle(lab.command(DEAF), deployment=lab.server()), grace=1)
    (job,) = (job.id for job in made.run.jobs)
    made.submit()
    wait_for(made.bundle.path("alpha", "artifacts", "begun").exists)
    (stopped,) = made.cancel()
    assert stopped.done, stopped
    assert any("did not stop within 1 s" in what for what in stopped.what), stopped
    lab.nothing_is_left()
    assert made.told(job) == (State.CANCELLED, "it was stopped")


@on_the_host
def test_run_all_is_killed(lab: Lab) -> None:
    """Tasks that it has begun go on; those that wait are lost, and said to be."""
    made = Submitted(
        lab.bundle(patient(lab), lab.command("true", "beta"), execution={"mode": "sequential"})
    )
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    kill(made.pid("logs", "runner.pid"), made.pid("logs", "lock"))
    assert made.told() == (State.RUNNING, "run_all.sh is gone, this goes on without it")
    assert made.told("beta") == (State.FAILED, "was killed before it began; 'evalc resume' goes on")
    go(lab)
    made.becomes(State.COMPLETED)
    made.submit("beta", again=True)
    made.becomes(State.COMPLETED, "beta")
    made.over()


@on_the_host
def test_the_keeper_alone_is_killed(lab: Lab) -> None:
    """run_all.sh needs it no more; a resume finds it at work and starts nothing beside it."""
    tasks = [patient(lab), lab.command("true", "beta")]
    made = Submitted(lab.bundle(*tasks, execution={"mode": "sequential"}))
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    kill(made.pid("logs", "runner.pid"))
    waiting = (State.PENDING, "waits for its turn")
    assert (made.told(), made.told("beta")) == ((State.RUNNING, ""), waiting)
    sights = made.submit(again=True)
    assert (sights["alpha"].state, sights["beta"].state) == (State.RUNNING, State.PENDING)
    go(lab)
    made.becomes(State.COMPLETED, "beta")
    assert made.told() == (State.COMPLETED, "")
    assert begun(lab) == 1


def test_resume_lets_finish_what_lived_on(lab: Lab) -> None:
    """Work that goes on without run_all.sh is not done again, nor is its server started again."""
    bundle = lab.bundle(patient(lab), lab.command("true", "beta"), deployment=lab.server())
    made = Submitted(bundle)
    (job,) = (job.id for job in made.run.jobs)
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    kill(made.pid("logs", "runner.pid"), made.pid("logs", "lock"))

    def adopted(times: int) -> bool:
        return bundle.text("logs", "run_all.log").count("alpha runs already") == times

    # Twice: the one that comes to its help can be killed, too.
    for resumed in (1, 2):
        kill(made.pid("logs", "runner.pid"), made.pid("logs", "lock"))
        assert made.submit(again=True)[job].state is State.RUNNING
        wait_for(partial(adopted, resumed), 20)
        assert made.told(job) == (State.RUNNING, "0 of 2 tasks are done")
    go(lab)
    made.becomes(State.COMPLETED, job)
    made.over()
    assert (begun(lab), lab.starts()) == (1, 1)
    lab.nothing_is_left()


@on_the_host
def test_kill_after_a_resume_stops_what_lived_on(lab: Lab) -> None:
    tasks = [patient(lab), patient(lab, "beta")]
    made = Submitted(lab.bundle(*tasks, execution={"mode": "sequential"}))
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    kill(made.pid("logs", "runner.pid"), made.pid("logs", "lock"))
    # Of the other one: what lives on is waited for all the same, since one runs at a time.
    made.submit("beta", again=True)
    wait_for(lambda: "alpha runs already" in made.bundle.text("logs", "run_all.log"))
    assert made.told() == (State.RUNNING, "")
    assert made.told("beta") == (State.PENDING, "waits for its turn")
    assert all(stopped.done for stopped in made.cancel())
    lab.nothing_is_left()
    assert made.told() == (State.CANCELLED, "interrupted by SIGTERM")
    assert made.sight("beta").state is State.CANCELLED
    assert begun(lab) == 1


@on_the_host
def test_after_a_reboot(lab: Lab) -> None:
    """The numbers of what ran belong to others by then."""
    made = Submitted(lab.bundle(patient(lab)))
    made.submit()
    wait_for(lambda: begun(lab) == 1)
    kill(*lab.processes())
    for file in (
        ("logs", "runner.pid"),
        ("logs", "lock"),
        ("alpha", "logs", "lock"),
        ("alpha", "logs", "client.pid"),
    ):
        made.bundle.path(*file).write_text(f"{os.getpid()} 12345\n")
    assert made.told() == (State.FAILED, "was killed in the middle; 'evalc resume' goes on")
    assert made.cancel()[0].done
    go(lab)
    made.submit(again=True)
    made.becomes(State.COMPLETED)
    made.over()


@on_the_host
def test_started_by_hand(lab: Lab) -> None:
    """Whoever started it, it is told; what a foreign run_all.sh waits with can't be left out."""
    made = Submitted(
        lab.bundle(patient(lab), lab.command("true", "beta"), execution={"mode": "sequential"})
    )
    running = made.bundle.start()
    wait_for(lambda: begun(lab) == 1)
    assert made.told()[0] is State.RUNNING
    assert made.told("beta") == (State.PENDING, "waits for its turn")
    (stopped,) = made.cancel("beta")
    assert not stopped.done
    assert all(stop.done for stop in made.cancel())
    assert running.ends().code == 143


@on_the_host
def test_a_run_that_can_not_begin(lab: Lab) -> None:
    """The reason that a script gives is the reason that status gives."""
    needs = lab.bundle(lab.command("true", env_vars={"KEY": "host:THE_KEY"}))
    made = Submitted(needs)
    made.submit()
    state, reason = (
        State.FAILED,
        "exit code 78: not set in the environment: THE_KEY; export them and run this again",
    )
    made.becomes(State.FAILED)
    assert made.told() == (state, reason)
    made.over()
    made.submit(again=True, env={"THE_KEY": "x"})
    made.becomes(State.COMPLETED)
    made.over()


@on_the_host
def test_relative_paths_count_from_where_it_was_submitted(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is resumed from elsewhere."""
    place = lab.folder / "a\nplace"
    (place / "set").mkdir(parents=True)
    text = f'touch "$NEMO_EVALUATOR_DATASET_DIR/seen"; [ -e "{lab.shared}/go" ]'
    made = Submitted(lab.bundle(lab.command(text, dataset_dir="./set")))
    monkeypatch.chdir(place)
    made.submit()
    made.over()
    assert (made.bundle.exit()[0], (place / "set" / "seen").exists()) == (1, True)
    monkeypatch.chdir("/")
    (lab.shared / "go").touch()
    made.submit(again=True)
    made.over()
    assert made.bundle.exit() == (0, ""), made.bundle.text("logs", "run_all.log")


@on_the_host
def test_a_server_that_fails(lab: Lab) -> None:
    """Each task tells of it, in the run that is resumed too."""
    bundle = lab.bundle(
        lab.command("true"),
        lab.command(f'[ -e "{lab.shared}/go" ]', "beta"),
        deployment=lab.server(f'$([ ! -e "{lab.shared}/down" ] || echo --die-after 0)'),
    )
    made = Submitted(bundle)
    made.submit()
    made.over()
    assert made.bundle.exit("beta") == (1, "the harness failed")
    (lab.shared / "down").touch()
    made.submit(again=True)
    made.over()
    why = "exit code 69: the server 'model' died before it was ready (exit code 13)"
    job = made.run.jobs[0].id
    assert made.told(job)[0] is State.FAILED
    assert why in made.told(job)[1]
    assert (bundle.exit(), bundle.exit("beta")[0]) == ((0, ""), 69)


@on_the_host
def test_refused(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"))
    made = Submitted(bundle)
    gone = bundle.folder.rename(lab.folder / "elsewhere")
    assert made.submit()["alpha"] == Sight(State.FAILED, "its folder is gone")
    assert made.told() == (State.UNKNOWN, "its folder is gone")
    (stopped,) = made.cancel()
    assert not stopped.done
    bundle.folder.mkdir()
    reason = made.submit()["alpha"].reason
    assert reason == "its folder holds no bundle of the local backend"
    bundle.folder.rmdir()
    gone.rename(bundle.folder)
    bundle.path("logs").write_text("in the way")
    assert made.submit()["alpha"].reason == f"can't write in {bundle.folder}/logs"
    bundle.path("logs").unlink()
    # Bash keeps this one to itself.
    refused = made.submit(env={"UID": "sesame"})["alpha"]
    assert refused.state is State.FAILED
    assert "sesame" not in refused.reason


def test_secrets_are_in_the_environment_alone(lab: Lab) -> None:
    secret = "open sesame 'x' \"y\" $(id)\nsecond line é \\"
    text = f'{PATIENT.format(lab.shared)}; [ "$KEY" = "$(cat {lab.shared}/expected)" ]'
    made = Submitted(lab.bundle(lab.command(text, env_vars={"KEY": "host:THE_KEY"})))
    (lab.shared / "expected").write_text(secret)
    made.submit(env={"THE_KEY": secret})
    wait_for(lambda: begun(lab) == 1)
    needle = b"open sesame"
    lines = [contents(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [line for line in lines if needle in line]
    go(lab)
    made.becomes(State.COMPLETED)
    made.over()
    files = [path for path in made.bundle.folder.rglob("*") if path.is_file()]
    assert made.bundle.path("logs", "run_all.log") in files
    assert not [path for path in files if needle in path.read_bytes()]


@on_the_host
def test_the_terminal_that_submitted_is_closed(lab: Lab) -> None:
    """Its window, and all that ran in it."""
    made = Submitted(lab.bundle(patient(lab)))
    program = (
        "import json, signal, sys, time\n"
        "from backends.local.test_runs import Submitted, Bundle, Lab\n"
        "from pathlib import Path\n"
        "lab = Lab('none', None, Path(sys.argv[1]), 0, '', sys.argv[2], sys.argv[3])\n"
        "Submitted(Bundle(lab, Path(sys.argv[4]))).submit()\n"
        "print('submitted', flush=True)\n"
        "signal.pause()\n"
    )
    scratch = lab.folder / "scratch"
    scratch.mkdir()
    words = [str(scratch), lab.path, lab.id, str(made.bundle.folder)]
    tests = Path(__file__).resolve().parents[2]
    pid, master = pty.fork()
    if pid == 0:
        try:
            os.environ["PYTHONPATH"] = str(tests)
            os.execv(sys.executable, [sys.executable, "-c", program, *words])
        finally:
            os._exit(126)
    said = b""
    while b"submitted" not in said:
        said += os.read(master, 4096)
    os.close(master)
    os.killpg(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    wait_for(lambda: begun(lab) == 1)
    assert made.told()[0] is State.RUNNING
    runner = made.pid("logs", "runner.pid")
    ignored = int(
        next(
            line
            for line in contents(Path(f"/proc/{runner}/status")).splitlines()
            if line.startswith(b"SigIgn")
        ).split()[1],
        16,
    )
    # A hang-up, and nothing else that somebody may stop it with.
    assert [
        n for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM) if ignored >> (n - 1) & 1
    ] == [signal.SIGHUP]
    go(lab)
    made.becomes(State.COMPLETED)
    made.over()


@on_the_host
def test_progress(lab: Lab) -> None:
    """As nemo-evaluator tells it: a number of samples in a file beside the results."""
    text = f'printf 3 >"$RESULTS_DIR/progress"; {PATIENT.format(lab.shared)}'
    settings = {"config": {"params": {"limit_samples": 10}}}
    made = Submitted(
        lab.bundle(lab.command(text, nemo_evaluator_config=settings), lab.command(text, "beta"))
    )
    made.submit()
    wait_for(lambda: begun(lab) >= 1)
    sight = made.sight()
    assert (sight.done, sight.total) == (3, 10)
    go(lab)
    made.becomes(State.COMPLETED, "beta")
    sight = made.sight("beta")
    assert (sight.done, sight.total) == (3, None)
    made.over()


@on_the_host
def test_many_runs_are_asked_about_at_once(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"), lab.command("exit 3", "beta"))
    assert bundle.run().code == 1
    first = Submitted(bundle)
    runs = [
        Run(
            str(number),
            str(bundle.copy(lab.folder / f"copy {number}").folder),
            first.run.options,
            first.run.jobs,
            0.0,
        )
        for number in range(20)
    ]
    seen = first.runs.poll(first.host, [*runs, first.run])
    assert first.host.calls == 1
    assert len(seen) == 21
    for each in seen.values():
        assert (each["alpha"].state, each["beta"].state) == (State.COMPLETED, State.FAILED)
    assert first.runs.poll(first.host, []) == {}


def test_the_backend_has_it() -> None:
    assert isinstance(runs_of(LocalBackend()), LocalRuns)
    run = Run("abc", "/x", {}, (), 0.0)
    assert LocalRuns().secrets_files(run, {"A": "b"}) == {}
