"""A text -> its plan, or what is wrong with it and where."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from evalc.compiler import Compiled, Request, compile  # noqa: A004 - it is what a compiler does
from evalc.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.plan import Plan, Service, Step


class Config:
    """Compiles texts in ``folder``. ``above`` stands before each text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.above = ""

    def compiled(
        self, text: str, *overrides: str, tasks: tuple[str, ...] = (), name: str = "c"
    ) -> Compiled:
        path = self.folder / f"{name}.yaml"
        path.write_text(self.above + dedent(text))
        return compile(Request(path, overrides, tasks))

    def plan(self, text: str, *overrides: str, tasks: tuple[str, ...] = ()) -> Plan:
        """The plan of a config without a warning."""
        found = self.compiled(text, *overrides, tasks=tasks)
        assert found.warnings == ()
        return found.plan

    def step(self, task: str, rest: str = "") -> Step:
        """The only step of a config with this task (in flow style), and what else it says."""
        (step,) = self.plan(f"{dedent(rest)}\nevaluation:\n  tasks:\n    - {{{task}}}\n").steps
        return step

    def service(
        self, deployment: str, rest: str = "", task: str = "name: t, container: i, command: c"
    ) -> Service:
        """The only service of a config with this deployment (in flow style)."""
        text = f"{dedent(rest)}\ndeployment: {{{deployment}}}\nevaluation:\n  tasks:\n    - {{{task}}}\n"
        (service,) = self.plan(text).services
        return service

    def problems(
        self, text: str, *overrides: str, tasks: tuple[str, ...] = ()
    ) -> tuple[Problem, ...]:
        """What is wrong with a config; each problem says where and can be shown."""
        with pytest.raises(ConfigError) as caught:
            self.compiled(text, *overrides, tasks=tasks)
        for problem in caught.value.problems:
            assert problem.location
            assert problem.message
            assert isinstance(problem.label, str)
            assert isinstance(problem.help, str)
        return caught.value.problems

    def problem(self, text: str, *overrides: str, tasks: tuple[str, ...] = ()) -> Problem:
        (problem,) = self.problems(text, *overrides, tasks=tasks)
        return problem

    def warnings(self, text: str) -> tuple[Problem, ...]:
        return self.compiled(text).warnings


def place(problem: Problem) -> str:
    """The text that a problem points at, or its line when that is longer than one."""
    at = problem.location
    assert at
    line = at.source.line(at.line)
    return line[at.column - 1 : at.end_column - 1] if at.end_line == at.line else line.strip()
