"""A cell of a matrix, composed as if its values were given with ``-o ++KEY=VALUE``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalc.config.composing.merge import shallow
from evalc.config.composing.overrides import Override
from evalc.config.matrix import CELL, INCLUDE, KEY
from evalc.config.matrix.cells import Cell, cells_of
from evalc.config.matrix.problems import IdleMatrix
from evalc.errors import ConfigError
from evalc.source import Mapping, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from evalc.config.composing.compose import Composed, Composing
    from evalc.config.composing.overrides import Action
    from evalc.config.matrix.values import Setting
    from evalc.errors import Problem
    from evalc.source import Node


@dataclass(frozen=True)
class ComposedCell:
    """A cell's name, and its config without the block ``matrix``."""

    name: str
    composed: Composed


class Cells:
    """The cells of a config whose block ``matrix`` is ``block``.

    ``tops`` are the keys that a config may have at its top. Raises
    :class:`~evalc.errors.ConfigError` when the block means nothing.
    """

    def __init__(self, composing: Composing, block: Node, tops: Collection[str]) -> None:
        self._composing = composing
        self._block = block
        groups = composing.repository.groups()
        self._cells, self.problems = cells_of(block, {*tops, *groups})

    def composed(self) -> Iterator[ComposedCell]:
        """The cells, each composed when it is asked for.

        Raises :class:`~evalc.errors.ConfigError` with what is wrong with all that can't be composed
        when the last one has been asked for.
        """
        wrong: list[Problem] = []
        referred: set[str] = set()
        for cell in self._cells:
            try:
                root = self._composing.merged([self._given(one) for one in cell.settings])
            except ConfigError as error:
                wrong += error.problems
                continue
            composed = self._composing.filled(_with_values(root, self._block, cell))
            referred |= {str(path[1]) for path in composed.referred if path[:1] == (KEY,) < path}
            yield ComposedCell(
                cell.name,
                replace(
                    composed,
                    root=_without_block(composed.root),
                    unresolved=_without_block(composed.unresolved),
                ),
            )
        if wrong:
            raise ConfigError(dict.fromkeys(wrong))
        self.problems += self._idle(referred)

    def _given(self, setting: Setting) -> Override:
        key = setting.key
        of_group = "." not in setting.path and self._composing.repository.is_group(setting.path)
        # The option of a group is changed; any other key may be new.
        action: Action = "set" if of_group and isinstance(setting.value, Scalar) else "force"
        return _Given(key.source, action, setting.path, None, key, setting.value)

    def _idle(self, referred: set[str]) -> Iterator[Problem]:
        """A warning for each axis that no cell is any different for: no value of it sets anything,
        nothing refers to it, and nothing is included by it."""
        assert isinstance(self._block, Mapping)
        included = self._block.get(INCLUDE)
        items = included.items if isinstance(included, Sequence) else []
        used = {*referred, *(name for i in items if isinstance(i, Mapping) for name in i.entries)}
        for name, key in self._block.keys.items():
            values = [cell.values[name] for cell in self._cells if name in cell.values]
            if values and name not in used and not any(value.settings for value in values):
                yield IdleMatrix(
                    what=f"the axis '{name}' changes nothing: nothing refers to ${{matrix.{name}}}",
                    advice="its cells measure the same",
                    location=key.location,
                )


class _Given(Override):
    """A key that a cell sets. Its text is a whole file's, and not to be shown."""

    @property
    def text(self) -> str:
        return ""


def _with_values(root: Mapping, block: Node, cell: Cell) -> Mapping:
    """The config with the cell's values under ``matrix``, for references to them."""
    assert isinstance(block, Mapping)
    entries = {name: value.node for name, value in cell.values.items()}
    keys = {name: block.keys[name] for name in entries}
    at = root.keys[KEY]
    name_node = Scalar(at.source, at.start, at.end, cell.name, cell.name, plain_style=True)
    entries[CELL], keys[CELL] = name_node, at
    own = shallow(root)
    own.entries[KEY] = Mapping(block.source, block.start, block.end, entries, keys)
    return own


def _without_block(root: Mapping) -> Mapping:
    own = shallow(root)
    del own.entries[KEY], own.keys[KEY]
    return own
