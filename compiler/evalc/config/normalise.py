"""Both generations of keys -> the canonical one, here and nowhere else.

A table says which older key means which newer one. Values keep their nodes, so ``evalc explain``
and error messages point to what the user wrote, under the key that the user used.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from evalc.config.composing.repository import no_folders
from evalc.errors import Problem
from evalc.source import Mapping, Scalar, Sequence, parse, read_file
from evalc.source.nodes import MARK, empty_mapping, scalar_text, show_path, walk
from evalc.words import Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path as FilePath

    from evalc.config.composing.repository import Added
    from evalc.errors import Location
    from evalc.source import Node, Path, Value
    from evalc.words import Part, Word


class ConflictingKeys(Problem):
    """An older and a newer key that say different things. ``first`` is where the newer one is."""

    code: ClassVar[str] = "conflicting-keys"
    older: str
    newer: str
    first: Location

    @property
    def message(self) -> str:
        return f"'{self.older}' and '{self.newer}' mean the same, and have different values"

    @property
    def label(self) -> str:
        here = self.location is not None and self.location.source is self.first.source
        return (
            f"keep one: the other is {f'on line {self.first.line}' if here else f'at {self.first}'}"
        )


class BadWords(Problem):
    """A text that can't be split into words as a shell splits them."""

    code: ClassVar[str] = "bad-words"
    key: str
    why: str

    @property
    def message(self) -> str:
        return f"{self.key} can't be split into words: {self.why}"


class BadMount(Problem):
    """An item of ``container_mounts`` that does not say what is mounted where."""

    code: ClassVar[str] = "bad-mount"
    key: str

    @property
    def message(self) -> str:
        return f"{self.key} must be HOST_PATH:CONTAINER_PATH, and be known when it is compiled"


# What an older value is in the newer form; None when it has the wrong type, which is left where it
# is for the schema to report.
Convert: TypeAlias = "Callable[[Path, Node, list[Problem]], Node | None]"


@dataclass(frozen=True)
class _Alias:
    """An older key and what it means.

    Paths may hold ``*``, for every key or item; those of ``new`` are the same as those of ``old``,
    in order. ``gives_way``: where the newer key is there too, it wins in silence. ``backend``: the
    only ``execution.type`` that has these keys; another one may mean something else by them.
    """

    old: tuple[str, ...]
    new: tuple[tuple[tuple[str, ...], Convert], ...]
    gives_way: bool = False
    backend: str = ""


def normalise(root: Mapping) -> tuple[Mapping, list[Problem]]:
    """The config with canonical keys alone, and what is contradictory in it.

    ``root`` is composed and its references are resolved; it is not changed. What has the wrong type
    stays as it is: validate the result.
    """
    problems: list[Problem] = []
    edit = _Edit(root)
    kind = walk(root, ("execution", "type"))
    backend = kind.plain() if kind is not None else None
    for alias in _ALIASES:
        if alias.backend not in ("", backend):
            continue
        for path in list(_matches(edit.root, alias.old, ())):
            _apply(edit, alias, path, problems)
    # What one older key puts into two places is reported once.
    return edit.root, list(dict.fromkeys(problems))


def with_defaults(root: Mapping, builtin: FilePath, added: Added = no_folders) -> Mapping:
    """The config with the defaults of its ``execution.type`` and ``deployment.type`` underneath,
    and those of each auxiliary deployment's type.

    For configs that name no parts in a defaults list. ``builtin`` is a folder of groups
    (``execution/local.yaml``); where it lacks a type, the folders of ``added`` are searched. Only
    keys that are missing are added, and their nodes say that they come from there. No ``execution``
    means the type local, no ``deployment`` the type none. References are not resolved yet, neither
    in ``root`` nor in what is added.
    """
    for group, usual in (("execution", "local"), ("deployment", "none")):
        block = root.get(group)
        if block is None or (isinstance(block, Scalar) and block.value is None):
            block = empty_mapping(root.source)
        if isinstance(block, Mapping):
            kind = block.get("type")
            name = usual if kind is None else kind.plain()
            defaults = _group(builtin, added, group, name) if isinstance(name, str) else None
            if defaults is not None:
                key = root.keys.get(group)
                root = _with(root, group, key, _underlaid(block, defaults))
    auxiliary = root.get("auxiliary_deployments")
    if isinstance(auxiliary, Mapping):
        key = root.keys["auxiliary_deployments"]
        root = _with(root, "auxiliary_deployments", key, _with_auxiliary(auxiliary, builtin, added))
    return root


def _with_auxiliary(block: Mapping, builtin: FilePath, added: Added) -> Mapping:
    """The block ``auxiliary_deployments`` with the defaults of each entry's type underneath.

    Values that come from a built-in group (``deployment/vllm@auxiliary_deployments.judge``) refer
    to the entry too, and not to ``deployment``, as they would in Hydra: a judge would be started
    with the model's command.
    """
    result = _copy(block)
    for name, entry in block.entries.items():
        if isinstance(entry, Mapping):
            entry = result.entries[name] = _at_home(entry, f"auxiliary_deployments.{name}")  # noqa: PLW2901
        kind = entry.get("type") if isinstance(entry, Mapping) else None
        text = kind.plain() if kind is not None else None
        defaults = _group(builtin, added, "deployment", text) if isinstance(text, str) else None
        if defaults is not None:
            assert isinstance(entry, Mapping)
            own = _referring_to(defaults, f"auxiliary_deployments.{name}")
            assert isinstance(own, Mapping)
            result.entries[name] = _underlaid(entry, own)
    return result


def _at_home(entry: Mapping, block: str) -> Mapping:
    """``entry`` with its built-in values referring into ``block``; shared where nothing does."""
    built_in = {
        key: _referring_to(value, block)
        for key, value in entry.entries.items()
        if value.source.kind == "builtin"
    }
    if not built_in:
        return entry
    result = _copy(entry)
    result.entries.update(built_in)
    return result


_OF_DEPLOYMENT = re.compile(r"(?<=[{:])deployment\.")


def _referring_to(node: Node, block: str) -> Node:
    """A copy of a deployment's defaults whose references lead into ``block`` instead."""
    if isinstance(node, Mapping):
        result = _copy(node)
        result.entries.update({k: _referring_to(v, block) for k, v in node.entries.items()})
        return result
    if isinstance(node, Sequence):
        items = [_referring_to(item, block) for item in node.items]
        return Sequence(node.source, node.start, node.end, items)
    if isinstance(node, Scalar) and isinstance(node.value, str) and "${" in node.value:
        text = _OF_DEPLOYMENT.sub(lambda _: f"{block}.", node.value)
        made = Scalar(node.source, node.start, node.end, text, text, plain_style=node.plain_style)
        made.previous = node.previous
        return made
    return node


# The table's converters


def _as_is(_path: Path, node: Node, _problems: list[Problem]) -> Node | None:
    return node


def _split(path: Path, node: Node, problems: list[Problem]) -> Node | None:
    """A text as the list of its words, split as a shell splits them and never evaluated."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str | tuple):
        return None
    value = node.value
    parts: Word = (Literal(value),) if isinstance(value, str) else value
    try:
        words = _split_word(parts)
    except ValueError as error:
        why = str(error)[:1].lower() + str(error)[1:]
        problems.append(BadWords(key=show_path(path), why=why, location=node.location))
        words = []
    return _list_like(node, [node.replaced(word) for word in words])


def _split_word(parts: Word) -> list[Value]:
    """``shlex.split`` for text with run-time parts: their values are never split."""
    text = "".join(part.text for part in parts if isinstance(part, Literal))
    # Stands for a run-time part while the text is split: a character that the text does not hold.
    marker = next(c for c in map(chr, range(0xE000, 0xF8FF)) if c not in text)
    run_time = iter([part for part in parts if not isinstance(part, Literal)])
    shown = "".join(p.text if isinstance(p, Literal) else marker for p in parts)
    words: list[Value] = []
    for word in shlex.split(shown):
        if marker not in word:
            words.append(word)
            continue
        pieces: list[Part] = []
        for index, literal in enumerate(word.split(marker)):
            if index:
                pieces.append(next(run_time))
            if literal:
                pieces.append(Literal(literal))
        words.append(tuple(pieces))
    return words


def _texts(_path: Path, node: Node, _problems: list[Problem]) -> Node | None:
    """A list of words in which numbers are the text that was written."""
    if not isinstance(node, Sequence):
        return None
    items = [
        item.replaced(scalar_text(item))
        if isinstance(item, Scalar)
        and isinstance(item.value, int | float)
        and not isinstance(item.value, bool)
        else item
        for item in node.items
    ]
    return _list_like(node, items)


def _mounts(path: Path, node: Node, problems: list[Problem]) -> Node | None:
    """A list of ``SOURCE:TARGET[:FLAGS]`` as a mapping of sources."""
    if not isinstance(node, Sequence) or not all(isinstance(i, Scalar) for i in node.items):
        return None
    result = _emptied(node)
    for index, item in enumerate(node.items):
        assert isinstance(item, Scalar)
        text = item.value if isinstance(item.value, str) else ""
        source, colon, target = text.partition(":")
        if source and colon and target:
            result.entries[source] = item.replaced(target)
            result.keys[source] = item.replaced(source)
        else:
            key = show_path((*path, index))
            problems.append(BadMount(key=key, location=item.location))
    return result


def _older_config(path: Path, node: Node, problems: list[Problem]) -> Node | None:
    """``config`` was a name of the whole block, and of its part ``config``."""
    if not isinstance(node, Mapping):
        return None
    result = _Edit(_emptied(node))
    for name, value in node.entries.items():
        of_part = name in ("params", "output_dir", "type", "supported_endpoint_types")
        to = ("config", name) if of_part else (name,)
        _settle(result, to, node.keys[name], value, _Dispute((*path, name), False, problems))
    return result.root


def _expanded(path: Path, node: Node, problems: list[Problem]) -> Node | None:
    """A mapping whose dotted keys (``config.params.top_p``) are nested ones."""
    if not isinstance(node, Mapping):
        return None
    result = _Edit(_emptied(node))
    for name, value in node.entries.items():
        here = (*path, name)
        inner = _expanded(here, value, problems) if isinstance(value, Mapping) else value
        if inner is not None:
            to = tuple(name.split("."))
            _settle(result, to, node.keys[name], inner, _Dispute(here, False, problems))
    return result.root


def _variables_of(part: str) -> Convert:
    """What an ``execution.env_vars``, flat or in blocks, holds for ``part``."""

    def convert(_path: Path, node: Node, _problems: list[Problem]) -> Node | None:
        if not isinstance(node, Mapping):
            return None
        result = _emptied(node)
        block = node.get(part)
        if isinstance(block, Mapping):
            result.entries.update(block.entries)
            result.keys.update(block.keys)
        for name, value in node.entries.items():
            is_block = name in _ENV_BLOCKS and (
                isinstance(value, Mapping) or (isinstance(value, Scalar) and value.value is None)
            )
            if not is_block and part != "export" and name not in result.entries:
                result.entries[name] = value
                result.keys[name] = node.keys[name]
        return result

    return convert


def _workspace_secrets(_path: Path, node: Node, _problems: list[Problem]) -> Node | None:
    """``NAME: {value_from: {secret_name_ref: SECRET}}`` as ``NAME: runtime:SECRET``, also in blocks
    of such variables."""
    if not isinstance(node, Mapping):
        return None
    result = _copy(node)
    for name, value in node.entries.items():
        secret = walk(value, ("value_from", "secret_name_ref"))
        if isinstance(secret, Scalar) and isinstance(secret.value, str):
            result.entries[name] = secret.replaced(f"runtime:{secret.value}")
        elif name in _ENV_BLOCKS and isinstance(value, Mapping):
            inner = _workspace_secrets(_path, value, _problems)
            assert inner is not None
            result.entries[name] = inner
    return result


def _names_of_secrets(_path: Path, node: Node, _problems: list[Problem]) -> Node | None:
    """A list of names as variables that have the secrets of those names."""
    if not isinstance(node, Sequence):
        return None
    result = _emptied(node)
    for item in node.items:
        if not isinstance(item, Scalar) or not isinstance(item.value, str):
            return None
        result.entries[item.value] = item.replaced(f"host:{item.value}")
        result.keys[item.value] = item
    return result


def _volume(_path: Path, node: Node, _problems: list[Problem]) -> Node | None:
    """``{enabled, cache_path, mount_path}`` as a list of mounts."""
    if not isinstance(node, Mapping):
        return node
    enabled = node.get("enabled")
    if enabled is not None and enabled.plain() is False:
        return _list_like(node, [])
    mount = _emptied(node)
    for old, new in (("cache_path", "path"), ("mount_path", "mount_path")):
        value = node.get(old)
        if value is not None:
            mount.entries[new] = value
            mount.keys[new] = node.keys[old]
    unknown = node.entries.keys() - {"enabled", "cache_path", "mount_path"}
    return None if unknown else _list_like(node, [mount])


_ENV_BLOCKS = ("deployment", "evaluation", "export")
_PLATFORM = ("execution", "lepton_platform")
_ENDPOINT = ("deployment", "lepton_config")
_LEPTON_ALIASES = (
    *(
        _Alias(path, ((path, _workspace_secrets),), backend="lepton")
        for path in (("execution", "env_vars"), (*_PLATFORM, "tasks", "env_vars"))
    ),
    _Alias(
        (*_ENDPOINT, "envs"),
        ((("deployment", "env_vars"), _workspace_secrets),),
        gives_way=True,
        backend="lepton",
    ),
    _Alias((*_ENDPOINT, "mounts"), (((*_ENDPOINT, "mounts"), _volume),), backend="lepton"),
    _Alias(
        ("execution", "env_var_names"),
        ((("evaluation", "env_vars"), _names_of_secrets),),
        gives_way=True,
        backend="lepton",
    ),
    _Alias(
        ("execution", "resource_shape"),
        ((("execution", "evaluation_tasks", "resource_shape"), _as_is),),
        backend="lepton",
    ),
    _Alias(
        ("execution", "num_replicas"),
        tuple(((*_ENDPOINT, f"{end}_replicas"), _as_is) for end in ("min", "max")),
        backend="lepton",
    ),
    _Alias(
        (*_PLATFORM, "deployment", "endpoint_readiness_timeout"),
        ((("execution", "endpoint_readiness_timeout"), _as_is),),
        backend="lepton",
    ),
)
_SETTINGS = "nemo_evaluator_config"
_ALIASES = (
    *_LEPTON_ALIASES,
    _Alias(("execution", "docker_args"), ((("execution", "docker_args"), _texts),)),
    _Alias(("execution", "extra_docker_args"), ((("execution", "docker_args"), _split),)),
    _Alias(
        ("execution", "env_vars"),
        tuple(
            ((part, "env_vars"), _variables_of(part))
            for part in ("deployment", "evaluation", "export")
        ),
        gives_way=True,
    ),
    _Alias(("execution", "num_nodes"), ((("execution", "nodes"), _as_is),), backend="slurm"),
    _Alias(("execution", "sbatch_comment"), ((("execution", "comment"), _as_is),), backend="slurm"),
    _Alias(
        ("execution", "container_mounts"),
        tuple((("execution", "mounts", part), _mounts) for part in ("deployment", "evaluation")),
        backend="slurm",
    ),
    *(
        # It is a part that 'command' is made of, and is run by itself where there is no 'command'.
        _Alias((*of, "base_command"), (((*of, "command"), _as_is),), gives_way=True)
        for of in (("deployment",), ("auxiliary_deployments", "*"))
    ),
    *(
        alias
        for of in (("evaluation",), ("evaluation", "tasks", "*"))
        for alias in (
            _Alias((*of, "config"), (((*of, _SETTINGS), _older_config),)),
            _Alias((*of, "overrides"), (((*of, _SETTINGS), _expanded),)),
            _Alias(
                (*of, _SETTINGS, "target", "api_endpoint", "api_key"),
                (((*of, _SETTINGS, "target", "api_endpoint", "api_key_name"), _as_is),),
            ),
        )
    ),
    _Alias(("execution", "auto_export", "configs"), ((("export",), _as_is),)),
    *(
        _Alias(
            ("export", exporter, f"log_{what}"), ((("export", exporter, f"copy_{what}"), _as_is),)
        )
        for exporter in ("local", "wandb", "mlflow", "gsheets")
        for what in ("logs", "artifacts")
    ),
)


# How the table is applied


def _matches(node: Node | None, pattern: tuple[str, ...], done: Path) -> Iterator[Path]:
    """The paths below ``node`` that exist and that ``pattern`` means."""
    if not pattern:
        yield done
    elif isinstance(node, Mapping):
        for step in list(node.entries) if pattern[0] == "*" else [pattern[0]]:
            if step in node.entries:
                yield from _matches(node.entries[step], pattern[1:], (*done, step))
    elif isinstance(node, Sequence) and pattern[0] == "*":
        for index, item in enumerate(node.items):
            yield from _matches(item, pattern[1:], (*done, index))


def _apply(edit: _Edit, alias: _Alias, path: Path, problems: list[Problem]) -> None:
    node = walk(edit.root, path)
    assert node is not None
    if isinstance(node, Scalar) and node.value is None:
        if all(new != alias.old for new, _ in alias.new):
            edit.pop(path)
        return
    converted = [(new, convert(path, node, problems)) for new, convert in alias.new]
    if any(value is None for _, value in converted):
        return
    key, _ = edit.pop(path)
    stars = [step for step, want in zip(path, alias.old, strict=True) if want == "*"]
    for new, value in converted:
        assert value is not None
        rest = iter(stars)
        to = tuple(next(rest) if step == "*" else step for step in new)
        if to == path or not (isinstance(value, Mapping) and not value.entries):
            _settle(edit, to, key, value, _Dispute(path, alias.gives_way, problems))


@dataclass(frozen=True)
class _Dispute:
    """How to settle that a newer key is there already: ``old`` is the older key's path."""

    old: Path
    gives_way: bool
    problems: list[Problem]


def _settle(edit: _Edit, to: Path, key: Scalar, value: Node, dispute: _Dispute) -> None:
    """Put ``value`` at ``to``, beside or instead of what is there."""
    to, there = _obstacle(edit.root, to)
    if there is None or _is_nothing(there):
        edit.put(to, key, value)
    elif isinstance(there, Mapping) and isinstance(value, Mapping):
        for step, inner in value.entries.items():
            if not (dispute.gives_way and step in there.entries):
                _settle(edit, (*to, step), value.keys[step], inner, dispute)
    elif dispute.gives_way or value.source.kind == "builtin" or _is_nothing(value):
        return
    elif there.source.kind == "builtin":
        # Also where evalc's own refers to the older key: what is wrong with it stands there.
        edit.put(to, key, value)
    elif there.plain() != value.plain():
        conflict = ConflictingKeys(
            older=show_path(dispute.old),
            newer=show_path(to),
            first=there.location,
            location=key.location,
        )
        dispute.problems.append(conflict)


def _obstacle(root: Mapping, to: Path) -> tuple[Path, Node | None]:
    """What is at ``to``, or the value that stands where a mapping on the way should be."""
    for length in range(1, len(to)):
        there = walk(root, to[:length])
        if there is None or (isinstance(there, Scalar) and there.value is None):
            return to, None
        if isinstance(there, Scalar) or (
            isinstance(there, Sequence) and not isinstance(to[length], int)
        ):
            return to[:length], there
    return to, walk(root, to)


def _is_nothing(node: Node) -> bool:
    """Whether a value leaves the place to another: null, not given yet, wrong, or an empty list."""
    if isinstance(node, Scalar):
        return node.value in (None, "???", MARK)
    return isinstance(node, Sequence) and not node.items


class _Edit:
    """A tree to change. The original stays: mappings and lists are copied before a first change."""

    def __init__(self, root: Mapping) -> None:
        self.root = root
        # The copies by identity; held here, so that no identity is used again.
        self.copies: dict[int, Node] = {}

    def put(self, path: Path, key: Scalar, value: Node) -> None:
        """Set ``path``, making mappings that lack on the way. ``key`` is where it was written."""
        above = self._own(path[:-1], key)
        name = str(path[-1])
        above.entries[name] = value
        above.keys[name] = key if key.value == name else key.replaced(name)

    def pop(self, path: Path) -> tuple[Scalar, Node]:
        """Take the key at ``path`` out."""
        above = self._own(path[:-1], None)
        name = str(path[-1])
        return above.keys.pop(name), above.entries.pop(name)

    def _own(self, path: Path, key: Scalar | None) -> Mapping:
        """The mapping at ``path``, as a copy that may be changed."""
        root = self._copied(self.root)
        assert isinstance(root, Mapping)
        self.root = root
        node: Node = root
        for step in path:
            if isinstance(node, Sequence):
                assert isinstance(step, int)
                node.items[step] = self._copied(node.items[step])
                node = node.items[step]
                continue
            assert isinstance(node, Mapping)
            name = str(step)
            inner = node.entries.get(name)
            if not isinstance(inner, Mapping | Sequence):
                assert key is not None
                inner = _emptied(key)
                node.keys[name] = key.replaced(name)
            node.entries[name] = self._copied(inner)
            node = node.entries[name]
        assert isinstance(node, Mapping)
        return node

    def _copied(self, node: Node) -> Node:
        if id(node) in self.copies:
            return node
        copy: Node = node
        if isinstance(node, Mapping):
            copy = _copy(node)
        elif isinstance(node, Sequence):
            copy = _list_like(node, list(node.items))
        self.copies[id(copy)] = copy
        return copy


def _copy(node: Mapping) -> Mapping:
    copy = Mapping(node.source, node.start, node.end, dict(node.entries), dict(node.keys))
    copy.previous = node.previous
    return copy


def _emptied(node: Node) -> Mapping:
    return Mapping(node.source, node.start, node.end, {}, {})


def _list_like(node: Node, items: list[Node]) -> Sequence:
    """A list at the place of ``node``; one made from something else has it as its history."""
    made = Sequence(node.source, node.start, node.end, items)
    made.previous = node.previous if isinstance(node, Sequence) else node
    return made


def _with(root: Mapping, name: str, key: Scalar | None, value: Mapping) -> Mapping:
    result = _copy(root)
    result.entries[name] = value
    result.keys[name] = key or Scalar(
        value.source, value.start, value.start, name, name, plain_style=True
    )
    return result


def _underlaid(over: Mapping, under: Mapping) -> Mapping:
    """``over`` with the keys of ``under`` that it lacks, deeply."""
    if not over.entries:
        return under
    result = _copy(over)
    for name, value in under.entries.items():
        own = result.entries.get(name)
        if own is None:
            result.entries[name] = value
            result.keys[name] = under.keys[name]
        elif isinstance(own, Mapping) and isinstance(value, Mapping):
            result.entries[name] = _underlaid(own, value)
    return result


_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _group(builtin: FilePath, added: Added, group: str, name: str) -> Mapping | None:
    """The defaults of a type, read anew for nodes of its own; None when there are none."""
    if not _PLAIN_NAME.fullmatch(name):
        return None
    for shown, folder in _folders(builtin, added):
        for file in (f"{group}/{name}.yaml", f"{group}/{name}/default.yaml"):
            if (folder / file).is_file():
                root = parse(read_file(folder / file, f"<{shown}>/{file}", "builtin"))
                return root if isinstance(root, Mapping) else None
    return None


def _folders(builtin: FilePath, added: Added) -> Iterator[tuple[str, FilePath]]:
    yield "evalc", builtin
    yield from added()
