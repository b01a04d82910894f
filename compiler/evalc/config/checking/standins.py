"""A config as plain values for a schema checker, with stand-ins for what it can't judge."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import MARK

if TYPE_CHECKING:
    from evalc.config.checking.schema import Json
    from evalc.source import Node


class Late(str):
    """Stands for text that is only known at run time."""

    __slots__ = ()


class Loose(str):
    """Stands for ``???``, a number that is not finite, or a stand-in: told by itself, and right
    elsewhere."""

    __slots__ = ()


_LATE = Late("${…}")
_LOOSE = Loose("???")


def instance(root: Mapping) -> tuple[dict[str, Json], bool]:
    """The config as plain values, and whether any of them is none of a schema's business."""
    loose = False

    def plain(node: Node) -> Json:
        nonlocal loose
        if isinstance(node, Scalar):
            value = node.value
            if isinstance(value, tuple):
                return _LATE
            if value in ("???", MARK) or (isinstance(value, float) and not math.isfinite(value)):
                loose = True
                return _LOOSE
            return value
        if isinstance(node, Mapping):
            return {key: plain(inner) for key, inner in node.entries.items()}
        assert isinstance(node, Sequence)
        return [plain(item) for item in node.items]

    return {key: plain(inner) for key, inner in root.entries.items()}, loose
