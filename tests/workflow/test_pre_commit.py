"""The hooks of ``.pre-commit-hooks.yaml``, run by pre-commit itself in a repository that uses them.

pre-commit installs evalc from a clone of this checkout, with all that it depends on.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from workflow.repositories import CONFIG, commit, git, snapshot, without_settings

if TYPE_CHECKING:
    from collections.abc import Callable

# The hooks' environment is made once, not in each worker.
pytestmark = pytest.mark.xdist_group("pre-commit")

PRE_COMMIT = Path(sys.executable).with_name("pre-commit")
HOOKS = """\
repos:
  - repo: {evalc}
    rev: {rev}
    hooks:
      - id: evalc-check
        files: ^configs/
      - id: evalc-golden
        files: ^configs/
        args: [bundles]
"""


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """The text of a ``.pre-commit-config.yaml``, and the environment of pre-commit."""
    evalc, home = (tmp_path_factory.mktemp(name) for name in ("evalc", "home"))
    text = HOOKS.format(evalc=evalc, rev=snapshot(evalc))
    return text, {
        **without_settings(),
        "PRE_COMMIT_HOME": str(home),
        "PRE_COMMIT_COLOR": "never",
        # It would look for newer wheels of pip's by a process that outlives it.
        "VIRTUALENV_NO_PERIODIC_UPDATE": "1",
        "VIRTUALENV_OVERRIDE_APP_DATA": str(home / "virtualenv"),
    }


@pytest.fixture
def pre_commit(
    hooks: tuple[str, dict[str, str]], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run hooks over all files of the repository in the test's folder."""
    text, env = hooks
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/suite.yaml").write_text(CONFIG)
    (tmp_path / "other.yaml").write_text("[this, is, no, config\n")
    (tmp_path / ".pre-commit-config.yaml").write_text(text)
    commit(tmp_path)

    def run(hook: str) -> subprocess.CompletedProcess[str]:
        git(tmp_path, "add", "--all")
        return subprocess.run(
            [PRE_COMMIT, "run", hook, "--all-files", "--verbose"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def test_configs_are_checked(
    pre_commit: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = pre_commit("evalc-check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 config is fine" in done.stdout
    (tmp_path / "configs/suite.yaml").write_text(CONFIG.replace("engine:", "engin:"))
    done = pre_commit("evalc-check")
    assert done.returncode == 1
    assert " --> configs/suite.yaml:6:3" in done.stdout


def test_golden_bundles_are_checked(
    pre_commit: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = pre_commit("evalc-golden")
    assert done.returncode == 1, done.stdout + done.stderr
    update = "evalc compile --golden bundles configs/suite.yaml"
    assert f"{update} makes it" in done.stdout
    evalc = Path(sys.executable).with_name("evalc")
    subprocess.run([evalc, *update.split()[1:]], cwd=tmp_path, check=True, capture_output=True)
    assert pre_commit("evalc-golden").returncode == 0
    (tmp_path / "bundles/suite/hello/command.sh").write_text("#!/usr/bin/env bash\necho edited\n")
    done = pre_commit("evalc-golden")
    assert done.returncode == 1
    assert "\n-echo edited\n+echo hello\n" in done.stdout
