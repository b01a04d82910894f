"""Config: composed from its parts, validated, and in one canonical form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evalc.errors import Problem, Source
    from evalc.source import Mapping
    from evalc.source import Path as KeyPath

BUILTIN = FilePath(__file__).parent / "builtin"


@dataclass(frozen=True)
class Config:
    """A config, ready for lowering unless ``problems`` has errors.

    ``root`` is resolved and canonical, ``unresolved`` is as composed, with its references;
    ``sources`` are the files that it was composed from. ``variables`` are the keys that only the
    config's own references know; they are still in ``root``, and lowering must not see them.
    """

    root: Mapping
    unresolved: Mapping
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...]
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
) -> Config:
    """Compose, normalise and validate the config of ``primary``.

    ``schema`` gives the schema for a value of ``execution.type``. Raises
    :class:`~evalc.errors.ConfigError` when the config can't be composed at all; what validation
    finds is in the result.
    """
    from evalc.config.checking.schema import is_command
    from evalc.config.checking.secrets_lint import find_secrets
    from evalc.config.checking.validate import validate
    from evalc.config.composing.compose import compose
    from evalc.config.named_tasks import by_index
    from evalc.config.normalise import normalise, with_defaults

    kinds = ["local"]

    def underlay(root: Mapping) -> Mapping:
        """Defaults underneath; what runs it has to be known before references are resolved."""
        whole = with_defaults(root, BUILTIN)
        kinds[0] = _kind(whole) or kinds[0]
        return whole

    composed = compose(
        primary,
        config_dirs=config_dirs,
        overrides=overrides,
        builtin=BUILTIN,
        command_keys=lambda path: is_command(path, lambda: schema(kinds[0])),
        underlay=underlay,
        readdress=by_index,
    )
    root, problems = normalise(composed.root)
    wrong = validate(root, schema(_kind(root) or "local"))
    own: list[KeyPath] = []
    if wrong and composed.referred:
        from evalc.config.variables import variables

        own = variables(wrong, composed.referred)
        wrong = [problem for problem in wrong if getattr(problem, "path", None) not in own]
    problems += wrong
    problems += find_secrets(composed.unresolved)
    return Config(root, composed.unresolved, composed.sources, tuple(problems), tuple(own))
