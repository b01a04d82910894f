"""Config: composed from its parts, validated, and in one canonical form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from evalc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evalc.config.composing.compose import Composed, Composing
    from evalc.config.composing.repository import Added
    from evalc.errors import Problem, Source
    from evalc.source import Mapping
    from evalc.source import Path as KeyPath

BUILTIN = FilePath(__file__).parent / "builtin"


@dataclass(frozen=True)
class Config:
    """A config, ready for lowering unless ``problems`` has errors.

    ``root`` is resolved and canonical, ``unresolved`` is as composed, with its references;
    ``sources`` are the files that it was composed from. Of the problems, ``unfilled`` are those of
    references; ``root`` has stand-ins for their values. ``variables`` are the keys that only the
    config's own references know; they are still in ``root``, and lowering must not see them.
    """

    root: Mapping
    unresolved: Mapping
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...]
    unfilled: tuple[Problem, ...]
    variables: tuple[KeyPath, ...] = ()

    @property
    def meant(self) -> Mapping:
        """``root`` without the variables: what is to be lowered."""
        if not self.variables:
            return self.root
        from evalc.config.variables import without

        return without(self.root, self.variables)


@dataclass(frozen=True)
class Cell:
    """One of the configs that a config with a ``matrix`` stands for."""

    name: str
    config: Config


@dataclass(frozen=True)
class Matrix:
    """A config that stands for several.

    ``unresolved`` and ``sources`` are of all of it, as in a :class:`Config`; ``problems`` are those
    that are no cell's.
    """

    unresolved: Mapping
    sources: tuple[Source, ...]
    cells: tuple[Cell, ...]
    problems: tuple[Problem, ...]


def _kind(root: Mapping) -> str:
    from evalc.source import Scalar
    from evalc.source.nodes import scalar_text, walk

    node = walk(root, ("execution", "type"))
    return scalar_text(node) if isinstance(node, Scalar) else ""


def load(
    primary: Source,
    *,
    overrides: Sequence[str],
    config_dirs: Sequence[FilePath],
    schema: Callable[[str], dict[str, Any]],
    added: Added,
) -> Config | Matrix:
    """Compose, normalise and validate the config of ``primary``, or its cells.

    ``schema`` gives the schema for a value of ``execution.type``, ``added`` the folders of config
    groups that other packages bring, each with the name to show for it. Raises
    :class:`~evalc.errors.ConfigError` when the config can't be composed at all; what validation
    finds is in the result.
    """
    from evalc.config.checking.schema import is_command
    from evalc.config.composing.compose import Composing
    from evalc.config.named_tasks import by_index
    from evalc.config.normalise import with_defaults

    kinds = ["local"]

    def underlay(root: Mapping) -> Mapping:
        """Defaults underneath; what runs it has to be known before references are resolved."""
        whole = with_defaults(root, BUILTIN, added)
        kinds[0] = _kind(whole) or kinds[0]
        return whole

    composing = Composing(
        primary,
        config_dirs=config_dirs,
        overrides=overrides,
        builtin=BUILTIN,
        command_keys=lambda path: is_command(path, lambda: schema(kinds[0])),
        added=added,
        underlay=underlay,
        readdress=by_index,
    )
    merged = _merged(composing)
    if "matrix" in merged.entries:
        return _matrix(composing, merged, schema)
    return _checked(composing.filled(merged), schema)


def _merged(composing: Composing) -> Mapping:
    try:
        return composing.merged()
    except ConfigError:
        # What -o changes may be there in the cells of a matrix alone.
        merged = composing.merged(only="matrix")
        if "matrix" not in merged.entries:
            raise
        return merged


def _matrix(
    composing: Composing, merged: Mapping, schema: Callable[[str], dict[str, Any]]
) -> Matrix:
    from evalc.config.checking.secrets_lint import find_secrets
    from evalc.config.matrix import KEY
    from evalc.config.matrix.composing import Cells

    known = {*schema(_kind(merged) or "local")["properties"], *merged.entries}
    cells = Cells(composing, merged.entries[KEY], known - _OF_ALL_CELLS)
    found = tuple(Cell(one.name, _checked(one.composed, schema)) for one in cells.composed())
    # The bundle quotes what no cell has, too.
    told = {problem.location for cell in found for problem in cell.config.problems}
    secrets = [problem for problem in find_secrets(merged) if problem.location not in told]
    problems = (*cells.problems, *secrets)
    return Matrix(merged, tuple(composing.repository.sources), found, problems)


# What no cell has of its own.
_OF_ALL_CELLS = frozenset(("defaults", "matrix", "name"))


def _checked(composed: Composed, schema: Callable[[str], dict[str, Any]]) -> Config:
    from evalc.config.checking.problems import MissingValue
    from evalc.config.checking.secrets_lint import find_secrets
    from evalc.config.checking.unused import find_unused
    from evalc.config.checking.validate import validate
    from evalc.config.composing.problems import MissingReference
    from evalc.config.normalise import normalise

    filled = composed.root
    if composed.problems:
        from evalc.config.silence import of_known_types

        filled = of_known_types(filled)
    root, problems = normalise(filled)
    found = validate(root, schema(_kind(root) or "local"))
    own: list[KeyPath] = []
    if found and composed.referred:
        from evalc.config.variables import variables

        own = variables(found, composed.referred)
        found = [problem for problem in found if getattr(problem, "path", None) not in own]
    if len(found) > 1:
        from evalc.config.silence import without_echoes, without_other_groups

        found = list(without_other_groups(root, list(without_echoes(found))))
    problems += found
    # What refers to a value that lacks is told with that value, where it can be given.
    asked = {problem.key for problem in found if isinstance(problem, MissingValue)}
    problems += [
        problem
        for problem in composed.problems
        if not (isinstance(problem, MissingReference) and problem.missing in asked)
    ]
    problems += find_secrets(composed.unresolved)
    # A reference that is misspelt is one to a key all the same.
    if not composed.problems:
        problems += find_unused(composed.unresolved)
    return Config(
        root,
        composed.unresolved,
        composed.sources,
        tuple(problems),
        composed.problems,
        tuple(own),
    )
