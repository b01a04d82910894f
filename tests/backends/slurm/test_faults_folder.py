"""Two attempts in one folder; a journal that was cut, or can't be written. No step runs twice at a time:
see :meth:`Lab.task`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backends.slurm.lab import Bundle, quoted
from backends.slurm.test_faults_ends import UNTOLD

if TYPE_CHECKING:
    from backends.slurm.lab import Lab

NODE = "n1"
ON_NODE = {**UNTOLD, "sbatch_extra_flags": {"nodelist": NODE}}


def mounted(lab: Lab, bundle: Bundle, command: str) -> Bundle:
    """The bundle as jobs on the node see it from now on, after this command there in its folder.

    The mounts that it makes are that node's alone, and end with the node.
    """
    ran = lab.cluster.on(NODE, "bash", "-ec", f"cd {quoted(bundle.folder)}; {command}")
    assert ran.returncode == 0, ran.stderr
    pid = (lab.cluster.folder.parent / "run" / f"{NODE}.node").read_text().strip()
    return Bundle(lab.cluster, Path(f"/proc/{pid}/root{bundle.folder}"), bundle.env)


def on_small_disk(lab: Lab, bundle: Bundle) -> Bundle:
    """The bundle on a disk of its own."""
    folder = quoted(bundle.folder)
    return mounted(
        lab,
        bundle,
        f"mkdir ../disk; mount -t tmpfs -o size=4M tmpfs ../disk; cp -a . ../disk/;"
        f" mount --move ../disk {folder}",
    )


def fill(seen: Bundle) -> None:
    """Not a byte is left on its disk."""
    with seen.path("filler").open("wb", buffering=0) as file:
        block = b"x" * 4096
        try:
            while True:
                file.write(block)
        except OSError:
            pass


def test_another_job_in_the_same_folder(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    first = bundle.sbatch()
    assert bundle.runs() == first
    second = bundle.sbatch()
    lab.cluster.wait(second, "COMPLETED")
    (left,) = bundle.events("left")
    assert (left["job"], left.reason) == (second, f"job {first} is at work here")
    assert f"job {first} is at work here; this one leaves" in bundle.log(second)
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0"]


def test_a_requeue_and_a_successor(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    first = bundle.runs()
    assert lab.cluster("scontrol", "update", f"jobid={first}", "requeue=1").returncode == 0
    lab.time_out(first)
    second = bundle.runs(times=2)
    # The successor works already when somebody has the job before it run again.
    assert lab.cluster("scontrol", "requeue", first).returncode == 0
    (left,) = bundle.says("left")
    assert (left["job"], left.reason) == (first, f"job {second} is at work here")
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0", f"{second}.0"]
    assert len(bundle.events("successor")) == 2


@pytest.mark.parametrize("last", ["attempt", "successor", "task"])
def test_a_journal_cut_in_the_middle_of_a_line(lab: Lab, last: str) -> None:
    bundle = lab.bundle(lab.task(), execution=UNTOLD)
    bundle.submit()
    first = bundle.runs()
    journal = bundle.path("alpha", "logs", "journal")
    text = journal.read_text()
    end = text.index(f" {last} ") + len(last) + 6
    assert "\n" not in text[end - 5 : end + 1]
    with journal.open("r+") as file:
        file.truncate(end)
    lab.time_out(first)
    second = bundle.runs(times=2)
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0", f"{second}.0"]
    # What was cut stays a line of its own.
    lines = bundle.text("alpha", "logs", "journal").splitlines()
    assert f"{text[:end].splitlines()[-1]} [cut]" in lines


def test_a_journal_that_is_read_only(lab: Lab) -> None:
    """Work that has begun is finished; none is begun."""
    bundle = lab.bundle(lab.task(), execution=ON_NODE)
    first = bundle.sbatch()
    assert bundle.runs() == first
    journal = "alpha/logs/journal"
    mounted(lab, bundle, f"mount --bind {journal} {journal}; mount -o remount,bind,ro {journal}")
    lab.time_out(first)
    (successor,) = bundle.events("successor")
    lab.cluster.wait(successor["job"], "FAILED")
    lab.cluster.idle()
    assert "can't write" in bundle.log(successor["job"])
    assert "nothing was started" in bundle.log(successor["job"])
    assert bundle.ran() == [f"{first}.0"]
    # It can be written again, and somebody submits.
    mounted(lab, bundle, f"umount {journal}")
    second = bundle.sbatch()
    assert bundle.runs(times=2) == second
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.ran() == [f"{first}.0", f"{second}.0"]


def test_a_journal_that_is_read_only_at_the_end(lab: Lab) -> None:
    bundle = lab.bundle(lab.task(), execution=ON_NODE)
    job = bundle.sbatch()
    assert bundle.runs() == job
    journal = "alpha/logs/journal"
    mounted(lab, bundle, f"mount --bind {journal} {journal}; mount -o remount,bind,ro {journal}")
    bundle.release()
    lab.cluster.wait(job, "COMPLETED")
    lab.cluster.idle()
    assert bundle.exit() == (0, "")
    assert "can't write" in bundle.log(job)
    (successor,) = bundle.events("successor")
    assert lab.cluster.state(successor["job"]) == "CANCELLED"
    assert bundle.ran() == [f"{job}.0"]
    mounted(lab, bundle, f"umount {journal}")


def test_a_disk_that_is_full(lab: Lab) -> None:
    """Nothing is started; when there is room again, somebody submits."""
    bundle = lab.bundle(lab.task(), execution=ON_NODE)
    seen = on_small_disk(lab, bundle)
    seen.release()
    fill(seen)
    first = bundle.sbatch()
    lab.cluster.wait(first, "FAILED", "COMPLETED")
    lab.cluster.idle()
    assert "ExitCode=74:0" in lab.cluster("scontrol", "show", "job", first).stdout
    assert seen.ran() == []
    seen.path("filler").unlink()
    second = bundle.sbatch()
    assert seen.ends().name == "done", seen.everything()
    assert seen.ran() == [f"{second}.0"]


def test_a_disk_that_fills_up(lab: Lab) -> None:
    """Work that is done is not done again."""
    bundle = lab.bundle(lab.task(), execution=ON_NODE)
    seen = on_small_disk(lab, bundle)
    job = bundle.sbatch()
    assert seen.runs() == job
    (successor,) = seen.events("successor")
    seen.release()
    fill(seen)
    lab.cluster.wait(job, "COMPLETED", "FAILED")
    lab.cluster.idle()
    assert seen.exit()[0] == 0, seen.everything()
    assert lab.cluster.state(successor["job"]) in ("CANCELLED", "COMPLETED")
    assert seen.ran() == [f"{job}.0"]
