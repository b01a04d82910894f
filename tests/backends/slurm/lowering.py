"""A text -> its plan for Slurm and what the backend says of it, without any file being made."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest
from plan.configs import place

from evalc import compiler
from evalc.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.errors import Problem
    from evalc.plan import Plan

TASK = "evaluation: {tasks: [{name: t, container: i, command: c}]}\n"
TWO = "evaluation: {tasks: [{name: a, container: i, command: c}, {name: b, container: i, command: c}]}\n"
HOSTED = "target: {api_endpoint: {url: http://x/v1, model_id: m}}\n"
SERVER = "type: generic, image: i, served_model_name: m, command: [serve]"
SERVED = f"deployment: {{{SERVER}}}\n"


class Lowering:
    """Lowers configs of the type slurm in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lowered(self, execution: str, rest: str, *overrides: str) -> tuple[Plan, list[Problem]]:
        """``execution`` are the keys of that block, besides type and output_dir."""
        path = self.folder / "c.yaml"
        own = dedent(execution)
        usual = "type: slurm\n" + ("" if "output_dir" in own else "output_dir: /o\n")
        path.write_text(f"execution:\n{indent(usual + own, '  ')}\n{dedent(rest)}")
        _, plan, problems = compiler._plan(compiler.Request(path, overrides))
        return plan, list(problems)

    def plan(self, execution: str, rest: str, *overrides: str) -> Plan:
        """The plan of a config without a warning."""
        plan, problems = self.lowered(execution, rest, *overrides)
        assert problems == []
        return plan

    def warnings(self, execution: str, rest: str) -> list[str]:
        """The keys that have no effect."""
        _, problems = self.lowered(execution, rest)
        return [problem.message.split("'")[1] for problem in problems]

    def errors(self, execution: str, rest: str) -> list[tuple[str, str]]:
        """Code and place of what is wrong with a config."""
        with pytest.raises(ConfigError) as caught:
            self.lowered(execution, rest)
        return [(problem.code, place(problem)) for problem in caught.value.problems]
