"""``evalc pack``: the archive, and its two scripts on a machine that has bash and little more."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
GOLDEN = Path(__file__).resolve().parents[2] / "golden"
SLURM = ("slurm_vllm", "slurm_shared", "slurm_array")


def few_programs(folder: Path) -> str:
    """A PATH with bash, tar, gzip and coreutils, without Python, awk, curl or Slurm."""
    folder.mkdir()
    listed = "basename cat cut date dirname head mkdir readlink sha256sum sort tail timeout uniq wc"
    for name in (*listed.split(), "bash", "env", "tar", "gzip"):
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.fixture
def bash(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    path = few_programs(tmp_path / "few")

    def run(*arguments: str | Path, path: str = path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", *arguments], env={"PATH": path}, capture_output=True, text=True, check=False
        )

    return run


def golden(*names: str) -> list[Path]:
    return [GOLDEN / name for name in names]


@pytest.fixture
def unpacked(evalc: Run) -> Path:
    """The folder of a pack of three bundles for Slurm."""
    assert evalc("pack", *golden(*SLURM), "-o", "suite.tar.gz").code == 0
    subprocess.run(["tar", "xzf", "suite.tar.gz"], check=True)
    return Path("suite").absolute()


def test_it_says_what_it_did(evalc: Run) -> None:
    result = evalc("pack", *golden("slurm_vllm"), "-o", "out/a.tar.gz")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(
        r"written out/a\.tar\.gz \(\d+ files, 1 bundle\)\n  sha256  [0-9a-f]{64}\n", result.out
    )
    assert evalc("pack", *golden("slurm_vllm"), "-o", "out/a.tar.gz").out.startswith("unchanged")
    result = evalc("pack", *golden("slurm_shared"), "-o", "out/a.tar.gz")
    assert (result.code, result.err.splitlines()[1]) == (1, "hint: --force replaces it")
    forced = evalc("pack", *golden("slurm_shared"), "-o", "out/a.tar.gz", "--force")
    assert forced.out.startswith("replaced")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.tar.gz"]


def test_the_same_bundles_give_the_same_bytes(evalc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    evalc("pack", *golden(*SLURM), "-o", "suite.tar.gz")
    for name in SLURM:
        shutil.copytree(GOLDEN / name, Path("copies") / name)
    for path in Path("copies").rglob("*"):
        os.utime(path, (1, 1))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    try:
        copies = [Path("copies") / name for name in reversed(SLURM)]
        evalc("pack", *copies, "-o", "elsewhere/suite.tar.gz")
    finally:
        os.umask(before)
    assert Path("suite.tar.gz").read_bytes() == Path("elsewhere/suite.tar.gz").read_bytes()


def test_the_archive_tells_no_time_and_no_user(evalc: Run) -> None:
    evalc("pack", *golden("slurm_vllm"), "-o", "a.tgz")
    # Python's own reader checks what was written by hand.
    assert gzip.decompress(Path("a.tgz").read_bytes())
    with tarfile.open("a.tgz") as archive:
        members = archive.getmembers()
    assert {member.mtime for member in members} == {315532800}
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}
    assert {member.mode for member in members} == {0o644, 0o755}
    assert all(member.name == "a" or member.name.startswith("a/") for member in members)


def test_what_is_unpacked_is_the_bundle(unpacked: Path) -> None:
    for name in SLURM:
        for path in (GOLDEN / name).rglob("*"):
            if path.is_file():
                there = unpacked / name / path.relative_to(GOLDEN / name)
                assert there.read_bytes() == path.read_bytes()
                assert os.access(there, os.X_OK) == bool(path.stat().st_mode & 0o100)


def test_verify(bash: Run, unpacked: Path) -> None:
    ran = bash(unpacked / "verify.sh")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(r"\[verify\] \d+ files are as they were packed\n", ran.stdout)
    (unpacked / "slurm_vllm/simple_evals.gpqa_diamond/artifacts").mkdir()
    assert bash(unpacked / "verify.sh").returncode == 0
    (unpacked / "slurm_vllm/submit_all.sh").write_text("echo mine\n")
    (unpacked / "slurm_shared/README.md").unlink()
    (unpacked / "slurm_array/submit_all.sh").chmod(0o644)
    ran = bash(unpacked / "verify.sh")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.sub(r"of \d+", "of N", ran.stderr).splitlines() == [
        "[verify] missing: slurm_shared/README.md",
        "[verify] changed: slurm_vllm/submit_all.sh",
        "[verify] no program any more: slurm_array/submit_all.sh",
        "[verify] 3 of N files are not as they were packed",
    ]


def test_an_edited_bundle_is_not_packed_unasked(evalc: Run) -> None:
    shutil.copytree(GOLDEN / "slurm_vllm", "edited")
    Path("edited/README.md").write_text("mine\n")
    result = evalc("pack", "edited", "-o", "a.tgz")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("error: edited was edited since it was compiled: README.md\n")
    assert not Path("a.tgz").exists()
    assert evalc("pack", "edited", "-o", "a.tgz", "--allow-edited").code == 0
    with tarfile.open("a.tgz") as archive:
        file = archive.extractfile("a/slurm_vllm/README.md")
        assert file
        assert file.read() == b"mine\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "a.zip"], "'a.zip' can't name the archive"),
        (["-o", ".tar.gz"], "'.tar.gz' can't name the archive"),
        (["-o", "--a.tgz"], "'--a.tgz' can't name the archive"),
        ([str(GOLDEN / "slurm_vllm"), "-o", "a.tgz"], "two bundles are called 'slurm_vllm'"),
        (["missing", "-o", "a.tgz"], "missing is no folder with a bundle"),
    ],
)
def test_wrong_usage(evalc: Run, arguments: list[str], said: str) -> None:
    result = evalc("pack", GOLDEN / "slurm_vllm", *arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


@pytest.mark.parametrize("name", ["..", "../x", "/x", "verify.sh", ""])
def test_no_bundle_leads_out_of_the_archive(evalc: Run, name: str) -> None:
    shutil.copytree(GOLDEN / "slurm_vllm", "odd")
    manifest = Path("odd/manifest.json")
    manifest.write_text(manifest.read_text().replace('"name": "slurm_vllm"', f'"name": "{name}"'))
    result = evalc("pack", "odd", "-o", "a.tgz")
    assert (result.code, result.err) == (2, f"error: {name!r} can't name a folder of the archive\n")


# status.sh, whose words for what Slurm says are its own: with a stand-in for squeue.

T = "2026-01-01T00:00:00Z"
QUEUE_DOWN = "#!/usr/bin/env bash\nexit 1\n"


def status(bash: Run, unpacked: Path, queue: str | None, *folders: str) -> tuple[int, list[str]]:
    """The exit code, and the rows with single spaces; ``queue`` is what squeue prints, None where
    it does not answer."""
    bin_ = unpacked.parent / "few"
    text = QUEUE_DOWN
    if queue is not None:
        (unpacked.parent / "queue").write_text(queue)
        text = f"#!/usr/bin/env bash\ncat {unpacked.parent / 'queue'}\n"
    (bin_ / "squeue").unlink(missing_ok=True)
    (bin_ / "squeue").write_text(text)
    (bin_ / "squeue").chmod(0o755)
    ran = bash(unpacked / "status.sh", *(unpacked / folder for folder in folders))
    assert ran.stderr == ""
    head, *rows = ran.stdout.splitlines()
    assert head.split() == ["TASK", "STATE", "ATTEMPT", "JOB", "SAMPLES", "REASON"]
    return ran.returncode, [re.sub(" +", " ", row.partition("/")[2]) for row in rows]


IFEVAL, GPQA = "lm-evaluation-harness.ifeval", "simple_evals.gpqa_diamond"
JOURNAL = f"{T} submitted job=7\n{T} chain job=7\n{T} attempt n=1 job=7 restart=0\n"


@pytest.mark.parametrize(
    ("journal", "exit_", "queue", "row", "code"),
    [
        ("", "", "", "not submitted", 4),
        ("", "", None, "not submitted", 4),
        (JOURNAL, f"{T} 0", "", "completed 1 7", 0),
        (JOURNAL, f"{T} 0", None, "completed 1 7", 0),
        (JOURNAL, f"{T} 3 it failed   ", "", "failed 1 7 exit code 3: it failed", 1),
        (f"{JOURNAL}{T} stop job=7 reason=no progress\n", "", "", "stopped 1 7 no progress", 1),
        (f"{JOURNAL}{T} stop job=7 reason=none left\n", f"{T} 3 it failed", "", "failed 1 7 exit code 3: it failed; none left", 1),
        (JOURNAL, "", "7|RUNNING|None|n4|{script}", "running 1 7 n4", 4),
        (JOURNAL, f"{T} 143 ended", "8|PENDING|Dependency||{script} link", "pending 1 8 Dependency", 4),
        (JOURNAL, "", "8|PENDING|Dependency||{script}\n7|RUNNING|None|n4|{script}", "running 1 7 n4", 4),
        (JOURNAL, "", "7|RUNNING|None|n4|{script}\n8|PENDING|Dependency||{script}", "running 1 7 n4", 4),
        (JOURNAL, "", "7|RUNNING|None|n4|/elsewhere/sbatch.sh", "unknown 1 7 Slurm does not show job 7 any more, and its journal does not tell its end", 4),
        (JOURNAL, "", None, "unknown 1 7 Slurm does not answer (squeue)", 4),
        (f"{T} submitted job=7\n", "", "7|PENDING|Priority||{script}", "pending 7 Priority", 4),
        (f"{JOURNAL}{T} attempt n=2 jo [cut]\n{T} successor job=9 of=8\n", "", "9|PENDING|None||{script}", "pending 2 9", 4),
        (f"{JOURNAL}{T} stop job=7 reason=x\n{T} chain job=9\n", "", "", "unknown 9 Slurm does not show job 9 any more, and its journal does not tell its end", 4),
    ],
)  # fmt: skip
def test_where_a_task_stands(
    bash: Run, unpacked: Path, journal: str, exit_: str, queue: str | None, row: str, code: int
) -> None:
    bundle = unpacked / "slurm_vllm"
    for task in (IFEVAL, GPQA):
        (bundle / task / "logs").mkdir()
    (bundle / GPQA / "logs/stage.exit").write_text(f"{T} 0\n")
    (bundle / IFEVAL / "logs/journal").write_text(journal)
    if exit_:
        (bundle / IFEVAL / "logs/stage.exit").write_text(f"{exit_}\n")
    if queue is not None:
        queue = queue.format(script=bundle / IFEVAL / f"sbatch_{IFEVAL}.sh") + "\n"
    assert status(bash, unpacked, queue, "slurm_vllm") == (
        code,
        [f"{IFEVAL} {row}", f"{GPQA} completed"],
    )


def test_tasks_that_share_a_job(bash: Run, unpacked: Path) -> None:
    bundle = unpacked / "slurm_shared"
    (bundle / "logs").mkdir()
    (bundle / "logs/journal").write_text(JOURNAL)
    (bundle / IFEVAL / "logs").mkdir()
    (bundle / IFEVAL / "logs/stage.exit").write_text(f"{T} 0\n")
    (bundle / IFEVAL / "artifacts").mkdir()
    (bundle / IFEVAL / "artifacts/progress").write_text("541\n")
    code, rows = status(
        bash, unpacked, f"7|RUNNING|None|n1|{bundle}/sbatch_all.sh\n", "slurm_shared"
    )
    assert code == 4
    assert rows[0] == f"{IFEVAL} completed 1 7 541"
    assert {row.split(" ", 1)[1] for row in rows[1:]} == {"running 1 7 n1"}


def test_elements_of_an_array(bash: Run, unpacked: Path) -> None:
    script = unpacked / "slurm_array/sbatch_array.sh"
    queue = f"9_0|RUNNING|None|n1|{script}\n9_1|PENDING|Resources||{script}\n"
    _, rows = status(bash, unpacked, queue, "slurm_array")
    assert [row.split(" ", 1)[1] for row in rows] == [
        "running 9_0 n1", "pending 9_1 Resources", *["not submitted"] * 4,
    ]  # fmt: skip


def test_all_bundles_by_default_and_none_elsewhere(bash: Run, unpacked: Path) -> None:
    _, rows = status(bash, unpacked, "")
    assert len(rows) == 2 + 4 + 6
    ran = bash(unpacked / "status.sh", "/tmp")
    assert (ran.returncode, ran.stderr) == (2, "[status] /tmp holds no bundle\n")
    ran = bash(unpacked / "status.sh", "--frob")
    assert (ran.returncode, ran.stdout) == (2, "")


def test_a_bundle_for_another_backend_is_named(evalc: Run, bash: Run) -> None:
    evalc("pack", *golden("lepton_vllm", "slurm_vllm"), "-o", "two.tgz")
    subprocess.run(["tar", "xzf", "two.tgz"], check=True)
    ran = bash("two/status.sh")
    assert ran.returncode == 4
    assert re.fullmatch(r"\[status\] \S+/lepton_vllm is neither for Slurm .*\n", ran.stderr)
    assert len(ran.stdout.splitlines()) == 3
    assert bash("two/status.sh", "two/lepton_vllm").stdout == ""


def test_a_bundle_for_this_machine(evalc: Run, bash: Run, good: Path) -> None:
    good.write_text(good.read_text() + "    - name: bad\n      command: exit 3\n")
    evalc("compile", good)
    evalc("pack", "build/good", "-o", "local.tgz")
    subprocess.run(["tar", "xzf", "local.tgz"], check=True)
    ran = bash("local/status.sh")
    rows = [re.sub(" +", " ", row) for row in ran.stdout.splitlines()[1:]]
    assert rows == ["good/hello not started", "good/bad not started"]
    subprocess.run(["bash", "local/good/run_all.sh"], check=False, capture_output=True)
    ran = bash("local/status.sh")
    rows = [re.sub(" +", " ", row) for row in ran.stdout.splitlines()[1:]]
    assert rows[0] == "good/hello completed"
    assert rows[1].startswith("good/bad failed exit code 3")
    assert ran.returncode == 1
    shutil.rmtree("local/good/hello/logs")
    Path("local/good/hello/logs").mkdir()
    Path("local/good/hello/logs/stage.pre-start").write_text(f"{T}\n")
    assert "stopped" in bash("local/status.sh").stdout.splitlines()[1]
    shell = os.getpid()
    start = Path(f"/proc/{shell}/stat").read_text().rpartition(")")[2].split()[19]
    Path("local/good/hello/logs/lock").write_text(f"{shell} {start}\n")
    assert "running" in bash("local/status.sh").stdout.splitlines()[1]
