"""Overrides of a task by its name: ``-o evaluation.tasks.gsm8k.env_vars.A=lit:1``.

To Hydra, the step behind ``tasks`` is an index. The peer also takes a task's name there, or the end
of it behind a dot; a name may have one dot itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalc.config.composing.keys import list_index
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import scalar_text, walk

if TYPE_CHECKING:
    from evalc.config.composing.overrides import Override

_TASKS = ("evaluation", "tasks")


def by_index(override: Override, root: Mapping) -> Override:
    """The override with the index of the task that its key names; itself where it names none, or
    more than one, which is an error of the index then."""
    top, rest = override.key.split(".")[:2], override.key.split(".")[2:]
    tasks = walk(root, _TASKS)
    if tuple(top) != _TASKS or not rest or not isinstance(tasks, Sequence):
        return override
    if list_index(rest[0]) is not None:
        return override
    names = [_name(item) for item in tasks.items]
    for length in (2, 1):
        found = _matches(".".join(rest[:length]), names)
        if len(rest) >= length and len(found) == 1:
            key = ".".join((*_TASKS, str(found[0]), *rest[length:]))
            return replace(override, key=key)
    return override


def _name(item: object) -> str:
    """What ``-o`` may call a task: its id, or else its name."""
    node = (item.get("id") or item.get("name")) if isinstance(item, Mapping) else None
    return scalar_text(node) if isinstance(node, Scalar) else ""


def _matches(text: str, names: list[str]) -> list[int]:
    exact = [index for index, name in enumerate(names) if name == text]
    return exact or [i for i, name in enumerate(names) if name.endswith(f".{text}")]
