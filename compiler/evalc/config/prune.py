"""A config without what is known to be wrong in it, so that the rest can be looked at too.

Each step of compiling needs what the step before has checked. To show all problems at once all the
same, a later step is given the config without the parts that an earlier one complained about.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from evalc.source import Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalc.errors import Location, Problem
    from evalc.source import Node


def pruned(root: Mapping, problems: Iterable[Problem]) -> Mapping:
    """``root`` without the values that the problems point to; what is untouched is shared."""
    places = [problem.location for problem in problems if problem.location]
    node = _pruned(root, places)
    assert isinstance(node, Mapping)
    return node


def _pruned(node: Node, places: list[Location]) -> Node | None:
    if isinstance(node, Mapping):
        kept = {
            key: child
            for key, value in node.entries.items()
            if not _points_to(node.keys[key], places)
            and (child := _pruned(value, places)) is not None
        }
        twin = copy.copy(node)
        twin.entries = kept
        return twin
    if isinstance(node, Sequence):
        items = [child for item in node.items if (child := _pruned(item, places)) is not None]
        twin_list = copy.copy(node)
        twin_list.items = items
        return twin_list
    return None if _points_to(node, places) else node


def _points_to(node: Node, places: list[Location]) -> bool:
    start = (node.start.line + 1, node.start.column + 1)
    end = (node.end.line + 1, node.end.column + 1)
    return any(
        at.source is node.source
        and start <= (at.line, at.column) < max(end, (start[0], start[1] + 1))
        for at in places
    )
