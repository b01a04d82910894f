"""``evalc completion``, in a real bash."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[..., Any]

PROMPT = "ready> "


class Bash:
    """An interactive bash on a terminal, with evalc's completion."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._master, slave = pty.openpty()
        environment = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PS1": PROMPT,
            # No escape codes of the line editor's.
            "TERM": "dumb",
            "INPUTRC": "/dev/null",
        }
        bash = shutil.which("bash")
        assert bash is not None
        self._process = subprocess.Popen(
            [bash, "--norc", "--noprofile", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        os.close(slave)
        self._read_until(PROMPT)
        self.type('bind "set bell-style none"; eval "$(evalc completion bash)"\n')
        self._read_until(f"\n{PROMPT}")

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def completed(self, line: str, to: str) -> None:
        """Type ``line`` and a tab; fail unless it becomes ``to``. The line is then discarded."""
        self.type(f"{line}\t")
        self._read_until(to)
        self.type("\x15\n")
        self._read_until(f"\n{PROMPT}")

    def choices(self, line: str, last: str) -> set[str]:
        """The words that two tabs after ``line`` offer; ``last`` is one to wait for."""
        self.type(f"{line}\t\t")
        shown = self._read_until(f"{PROMPT}{line}", after=last)
        self.type("\x15\n")
        self._read_until(f"\n{PROMPT}")
        return set(shown.replace(PROMPT, "").split())

    def close(self) -> None:
        self.type("\x15exit\n")
        self._process.wait(timeout=20)
        os.close(self._master)

    def _read_until(self, text: str, after: str = "") -> str:
        """What bash writes until ``text`` comes, behind ``after``."""
        seen = ""
        deadline = time.monotonic() + 20
        while text not in seen.partition(after)[2] if after else text not in seen:
            ready, _, _ = select.select([self._master], [], [], deadline - time.monotonic())
            assert ready, f"bash wrote {seen!r}, and no {text!r}"
            seen += os.read(self._master, 4096).decode().replace("\r", "")
        return seen


@pytest.fixture
def bash(program: Path, tmp_path: Path) -> Iterator[Bash]:
    shell = Bash(program, tmp_path)
    try:
        yield shell
    finally:
        shell.close()


def test_bash_completes_commands_options_values_and_files(bash: Bash, tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").touch()
    bash.completed("evalc comple", "evalc complet")
    bash.completed("evalc expl", "evalc explain ")
    bash.completed("evalc ls ba", "evalc ls backends ")
    bash.completed("evalc compile --fo", "evalc compile --force ")
    bash.completed("evalc check --format gi", "evalc check --format github ")
    bash.completed("evalc ls tasks --harness simple", "evalc ls tasks --harness simple_evals ")
    bash.completed("evalc schema man", "evalc schema manifest ")
    bash.completed("evalc check clus", "evalc check cluster.yaml ")
    assert {"plan", "config", "manifest"} <= bash.choices("evalc schema ", "manifest")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(evalc: Run, shell: str) -> None:
    result = evalc("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert f"_EVALC_COMPLETE={shell}_complete" in result.out


def test_another_shell_is_wrong_usage(evalc: Run) -> None:
    assert evalc("completion", "tcsh").code == 2
