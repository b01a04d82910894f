"""How values came to be: which layers gave them, and where these were written."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evalc.config import Config, Matrix
from evalc.config.composing.keys import split_key
from evalc.errors import ConfigError, UsageError, did_you_mean
from evalc.source import Mapping, Sequence
from evalc.source.nodes import scalars, walk
from evalc.words import Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from evalc.errors import Location
    from evalc.source import Node
    from evalc.words import RuntimeEnv, Secret


@dataclass(frozen=True)
class Step:
    """One layer's part in a value: what it said, and where.

    ``kind`` is ``file``, ``override``, ``builtin`` or ``interpolation``.
    """

    kind: str
    location: Location
    text: str


@dataclass(frozen=True)
class Explanation:
    """A key's value, and how it came to be, newest first.

    ``cells`` are those of a matrix in which it is so; empty where it is in all of them, and without
    a matrix.
    """

    key: str
    value: Any
    steps: tuple[Step, ...]
    cells: tuple[str, ...] = ()


def explained(
    config: Config | Matrix, key: str, cells: tuple[str, ...] = ()
) -> tuple[Explanation, ...]:
    """How the value of ``key`` came to be: one explanation, or those that the cells of a matrix
    have, of ``cells`` alone when some are named.

    Raises :class:`~evalc.errors.UsageError` for a key, or a cell, that is not there, and
    :class:`~evalc.errors.ConfigError` where references can't be filled in.
    """
    known = [cell.name for cell in config.cells] if isinstance(config, Matrix) else []
    for cell in cells:
        if cell not in known:
            raise UsageError(f"the config has no cell '{cell}'", did_you_mean(cell, known))
    if isinstance(config, Config):
        if config.unfilled:
            raise ConfigError(config.unfilled)
        return (_explanation(config.root, key),)
    if _parse_key(key)[:1] == ("matrix",):
        return (_explanation(config.unresolved, key),)
    return _explanations(config, key, cells or known)


def _explanations(matrix: Matrix, key: str, wanted: Collection[str]) -> tuple[Explanation, ...]:
    """Those of the cells that are wanted; cells of which the same is to be said are one."""
    unfilled = [problem for cell in matrix.cells for problem in cell.config.unfilled]
    if unfilled:
        raise ConfigError(dict.fromkeys(unfilled))
    found: dict[str, tuple[Explanation, list[str]]] = {}
    missing: UsageError | None = None
    for cell in matrix.cells:
        if cell.name in wanted:
            try:
                one = _explanation(cell.config.root, key)
            except UsageError as error:
                # Another cell may have it.
                missing = error
                continue
            found.setdefault(repr(one), (one, []))[1].append(cell.name)
    if missing is not None and not found:
        raise missing
    return tuple(
        one if len(cells) == len(matrix.cells) else replace(one, cells=tuple(cells))
        for one, cells in found.values()
    )


def _explanation(root: Mapping, key: str) -> Explanation:

    path = _parse_key(key)
    node = walk(root, path)
    if node is None:
        parent = walk(root, path[:-1])
        names = list(parent.entries) if isinstance(parent, Mapping) else []
        hint = did_you_mean(str(path[-1]), names) if path else ""
        if not hint and names:
            hint = f"there are: {', '.join(names)}"
        raise UsageError(f"'{key}' is not in the config", hint)
    if isinstance(node, Mapping | Sequence) and not node.previous:
        steps = tuple(_steps_below(node))
    else:
        steps = tuple(_steps(node))
    return Explanation(key, _shown(node.plain()), steps)


def _parse_key(key: str) -> tuple[str | int, ...]:
    return tuple(int(step) if step.isdigit() else step for step in split_key(key))


def _steps(node: Node | None) -> Iterator[Step]:
    while node is not None:
        older = node.previous
        # An interpolated value stands where its reference stands.
        kind = "interpolation" if older and older.location == node.location else node.source.kind
        yield Step(kind, node.location, _text(node))
        node = older


def _steps_below(node: Node) -> Iterator[Step]:
    """For a block: the layers that it was put together from, by where its parts were written."""
    seen = set()
    for _path, scalar in scalars(node):
        if scalar.source.name not in seen:
            seen.add(scalar.source.name)
            yield Step(scalar.source.kind, scalar.location, _text(scalar))


def _text(node: Node) -> str:
    value = _shown(node.plain())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return "".join(
            part.text if isinstance(part, Literal) else _reference_text(part) for part in value
        )
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return value


def _reference_text(part: RuntimeEnv | Secret) -> str:
    default = "" if part.default is None else f",{part.default}"
    return f"${{oc.env:{part.name}{default}}}"
