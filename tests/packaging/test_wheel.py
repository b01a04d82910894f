"""A wheel holds all that compiling needs, and compiles the same bytes as the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Built once, not in each worker.
pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked into a folder that can stand in PYTHONPATH."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, so that building leaves nothing in the checkout.
    source = folder / "source"
    subprocess.run(
        ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(source)], check=True
    )
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("golden/", "tests/")):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("evalc-*.whl")
    site = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(site: Path, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """``evalc`` of the unpacked wheel, with the libraries of this environment."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "evalc", *args],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_the_wheel_that_runs(unpacked: Path, tmp_path: Path) -> None:
    where = [sys.executable, "-c", "import evalc; print(evalc.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    said = subprocess.check_output(where, cwd=tmp_path, env=environment, text=True)
    assert Path(said.strip()).is_relative_to(unpacked)


def test_it_holds_the_data(unpacked: Path) -> None:
    package = unpacked / "evalc"
    for name in ("templates", "schemas"):
        ours = {str(p.relative_to(ROOT / name)) for p in (ROOT / name).rglob("*") if p.is_file()}
        theirs = {
            str(p.relative_to(package / name)) for p in (package / name).rglob("*") if p.is_file()
        }
        assert theirs == ours
    assert (package / "py.typed").is_file()
    assert (package / "catalog" / "tasks.json").is_file()
    assert (package / "config" / "builtin" / "deployment" / "vllm.yaml").is_file()


@pytest.mark.parametrize("name", ["quickstart", "vllm_docker"])
def test_it_compiles_the_golden_bytes(unpacked: Path, tmp_path: Path, name: str) -> None:
    done = run(
        unpacked,
        "compile",
        str(ROOT / "examples" / f"{name}.yaml"),
        "--out",
        str(tmp_path / name),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    golden = ROOT / "golden" / name
    made = {p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*") if p.is_file()}
    assert made == {p.relative_to(golden) for p in golden.rglob("*") if p.is_file()}
    for path in made:
        assert (tmp_path / name / path).read_bytes() == (golden / path).read_bytes(), path


def test_it_writes_a_config_to_start_from(unpacked: Path, tmp_path: Path) -> None:
    done = run(unpacked, "init", "--execution", "slurm", "--deployment", "vllm", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert run(unpacked, "check", "evalc.yaml", cwd=tmp_path).returncode == 0


def test_it_prints_its_schemas(unpacked: Path, tmp_path: Path) -> None:
    for kind in ("config", "plan", "manifest"):
        done = run(unpacked, "schema", kind, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert '"$schema"' in done.stdout
