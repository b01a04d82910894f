"""A full disk: the right code, the reason, and a stage.exit that tells the truth."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backends.local.lab import Lab, on_the_host
from engines import cannot_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = "the disk is full"
# It fails as programs do that look at what they write.
FILL = 'head -c 400000 /dev/zero >"$RESULTS_DIR/big" || exit 5'


@contextmanager
def disk(folder: Path, size: str = "256k") -> Iterator[None]:
    """A small disk on an empty folder."""
    if os.geteuid() != 0:
        cannot_run("a test with a full disk", "needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "evalc", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill_up(folder: Path) -> None:
    """Leaves no byte."""
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def test_results_do_not_fit(lab: Lab) -> None:
    bundle = lab.bundle(lab.command(FILL), deployment=lab.server())
    artifacts = bundle.path("alpha", "artifacts")
    artifacts.mkdir()
    with disk(artifacts):
        ran = bundle.run("alpha/run.sh")
        assert (ran.code, bundle.exit()) == (5, (5, FULL)), ran.said
    assert f"failed with exit code 5: {FULL}" in ran.said


@on_the_host
def test_nothing_fits_any_more(lab: Lab) -> None:
    """The whole bundle is on the disk that gets full: logs and stage files have no room either."""
    out = lab.folder / "small"
    out.mkdir()
    with disk(out, "1m"):
        bundle = lab.bundle(
            lab.command("cat /dev/zero >$RESULTS_DIR/big; echo; exit 5"),
            lab.command("true", "beta"),
            deployment=lab.server(),
            out=out / "bundle",
        )
        ran = bundle.run()
        assert (ran.code, ran.raw) == (1, [])
        assert (bundle.exit(), bundle.exit("beta")[0]) == ((5, FULL), 74)
        assert f"  alpha  failed (5) {FULL}\n" in ran.said
        # What was too big goes, and all is well.
        bundle.path("alpha", "artifacts", "big").unlink()
        for script in ("alpha/command.sh", "beta/command.sh"):
            bundle.path(script).write_text("true\n")
        assert bundle.run().code == 0
        assert (bundle.exit(), bundle.exit("beta")) == ((0, ""), (0, ""))


@on_the_host
def test_a_harness_that_does_not_look(lab: Lab) -> None:
    """It ends with 0, but its results could not be written."""
    bundle = lab.bundle(lab.harness(pre_cmd="cat /dev/zero >big; true"))
    artifacts = bundle.path("alpha", "artifacts")
    artifacts.mkdir()
    program = lab.folder / "nemo-evaluator"
    program.write_text("#!/bin/sh\necho results >$RESULTS_DIR/results.yml\nexit 0\n")
    program.chmod(0o755)
    with disk(artifacts):
        ran = bundle.run("alpha/run.sh", env={"PATH": f"{lab.folder}:{lab.path}"})
        assert (artifacts / "results.yml").stat().st_size == 0
        assert (ran.code, bundle.exit()) == (74, (74, FULL)), ran.said


@on_the_host
def test_no_room_from_the_start(lab: Lab) -> None:
    out = lab.folder / "small"
    out.mkdir()
    with disk(out, "1m"):
        bundle = lab.bundle(lab.command("true"), deployment=lab.server(), out=out / "bundle")
        fill_up(out)
        for script in ("run_all.sh", "alpha/run.sh"):
            ran = bundle.run(script)
            assert (ran.code, ran.raw) == (74, []), ran.said
            assert "is the disk full" in ran.said.splitlines()[-1]
        assert (lab.starts(), bundle.exit()) == (0, (None, ""))
        (out / "ballast").unlink()
        assert bundle.run().code == 0


@on_the_host
def test_repeating_on_a_full_disk(lab: Lab) -> None:
    """What was to be repeated is not finished any more; what was not, is."""
    out = lab.folder / "small"
    out.mkdir()
    with disk(out, "1m"):
        bundle = lab.bundle(lab.command("true"), out=out / "bundle")
        assert bundle.run().code == 0
        fill_up(out)
        assert (bundle.run("alpha/run.sh").code, bundle.exit()) == (74, (0, ""))
        ran = bundle.run("alpha/run.sh", "--force")
        assert (ran.code, bundle.exit()) == (74, (74, FULL)), ran.said
        assert len(ran.said.splitlines()) == 1
        (out / "ballast").unlink()
        assert (bundle.run().code, bundle.exit()) == (0, (0, ""))


@on_the_host
def test_no_room_for_new_results(lab: Lab) -> None:
    """The old ones were moved away, and nothing else can be made."""
    bundle = lab.bundle(lab.command('touch "$RESULTS_DIR/x"'))
    assert bundle.run().code == 0
    program = lab.folder / "bin" / "mkdir"
    program.parent.mkdir()
    # As on a disk whose last block the lock has taken.
    program.write_text('#!/bin/sh\ncase "$*" in -p*) exec /bin/mkdir "$@" ;; esac\nexit 1\n')
    program.chmod(0o755)
    ran = bundle.run("alpha/run.sh", "--force", env={"PATH": f"{program.parent}:{lab.path}"})
    why = f"can't move {bundle.path('alpha', 'artifacts')} to artifacts.old"
    assert (ran.code, bundle.exit()) == (74, (74, why)), ran.said
    assert (bundle.run().code, bundle.exit()) == (0, (0, ""))


@on_the_host
def test_no_room_for_the_run_config(lab: Lab) -> None:
    """It is written before anything is started."""
    bundle = lab.bundle(
        lab.harness(params={"extra": {"text": "${oc.env:LONG}"}}), deployment=lab.server()
    )
    logs = bundle.path("alpha", "logs")
    logs.mkdir()
    with disk(logs, "32k"):
        ran = bundle.run("alpha/run.sh", env={"LONG": "x" * 40000})
        assert (ran.code, lab.starts(), bundle.exit()) == (74, 0, (74, FULL)), ran.said


@on_the_host
def test_interrupted_on_a_full_disk(lab: Lab) -> None:
    out = lab.folder / "small"
    out.mkdir()
    with disk(out, "1m"):
        bundle = lab.bundle(
            lab.command("cat /dev/zero >$RESULTS_DIR/big; sleep 60"),
            out=out / "bundle",
        )
        running = bundle.start("alpha/run.sh")
        lab.find("sleep 60")
        running.signal(signal.SIGTERM)
        assert running.ends().code == 143
        assert bundle.exit() == (143, "interrupted by SIGTERM")
