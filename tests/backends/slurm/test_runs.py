"""Bundles on the real cluster, submitted, followed and stopped as the runner does it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from backends.slurm.here import Submission
from waiting import wait_for

from evalc.backends import registry
from evalc.backends.running import State, Unreachable, runs_of
from evalc.backends.slurm.runs import SlurmRuns

if TYPE_CHECKING:
    from backends.slurm.lab import Lab

HELD: dict[str, Any] = {"sbatch_extra_flags": {"hold": True}}
TASKS = ("alpha", "beta", "gamma")
PREQUEUED: dict[str, Any] = {"strategy": "prequeued", "attempts": 3, "signal_before": 0}
NONE: dict[str, Any] = {"strategy": "none"}


def held(lab: Lab, *tasks: str, **execution: Any) -> Submission:
    """Jobs that stay in the queue."""
    names = tasks or TASKS
    made = [lab.command("true", name=name) for name in names]
    return Submission(lab.bundle(*made, execution={**HELD, **execution}), *names)


def nothing_comes_back(lab: Lab, made: Submission) -> None:
    """The queue is empty, and stays so for as long as Slurm takes to look at dependencies."""
    lab.cluster.idle()
    before = {job: sight.native for job, sight in made.poll().items()}
    marker = lab.cluster.submit("--wrap", "true", cwd=lab.folder)
    lab.cluster.wait(marker, "COMPLETED")
    assert lab.cluster.queue() == []
    assert {job: sight.native for job, sight in made.poll().items()} == before
    assert made.secrets() == {}


# Submitting


def test_all_are_submitted_in_one_round_trip(lab: Lab) -> None:
    made = held(lab)
    sights = made.submit()
    assert made.host.calls == 1
    jobs = sorted(lab.cluster.queue())
    assert sorted(job for sight in sights.values() for job in sight.native) == jobs
    assert {sight.state for sight in sights.values()} == {State.PENDING}
    assert f"[suite] alpha: submitted as job {sights['alpha'].native[0]}" in made.said
    # Again, nothing is submitted twice.
    assert {job: sight.native for job, sight in made.submit().items()} == {
        job: sight.native for job, sight in sights.items()
    }
    assert sorted(lab.cluster.queue()) == jobs


def test_some_are_submitted_and_the_others_wait_for_it(lab: Lab) -> None:
    made = held(lab)
    assert made.submit("beta").keys() == {"beta"}
    assert len(lab.cluster.queue()) == 1
    states = {job: sight.state for job, sight in made.poll().items()}
    assert states == {"alpha": State.SUBMITTING, "beta": State.PENDING, "gamma": State.SUBMITTING}


def test_what_slurm_refuses_has_failed_with_its_words(lab: Lab) -> None:
    lab.stand_in(
        "sbatch",
        """case $PWD in */beta) echo "sbatch: error: Batch job submission failed: Invalid qos" >&2
        exit 1 ;; esac; exec $real "$@" """,
    )
    made = held(lab)
    sights = made.submit()
    assert {job: sight.state for job, sight in sights.items()} == {
        "alpha": State.PENDING, "beta": State.FAILED, "gamma": State.PENDING,
    }  # fmt: skip
    assert sights["beta"].reason == "Slurm refused it: Batch job submission failed: Invalid qos"


def test_slurm_does_not_answer_at_submission(lab: Lab) -> None:
    made = held(lab)
    lab.cluster.stop("slurmctld")
    with pytest.raises(Unreachable, match="nothing was submitted"):
        made.submit()
    lab.cluster.start("slurmctld")
    assert {sight.state for sight in made.submit().values()} == {State.PENDING}


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_the_middle_and_again(lab: Lab, when: str) -> None:
    lab.stand_in(
        "sbatch",
        f"""
        [ "${{PWD##*/}}" = beta ] && [ ! -e "$here/killed" ] || exec "$real" "$@"
        touch "$here/killed"
        read -r pid _ <../logs/submit.lock
        [ {when} = before ] || "$real" "$@" >/dev/null
        kill -9 "$pid"
        exit 1
        """,
    )
    made = held(lab)
    made.submit()
    there = {job: sight.native for job, sight in made.poll().items()}
    assert len(there["beta"]) == int(when == "after")
    sights = made.submit()
    assert {sight.state for sight in sights.values()} == {State.PENDING}
    assert sorted(job for sight in sights.values() for job in sight.native) == sorted(
        lab.cluster.queue()
    )
    assert len(lab.cluster.queue()) == len(TASKS)


def test_it_waits_for_another_one_that_submits(lab: Lab) -> None:
    made = held(lab)
    lab.stand_in("sbatch", 'sleep 1; exec "$real" "$@"')
    made = Submission(made.bundle, *TASKS)
    with subprocess.Popen(
        ["bash", made.bundle.path("submit_all.sh")],
        env={**lab.cluster.env, **lab.env},
        stderr=subprocess.DEVNULL,
    ) as other:
        wait_for(lambda: made.bundle.path("logs", "submit.lock").exists())
        sights = made.submit()
        assert other.wait() == 0
    assert {len(sight.native) for sight in sights.values()} == {1}
    assert len(lab.cluster.queue()) == len(TASKS)


# Following


def test_from_the_queue_to_the_end(lab: Lab) -> None:
    made = Submission(lab.bundle(lab.task(), execution=HELD))
    assert made.sight().state is State.SUBMITTING
    made.submit()
    waiting = made.sight()
    assert (waiting.state, waiting.attempt, waiting.attempts) == (State.PENDING, 0, 10)
    assert "scontrol release" in waiting.reason
    (job,) = lab.cluster.queue()
    lab.cluster("scontrol", "release", job)
    made.bundle.runs()
    made.bundle.says("successor")
    running = made.sight()
    successor = made.bundle.events("successor")[0]["job"]
    assert (running.state, running.attempt) == (State.RUNNING, 1)
    assert running.native == (job, successor)
    assert running.node in ("n1", "n2", "n3", "n4")
    assert running.began is not None
    assert abs(running.began - time.time()) < 60
    made.bundle.path("alpha", "artifacts", "progress").write_text("17")
    assert (made.sight().done, made.sight().total) == (17, None)
    made.bundle.release()
    made.bundle.ends()
    ended = made.sight()
    assert (ended.state, ended.reason) == (State.COMPLETED, "")
    assert ended.ended is not None
    assert ended.ended >= running.began - 1


def test_a_chain_that_goes_on_after_a_time_out(lab: Lab) -> None:
    """And then fails."""
    made = Submission(lab.bundle(lab.task("exit 7"), execution={"resume": {"signal_before": 0}}))
    made.submit()
    first = made.bundle.runs()
    made.bundle.says("successor")
    lab.time_out(first)
    made.bundle.runs(times=2)
    wait_for(lambda: made.sight().state is State.RUNNING and made.sight().attempt == 2)
    made.bundle.release()
    made.bundle.ends()
    sight = made.sight()
    assert sight.state is State.FAILED
    assert sight.reason.startswith("the harness failed (exit code 7); it failed, and execution.")
    assert sight.attempt == 2


@pytest.mark.parametrize("daemon", ["slurmdbd", "slurmctld"])
def test_a_daemon_is_away(lab: Lab, daemon: str) -> None:
    made = Submission(
        lab.bundle(lab.task(), lab.command("true", name="beta"), execution={"resume": NONE}),
        "alpha", "beta", resume=NONE,
    )  # fmt: skip
    made.submit()
    made.bundle.runs()
    made.bundle.says("done", "beta")
    lab.cluster.stop(daemon)
    sights = made.poll()
    # What the journal tells needs nobody else.
    assert sights["beta"].state is State.COMPLETED
    if daemon == "slurmdbd":
        assert sights["alpha"].state is State.RUNNING
    else:
        assert sights["alpha"].state is State.UNKNOWN
        assert sights["alpha"].reason.startswith("could not ask: ")
        stopped = made.cancel("alpha")["alpha"]
        assert (stopped.done, stopped.what) == (
            False, ("Slurm does not say what is queued (squeue)",),
        )  # fmt: skip
        lab.cluster.start(daemon)
        assert made.sight().state is State.RUNNING


def silent(lab: Lab) -> Submission:
    """A job whose node was lost, and which nothing follows: its journal tells no end."""
    made = Submission(lab.bundle(lab.task(), execution={"resume": NONE}), resume=NONE)
    made.submit()
    made.bundle.runs()
    lab.cluster.lose_node(made.sight().node)
    wait_for(lambda: made.sight().state is not State.RUNNING)
    return made


def test_a_lost_node(lab: Lab) -> None:
    made = silent(lab)
    sight = made.sight()
    assert (sight.state, sight.attempt, sight.attempts) == (State.NODE_FAILED, 1, 1)
    assert sight.reason == f"job {sight.native[0]} ended (NODE_FAIL)"


def test_a_job_that_slurm_has_forgotten(lab: Lab) -> None:
    """The accounting remembers; without it nobody knows, and nobody says that it failed."""
    made = silent(lab)
    (job,) = made.sight().native
    lab.cluster.move_clock(1200)

    def is_forgotten() -> bool:
        return job not in lab.cluster("squeue", "-h", "-t", "all", "-o", "%i").stdout.split()

    wait_for(is_forgotten)
    wait_for(lambda: made.sight().state is State.NODE_FAILED)
    lab.cluster.stop("slurmdbd")
    sight = made.sight()
    assert sight.state is State.UNKNOWN
    assert sight.reason.startswith(f"Slurm does not know job {job} any more, and the accounting")
    assert made.cancel()["alpha"].done
    lab.stand_in("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert "accounting storage is disabled" in Submission(made.bundle, resume=NONE).sight().reason


def test_many_runs_in_one_round_trip(lab: Lab) -> None:
    first, second = held(lab, "alpha"), held(lab, "alpha")
    first.submit()
    gone = Submission(first.bundle)
    gone.run = type(gone.run)("gone", f"{lab.folder}/gone", {}, gone.run.jobs, 0.0)
    found = SlurmRuns().poll(first.host, [first.run, gone.run, second.run])
    assert found["run"]["alpha"].state is State.PENDING
    assert found["gone"]["alpha"].state is State.UNKNOWN
    assert found["gone"]["alpha"].reason == "its folder is not there, or can't be read"
    assert first.host.calls == 2


# Stopping


def test_stop_what_waits(lab: Lab) -> None:
    made = held(lab)
    made.submit()
    stopped = made.cancel("alpha", "gamma")
    assert [one.done for one in stopped.values()] == [True, True]
    (job,) = made.sight("alpha").native
    assert stopped["alpha"].what == (f"cancelled job {job}, which was PENDING",)
    assert lab.cluster.queue() == list(made.sight("beta").native)
    assert made.sight("alpha").state is State.CANCELLED
    assert made.sight("alpha").reason == f"job {job} was cancelled (evalc kill)"
    assert made.sight("beta").state is State.PENDING
    again = made.cancel("alpha")["alpha"]
    assert (again.done, again.what) == (
        True, (f"had stopped already: job {job} was cancelled (evalc kill)",),
    )  # fmt: skip


def test_stop_what_runs_and_its_successor(lab: Lab) -> None:
    task = lab.task(env_vars={"THE_KEY": "host:THE_KEY"})
    made = Submission(lab.bundle(task))
    made.bring({"THE_KEY": "sesame"})
    made.submit()
    made.bundle.runs()
    made.bundle.says("successor")
    assert set(made.secrets()) == {".secrets.sbatch_alpha.sh"}
    stopped = made.cancel()["alpha"]
    assert stopped.done
    assert len(stopped.what) == 2, stopped
    nothing_comes_back(lab, made)
    sight = made.sight()
    assert sight.state is State.CANCELLED, made.bundle.everything()
    assert sight.attempt == 1


def test_stop_a_job_that_all_tasks_share(lab: Lab) -> None:
    tasks = [lab.task(), lab.command("sleep 600", name="beta")]
    bundle = lab.bundle(*tasks, execution={"sharing": "shared", "parallelism": 2})
    made = Submission(bundle, "alpha", "beta", shared=True)
    made.submit()
    made.bundle.runs()
    assert made.sight("suite").state is State.RUNNING
    assert made.cancel("suite")["suite"].done
    nothing_comes_back(lab, made)
    assert made.sight("suite").state is State.CANCELLED, made.bundle.everything("")


def test_stop_elements_of_an_array(lab: Lab) -> None:
    made = held(lab, array=True)
    sights = made.submit()
    array = sights["alpha"].native[0].partition("_")[0]
    assert [sights[task].native for task in TASKS] == [(f"{array}_{n}",) for n in range(3)]
    assert made.cancel("beta")["beta"].what == (f"cancelled job {array}_1, which was PENDING",)
    assert [made.sight(task).state for task in TASKS] == [
        State.PENDING, State.CANCELLED, State.PENDING,
    ]  # fmt: skip
    assert all(one.done for one in made.cancel().values())
    nothing_comes_back(lab, made)


def test_stop_an_element_that_runs(lab: Lab) -> None:
    made = Submission(lab.bundle(lab.task(), execution={"array": True}))
    made.submit()
    made.bundle.runs()
    made.bundle.says("successor")
    assert made.sight().native[0].endswith("_0")
    stopped = made.cancel()["alpha"]
    assert (stopped.done, len(stopped.what)) == (True, 2), stopped
    nothing_comes_back(lab, made)
    assert made.sight().state is State.CANCELLED, made.bundle.everything()


def test_stop_links_that_were_queued_beforehand(lab: Lab) -> None:
    made = Submission(lab.bundle(lab.task(), execution={"resume": PREQUEUED}), resume=PREQUEUED)
    native = made.submit()["alpha"].native
    assert len(native) == 3
    made.bundle.runs()
    stopped = made.cancel()["alpha"]
    assert stopped.done
    assert len(stopped.what) == 3
    nothing_comes_back(lab, made)
    assert made.sight().state is State.CANCELLED, made.bundle.everything()


@pytest.mark.parametrize("how", ["tasks", "shared", "array"])
def test_stop_what_has_lost_its_folder(lab: Lab, how: str) -> None:
    """Slurm still tells the path of the script. It stops what runs, what waits, and nothing else."""
    other = held(lab, "alpha")
    other.submit()
    shared = {"sharing": "shared"} if how == "shared" else {}
    bundle = lab.bundle(lab.task(), name="lost", execution={**shared, "array": how == "array"})
    made = Submission(bundle)
    # The folder that was asked for, and the one that Slurm knows.
    link = lab.folder / "link"
    link.symlink_to(lab.folder)
    made.run = replace(made.run, folder=str(link / "lost"))
    made.submit()
    bundle.runs()
    bundle.says("successor", "" if how == "shared" else "alpha")
    before = made.sight()
    gone = bundle.folder.rename(lab.folder / "elsewhere")
    sight = made.sight()
    assert (sight.state, sight.reason) == (State.RUNNING, "its folder is gone")
    assert sight.native == before.native
    stopped = made.cancel()["alpha"]
    assert stopped.done, stopped
    assert [what.partition(" job ")[0] for what in stopped.what[:-1]] == ["cancelled"] * 2, stopped
    assert stopped.what[-1] == "its folder is gone: looked for by its script's path"
    wait_for(lambda: lab.cluster.queue() == list(other.sight().native))
    again = made.cancel()["alpha"]
    assert again.done
    assert again.what[-1].endswith("nothing of it is in the queue")
    assert made.sight().state is State.UNKNOWN
    assert gone.exists()


def test_stop_what_is_over_or_never_began(lab: Lab) -> None:
    made = Submission(
        lab.bundle(lab.command("true"), lab.command("true", name="beta")), "alpha", "beta"
    )
    made.submit("alpha")
    made.bundle.ends()
    stopped = made.cancel()
    assert [(one.done, one.what) for one in stopped.values()] == [
        (True, ("had finished already",)), (True, ("it had not been submitted",)),
    ]  # fmt: skip
    assert made.sight().state is State.COMPLETED


def test_again_after_it_was_stopped(lab: Lab) -> None:
    made = held(lab, "alpha")
    made.submit()
    made.cancel()
    assert made.submit()["alpha"].state is State.CANCELLED
    assert lab.cluster.queue() == []
    sight = made.submit(again=True)["alpha"]
    assert (sight.state, sight.native) == (State.PENDING, tuple(lab.cluster.queue()))


# Secrets


def test_each_job_keeps_the_secrets_that_it_needs(lab: Lab) -> None:
    tasks = [
        lab.command("true", env_vars={"ONE": "host:FIRST"}),
        lab.command("true", name="beta", env_vars={"TWO": "host:SECOND"}),
        lab.command("true", name="gamma"),
    ]
    made = Submission(lab.bundle(*tasks, execution=HELD), *TASKS)
    refused = made.submit()
    assert {sight.state for sight in refused.values()} == {State.FAILED}
    assert "not set in the environment: FIRST SECOND" in refused["alpha"].reason
    made.bring({"FIRST": "a b\n$(c)", "SECOND": "two"})
    made.submit()
    assert made.secrets() == {
        ".secrets.sbatch_alpha.sh": b"FIRST=a b\n$(c)\0",
        ".secrets.sbatch_beta.sh": b"SECOND=two\0",
    }
    # Once more, without them: what is queued keeps them.
    assert {sight.state for sight in made.submit().values()} == {State.PENDING}
    assert len(made.secrets()) == 2
    made.cancel("beta")
    assert set(made.secrets()) == {".secrets.sbatch_alpha.sh"}
    made.bring({"FIRST": "a", "SECOND": "two"})
    made.submit()
    # Nothing is left for one that has stopped.
    assert ".secrets.sbatch_beta.sh" not in made.secrets()


# Where things are


def test_a_folder_whose_name_is_hard_to_quote(lab: Lab) -> None:
    made = held(lab)
    hard = lab.folder / 'it\'s "a" $(touch owned) `id`; # é 漢 | [x]* {a,b} --after 3'
    made.bundle.folder.rename(hard)
    link = lab.folder / "link"
    link.symlink_to(hard)
    for folder in (hard, link):
        # Slurm knows no links.
        made.run = replace(made.run, folder=str(folder))
        made.submit(again=True)
        assert all("it is held" in sight.reason for sight in made.poll().values())
        assert len(lab.cluster.queue()) == len(TASKS)
        assert all(one.done for one in made.cancel().values())
        assert lab.cluster.queue() == []
        assert {sight.state for sight in made.poll().values()} == {State.CANCELLED}
    assert list(lab.folder.rglob("owned")) == []
    # Jobs run there, too.
    command = lab.bundle(lab.command("true"), name="other")
    made = Submission(command)
    made.run = replace(made.run, folder=str(command.folder.rename(hard / "run")))
    made.submit()
    wait_for(lambda: made.sight().state.is_end)
    assert made.sight().state is State.COMPLETED
    (log,) = made.runs.logs(made.run, "alpha", "job")[-1:]
    assert len(list((hard / "run").glob(log))) == 1


@pytest.mark.parametrize("name", ["100% mine", "pct%%j", "back\\slash"])
def test_a_folder_whose_name_is_a_pattern_to_slurm(lab: Lab, name: str) -> None:
    """No job could write its log there, and none is submitted."""
    made = held(lab, "alpha")
    made.run = replace(made.run, folder=str(made.bundle.folder.rename(lab.folder / name)))
    sight = made.submit()["alpha"]
    assert sight.state is State.FAILED
    assert sight.reason.startswith("not submitted: Slurm takes '%' and '\\' in the path")
    assert lab.cluster.queue() == []


@pytest.mark.parametrize("how", ["self", "prequeued", "array"])
def test_a_folder_that_the_nodes_do_not_have(lab: Lab, how: str) -> None:
    """Slurm has no place to say why. All attempts are over at once, and it is said what it may be."""
    resume = PREQUEUED if how == "prequeued" else {"strategy": "self"}
    execution = {"resume": resume, "array": how == "array"}
    made = Submission(lab.bundle(lab.task(), execution=execution), resume=resume)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        made.run = replace(made.run, folder=shutil.copytree(made.bundle.folder, f"{folder}/run"))
        made.submit()
        wait_for(lambda: made.sight().state.is_end)
        lab.cluster.idle()
        sight = made.sight()
    assert sight.state is State.FAILED
    assert re.search(r"could not be started on node n\d", sight.reason)
    assert sight.reason.endswith("output_dir has to be on a file system that all nodes share")


def test_how_many_samples_there_are(lab: Lab) -> None:
    made = Submission(lab.bundle(lab.harness(limit=3), deployment=lab.server()))
    made.submit()
    made.bundle.ends()
    assert (made.sight().done, made.sight().total) == (None, None)
    made.bundle.path("alpha", "artifacts", "progress").write_text("2")
    assert (made.sight().done, made.sight().total) == (2, 3)


def test_logs(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"), deployment=lab.server())
    made = Submission(bundle)
    made.submit()
    bundle.ends()
    found = {
        what: [
            path.relative_to(bundle.folder).as_posix()
            for pattern in made.runs.logs(made.run, "alpha", what)
            for path in bundle.folder.glob(pattern)
        ]
        for what in ("client", "server", "job")
    }
    (job, *_) = made.sight().native
    assert found == {
        "client": ["alpha/logs/client_stdout.log"],
        "server": ["alpha/logs/server_model_stdout.log"],
        "job": [f"alpha/slurm-{job}.log"],
    }


def test_the_backend_has_it() -> None:
    assert isinstance(runs_of(registry.get("slurm")), SlurmRuns)
