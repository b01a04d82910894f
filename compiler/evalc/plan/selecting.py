"""Which tasks ``-t`` means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.errors import did_you_mean
from evalc.plan.problems import UnknownSelection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from evalc.errors import Problem
    from evalc.plan.model import Step


def unknown_selections(selected: Iterable[str], names: Collection[str]) -> Iterator[Problem]:
    """A problem for each ``-t`` that is not among the ``names`` of what there is."""
    for name in selected:
        if name not in names:
            yield UnknownSelection(name=name, suggestion=did_you_mean(name, names))


def names_of(step: Step, cell: str) -> set[str]:
    """What ``-t`` may call a task: its folder's name, its own, and that with its harness; and in a
    cell of a matrix, as all tasks of it, the cell's."""
    own = {step.id, step.task, *([f"{step.harness}.{step.task}"] if step.harness else ())}
    return {*own, cell, f"{cell}.{step.id}"} if cell else own
