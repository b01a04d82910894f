"""A config in which what is known to be wrong is replaced, so that the rest can be looked at too.

Each step of compiling needs what the step before has checked. To show all problems at once all the
same, a later step is given stand-ins (:class:`~evalc.source.nodes.StandIn`) for the values that an
earlier one complained about. What it then says of a stand-in is a consequence, and is left out.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from evalc.config.checking.problems import MissingKey, MissingValue, OtherGroup, UnknownKey
from evalc.errors import Problem, first_line, nearest
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import MARK, StandIn, scalar_text, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalc.errors import Location
    from evalc.source import Node


def silenced(root: Mapping, problems: Iterable[Problem]) -> Mapping:
    """``root`` with stand-ins for what the problems are about; what is untouched is shared.

    Keys that are unknown are taken out; those that lack are put in.
    """
    problems = list(problems)
    # Another problem that points to a key is about its value.
    places = [p.location for p in problems if p.location and not isinstance(p, _OF_KEYS)]
    unknown = [p for p in problems if isinstance(p, UnknownKey)]
    node = _silenced_inside(root, places, unknown)
    assert isinstance(node, Mapping)
    for problem in problems:
        if isinstance(problem, MissingKey):
            above, _, name = problem.path.rpartition(".")
            steps = tuple(int(s) if s.isdigit() else s for s in above.split(".") if s)
            block = walk(node, steps)
            if isinstance(block, Mapping):
                _put(block, name, block)
    return of_known_types(node)


def of_known_types(root: Mapping) -> Mapping:
    """The config with stand-ins for the blocks whose ``type`` is one: it decides what else they may
    hold."""
    blocks = {
        name: StandIn.of(block)
        for name, block in root.entries.items()
        if isinstance(block, Mapping) and isinstance(block.get("type"), StandIn)
    }
    if not blocks:
        return root
    return Mapping(root.source, root.start, root.end, {**root.entries, **blocks}, root.keys)


_OF_KEYS = (UnknownKey, MissingKey, MissingValue)


def _silenced(node: Node, places: list[Location], unknown: list[UnknownKey]) -> Node:
    if _is_whole(node, places):
        return StandIn.of(node)
    return _silenced_inside(node, places, unknown)


def _silenced_inside(node: Node, places: list[Location], unknown: list[UnknownKey]) -> Node:
    if isinstance(node, Mapping):
        twin = copy.copy(node)
        twin.entries, twin.keys = {}, dict(node.keys)
        misspelt = []
        for key, value in node.entries.items():
            wrong = [p for p in unknown if p.key == key and _is_at(node.keys[key], [p.location])]
            if wrong:
                # It may be another key, misspelt, which then does not lack.
                for meant in nearest(key, wrong[0].known, 1):
                    own = node.get(meant)
                    if own is None or own.source.kind == "builtin":
                        misspelt.append((meant, value))
            elif _is_at(node.keys[key], places):
                twin.entries[key] = StandIn.of(value)
            else:
                twin.entries[key] = _silenced(value, places, unknown)
        for meant, value in misspelt:
            _put(twin, meant, value)
        return twin
    if isinstance(node, Sequence):
        twin_list = copy.copy(node)
        twin_list.items = [_silenced(item, places, unknown) for item in node.items]
        return twin_list
    assert isinstance(node, Scalar)
    return StandIn.of(node) if node.value == "???" or _is_at(node, places) else node


def _is_whole(node: Node, places: list[Location]) -> bool:
    """Whether a problem is about all of a mapping or list: a key of its may start where it does."""
    own = first_line(node.location)
    return any(
        (own.source, own.line, own.column, own.end_column)
        == (at.source, at.line, at.column, first_line(at).end_column)
        for at in places
    )


def _put(block: Mapping, name: str, at: Node) -> None:
    block.entries[name] = StandIn.of(at, given=False)
    block.keys.setdefault(name, block.entries[name])  # type: ignore[arg-type]


def _is_at(node: Node, places: Iterable[Location | None]) -> bool:
    start = (node.start.line + 1, node.start.column + 1)
    end = (node.end.line + 1, node.end.column + 1)
    return any(
        at is not None
        and at.source is node.source
        and start <= (at.line, at.column) < max(end, (start[0], start[1] + 1))
        for at in places
    )


def causes(
    root: Mapping, told: Iterable[Problem], problems: Iterable[Problem]
) -> Iterator[Problem]:
    """Those of the problems that are no consequence of the ones that were ``told``.

    ``root`` has stand-ins for what these are about.
    """
    stand_ins = list(_stand_ins(root))
    taken = {_start(problem) for problem in told if problem.location}
    for problem in problems:
        if _start(problem) in taken or _speaks_of_one(problem):
            continue
        if not any(_is_at(node, [problem.location]) for node in stand_ins):
            yield problem


def without_echoes(problems: list[Problem]) -> Iterator[Problem]:
    """Those that are not told of a reference, when they are told of what it refers to as well."""
    told = {getattr(problem, "key", "") for problem in problems}
    # A built-in deployment says 'deployment' of itself, whatever it is there.
    told |= {re.sub(r"^auxiliary_deployments\.[^.]+", "deployment", key) for key in told}
    for problem in problems:
        at = problem.location
        text = at.source.line(at.line)[at.column - 1 : at.end_column - 1] if at else ""
        if not ("${" in text and told.intersection(re.split(r"[${}:,\s]+", text))):
            yield problem


def without_other_groups(root: Mapping, problems: list[Problem]) -> Iterator[Problem]:
    """One problem in place of all that a group of evalc's is told for another backend's type."""
    kind = walk(root, ("execution", "type"))
    groups = {
        _group(problem)
        for problem in problems
        if isinstance(problem, UnknownKey) and problem.path[:1] == ("execution",)
    } - {""}
    for problem in problems:
        if _group(problem) not in groups:
            yield problem
    if groups and isinstance(kind, Scalar) and kind.value != "???":
        names = ", ".join(sorted(groups))
        yield OtherGroup(kind=scalar_text(kind), group=names, location=kind.location)


def _group(problem: Problem) -> str:
    """The file of evalc's own that a problem points into."""
    at = problem.location
    return at.source.name if at and at.source.kind == "builtin" else ""


def _start(problem: Problem) -> tuple[object, ...]:
    at = problem.location
    return (at.source, at.line, at.column) if at else ()


def _speaks_of_one(problem: Problem) -> bool:
    return any(MARK in text for text in (problem.message, problem.label, problem.help))


def has_stand_in(node: Node | None) -> bool:
    """Whether a stand-in is a part of this."""
    if isinstance(node, Mapping):
        return any(map(has_stand_in, node.entries.values()))
    if isinstance(node, Sequence):
        return any(map(has_stand_in, node.items))
    return isinstance(node, StandIn)


def _stand_ins(node: Node) -> Iterator[Node]:
    """Those that stand where a value was written, and their keys."""
    if isinstance(node, StandIn):
        if node.given:
            yield node
    elif isinstance(node, Mapping):
        for key, value in node.entries.items():
            if isinstance(value, StandIn) and value.given:
                yield node.keys[key]
            yield from _stand_ins(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _stand_ins(item)
