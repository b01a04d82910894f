"""Running again: what is skipped, repeated or refused, and from where."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from backends.local.lab import Lab, in_containers, on_the_host
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 'echo run >>"{0}/runs"; echo "$TAG" >"$RESULTS_DIR/results"'


def runs(lab: Lab) -> int:
    file = lab.shared / "runs"
    return len(file.read_text().split()) if file.exists() else 0


def counted(lab: Lab, name: str = "alpha", tag: str = "first") -> dict[str, object]:
    return lab.command(COUNT.format(lab.shared), name, env_vars={"TAG": f"lit:{tag}"})


@on_the_host
def test_finished_tasks_are_skipped(lab: Lab) -> None:
    bundle = lab.bundle(counted(lab), counted(lab, "beta"), deployment=lab.server())
    first = bundle.run()
    assert (first.code, runs(lab), lab.starts()) == (0, 2, 1)
    before = {path: path.stat().st_mtime_ns for path in bundle.path("alpha").rglob("*")}
    second = bundle.run()
    assert (second.code, runs(lab), lab.starts()) == (0, 2, 1), "a server for nothing"
    assert "nothing to do" in second.said
    assert bundle.run("alpha/run.sh").code == 0
    assert (runs(lab), lab.starts()) == (2, 1)
    changed = {
        path.name
        for path in bundle.path("alpha").rglob("*")
        if before.get(path) != path.stat().st_mtime_ns
    }
    assert changed <= {"logs"}, "a finished task was touched"


@on_the_host
def test_only_what_failed_is_run_again(lab: Lab) -> None:
    text = f'echo run >>{lab.shared}/runs; [ -e "{lab.shared}/mended" ] || exit 5'
    bundle = lab.bundle(counted(lab), lab.command(text, "beta"))
    assert bundle.run().code == 1
    assert (bundle.exit()[0], bundle.exit("beta")[0], runs(lab)) == (0, 5, 2)
    (lab.shared / "mended").touch()
    assert bundle.run().code == 0
    assert (bundle.exit("beta")[0], runs(lab)) == (0, 3)


@on_the_host
def test_a_harness_without_results_is_not_finished(lab: Lab) -> None:
    bundle = lab.bundle(lab.harness())
    assert bundle.run().code == 0
    bundle.path("alpha", "artifacts", "results.yml").unlink()
    again = bundle.run()
    assert "evaluating" in again.said
    assert bundle.path("alpha", "artifacts", "results.yml").exists()


def test_force_repeats(lab: Lab) -> None:
    bundle = lab.bundle(counted(lab))
    assert bundle.run("alpha/run.sh").code == 0
    old = bundle.path("alpha", "artifacts", "old")
    old.touch()
    assert bundle.run("alpha/run.sh", "--force").code == 0
    assert runs(lab) == 2
    assert not old.exists()
    assert bundle.path("alpha", "artifacts.old", "old").exists()
    assert bundle.text("alpha", "artifacts", "results") == "first\n"
    assert bundle.run("run_all.sh", "--force").code == 0
    assert runs(lab) == 3
    assert not bundle.path("alpha", "artifacts.old", "old").exists()


@on_the_host
def test_results_of_another_config_are_no_work_done(lab: Lab) -> None:
    bundle = lab.bundle(counted(lab), counted(lab, "beta"))
    assert bundle.run().code == 0
    bundle = lab.bundle(counted(lab, tag="second"), counted(lab, "beta"))
    ran = bundle.run()
    assert (ran.code, runs(lab)) == (0, 3)
    assert "of another config; they move to artifacts.old" in ran.said
    assert bundle.text("alpha", "artifacts", "results") == "second\n"
    assert bundle.text("alpha", "artifacts.old", "results") == "first\n"
    assert bundle.text("beta", "artifacts", "results") == "first\n"
    assert not bundle.path("beta", "artifacts.old").exists()


@on_the_host
def test_another_server_makes_results_old_too(lab: Lab) -> None:
    bundle = lab.bundle(counted(lab), deployment=lab.server())
    assert bundle.run().code == 0
    bundle = lab.bundle(counted(lab), deployment=lab.server("--ready-after 0.01"))
    assert bundle.run().code == 0
    assert runs(lab) == 2


@on_the_host
def test_work_of_an_interrupted_run_is_kept(lab: Lab) -> None:
    """Harnesses go on from what is in the folder."""
    text = 'ls "$RESULTS_DIR" >>"{0}/seen"; touch "$RESULTS_DIR/cache"; [ -e "{0}/go" ]'
    bundle = lab.bundle(lab.command(text.format(lab.shared)))
    assert bundle.run("alpha/run.sh").code == 1
    bundle.path("alpha", "artifacts", ".nemo_evaluator_interrupted").touch()
    (lab.shared / "go").touch()
    assert bundle.run("alpha/run.sh").code == 0
    assert (lab.shared / "seen").read_text() == "cache\n"
    assert bundle.path("alpha", "artifacts", "cache").exists()


@on_the_host
def test_only_and_arguments(lab: Lab) -> None:
    bundle = lab.bundle(*(counted(lab, name) for name in ("alpha", "beta", "gamma")))
    assert bundle.run("run_all.sh", "--only", "beta", "--only=gamma").code == 0
    assert (bundle.exit("alpha")[0], runs(lab)) == (None, 2)
    for script, arguments, said in (
        ("run_all.sh", ["--only", "bet"], "there is no task 'bet'"),
        ("run_all.sh", ["--only", "alpha beta"], "there is no task 'alpha beta'"),
        ("run_all.sh", ["--only"], "--only needs a value"),
        ("run_all.sh", ["--jobs", "0"], "not '0'"),
        ("run_all.sh", ["--jobs=00"], "not '00'"),
        ("run_all.sh", ["--jobs", "10000"], "a number from 1 to 9999, not '10000'"),
        ("run_all.sh", ["--jobs", "9" * 20], f"not '{'9' * 20}'"),
        ("run_all.sh", ["--jobs=two"], "not 'two'"),
        ("run_all.sh", ["--jobs"], "--jobs needs a value"),
        ("run_all.sh", ["alpha"], "unknown argument 'alpha'"),
        ("run_all.sequential.sh", ["--fast"], "unknown argument '--fast'"),
        ("alpha/run.sh", ["--jobs"], "unknown argument '--jobs'"),
        ("alpha/run.sh", [""], "unknown argument ''"),
    ):
        ran = bundle.run(script, *arguments)
        assert ran.code == 2, (script, arguments)
        assert said in ran.said
        assert len(ran.said.splitlines()) == 1
    assert runs(lab) == 2
    for script in ("run_all.sh", "run_all.sequential.sh", "alpha/run.sh"):
        ran = bundle.run(script, "--help")
        assert ran.code == 0
        assert ran.said.startswith("usage: bash ")
        assert "--force" in ran.said
    assert re.findall(r"^  (\w+)$", bundle.run("run_all.sh", "-h").said, re.MULTILINE) == [
        "alpha", "beta", "gamma",
    ]  # fmt: skip
    assert not bundle.path("alpha", "logs").exists()


@on_the_host
def test_a_task_that_is_named_twice_runs_once(lab: Lab) -> None:
    bundle = lab.bundle(counted(lab), counted(lab, "beta"), execution={"mode": "parallel"})
    ran = bundle.run("run_all.sh", "--only", "alpha", "--only=alpha", "--jobs", "2")
    assert (ran.code, runs(lab), bundle.exit()) == (0, 1, (0, "")), ran.said
    assert ran.said.count("  alpha  finished\n") == 1


@on_the_host
@pytest.mark.parametrize(
    ("script", "arguments", "limit"),
    [
        ("run_all.sh", [], 3),
        ("run_all.sh", ["--jobs", "2"], 2),
        ("run_all.sh", ["--jobs=5"], 5),
        ("run_all.sequential.sh", [], 1),
    ],
)
def test_so_many_at_a_time(lab: Lab, script: str, arguments: list[str], limit: int) -> None:
    """Never more, and really so many: the first ones wait until as many are there."""
    text = f"""
        cd {lab.shared}
        touch here."$NAME"
        ls here.* | wc -l >>counts
        for _ in {{1..400}}; do
            [ -e enough ] || [ "$(ls here.* | wc -l)" -ge {limit} ] && break
            sleep 0.05
        done
        touch enough
        sleep 0.1
        rm here."$NAME"
    """
    tasks = [lab.command(text, name, env_vars={"NAME": f"lit:{name}"}) for name in "abcdef"]
    bundle = lab.bundle(*tasks, execution={"mode": "parallel", "parallelism": 3})
    ran = bundle.run(script, *arguments)
    assert ran.code == 0, ran.said
    counts = [int(line) for line in (lab.shared / "counts").read_text().split()]
    assert (len(counts), max(counts)) == (6, limit)


NASTY = 'it\'s a "dir" $HOME `id` ü & \\ (1)'


def test_in_a_path_with_special_characters(lab: Lab) -> None:
    """And with a config's name that no container may have."""
    (lab.folder / "f").write_text("x")
    bundle = lab.bundle(
        lab.harness(),
        lab.command('cp "$FILES_DIR/f" "$RESULTS_DIR/"', "beta", files=["f"]),
        name="my suite (ü)",
        out=lab.folder / NASTY / NASTY,
        deployment=lab.server(),
    )
    ran = bundle.run()
    assert ran.code == 0, ran.said
    assert bundle.text("beta", "artifacts", "f") == "x"


@on_the_host
def test_from_anywhere(lab: Lab) -> None:
    bundle = lab.bundle(counted(lab), counted(lab, "beta"))
    elsewhere = lab.folder / "elsewhere"
    elsewhere.mkdir()
    links = lab.folder / "links"
    links.mkdir()
    (links / "bundle").symlink_to(bundle.folder)
    (links / "all").symlink_to(bundle.path("run_all.sh"))
    (links / "sequential").symlink_to(bundle.path("run_all.sequential.sh"))
    (links / "one").symlink_to(bundle.path("alpha", "run.sh"))
    # A folder that 'cd alpha' would lead to with this CDPATH.
    (elsewhere / "alpha").mkdir()
    strange = {"CDPATH": str(elsewhere), "BASH_ENV": "", "POSIXLY_CORRECT": "1"}
    for number, (script, cwd) in enumerate(
        (
            ("run.sh", bundle.path("alpha")),
            ("./alpha/run.sh", bundle.folder),
            ("alpha/run.sh", bundle.folder),
            ("../alpha/run.sh", bundle.path("lib")),
            (f"{bundle.folder}/alpha/run.sh", Path("/")),
            (f"{links}/bundle/alpha/run.sh", elsewhere),
            (f"{links}/one", elsewhere),
        ),
        1,
    ):
        ran = bundle.run(script, "--force", cwd=cwd, env=strange)
        assert (ran.code, runs(lab)) == (0, number), (script, ran.said)
    for script in ("all", "sequential"):
        ran = bundle.run(f"{links}/{script}", "--force", "--only", "alpha", cwd=elsewhere)
        assert ran.code == 0, ran.said
    assert runs(lab) == number + 2
    assert [path.name for path in elsewhere.iterdir()] == ["alpha"]

    copy = bundle.copy(lab.folder / "a copy")
    assert copy.run().code == 0
    assert copy.exit("beta")[0] == 0
    assert bundle.exit("beta")[0] is None
    bundle.path("alpha", "run.sh").chmod(0o755)
    assert lab.start([str(bundle.path("alpha", "run.sh"))]).ends().code == 0


@in_containers
def test_an_unmountable_path_is_refused(lab: Lab) -> None:
    bundle = lab.bundle(counted(lab), out=lab.folder / "a:b")
    ran = bundle.run("alpha/run.sh")
    assert ran.code == 74
    assert "can't mount a folder with ':'" in ran.said


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder as nobody may write it, not even root."""
    if os.geteuid() != 0:
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        yield
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
        return
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@on_the_host
def test_a_read_only_bundle(lab: Lab) -> None:
    bundle = lab.bundle(counted(lab), counted(lab, "beta"), deployment=lab.server())
    assert bundle.run("run_all.sh", "--only", "alpha").code == 0
    with read_only(bundle.folder):
        for script in ("run_all.sh", "alpha/run.sh", "beta/run.sh"):
            ran = bundle.run(script, "--force")
            assert ran.code == 74, ran.said
            assert "can't write" in ran.said.splitlines()[-1]
    assert (runs(lab), lab.starts()) == (1, 1)
    # Files that may not be written are all it needs to be.
    for path in bundle.folder.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    assert bundle.run().code == 0


@on_the_host
def test_a_second_run_at_the_same_time_is_refused(lab: Lab) -> None:
    text = f'until [ -e "{lab.shared}/go" ]; do sleep 0.05; done'
    bundle = lab.bundle(lab.command(text))
    first = bundle.start()
    first.says("evaluating")
    for script, busy in (("run_all.sh", first.process.pid), ("alpha/run.sh", None)):
        second = bundle.run(script)
        assert second.code == 75
        assert re.search(f"process {busy or '[0-9]+'} is at work here already", second.said)
    (lab.shared / "go").touch()
    assert first.ends().code == 0
    assert bundle.exit() == (0, "")
    assert bundle.run().code == 0


@on_the_host
@pytest.mark.parametrize("left", ["", "999999999 1\n", "1 1\n", "nonsense\n"])
def test_one_of_many_gets_a_lock_that_was_left(lab: Lab, left: str) -> None:
    """A lock of a process that is gone, or that was never written whole."""
    text = f'echo run >>{lab.shared}/runs; until [ -e "{lab.shared}/go" ]; do sleep 0.05; done'
    bundle = lab.bundle(lab.command(text))
    bundle.path("alpha", "logs").mkdir()
    lock = bundle.path("alpha", "logs", "lock")
    lock.write_text(left)
    many = [bundle.start("alpha/run.sh") for _ in range(6)]
    wait_for(lambda: sum(running.process.poll() is not None for running in many) >= 5)
    (lab.shared / "go").touch()
    codes = sorted(running.ends().code for running in many)
    assert codes == [0, 75, 75, 75, 75, 75]
    assert runs(lab) == 1
    assert not lock.exists()


@on_the_host
def test_a_dead_process_that_nobody_buries_holds_no_lock(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("true"))
    bundle.path("alpha", "logs").mkdir()
    with subprocess.Popen(["sleep", "60"]) as process:
        start = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()[19]
        lock = bundle.path("alpha", "logs", "lock")
        lock.write_text(f"{process.pid} {start}\n")
        assert bundle.run("alpha/run.sh").code == 75
        process.kill()
        wait_for(lambda: ") Z" in Path(f"/proc/{process.pid}/stat").read_text())
        assert bundle.run("alpha/run.sh").code == 0


@on_the_host
def test_nobody_needs_to_listen(lab: Lab) -> None:
    """What the scripts say goes into a pipe that is closed at once."""
    bundle = lab.bundle(
        lab.command("yes | head -n 1"),
        lab.command("echo why; exit 3", "beta"),
        deployment=lab.server(),
    )
    command = f'bash "{bundle.folder}/run_all.sh" 2>&1 | head -c 1; exit "${{PIPESTATUS[0]}}"'
    assert lab.start(["bash", "-c", command]).ends().code == 1
    assert (bundle.exit(), bundle.exit("beta")) == ((0, ""), (3, "the harness failed"))
