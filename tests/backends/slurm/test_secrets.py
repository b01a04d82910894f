"""Secrets reach the programs that need them, whole, through a time-out; nothing of Slurm shows them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waiting import wait_for

if TYPE_CHECKING:
    from backends.slurm.lab import Bundle, Lab

NEEDLE = f"needle{uuid.uuid4().hex}"
NASTY = f"""{NEEDLE} 'single' "double" $(touch owned) `touch owned` ${{HOME}} \\n \\\\ back\\
second line	tab ü😀 & ; | # = end
"""
SECRETS = {"THE_KEY": f"{NEEDLE}-sesame", "HF_TOKEN": NASTY, "JUDGE_KEY": f"{NASTY} of the judge"}
# What a program finds, as digests: the values themselves must not be in any file.
DIGESTS = """python3 -c '
import hashlib, os
for name in os.environ["NAMES"].split():
    print(name, hashlib.sha256(os.environb[name.encode()]).hexdigest())
'"""
# Who asks Slurm for something, or runs it. Programs that are meant to have a secret are none of them.
SLURMS = {"sbatch", "scontrol", "squeue", "sacct", "scancel"}
DAEMONS = {"slurmctld", "slurmd", "slurmdbd", "slurmstepd"}


def digests(text: str) -> dict[str, str]:
    return dict(line.split() for line in text.splitlines())


def expected(*names: str) -> dict[str, str]:
    return {name: hashlib.sha256(SECRETS[name].encode()).hexdigest() for name in names}


def given(*names: str) -> dict[str, str]:
    return {"NAMES": f"lit:{' '.join(names)}", **{name: f"host:{name}" for name in names}}


def contents(path: Path) -> bytes:
    """What is in a file that may go away at any time."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def chain(lab: Lab) -> Bundle:
    """A task, its server and a judge, each with secrets of its own; every script says what it does."""
    told = lab.folder / "told"
    told.mkdir(parents=True)
    serving = {
        name: lab.server(pre_cmd=f"{DIGESTS} >>'{told}/{name}'", env_vars=given(key, "THE_KEY"))
        for name, key in (("model", "HF_TOKEN"), ("judge", "JUDGE_KEY"))
    }
    bundle = lab.bundle(
        lab.task(
            pre_cmd=f"{DIGESTS} >>'{told}/task'", env_vars=given("THE_KEY", "HF_TOKEN", "JUDGE_KEY")
        ),
        deployment=serving["model"],
        auxiliary_deployments={"judge": serving["judge"]},
        target={"api_endpoint": {"api_key_name": "THE_KEY"}},
        execution={"resume": {"signal_before": 0}},
    )
    script = bundle.path("alpha", "sbatch_alpha.sh")
    text = script.read_text()
    traced = re.sub(r"(?m)^set -euo pipefail$", "set -x; set -euo pipefail", text, count=1)
    assert traced != text
    script.write_text(traced)
    return bundle


def told(lab: Lab) -> dict[str, list[dict[str, str]]]:
    """What each program has told, in each attempt."""
    found = {}
    for path in (lab.folder / "told").iterdir():
        lines = path.read_text().splitlines()
        size = 3 if path.name == "task" else 2
        found[path.name] = [
            digests("\n".join(lines[start : start + size])) for start in range(0, len(lines), size)
        ]
    return found


def nobody_shows_them(lab: Lab, *, but: list[Path]) -> None:
    """No file of the cluster, Slurm's own state and logs included, and nothing that Slurm tells."""
    for folder, _, names in os.walk(lab.cluster.folder.parent):
        for path in (Path(folder, name) for name in names):
            if path not in but and stat.S_ISREG(path.lstat().st_mode if path.exists() else 0):
                assert NEEDLE.encode() not in contents(path), path
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        assert NEEDLE.encode() not in contents(path), path
    for path in Path("/proc").glob("[0-9]*/environ"):
        name = contents(path.with_name("comm")).decode().strip()
        script = b"slurm_script" in contents(path.with_name("cmdline"))
        if name in SLURMS | DAEMONS or script:
            assert NEEDLE.encode() not in contents(path), f"{name}: {path}"
    said = lab.cluster("scontrol", "--details", "show", "job").stdout
    for job in lab.cluster.queue():
        said += lab.cluster("scontrol", "write", "batch_script", job, "-").stdout
    said += lab.cluster("sacct", "--parsable", "--format=ALL", "--starttime=now-1days").stdout
    assert "JobId=" in said
    assert NEEDLE not in said


def stored_environments(lab: Lab) -> list[str]:
    """The jobs whose environment slurmctld keeps, to run them."""
    state = lab.cluster.folder.parent / "state"
    return [
        path.parent.name.removeprefix("job.") for path in state.glob("hash.*/job.*/environment")
    ]


def is_private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_of_a_chain_that_times_out(lab: Lab) -> None:
    """With ``set -x`` in front of everything."""
    # What sbatch is given, and those above it; a file that is looked at like all others.
    lab.stand_in("sbatch", 'cat "/proc/$$/environ" >>"$here/environ"; exec "$real" "$@"')
    bundle = chain(lab)
    secrets = bundle.path(".secrets.sbatch_alpha.sh")
    ran = lab.cluster("bash", "-x", bundle.path("submit_all.sh"), env={**bundle.env, **SECRETS})
    assert ran.returncode == 0, ran.stderr
    assert NEEDLE not in ran.stdout + ran.stderr
    assert "evalc_submit_main" in ran.stderr, "it was not traced"
    first = bundle.runs()
    (successor,) = [event["job"] for event in bundle.events("successor")]
    assert {first, successor} & set(stored_environments(lab)), "Slurm keeps no environment"
    assert is_private(secrets)
    nobody_shows_them(lab, but=[secrets])
    assert "evalc_evaluate" in bundle.log(first), "it was not traced"
    lab.time_out(first)
    assert bundle.runs(times=2) == successor
    assert is_private(secrets)
    nobody_shows_them(lab, but=[secrets])
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    wait_for(lambda: not secrets.exists())
    nobody_shows_them(lab, but=[])
    assert told(lab) == {
        "model": [expected("HF_TOKEN", "THE_KEY")] * 2,
        "judge": [expected("JUDGE_KEY", "THE_KEY")] * 2,
        "task": [expected("THE_KEY", "HF_TOKEN", "JUDGE_KEY")] * 2,
    }
    assert list(lab.folder.rglob("owned")) == []
    assert list(lab.folder.rglob(".secrets*")) == []


def test_submitted_by_hand(lab: Lab) -> None:
    """The person's own sbatch hands its environment on; what the chain submits itself does not."""
    bundle = chain(lab)
    secrets = bundle.path(".secrets.sbatch_alpha.sh")
    first = bundle.sbatch(env=SECRETS)
    assert bundle.runs() == first
    (successor,) = [event["job"] for event in bundle.events("successor")]
    state = lab.cluster.folder.parent / "state"
    (kept,) = state.glob(f"hash.*/job.{successor}/environment")
    assert NEEDLE.encode() not in kept.read_bytes()
    assert is_private(secrets)
    lab.time_out(first)
    assert bundle.runs(times=2) == successor
    nobody_shows_them(lab, but=[secrets, *state.glob(f"hash.*/job.{first}/environment")])
    bundle.release()
    assert bundle.ends().name == "done", bundle.everything()
    assert told(lab)["task"] == [expected("THE_KEY", "HF_TOKEN", "JUDGE_KEY")] * 2
    nobody_shows_them(lab, but=list(state.glob(f"hash.*/job.{first}/environment")))


def test_a_secret_that_is_not_set(lab: Lab) -> None:
    bundle = chain(lab)
    ran = bundle.run("submit_all.sh", env={"THE_KEY": "x"})
    assert ran.returncode == 78
    assert "not set in the environment: HF_TOKEN JUDGE_KEY" in ran.stderr
    assert lab.cluster.queue() == []
    # Looking needs none.
    assert bundle.run("submit_all.sh", "--dry-run").returncode == 0
    assert bundle.run("submit_all.sh", "--test-only").returncode == 0


def test_they_are_kept_from_others_whatever_the_umask(lab: Lab) -> None:
    keys: dict[str, Any] = {"sbatch_extra_flags": {"hold": True}}
    task = lab.command("true", env_vars={"HF_TOKEN": "host:HF_TOKEN"})
    bundle = lab.bundle(task, execution=keys)
    ran = lab.cluster(
        "bash",
        "-c",
        'umask 0; exec bash "$0"',
        bundle.path("submit_all.sh"),
        env={**bundle.env, **SECRETS},
    )
    assert ran.returncode == 0, ran.stderr
    assert is_private(bundle.path(".secrets.sbatch_alpha.sh"))
    assert [path.name for path in bundle.folder.rglob(".secrets*")] == [".secrets.sbatch_alpha.sh"]
