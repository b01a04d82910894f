"""Commands are read by bash before anything runs, and only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plan.configs import Config, place

from evalc.plan.problems import BadCommand

if TYPE_CHECKING:
    from pathlib import Path

TASK = "name: t, container: i"


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("if true; then", "line 2: syntax error: unexpected end of file"),
        ("echo 'x", "line 1: unexpected EOF while looking for matching"),
        ("echo 1\necho 2\nfi\n", "line 3: syntax error near unexpected token `fi'"),
        ("f() {", "line 2: syntax error: unexpected end of file"),
        ("a | | b", "line 1: syntax error near unexpected token `|'"),
    ],
)
@pytest.mark.parametrize("key", ["command", "pre_cmd", "post_cmd"])
def test_what_bash_can_not_read_is_told_where(
    hosted: Config, key: str, command: str, what: str
) -> None:
    quoted = '"' + command.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'
    own = "" if key == "command" else "command: c, "
    problem = hosted.problem(f"evaluation: {{tasks: [{{{TASK}, {own}{key}: {quoted}}}]}}")
    assert isinstance(problem, BadCommand)
    assert problem.code == "bad-command"
    assert problem.message.startswith(f"bash can't read this: {what}")
    assert place(problem) == quoted


@pytest.mark.parametrize("key", ["command", "pre_cmd"])
def test_also_a_servers(hosted: Config, key: str) -> None:
    keys = {"command": "c", key: "'('"}
    deployment = ", ".join(f"{name}: {text}" for name, text in keys.items())
    problem = hosted.problem(
        f"deployment: {{type: generic, image: i, served_model_name: m, {deployment}}}\n"
        f"evaluation: {{tasks: [{{{TASK}, command: c}}]}}"
    )
    assert (problem.code, place(problem)) == ("bad-command", "'('")


def test_a_text_that_many_tasks_have_is_told_once(hosted: Config) -> None:
    tasks = ", ".join(f"{{{TASK}, id: t{n}, command: '('}}" for n in range(5))
    assert hosted.problem(f"evaluation: {{tasks: [{tasks}]}}").code == "bad-command"


@pytest.mark.parametrize(
    ("command", "what"),
    [("$(" * 20_000, "it is nested too deeply"), ("echo a\\0b", "it holds a NUL character")],
    ids=["deep", "nul"],
)
def test_what_bash_itself_would_stumble_over(hosted: Config, command: str, what: str) -> None:
    problem = hosted.problem(f'evaluation: {{tasks: [{{{TASK}, command: "{command}"}}]}}')
    assert isinstance(problem, BadCommand)
    assert problem.what == what or command.startswith("$(")


def test_nothing_is_executed(hosted: Config, tmp_path: Path) -> None:
    mark = tmp_path / "PWNED"
    text = f"touch {mark}; trap 'touch {mark}' EXIT; x=$(touch {mark}); : > {mark}"
    hosted.step(f'{TASK}, command: "{text}", pre_cmd: "{text}", post_cmd: "{text}"')
    assert not mark.exists()


def test_the_users_shell_settings_do_not_matter(
    hosted: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rc").write_text("exit 3\n")
    monkeypatch.setenv("BASH_ENV", str(tmp_path / "rc"))
    monkeypatch.setenv("SHELLOPTS", "errexit")
    assert hosted.step(f"{TASK}, command: 'echo ok'").command


def test_without_bash_the_check_is_left_out(
    hosted: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hosted.step(f"{TASK}, command: '('").command


def test_no_process_is_started_for_plain_commands(
    hosted: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of them took four seconds."""

    def start(*_: object, **__: object) -> None:
        raise AssertionError("a process is started")

    monkeypatch.setattr("subprocess.run", start)
    hosted.step('name: a, container: i, command: "harness --n 1 > log.txt", pre_cmd: cd /x')
