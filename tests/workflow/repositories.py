"""Git repositories: of a user of evalc, and of this checkout with what is not committed yet."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
defaults:
  - execution: local
  - deployment: none
  - _self_
execution:
  engine: none
  output_dir: results
target:
  api_endpoint:
    url: http://127.0.0.1:8080/v1/chat/completions
    model_id: tiny
evaluation:
  tasks:
    - name: hello
      command: echo hello
"""
_AUTHOR = ["-c", "user.name=test", "-c", "user.email=test@example.org"]


def git(folder: Path, *args: str) -> str:
    """What git says in ``folder``. The user's own settings have no part in it."""
    done = subprocess.run(
        ["git", *_AUTHOR, *args],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env=without_settings(),
    )
    return done.stdout.strip()


def without_settings() -> dict[str, str]:
    """The environment, in which git reads no settings of the user or the system."""

    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**own, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def commit(folder: Path) -> str:
    """Commit all that is in ``folder``, and give the commit's id."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=x")
    return git(folder, "rev-parse", "HEAD")


def snapshot(folder: Path) -> str:
    """Put what an installation needs of this checkout into ``folder``, as one commit; its id."""
    listed = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file() and not name.startswith(("golden/", "tests/", "examples/")):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode & 0o777)
    return commit(folder)
