"""``submit_all.sh`` on the real cluster: every task is submitted once, whatever comes in between."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backends.slurm.lab import Bundle, Lab

TASKS = ("alpha", "beta", "gamma")
# Jobs that stay in the queue, whose number is then that of the submissions.
HELD = {"sbatch_extra_flags": {"hold": True}}
# What a user may have set for his own use of Slurm, and sbatch and squeue would follow.
SETTINGS = {
    "SBATCH_JOB_NAME": "not-this",
    "SBATCH_PARTITION": "nowhere",
    "SBATCH_TIMELIMIT": "1",
    "SBATCH_ARRAY_INX": "0-3",
    "SBATCH_REQUEUE": "1",
    "SBATCH_OUTPUT": "elsewhere",
    "SLURM_JOB_ID": "1",
    "SLURM_RESTART_COUNT": "3",
    "SQUEUE_FORMAT": "%u",
    "SQUEUE_STATES": "COMPLETED",
    "SQUEUE_USERS": "nobody",
    "SACCT_FORMAT": "User",
    "SLURM_TIME_FORMAT": "relative",
    "SCANCEL_INTERACTIVE": "1",
}


def held(lab: Lab, names: Sequence[str], **execution: Any) -> Bundle:
    """Tasks that do nothing; their jobs stay in the queue."""
    tasks = [lab.command("true", name=name) for name in names]
    return lab.bundle(*tasks, execution={**HELD, **execution})


def three(lab: Lab, **execution: Any) -> Bundle:
    return held(lab, TASKS, **execution)


def queued(bundle: Bundle) -> dict[str, list[str]]:
    """The ids of the jobs in the queue, by the folder in the bundle that they were submitted from."""
    listed = bundle.cluster("squeue", "--noheader", "--array", "--format=%i|%Z")
    assert listed.returncode == 0, listed.stderr
    found: dict[str, list[str]] = {}
    for line in sorted(listed.stdout.splitlines()):
        job, _, folder = line.partition("|")
        found.setdefault(str(Path(folder).relative_to(bundle.folder)), []).append(job)
    return found


def noted(bundle: Bundle, task: str) -> list[str]:
    return [event["job"] for event in bundle.events("submitted", task)]


def each_is_there_once(bundle: Bundle, names: Sequence[str] = TASKS) -> None:
    """One job for each task in Slurm's queue, and each task's journal knows it."""
    jobs = queued(bundle)
    assert {task: len(ids) for task, ids in jobs.items()} == dict.fromkeys(names, 1)
    assert {task: noted(bundle, task) for task in names} == jobs


def test_no_more_than_four_ids_are_asked_for_before_they_are_remembered(lab: Lab) -> None:
    names = sorted(f"task{number}" for number in range(10))
    lab.stand_in(
        "sbatch",
        """
        cat ../*/logs/journal | grep -c ' submitted ' >known
        sleep 0.3
        exec "$real" "$@"
        """,
    )
    bundle = held(lab, names)
    said = bundle.submit().stderr
    each_is_there_once(bundle, names)
    known = [int((bundle.folder / name / "known").read_text()) for name in names]
    assert known[:4] == [0, 0, 0, 0]
    assert all(count >= before - 3 for before, count in enumerate(known))
    for task in names:
        assert f"{task}: submitted as job {noted(bundle, task)[0]}\n" in said
    # Again, it finds them.
    assert "0 submitted, 10 there already, 0 finished" in bundle.submit().stderr
    each_is_there_once(bundle, names)


# Kills submit_all.sh, whose process its lock names, when it submits a job: before Slurm has heard
# of it, when Slurm has it, or a moment later. The others that it has begun to submit take a while.
KILLER = """
    read -r pid _ <../logs/submit.lock
    if [ "${PWD##*/}" != "$KILL_AT" ]; then
      [ "$KILL_AT" = none ] || sleep 0.4
      exec "$real" "$@"
    fi
    [ "$KILL_WHEN" != before ] || { kill -9 "$pid"; exit 1; }
    answer=$("$real" "$@")
    [ "$KILL_WHEN" != after ] || { kill -9 "$pid"; exit 1; }
    (sleep "$KILL_WHEN"; kill -9 "$pid") >/dev/null 2>&1 &
    echo "$answer"
"""


@pytest.mark.parametrize("when", ["before", "after", "0", "0.02"])
def test_killed_at_any_moment_and_run_again(lab: Lab, when: str) -> None:
    lab.stand_in("sbatch", KILLER)
    made = three(lab)
    killed = 0
    for task in TASKS:
        bundle = type(made)(made.cluster, lab.folder / f"run-{task}", lab.env)
        shutil.copytree(made.folder, bundle.folder)
        ran = bundle.run("submit_all.sh", env={"KILL_AT": task, "KILL_WHEN": when})
        killed += ran.returncode == -9
        bundle.env = {**bundle.env, "KILL_AT": "none"}
        bundle.submit()
        each_is_there_once(bundle)
        lab.cluster.restore()
    # Where it has a moment left it may be through before.
    assert killed == len(TASKS) or when not in ("before", "after")


def test_twenty_at_the_same_time(lab: Lab) -> None:
    bundle = three(lab)
    started = [
        subprocess.Popen(
            ["bash", bundle.path("submit_all.sh")],
            env={**lab.cluster.env, **lab.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(20)
    ]
    codes = {process.wait(120) for process in started}
    # Who comes while another one is at work leaves.
    assert 0 in codes
    assert codes <= {0, 75}
    each_is_there_once(bundle)


def test_slurm_refuses_one_of_three(lab: Lab) -> None:
    error = "sbatch: error: Batch job submission failed: Invalid account or account/partition"
    lab.stand_in(
        "sbatch", f'case $PWD in */beta) echo "{error}" >&2; exit 1 ;; esac; exec $real "$@"'
    )
    bundle = three(lab)
    ran = bundle.run("submit_all.sh")
    assert ran.returncode == 1
    assert f"beta: not submitted: {error}" in ran.stderr
    assert "2 submitted, 0 there already, 0 finished, 1 refused" in ran.stderr
    assert queued(bundle) == {task: noted(bundle, task) for task in ("alpha", "gamma")}
    assert noted(bundle, "beta") == []
    (lab.folder / "stand-ins/sbatch").unlink()
    assert "1 submitted, 2 there already" in bundle.submit().stderr
    each_is_there_once(bundle)


def test_an_answer_that_is_no_id_is_no_submission(lab: Lab) -> None:
    lab.stand_in("sbatch", "echo 'Submitted batch job, or not'")
    bundle = three(lab)
    assert bundle.run("submit_all.sh").returncode == 1
    assert [noted(bundle, task) for task in TASKS] == [[], [], []]


def test_warnings_and_a_clusters_name_are_no_part_of_an_id(lab: Lab) -> None:
    lab.stand_in("sbatch", 'echo "sbatch: be warned: 12" >&2; id=$($real "$@"); echo "$id;evalc"')
    bundle = three(lab)
    bundle.submit()
    each_is_there_once(bundle)


def test_the_controller_is_away(lab: Lab) -> None:
    bundle = three(lab)
    lab.cluster.stop("slurmctld")
    ran = bundle.run("submit_all.sh")
    assert ran.returncode == 69
    assert "nothing was submitted" in ran.stderr
    assert [noted(bundle, task) for task in TASKS] == [[], [], []]
    lab.cluster.start("slurmctld")
    bundle.submit()
    each_is_there_once(bundle)


@pytest.mark.parametrize(
    "answer",
    ["echo 'sbatch: error: Unable to contact slurm controller (connect failure)' >&2; exit 1"],
)
def test_the_controller_goes_away_in_the_middle(lab: Lab, answer: str) -> None:
    lab.stand_in("sbatch", f'case $PWD in */beta) {answer} ;; esac; exec $real "$@"')
    bundle = three(lab)
    ran = bundle.run("submit_all.sh")
    assert ran.returncode == 69
    assert "run this again later" in ran.stderr
    # What was on its way meanwhile is there, and remembered.
    assert queued(bundle) == {task: noted(bundle, task) for task in ("alpha", "gamma")}
    (lab.folder / "stand-ins/sbatch").unlink()
    assert "1 submitted, 2 there already" in bundle.submit().stderr
    each_is_there_once(bundle)


def test_what_the_user_has_set_for_himself(lab: Lab) -> None:
    """It changes neither what is submitted, nor what is read of Slurm, on any node."""
    bundle = lab.bundle(lab.task())
    bundle.env = {**bundle.env, **SETTINGS}
    bundle.submit()
    first = bundle.runs()
    shown = lab.cluster("squeue", "-h", "-j", first, "-o", "%j|%P|%l|%Z").stdout.strip()
    assert shown == f"evalc.suite.alpha|batch|10:00|{bundle.folder}/alpha"
    assert "0 submitted, 1 there already" in bundle.submit().stderr
    assert noted(bundle, "alpha") == [first]
    (successor,) = [event["job"] for event in bundle.events("successor")]
    shown = lab.cluster("squeue", "-h", "-j", successor, "-o", "%j|%P|%l|%E").stdout.strip()
    assert shown.startswith(f"evalc.suite.alpha|batch|10:00|afternotok:{first}")
    lab.time_out(first)
    assert bundle.runs(times=2) == successor
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0", f"{successor}.0"]


# Arguments


def test_dry_run_submits_nothing_and_prints_what_a_person_would_type(lab: Lab) -> None:
    bundle = three(lab)
    before = sorted(bundle.folder.rglob("*"))
    said = bundle.submit("--dry-run").stdout
    assert sorted(bundle.folder.rglob("*")) == before
    assert queued(bundle) == {}
    assert len(said.splitlines()) == len(TASKS)
    done = lab.cluster("bash", "-c", said, env=lab.env)
    assert done.returncode == 0, done.stderr
    assert {task: len(jobs) for task, jobs in queued(bundle).items()} == dict.fromkeys(TASKS, 1)


def test_test_only_asks_slurm(lab: Lab) -> None:
    bundle = three(lab)
    said = bundle.submit("--test-only").stderr
    assert [said.count(f"{task}: Job ") for task in TASKS] == [1, 1, 1]
    assert queued(bundle) == {}
    refused = three(lab, partition="nowhere").run("submit_all.sh", "--test-only")
    assert refused.returncode == 1
    assert refused.stderr.count("invalid partition specified") == len(TASKS)


def test_only_some_tasks(lab: Lab) -> None:
    bundle = three(lab)
    bundle.submit("--only", "gamma", "--only=alpha")
    assert queued(bundle).keys() == {"alpha", "gamma"}
    bundle.submit()
    each_is_there_once(bundle)


def test_again_submits_what_has_stopped_and_nothing_else(lab: Lab) -> None:
    tasks = [lab.command("exit 7"), lab.command("true", name="beta")]
    bundle = lab.bundle(*tasks)
    bundle.submit()
    first = bundle.ends()
    assert (first.name, bundle.ends("beta").name) == ("stop", "done")
    ran = bundle.run("submit_all.sh")
    assert ran.returncode == 1
    assert "alpha: has stopped" in ran.stderr
    assert "0 submitted, 0 there already, 1 finished, 1 stopped" in ran.stderr
    assert "1 submitted, 0 there already, 1 finished" in bundle.submit("--again").stderr
    bundle.says("stop", times=2)
    assert len(noted(bundle, "alpha")) == 2
    assert len(noted(bundle, "beta")) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--frobnicate"], "unknown argument '--frobnicate'"),
        (["alpha"], "unknown argument 'alpha'"),
        (["--only"], "--only needs the name of a task"),
        (["--only", "delta"], "there is no task 'delta'"),
        (["--only", "alpha beta"], "there is no task 'alpha beta'"),
        (["--only", ""], "there is no task ''"),
        (["--only", "*"], "there is no task '*'"),
    ],
)
def test_wrong_arguments(lab: Lab, arguments: list[str], said: str) -> None:
    bundle = three(lab)
    ran = bundle.run("submit_all.sh", *arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert queued(bundle) == {}


def test_help(lab: Lab) -> None:
    bundle = three(lab)
    for option in ("--help", "-h"):
        said = bundle.submit(option).stdout
        assert said.startswith("usage: bash submit_all.sh")
        assert said.split()[-3:] == list(TASKS)


def test_sbatch_is_not_there(lab: Lab, tmp_path: Path) -> None:
    bundle = three(lab)
    for name in ("bash", "dirname", "readlink"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    ran = bundle.run("submit_all.sh", env={"PATH": str(tmp_path)})
    assert ran.returncode == 69
    assert "sbatch is not in PATH" in ran.stderr


# Folders


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """For root, too."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_folder_that_can_not_be_written(lab: Lab) -> None:
    bundle = three(lab)
    with read_only(bundle.folder):
        ran = bundle.run("submit_all.sh")
    assert ran.returncode == 74
    assert f"can't write in {bundle.folder}" in ran.stderr
    assert lab.cluster.queue() == []


def test_a_journal_that_can_not_be_written(lab: Lab) -> None:
    """A job that nobody would know of is not submitted."""
    bundle = three(lab)
    bundle.path("beta", "logs", "journal").mkdir(parents=True)
    ran = bundle.run("submit_all.sh")
    assert ran.returncode == 74
    assert "beta/logs/journal: is the disk full?" in ran.stderr
    assert queued(bundle) == {"alpha": noted(bundle, "alpha")}


def test_a_folder_whose_name_is_hard_to_quote(lab: Lab) -> None:
    made = three(lab)
    bundle = type(made)(lab.cluster, lab.folder / 'it\'s "a" $(touch owned) `id`; # é |', lab.env)
    made.folder.rename(bundle.folder)
    bundle.submit()
    each_is_there_once(bundle)
    assert "0 submitted, 3 there already" in bundle.submit().stderr
    each_is_there_once(bundle)
    assert list(lab.folder.rglob("owned")) == []


# Links that are queued beforehand, and arrays

PREQUEUED = {"resume": {"strategy": "prequeued", "attempts": 3, "signal_before": 0}}


def test_links_that_are_queued_beforehand(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=PREQUEUED)
    said = bundle.submit().stderr
    first, second, third = noted(bundle, "alpha")
    assert [event["link"] for event in bundle.events("submitted")] == ["1", "2", "3"]
    assert f"submitted as job {first}:{second}:{third}" in said
    assert bundle.runs() == first
    listed = lab.cluster("squeue", "-h", "--sort=i", "-o", "%i|%E").stdout.splitlines()
    waits = [f"afternotok:{job}(unfulfilled)" for job in (first, second)]
    assert listed == [f"{first}|(null)", f"{second}|{waits[0]}", f"{third}|{','.join(waits)}"]
    # All of them are there: none is missing.
    assert "0 submitted, 1 there already" in bundle.submit().stderr
    assert len(lab.cluster.queue()) == 3
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0"]


def test_a_link_that_is_queued_beforehand_goes_on(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=PREQUEUED)
    bundle.submit()
    first, second, _ = noted(bundle, "alpha")
    assert bundle.runs() == first
    lab.time_out(first)
    assert bundle.runs(times=2) == second
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0", f"{second}.0"]


def test_an_array(lab: Lab) -> None:
    bundle = three(lab, array=True, array_limit=2)
    bundle.submit("--only", "beta")
    (part,) = noted(bundle, "beta")
    assert part.endswith("_1")
    said = bundle.submit().stderr
    assert "2 submitted, 1 there already" in said
    array = noted(bundle, "alpha")[0].partition("_")[0]
    assert [noted(bundle, task) for task in TASKS] == [[f"{array}_0"], [part], [f"{array}_2"]]
    assert queued(bundle) == {".": sorted([f"{array}_0", part, f"{array}_2"])}
    assert "0 submitted, 3 there already" in bundle.submit().stderr
    shown = lab.cluster("scontrol", "show", "job", array).stdout
    assert "ArrayTaskThrottle=2" in shown
    for job in lab.cluster.queue():
        lab.cluster("scontrol", "release", job)
    for task in TASKS:
        assert bundle.ends(task).name == "done", bundle.everything(task)
    assert "0 submitted, 0 there already, 3 finished" in bundle.submit().stderr


# The bundle is compiled anew


def test_a_job_that_waits_while_its_bundle_is_compiled_anew(lab: Lab) -> None:
    """It would run the new config's commands, and call that the old one's results."""
    held: dict[str, Any] = {"sbatch_extra_flags": {"hold": True}}
    bundle = lab.bundle(lab.command("touch old"), execution=held)
    bundle.submit()
    (job,) = lab.cluster.queue()
    lab.bundle(lab.command("touch new"), execution=held)
    lab.cluster("scontrol", "release", job)
    lab.cluster.wait(job, "FAILED")
    assert "was compiled anew since this job was submitted" in bundle.log(job)
    assert not bundle.path("alpha", "artifacts").exists()


def test_a_changed_config_is_submitted_without_being_asked_twice(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("echo 1 >which"))
    bundle.submit()
    assert bundle.ends().name == "done"
    bundle = lab.bundle(lab.command("echo 2 >which"))
    assert "1 submitted" in bundle.submit().stderr
    wait_for(lambda: bundle.text("alpha", "artifacts", "which") == "2\n")
    assert bundle.text("alpha", "artifacts.old", "which") == "1\n"


def test_links_that_an_interruption_left_out(lab: Lab) -> None:
    keys: dict[str, Any] = {
        "sbatch_extra_flags": {"hold": True},
        "resume": {"strategy": "prequeued", "attempts": 4},
    }
    bundle = lab.bundle(lab.command("true"), execution=keys)
    lab.stand_in(
        "sbatch",
        """\
        [ -e "$here/open" ] || [ "$(cat "$here/count" 2>/dev/null | wc -l)" -lt 2 ] || exit 1
        echo x >>"$here/count"
        exec "$real" "$@"
        """,
    )
    assert bundle.run("submit_all.sh").returncode == 1
    assert len(lab.cluster.queue()) == 2
    (lab.folder / "stand-ins" / "open").touch()
    assert "completed the chain of 4 jobs" in bundle.submit().stderr
    assert len(lab.cluster.queue()) == 4
    assert "completed" not in bundle.submit().stderr
    for job in lab.cluster.queue():
        lab.cluster("scontrol", "release", job)
    assert bundle.ends().name == "done"


def test_a_setup_that_exits(lab: Lab) -> None:
    """To Slurm, a script that exits with 0 is done."""
    bundle = lab.bundle(lab.command("true"), execution={"setup": "exit 0"})
    bundle.submit()
    assert bundle.ends().name == "stop"
    (end,) = bundle.events("end")
    assert (end["kind"], end["exit"]) == ("failed", "1")


def test_what_setup_exports_is_there(lab: Lab) -> None:
    task = lab.command("echo $X >x", env_vars={"X": "runtime:FROM_SETUP"})
    bundle = lab.bundle(task, execution={"setup": "export FROM_SETUP=here"})
    bundle.submit()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.text("alpha", "artifacts", "x") == "here\n"
