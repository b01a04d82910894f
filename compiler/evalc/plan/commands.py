"""Whether bash can read the commands that the user wrote.

A command that bash can't parse would fail on the cluster, hours later. It is parsed (``bash -n``:
nothing is executed) once for each different text that is not plain; where there is no bash, the
check is left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import chain
from typing import TYPE_CHECKING

from evalc.plan.model import Shell
from evalc.plan.plain_commands import is_plain
from evalc.plan.problems import BadCommand

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalc.errors import Problem
    from evalc.plan.model import Plan, Step
    from evalc.plan.origin import Origin

_WHERE = re.compile(r"^.*?line (\d+): ", re.DOTALL)


def unreadable_commands(plan: Plan, others: Iterable[Step] = ()) -> list[Problem]:
    """A problem for each different command of the plan, and of ``others``, that bash refuses."""
    return unreadable_texts(_texts(plan, others), plan.origin)


def unreadable_texts(commands: Iterable[str], origin: Origin) -> list[Problem]:
    """A problem for each different text that bash refuses, where it was written."""
    texts = [t for t in dict.fromkeys(commands) if t.strip() and not is_plain(t)]
    bash = shutil.which("bash") if texts else None
    if bash is None:
        return []
    problems: list[Problem] = []
    for text in texts:
        fault = _fault(bash, text)
        if fault:
            problems.append(BadCommand(what=fault, location=origin.locate(text)))
    return problems


def _texts(plan: Plan, others: Iterable[Step]) -> Iterator[str]:
    for service in plan.services:
        yield service.pre_cmd
        if isinstance(service.command, Shell):
            yield service.command.text
    for step in chain(plan.steps, others):
        yield step.pre_cmd
        yield step.post_cmd
        if step.command:
            yield step.command.text


def _fault(bash: str, text: str) -> str:
    if "\0" in text:
        return "it holds a NUL character"
    done = subprocess.run(
        [bash, "--norc", "-n"],
        input=text.encode(),
        capture_output=True,
        check=False,
        env={"LC_ALL": "C"},
    )
    if done.returncode == 0:
        return ""
    said = done.stderr.decode(errors="replace").strip()
    if not said:
        # Bash reads nested text by calling itself, and has run out of stack.
        return "it is nested too deeply"
    first = said.splitlines()[0]
    found = _WHERE.match(first)
    return f"line {found[1]}: {first[found.end() :]}" if found else first
