"""Which older forms a text has, and how each is written now.

An edit is a function from a text to the text that has one form less. Whether that means the same is
not decided here: see :mod:`evalc.config.migrating.migrate`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.config.migrating.text import CannotEdit, Piece, Text, comment_of, quoted
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import show_path, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evalc.source import Path

_SETTINGS = "nemo_evaluator_config"
_EXPORTERS = ("local", "wandb", "mlflow", "gsheets")
# What 'config' held beside the settings' own parts, and is below their part 'config' now.
_OF_CONFIG = ("params", "output_dir", "type", "supported_endpoint_types")
_PARTS = ("deployment", "evaluation", "export")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\{oc\.env:([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True)
class Edit:
    """``old`` is the path of what is older, ``new`` says in words what is written instead."""

    old: Path
    new: str
    apply: Callable[[Text], Text]


def edits(text: Text, backend: str) -> Iterator[Edit]:
    """The edits that a text asks for. ``backend`` is its ``execution.type``."""
    if backend == "slurm":
        yield from _renames(text, ("execution", "num_nodes"), "nodes")
        yield from _renames(text, ("execution", "sbatch_comment"), "comment")
        yield from _container_mounts(text)
    yield from _docker_args(text)
    yield from _execution_env(text)
    for of in (("evaluation",), *_tasks(text)):
        yield from _settings(text, of)
        yield from _overrides(text, of)
        endpoint = (*of, _SETTINGS, "target", "api_endpoint")
        yield from _renames(text, (*endpoint, "api_key"), "api_key_name")
    yield from _exporters(text)
    for block in (("env_vars",), ("evaluation", "env_vars"), *_task_envs(text)):
        yield from _names(text, block, bare=True)
    yield from _names(text, ("deployment", "env_vars"), bare=False)


def _tasks(text: Text) -> Iterator[Path]:
    tasks = walk(text.root, ("evaluation", "tasks"))
    for index in range(len(tasks.items) if isinstance(tasks, Sequence) else 0):
        yield ("evaluation", "tasks", index)


def _task_envs(text: Text) -> Iterator[Path]:
    return ((*task, "env_vars") for task in _tasks(text))


def _renames(text: Text, old: Path, name: str) -> Iterator[Edit]:
    node = walk(text.root, old)
    if node is not None and not (isinstance(node, Scalar) and node.value is None):
        whole = ".".join(str(step) for step in old)
        above = ".".join(str(step) for step in old[:-1])

        def apply(text: Text) -> Text:
            renamed = str(text.rename(old, name))
            return Text(renamed.replace(f"${{{whole}}}", f"${{{above}.{name}}}"))

        yield Edit(old, f"{above}.{name}", apply)


def _docker_args(text: Text) -> Iterator[Edit]:
    old = ("execution", "extra_docker_args")
    node = walk(text.root, old)
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or "${" in node.value:
        return
    try:
        words = shlex.split(node.value)
    except ValueError:
        return
    listed = f"[{', '.join(quoted(word) for word in words)}]"
    yield Edit(
        old,
        "execution.docker_args",
        lambda text: text.set_value(old, listed).rename(old, "docker_args"),
    )


def _container_mounts(text: Text) -> Iterator[Edit]:
    old = ("execution", "container_mounts")
    node = walk(text.root, old)
    items = node.items if isinstance(node, Sequence) else []
    if items and all(isinstance(item, Scalar) and isinstance(item.value, str) for item in items):
        yield Edit(old, "execution.mounts.deployment and execution.mounts.evaluation", _mounts)


def _mounts(text: Text) -> Text:
    old = ("execution", "container_mounts")
    node = walk(text.root, old)
    assert isinstance(node, Sequence)
    kept: list[str] = []
    made = []
    for item in node.items:
        assert isinstance(item, Scalar)
        source, colon, target = str(item.value).partition(":")
        if not (source and colon and target):
            raise CannotEdit
        line = text.lines[item.start.line]
        comment = comment_of(line) if line.lstrip().startswith("- ") else ""
        kept += [comment] if comment else []
        value = f" {quoted(target)}{f'  {comment}' if comment else ''}"
        made.append((source, value, f" {quoted(target)}"))
    for part in ("deployment", "evaluation"):
        for source, first, again in made:
            piece = Piece((), (first if part == "deployment" else again,), 0)
            text = text.add(("execution", "mounts", part, source), piece, before=old)
    return text.remove(old, kept)


def _execution_env(text: Text) -> Iterator[Edit]:
    old = ("execution", "env_vars")
    block = text.mapping(old)
    if block is None:
        return
    moves: list[tuple[Path, Path]] = []
    # What is for a part comes before what is for all: the order of variables is that of scripts.
    for name in _PARTS:
        own = block.get(name)
        keys = own.entries if isinstance(own, Mapping) else {}
        moves += [((*old, name, key), (name, "env_vars", key)) for key in keys]
    for name in block.entries:
        if name not in _PARTS:
            moves += [((*old, name), (to, "env_vars", name)) for to in _PARTS[:2]]
    yield Edit(
        old,
        "deployment.env_vars, evaluation.env_vars and export.env_vars",
        lambda text: _moved(text, moves, old),
    )


def _moved(text: Text, moves: list[tuple[Path, Path]], old: Path) -> Text:
    """Entries put to other places, and what held them taken out."""
    kept: list[str] = []
    taken: set[Path] = set()
    for source, to in moves:
        piece = text.piece(source)
        if source in taken:
            piece = Piece(
                (), (re.sub(r"\s+#.*$", "", piece.value[0]), *piece.value[1:]), piece.column
            )
        taken.add(source)
        above = text.mapping(to[:-1])
        if above is not None and to[-1] in above.entries:
            # The newer place wins, where it says something.
            continue
        kept += [c for line in (*piece.above, *piece.value) if (c := comment_of(line))]
        text = text.add(to, piece, before=old)
    return text.remove(old, kept)


def _settings(text: Text, of: Path) -> Iterator[Edit]:
    old = (*of, "config")
    block = text.mapping(old)
    if block is None or not block.entries:
        return
    new = (*of, _SETTINGS)
    shown = show_path(new)
    if walk(text.root, new) is None and not any(key in _OF_CONFIG for key in block.entries):
        yield Edit(old, shown, lambda text: text.rename(old, _SETTINGS))
        return
    moves: list[tuple[Path, Path]] = []
    for name, node in block.entries.items():
        to = (*new, "config", name) if name in _OF_CONFIG else (*new, name)
        moves += _leaves(text, (*old, name), to, node)
    yield Edit(old, shown, lambda text: _moved_strictly(text, moves, old))


def _leaves(text: Text, old: Path, new: Path, node: object) -> Iterator[tuple[Path, Path]]:
    """The moves that merge what is at ``old`` into what is at ``new``, if anything is."""
    if isinstance(node, Mapping) and isinstance(walk(text.root, new), Mapping) and node.entries:
        for name, inner in node.entries.items():
            yield from _leaves(text, (*old, name), (*new, name), inner)
    else:
        yield old, new


def _moved_strictly(text: Text, moves: list[tuple[Path, Path]], old: Path) -> Text:
    """As :func:`_moved`, but two values for one place are for a person to settle."""
    if any(walk(text.root, to) is not None for _, to in moves):
        raise CannotEdit
    return _moved(text, moves, old)


def _overrides(text: Text, of: Path) -> Iterator[Edit]:
    old = (*of, "overrides")
    block = text.mapping(old)
    if block is None or not block.entries:
        return
    moves = [
        ((*old, name), (*of, _SETTINGS, *name.split("."))) for name, node in block.entries.items()
    ]
    shown = show_path((*of, _SETTINGS))
    yield Edit(old, shown, lambda text: _moved_strictly(text, moves, old))


def _exporters(text: Text) -> Iterator[Edit]:
    old = ("execution", "auto_export", "configs")
    block = text.mapping(old)
    if block is not None and block.entries:
        moves: list[tuple[Path, Path]] = [
            ((*old, name), ("export", name)) for name in block.entries
        ]
        yield Edit(old, "export", lambda text: _moved_strictly(text, moves, old))
    for exporter in _EXPORTERS:
        for what in ("logs", "artifacts"):
            yield from _renames(text, ("export", exporter, f"log_{what}"), f"copy_{what}")


def _names(text: Text, path: Path, *, bare: bool) -> Iterator[Edit]:
    block = text.mapping(path)
    for name, node in block.entries.items() if block else ():
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            continue
        reference = _REFERENCE.fullmatch(node.value)
        if reference or (bare and _NAME.fullmatch(node.value)):
            value = f"host:{reference[1] if reference else node.value}"
            old = (*path, name)

            def apply(text: Text, old: Path = old, value: str = value) -> Text:
                return text.set_value(old, value)

            yield Edit(old, value, apply)
