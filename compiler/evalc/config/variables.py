"""Keys that a user made up to refer to.

Configs name a value once and write ``${deployment.ranks_per_node}`` or ``${model.handle}`` where it
is needed. Such a key is in no schema, and no mistake either: what something refers to was meant.
A key that is misspelt is not referred to, and stays an error.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from evalc.config.checking.problems import UnknownKey
from evalc.source import Mapping, Sequence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from evalc.errors import Problem
    from evalc.source import Node, Path

# What is below goes to the harness as it is, which refuses keys that it does not know.
_HARNESS = "nemo_evaluator_config"


def variables(problems: Iterable[Problem], referred: Collection[Path]) -> list[Path]:
    """Which of the unknown keys among the ``problems`` a reference leads to, or into.

    ``referred`` are the paths that the config's references lead to.
    """
    unknown = [p.path for p in problems if isinstance(p, UnknownKey) and _HARNESS not in p.path]
    heads = {path[:length] for path in referred for length in range(1, len(path) + 1)}
    # Where the type is not known, each backend's schema may tell of a key.
    return [path for path in dict.fromkeys(unknown) if path in heads]


def without(root: Mapping, paths: Iterable[Path]) -> Mapping:
    """``root`` without the keys at ``paths``; what is untouched is shared."""
    for path in paths:
        root = _without(root, path)
    return root


def _without(root: Mapping, path: Path) -> Mapping:
    top: Mapping = copy.copy(root)
    node: Node = top
    for above, step in enumerate(path):
        if isinstance(node, Sequence):
            assert isinstance(step, int)
            node.items = list(node.items)
            node.items[step] = copy.copy(node.items[step])
            node = node.items[step]
            continue
        assert isinstance(node, Mapping)
        name = str(step)
        node.entries = dict(node.entries)
        if above == len(path) - 1:
            del node.entries[name]
            node.keys = {key: at for key, at in node.keys.items() if key != name}
        else:
            node.entries[name] = copy.copy(node.entries[name])
            node = node.entries[name]
    return top
