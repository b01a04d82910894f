"""The program as a whole: help, usage errors, failures, streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import sh
from waiting import wait_for

from evalc import __version__, cli, compiler
from evalc.cli import lazy, ls

Run = Callable[..., Any]

GROUPS = [cli.root, ls.ls_group]
# What help and version must not pay for.
HEAVY = {
    "yaml",
    "jinja2",
    "jsonschema",
    "omegaconf",
    "rich",
    "difflib",
    "subprocess",
    "importlib.metadata",
    "evalc.compiler",
    "evalc.catalog",
    "evalc.errors",
}


def commands() -> list[tuple[str, ...]]:
    return [
        *[(name,) for name in cli.COMMANDS],
        *[("ls", name) for name in ls.COMMANDS],
    ]


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands_and_exit_codes(evalc: Run, option: str) -> None:
    result = evalc(option)
    assert result.code == 0
    assert result.err == ""
    assert set(cli.COMMANDS) <= set(result.out.split())
    for code in ("0  fine", "1  the config is wrong", "2  wrong usage", "3  evalc itself failed"):
        assert code in result.out


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help(evalc: Run, command: tuple[str, ...], option: str) -> None:
    result = evalc(*command, option)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: evalc {' '.join(command)} ")
    assert all(len(line) <= 80 for line in result.out.splitlines())


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_the_table_says_what_the_commands_say(group: lazy.LazyGroup) -> None:
    context = click.Context(group)
    for name, (_, text) in group.table.items():
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(limit=200) == text
        # As wide as a line of the list may be.
        assert len(text) <= 60


def test_version(evalc: Run) -> None:
    assert evalc("--version") == (0, f"evalc {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["compile", "--help"]])
def test_help_and_version_import_little(arguments: list[str]) -> None:
    code = (
        "import sys; from evalc.cli import main; main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")},
    )
    heavy = HEAVY if len(arguments) == 1 else HEAVY - {"evalc.errors", "difflib"}
    assert heavy & set(done.stderr.split()) == set()


@pytest.mark.parametrize("group", [[], ["ls"]])
def test_no_command_is_wrong_usage_and_shows_the_help(evalc: Run, group: list[str]) -> None:
    result = evalc(*group)
    assert (result.code, result.out) == (2, "")
    assert result.err == evalc(*group, "--help").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["comple"], "error: there is no command 'comple'\nhint: did you mean 'compile'?\n"),
        (["xyz"], "error: there is no command 'xyz'\nhint: see 'evalc --help'\n"),
        (["ls", "taskss"], "error: there is no command 'taskss'\nhint: did you mean 'tasks'?\n"),
        (
            ["compile", "--forc", "x"],
            "error: no such option '--forc'\nhint: did you mean '--force'?\n",
        ),
        (["--frob"], "error: no such option '--frob'\nhint: see 'evalc --help'\n"),
        (["check", "--format"], "error: option '--format' requires an argument\n"),
        (
            ["schema", "x"],
            (
                "error: invalid value for '{config|plan|manifest}': "
                "'x' is not one of 'config', 'plan', 'manifest'\n"
                "hint: see 'evalc schema --help'\n"
            ),
        ),
        (
            ["check"],
            (
                "error: no config is named\n"
                "hint: give a file, or --config-dir DIR with --config-name NAME\n"
            ),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line_and_a_hint(evalc: Run, arguments: list[str], said: str) -> None:
    assert evalc(*arguments) == (2, "", said)


def test_python_m_evalc_is_the_same_program() -> None:
    python = sh.Command(sys.executable)
    assert python("-m", "evalc", "--version") == f"evalc {__version__}\n"
    with pytest.raises(sh.ErrorReturnCode_2):
        python("-m", "evalc", "check", "nothing.yaml")


def break_check(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def check(_request: compiler.Request) -> None:
        raise error

    monkeypatch.setattr(compiler, "check", check)


def test_a_bug_is_one_line_and_exit_code_3(
    evalc: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_check(monkeypatch, ValueError("two\nlines"))
    assert evalc("check", good) == (
        3,
        "",
        (
            "error: evalc itself failed: ValueError: two lines "
            "(this is a bug; EVALC_DEBUG=1 shows the traceback)\n"
        ),
    )


def test_debug_shows_the_traceback(evalc: Run, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_check(monkeypatch, ValueError("no"))
    monkeypatch.setenv("EVALC_DEBUG", "1")
    result = evalc("check", good)
    assert result.code == 3
    assert "Traceback (most recent call last):" in result.err
    assert "in check" in result.err


def test_a_failure_outside_a_config_is_reported_too(
    evalc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def schema(_kind: str) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr(compiler, "schema", schema)
    result = evalc("schema", "plan")
    assert result.code == 3
    assert result.err.startswith("error: evalc itself failed: RecursionError: maximum")


def test_what_the_system_refuses_is_no_bug(
    evalc: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_check(monkeypatch, PermissionError(13, "Permission denied", "/etc/secret"))
    assert evalc("check", good) == (2, "", "error: /etc/secret: Permission denied\n")


def test_an_interrupt_ends_quietly(evalc: Run, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_check(monkeypatch, KeyboardInterrupt())
    assert evalc("check", good) == (130, "", "")


def holds(process: int, file: Path) -> bool:
    """Whether a process has a file open."""
    return any(entry.resolve() == file for entry in Path(f"/proc/{process}/fd").iterdir())


def sleeps(process: int) -> bool:
    """Whether a process stays asleep for a while."""
    states = []
    for _ in range(10):
        states.append(Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0])
        time.sleep(0.01)
    return set(states) == {"S"}


def test_an_interrupt_of_the_process_ends_it_quietly(tmp_path: Path, program: Path) -> None:
    # A config that nobody finishes to write: evalc waits in the middle of its work.
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    # Opened for both, since opening for one alone waits for the other side.
    writer = os.fdopen(os.open(pipe, os.O_RDWR), "wb", buffering=0)
    with (
        subprocess.Popen(
            [program, "check", pipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child,
        writer,
    ):
        # A signal just before the read would be noticed only after it.
        wait_for(lambda: holds(child.pid, pipe) and sleeps(child.pid))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (130, b"", b"")


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize(
    "command", ["ls tasks --json", "schema config", "--help", "check good.yaml"]
)
def test_a_pipe_that_nobody_reads_ends_quietly(shell: Run, command: str) -> None:
    # Not `head`, which might read all before evalc has written it.
    assert shell(f"evalc {command} | exec 0<&-") == (141, "", "")


def test_a_pipe_that_nobody_reads_the_messages_of(shell: Run) -> None:
    assert shell("evalc check missing.yaml 2>&1 | exec 0<&-") == (141, "", "")


def test_head_gets_its_lines(shell: Run) -> None:
    result = shell("evalc ls tasks --json | head -n 1")
    assert (result.out, result.err) == ("[\n", "")


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("command", ["ls tasks", "schema config", "--help", "check good.yaml"])
def test_a_full_disk_is_one_line(shell: Run, command: str) -> None:
    assert shell(f"evalc {command} > /dev/full") == (
        2,
        "",
        "error: the output can't be written: No space left on device\n",
    )


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "> /dev/full 2> /dev/full"])
def test_closed_streams_are_no_traceback(shell: Run, streams: str) -> None:
    result = shell(f"evalc check good.yaml missing.yaml {streams}")
    assert result.code == (3 if "full" in streams else 2)
    assert "Traceback" not in result.out + result.err


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}])
def test_a_stream_that_is_not_utf8_takes_any_text(
    process: Run, good: Path, locale: dict[str, str]
) -> None:
    text = good.read_text()
    Path("模型.yaml").write_text(f"é模: 1\n{text}", encoding="utf-8")
    result = process("check", "模型.yaml", **locale)
    assert result.code == 1
    assert "Traceback" not in result.err
    if "PYTHONIOENCODING" in locale:
        assert r"--> \u6a21\u578b.yaml:1:1" in result.out
        assert "1 | \\xe9\\u6a21: 1\n  | ^^^^^^^^^^" in result.out
    done = process("compile", "模型.yaml", **locale)
    assert (done.code, done.out) == (1, "")
    assert "Traceback" not in done.err


def test_a_file_name_that_is_no_utf8(good: Path, tmp_path: Path, program: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "bad.yaml").write_text(good.read_text().replace("engine", "engin"))
    done = subprocess.run([program, "check", b"caf\xe9/bad.yaml"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b" --> caf\\udce9/bad.yaml:6:3\n" in done.stdout


def test_json_survives_any_locale(process: Run, good: Path) -> None:
    text = good.read_text() + '"é🚀": 1\n'
    Path("odd.yaml").write_text(text, encoding="utf-8")
    result = process("check", "odd.yaml", "--format", "json", PYTHONIOENCODING="ascii")
    assert "é🚀" in json.loads(result.out)[0]["message"]
