"""The line that says what takes so long."""

from __future__ import annotations

import io
import sys
import threading
import time

import pytest

from evalc.cli import progress
from evalc.cli.progress import Progress


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    # No fixture: pytest sets its own stream between set-up and test.
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    return stream


def wait_for(terminal: Terminal, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in terminal.getvalue():
        assert time.monotonic() < deadline, terminal.getvalue()
        time.sleep(0.01)


def wait_for_threads(number: int) -> None:
    deadline = time.monotonic() + 20
    while threading.active_count() > number:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)


def test_a_short_step_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    shown = Progress(1)
    with shown.step("compiling a.yaml"):
        pass
    assert terminal.getvalue() == ""


def test_a_long_step_is_shown_and_its_line_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    threads = threading.active_count()
    shown = Progress(1)
    with shown.step("compiling [a].yaml"):
        wait_for(terminal, "compiling [a].yaml")
    wait_for_threads(threads)
    # Erased, and the cursor is visible again.
    assert terminal.getvalue().rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in terminal.getvalue()


def test_short_steps_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 0.2)
    shown = Progress(3)
    with shown.step("one"):
        time.sleep(0.15)
    assert terminal.getvalue() == ""
    with shown.step("two"):
        wait_for(terminal, "[2/3] two")


def test_a_failing_step_removes_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    threads = threading.active_count()

    def fail() -> None:
        with Progress(1).step("one"):
            wait_for(terminal, "one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    wait_for_threads(threads)


def test_nothing_is_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with Progress(1).step("one"):
        time.sleep(0.3)
    assert stream.getvalue() == ""


def test_a_closed_stream_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(1).step("one"):
        pass
