"""A pack on a machine with bash, Unix's usual programs and Slurm, and no network: a cluster's node.

A node's network namespace holds the cluster's own bridge and no way to anywhere else, and what runs
there finds neither Python, evalc, awk nor curl in its PATH; the jobs get the same PATH.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from waiting import wait_for

from evalc.cli import main

if TYPE_CHECKING:
    import pytest
    from backends.slurm.lab import Lab

# What is on every Debian, and all that the scripts may use; tar and gzip are for unpacking.
PACKAGES = ("bash", "coreutils", "findutils", "grep", "sed", "tar", "gzip")
SLURM = "sbatch scancel scontrol sinfo squeue srun sacct"
NODE = "n1"


class Away:
    """The other side: a folder on a node, and commands with few programs."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.folder = lab.folder / "away"
        self.path = self.folder / "bin"
        self.path.mkdir(parents=True)
        listed = subprocess.run(
            ["dpkg", "--listfiles", *PACKAGES], check=True, capture_output=True, text=True
        )
        places = (Path(line) for line in listed.stdout.splitlines())
        names = {path.name for path in places if path.parent.name == "bin" and path.is_file()}
        for name in (*names, *SLURM.split()):
            found = shutil.which(name, path=lab.cluster.env["PATH"])
            assert found, name
            (self.path / name).symlink_to(found)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command as its own ``bash`` runs it, with nothing in the environment but this."""
        conf = f"SLURM_CONF={self.lab.cluster.env['SLURM_CONF']}"
        line = 'cd "$1" && shift && exec "$@"'
        return self.lab.cluster.on(
            NODE, "env", "-i", f"PATH={self.path}", conf, f"HOME={self.folder}", "PYTHONPATH=",
            "bash", "-c", line, "bash", str(self.folder), *words,
        )  # fmt: skip

    def status(self) -> tuple[int, dict[str, str]]:
        """What status.sh says: its exit code, and the state of each task."""
        ran = self("bash", "suite/status.sh")
        assert ran.stderr == ""
        rows = [re.split(r"  +", row) for row in ran.stdout.splitlines()[1:]]
        return ran.returncode, {row[0].rpartition("/")[2]: row[1] for row in rows}


def test_a_pack_needs_bash_and_slurm_alone(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = [
        lab.command('echo 1 >"$RESULTS_DIR/score"', name="fine"),
        lab.command("exit 3", name="broken"),
        lab.command("until [ -e ../go ]; do sleep 0.1; done", name="slow"),
    ]
    bundle = lab.bundle(*tasks)
    away = Away(lab)
    assert main(["pack", str(bundle.folder), "-o", str(away.folder / "suite.tar.gz")]) == 0

    # There is no network, and none of what evalc is made of.
    route = away("cat", "/proc/net/route").stdout
    assert not [line for line in route.splitlines()[1:] if line.split()[1] == "00000000"]
    for name in ("python3", "python", "evalc", "awk", "curl"):
        assert away("bash", "-c", f"command -v {name}").returncode == 1

    assert away("tar", "xzf", "suite.tar.gz").returncode == 0
    verified = away("bash", "suite/verify.sh")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert away.status() == (4, dict.fromkeys(("fine", "broken", "slow"), "not submitted"))

    submitted = away("bash", "suite/suite/submit_all.sh")
    assert submitted.returncode == 0, submitted.stderr
    wait_for(
        lambda: away.status()[1] == {"fine": "completed", "broken": "failed", "slow": "running"}
    )
    assert away.status()[0] == 4
    there = away.folder / "suite/suite"
    (there / "slow/go").touch()
    lab.cluster.idle()
    assert away.status() == (1, {"fine": "completed", "broken": "failed", "slow": "completed"})
    assert away("bash", "suite/verify.sh").returncode == 0
    assert (there / "fine/artifacts/score").read_text() == "1\n"

    # Back home, where there is no Slurm.
    shutil.copytree(away.folder / "suite", tmp_path / "back")
    monkeypatch.setenv("EVALC_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SLURM_CONF", "/dev/null")
    capsys.readouterr()
    assert main(["import-results", str(tmp_path / "back")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[1:3] for row in rows] == [
        ["fine", "completed"], ["broken", "failed"], ["slow", "completed"],
    ]  # fmt: skip
