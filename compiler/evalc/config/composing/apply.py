"""Overrides of values, applied to a merged config.

Without a prefix an override changes what is there, ``+`` adds what is not, ``++`` does either, and
``~`` deletes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from evalc.config.composing.fill import filled
from evalc.config.composing.found import FailedError, Found, Site
from evalc.config.composing.interpolation import Resolver, is_reference
from evalc.config.composing.keys import list_index
from evalc.config.composing.merge import (
    changed,
    conflict,
    following,
    merge,
    put,
    replace_entry,
    shallow,
)
from evalc.config.composing.problems import (
    BadOverride,
    CannotAdd,
    CannotDelete,
    CannotOverride,
    MissingReference,
)
from evalc.config.composing.resolvers import LookupFailedError
from evalc.source import Mapping, Node, Path, Scalar, Sequence
from evalc.source.nodes import show_path, walk

if TYPE_CHECKING:
    from evalc.config.composing.overrides import Override
    from evalc.errors import Problem


def apply_override(root: Mapping, override: Override) -> list[Problem]:
    """Apply one override to the config ``root``. Gives the problems.

    Only the node ``root`` itself is changed; below it, what changes is copied first. When there
    are problems, the config may be changed in part, and is of no more use.
    """
    if override.package is not None:
        what = f"there is no group '{override.key}', and only groups have a package ('@')"
        return [BadOverride(what=what, location=override.location)]
    try:
        if override.action == "delete":
            _delete(root, override)
        else:
            if override.action == "add":
                _check_new(root, override)
            _update(root, override)
    except _CannotError as error:
        return error.problems
    return []


class _CannotError(Exception):
    def __init__(self, *problems: Problem) -> None:
        self.problems = list(problems)
        super().__init__()


# --- changing and adding --------------------------------------------------------------------------


def _check_new(root: Mapping, override: Override) -> None:
    """Refuse ``+key=value`` for a key that has a value; lists and mappings are merged, though."""
    found = _select(root, override.key, override)
    if found is None or found.value is None or not isinstance(override.value, Scalar):
        return
    existing = found.node or found.value
    at = existing.location if isinstance(existing, Node) else override.location
    raise _CannotError(
        CannotAdd(key=override.key, existing=at, text=override.text, location=override.location)
    )


def _update(root: Mapping, override: Override) -> None:
    value = override.value
    assert value is not None
    node: Mapping | Sequence = root
    path: Path = ()
    *steps, last = override.key.split(".")
    for step in steps:
        name, child = _child(node, step, path, override)
        if not isinstance(child, Mapping | Sequence):
            if override.action == "set":
                _refuse(override, (*path, name) if child is None else (*path, name, last), node)
            _set(node, name, _empty(override.key_node), override)
        node, path = _own(node, name), (*path, name)
    name, child = _child(node, last, path, override)
    path = (*path, name)
    if child is None and override.action == "set":
        _refuse(override, path, node)
    if isinstance(child, Mapping) and isinstance(value, Mapping):
        if override.action == "set":
            _check_known(root, child, value, path, override)
        own = changed(child, value)
        _place(node, name, own)
        problems = merge(root, own, value, path)
        if problems:
            raise _CannotError(*problems)
    elif (
        isinstance(child, Mapping | Sequence)
        and isinstance(value, Mapping | Sequence)
        and type(child) is not type(value)
    ):
        raise _CannotError(conflict(child, value, path))
    else:
        _set(node, name, value, override)


def _empty(at: Scalar) -> Mapping:
    return Mapping(at.source, at.start, at.end, {}, {})


def _child(
    node: Mapping | Sequence, step: str, path: Path, override: Override
) -> tuple[str | int, Node | None]:
    """What one step of the key leads to; an item of a list must be there."""
    if isinstance(node, Mapping):
        return step, node.entries.get(step)
    index = list_index(step)
    if index is None or not 0 <= index < len(node.items):
        shown, count = show_path(path), len(node.items)
        what = f"'{shown}' is a list of {count}, and has no item '{step}'"
        advice = f"items count from 0, up to {count - 1}" if count else "the list is empty"
        if path == ("evaluation", "tasks") and count:
            advice += "; a task's name stands for its index where one task alone has it"
        raise _CannotError(BadOverride(what=what, advice=advice, location=override.location))
    return index, node.items[index]


def _set(node: Mapping | Sequence, name: str | int, value: Node, override: Override) -> None:
    if isinstance(node, Sequence):
        assert isinstance(name, int)
        node.items[name] = following(value, node.items[name])
        return
    key = str(name)
    if key in node.entries:
        replace_entry(node, key, value, override.key_node)
    else:
        put(node, key, value, override.key_node)


def _place(node: Mapping | Sequence, name: str | int, child: Node) -> None:
    if isinstance(node, Mapping):
        node.entries[str(name)] = child
    else:
        assert isinstance(name, int)
        node.items[name] = child


def _own(node: Mapping | Sequence, name: str | int) -> Mapping | Sequence:
    """Replace a mapping or list by a copy, which can be changed."""
    child = node.entries[str(name)] if isinstance(node, Mapping) else node.items[int(name)]
    own: Mapping | Sequence
    if isinstance(child, Mapping):
        own = shallow(child)
    else:
        assert isinstance(child, Sequence)
        own = shallow(child)
    _place(node, name, own)
    return own


def _refuse(override: Override, missing: Path, node: Node, key_node: Scalar | None = None) -> None:
    near = tuple(node.entries) if isinstance(node, Mapping) else ()
    raise _CannotError(
        CannotOverride(
            key=override.key,
            missing=show_path(missing),
            near=near,
            text=override.text,
            location=(key_node or override.key_node).location,
        )
    )


def _check_known(root: Mapping, old: Mapping, new: Mapping, path: Path, override: Override) -> None:
    """Refuse keys of a mapping that are not in the mapping which it is merged into."""
    for key, value in new.entries.items():
        here = (*path, key)
        child = old.entries.get(key)
        if child is None:
            _refuse(override, here, old, new.keys[key])
        if isinstance(child, Scalar) and is_reference(child):
            found = Resolver(root, lambda _: False).container(child, here)
            child = found.value if found and isinstance(found.value, Mapping) else child
        if isinstance(child, Mapping) and isinstance(value, Mapping):
            _check_known(root, child, value, here, override)


# --- deleting -------------------------------------------------------------------------------------


def _delete(root: Mapping, override: Override) -> None:
    found = _select(root, override.key, override)
    if found is None or found.value is None:
        _cannot_delete(override, "it has no value" if found else "there is no such key")
    if override.value is not None:
        actual = _plain(root, found)
        if override.value.plain() != actual:
            _cannot_delete(override, f"its value is {actual!r}")
    above, _, last = override.key.rpartition(".")
    parent = _select(root, above, override) if above else Found(root, ())
    assert parent is not None
    if not isinstance(parent.value, Mapping):
        _cannot_delete(override, "an item of a list can't be deleted")
    if walk(root, parent.path or ()) is not parent.value:
        _cannot_delete(override, "an expression makes it")
    node: Mapping | Sequence = root
    for step in parent.path or ():
        node = _own(node, step)
    assert isinstance(node, Mapping)
    del node.entries[last]
    del node.keys[last]


def _cannot_delete(override: Override, why: str) -> NoReturn:
    raise _CannotError(CannotDelete(key=override.key, why=why, location=override.location))


def _plain(root: Mapping, found: Found) -> object:
    if not isinstance(found.value, Mapping | Sequence):
        return found.value
    assert found.path is not None
    return filled(Resolver(root, lambda _: False), found.value, found.path).plain()


def _select(root: Mapping, key: str, override: Override) -> Found | None:
    """What a key leads to, references followed; None when it leads nowhere."""
    resolver = Resolver(root, lambda _: False)
    try:
        return resolver.look_up(key, Site(override.key_node, (), key))
    except LookupFailedError as error:
        # What is ??? is there, without a value.
        return Found(None) if isinstance(error.problem, MissingReference) else None
    except FailedError as error:
        resolver.report(error.problem)
        raise _CannotError(*resolver.problems) from None
