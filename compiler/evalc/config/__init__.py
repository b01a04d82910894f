"""Config: composed from its parts, validated, and in one canonical form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
) -> Config:
    """Compose, normalise and validate the config of ``primary``.

    ``schema`` gives the schema for a value of ``execution.type``, ``added`` the folders of config
    groups that other packages bring, each with the name to show for it. Raises
    :class:`~evalc.errors.ConfigError` when the config can't be composed at all; what validation
    finds is in the result.
    """
    from evalc.config.checking.problems import MissingValue
    from evalc.config.checking.schema import is_command
    from evalc.config.checking.secrets_lint import find_secrets
    from evalc.config.checking.unused import find_unused
    from evalc.config.checking.validate import validate
    from evalc.config.composing.compose import compose
    from evalc.config.composing.problems import MissingReference
    from evalc.config.named_tasks import by_index
    from evalc.config.normalise import normalise, with_defaults

    kinds = ["local"]

    def underlay(root: Mapping) -> Mapping:
        """Defaults underneath; what runs it has to be known before references are resolved."""
        whole = with_defaults(root, BUILTIN, added)
        kinds[0] = _kind(whole) or kinds[0]
        return whole

    composed = compose(
        primary,
        config_dirs=config_dirs,
        overrides=overrides,
        builtin=BUILTIN,
        command_keys=lambda path: is_command(path, lambda: schema(kinds[0])),
        added=added,
        underlay=underlay,
        readdress=by_index,
    )
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
