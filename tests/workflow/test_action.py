"""``action.yml``, with a stand-in for GitHub's runner: each ``run`` is run as it would be there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from workflow.repositories import CONFIG, commit, git, snapshot, without_settings
from workflow.runner import Ran, Runner

if TYPE_CHECKING:
    from collections.abc import Callable

# evalc is installed once, not in each worker.
pytestmark = pytest.mark.xdist_group("action")

EVALC = Path(sys.executable).with_name("evalc")
BOTH = {"configs": "configs/*.yaml\n\nconfigs/suite.yaml", "golden": "golden"}


@pytest.fixture(scope="module")
def temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temp")


@pytest.fixture(scope="module")
def runner_of(tmp_path_factory: pytest.TempPathFactory, temp: Path) -> Callable[[Path], Runner]:
    """Make runners, for which evalc was installed by the action's first step."""
    action, empty = (tmp_path_factory.mktemp(name) for name in ("action", "empty"))
    snapshot(action)
    environment = {**without_settings(), "PATH": f"/usr/bin:/bin:{os.environ['PATH']}"}
    first = Runner(action, empty, temp, environment)
    ran = first.run({"python": sys.executable, "configs": "none"}, {})
    # It goes as far as the check, which finds nothing.
    assert "no file matches" in ran.said, ran.said
    assert environment["PATH"].startswith(f"{temp}/evalc/bin:")
    done = frozenset(["Install evalc"])
    return lambda workspace: Runner(action, workspace, temp, dict(environment), done)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with a config and its golden bundle."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/suite.yaml").write_text(CONFIG)
    compile_golden(tmp_path)
    commit(tmp_path)
    return tmp_path


def compile_golden(folder: Path) -> None:
    configs = [str(path.relative_to(folder)) for path in folder.glob("configs/*.yaml")]
    subprocess.run([EVALC, "compile", "-q", "--golden", "golden", *configs], cwd=folder, check=True)


@pytest.fixture
def action(runner_of: Callable[[Path], Runner], workspace: Path, temp: Path) -> Callable[..., Ran]:
    def run(inputs: dict[str, str], *, base: str = "") -> Ran:
        (temp / "runner-summary").unlink(missing_ok=True)
        event: dict[str, Any] = {"pull_request": {"base": {"sha": base}}} if base else {}
        return runner_of(workspace).run(inputs, event)

    return run


def test_all_is_fine(action: Callable[..., Ran]) -> None:
    ran = action(BOTH)
    assert (ran.code, ran.summary) == (0, ""), ran.said
    assert ran.said == "1 config is fine\n"
    assert ran.outputs == {"changed": "", "changes": ""}


def test_without_golden_bundles_configs_are_checked(
    action: Callable[..., Ran], workspace: Path
) -> None:
    (workspace / "configs/bad one.yaml").write_text(CONFIG.replace("engine:", "engin:"))
    ran = action({"configs": "configs/bad*"})
    assert ran.code == 1
    assert "::error file=configs/bad one.yaml,line=6," in ran.said


def test_a_golden_bundle_that_differs_fails(action: Callable[..., Ran], workspace: Path) -> None:
    (workspace / "configs/suite.yaml").write_text(CONFIG.replace("echo hello", "echo bye"))
    ran = action(BOTH)
    assert ran.code == 1
    assert "title=evalc%3A golden-differs::golden/suite is not what configs/suite.yaml" in ran.said


def test_a_pattern_that_matches_nothing_is_no_success(action: Callable[..., Ran]) -> None:
    ran = action({"configs": "configs/*.yml"})
    assert ran.code == 2
    assert "::error title=evalc::no file matches the line configs/\\*.yml of configs\n" in ran.said


def test_what_a_pull_request_changes_is_told(action: Callable[..., Ran], workspace: Path) -> None:
    (workspace / "configs/old.yaml").write_text(CONFIG)
    compile_golden(workspace)
    base = commit(workspace)
    (workspace / "configs/old.yaml").rename(workspace / "configs/new.yaml")
    git(workspace, "rm", "-r", "--quiet", "golden/old")
    (workspace / "configs/suite.yaml").write_text(CONFIG.replace("echo hello", "echo bye"))
    compile_golden(workspace)
    ran = action(BOTH, base=base)
    assert ran.code == 0, ran.said
    assert ran.outputs["changed"] == "true"
    assert Path(ran.outputs["changes"]).read_text() == ran.summary
    assert ran.summary.startswith("<!-- evalc diff -->\n### New: `new`\n\n### Gone: `old`\n\n### ")
    assert (
        "### `before/golden/suite` → `after/golden/suite`\n\n"
        "- command `echo hello` → `echo bye` of task `hello`\n"
    ) in ran.summary
    assert ran.summary.count("<!-- evalc diff -->") == 1


def test_nothing_has_changed(action: Callable[..., Ran], workspace: Path) -> None:
    ran = action(BOTH, base=git(workspace, "rev-parse", "HEAD"))
    assert ran.code == 0, ran.said
    assert ran.outputs["changed"] == "false"
    assert ran.summary == "<!-- evalc diff -->\nNo bundle has changed.\n"


def test_a_shallow_checkout_gets_its_base(
    runner_of: Callable[[Path], Runner], workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = git(workspace, "rev-parse", "HEAD")
    (workspace / "configs/suite.yaml").write_text(CONFIG.replace("echo hello", "echo bye"))
    compile_golden(workspace)
    commit(workspace)
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "--quiet", "--depth=1", f"file://{workspace}", ".")
    event = {"pull_request": {"base": {"sha": base}}}
    ran = runner_of(clone).run(BOTH, event)
    assert ran.code == 0, ran.said
    assert "`echo hello` → `echo bye`" in ran.summary


def test_names_of_folders_mean_nothing_in_markdown_and_bash(
    action: Callable[..., Ran], workspace: Path
) -> None:
    base = git(workspace, "rev-parse", "HEAD")
    odd = workspace / "golden" / "a`$(touch pwned)` @all"
    subprocess.run(["cp", "-r", workspace / "golden/suite", odd], check=True)
    ran = action(BOTH, base=base)
    assert ran.code == 0, ran.said
    assert ran.summary.splitlines()[1] == "### New: `a???touch?pwned????all`"
    assert not list(workspace.rglob("pwned"))


def test_a_long_difference_becomes_a_short_comment(
    action: Callable[..., Ran], workspace: Path
) -> None:
    (workspace / "configs/long.txt").write_text("x" * 79 + "\n")
    for number in range(3):
        text = CONFIG.replace("echo hello", f"echo {number}\n      files: [long.txt]")
        (workspace / f"configs/suite{number}.yaml").write_text(text)
    compile_golden(workspace)
    base = commit(workspace)
    (workspace / "configs/long.txt").write_text(("y" * 79 + "\n") * 400)
    compile_golden(workspace)
    ran = action(BOTH, base=base)
    assert ran.code == 0, ran.said
    assert len(ran.summary) < 60_000
    assert ran.summary.count("- file `long.txt` `sha256") == 3
    assert "<details>" not in ran.summary
