"""The pipeline from a config to a bundle, and the questions that people ask of it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from evalc import config as configs
from evalc.errors import ConfigError, Problem, Source, UsageError
from evalc.resources import read_schema
from evalc.source import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalc.bundle import Bundle
    from evalc.config import Config, Matrix
    from evalc.config.explaining import Explanation
    from evalc.config.migrating import Migrated
    from evalc.plan import Plan
    from evalc.plan.lower import Lowered


@dataclass(frozen=True)
class Request:
    """What to compile: a config file, ``-o`` overrides, ``-t`` tasks and folders of groups."""

    config: Path
    overrides: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    config_dirs: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The config's name: its file's, without the ending."""
        return self.config.stem


@dataclass(frozen=True)
class Compiled:
    """A bundle in memory, the plan that it was made of, and what was worth a warning."""

    name: str
    plan: Plan
    bundle: Bundle
    warnings: tuple[Problem, ...]


def compile(request: Request) -> Compiled:  # noqa: A001 - it is what a compiler does
    """Compile a config. Touches no network and no environment; writes nothing.

    Raises :class:`~evalc.errors.ConfigError` with every problem, and
    :class:`~evalc.errors.UsageError` when a file that the command line names can't be read.
    """
    from evalc.backends import registry
    from evalc.bundle.build import build
    from evalc.emit.quoting import Refused
    from evalc.plan.problems import CannotCarry

    config, plan, warnings = _plan(request)
    backend = registry.get(plan.backend)
    try:
        with registry.blaming(plan.backend, "emit"):
            emission = backend.emit(plan)
    except Refused as refused:
        places = (cell.origin.find(refused.value) for cell in plan.cells)
        key, at = next(filter(None, places), ("", plan.origin.at()))
        raise ConfigError([CannotCarry(why=refused.why, key=key, location=at)]) from None
    bundle = build(plan, emission, _composed_text(config), _inputs(request, config))
    return Compiled(request.name, plan, bundle, warnings)


def check(request: Request) -> list[Problem]:
    """Every problem of a config, errors and warnings, sorted by place.

    Raises only :class:`~evalc.errors.UsageError`.
    """
    try:
        return list(compile(request).warnings)
    except ConfigError as error:
        return list(error.problems)


def _plan(request: Request) -> tuple[Config | Matrix, Plan, tuple[Problem, ...]]:
    _check_name(request.name)
    config = _load(request)
    if isinstance(config, configs.Matrix):
        plan, problems = _plan_of_cells(request, config)
    else:
        lowered, problems = _lowered(request, config)
        plan = lowered.plan if lowered else None
    if plan is None or _has_error(problems):
        raise ConfigError(dict.fromkeys(problems))
    return config, plan, ConfigError(problems).problems


def _lowered(
    request: Request, config: Config, cell: str = ""
) -> tuple[Lowered | None, list[Problem]]:
    """What a config, or a cell of a matrix, is lowered to, and every problem of it; without a plan
    where the config is wrong."""
    from evalc.plan.lower import lower

    if _has_error(config.problems):
        return None, [*config.problems, *_found_later(request, config, cell)]
    lowered = lower(
        config.meant,
        name=request.name,
        base=str(request.config.parent),
        selected=request.tasks,
        cell=cell,
    )
    found = _unreadable_commands(lowered)
    if _has_error(lowered.problems):
        from evalc.config.silence import causes

        # The plan has gaps, with which a backend may not cope.
        with suppress(Exception):
            found += _found_by_backend(lowered)
        found = list(causes(config.root, lowered.problems, found))
    else:
        found += _found_by_backend(lowered)
    return lowered, [*config.problems, *lowered.problems, *found]


def _plan_of_cells(request: Request, matrix: Matrix) -> tuple[Plan | None, list[Problem]]:
    """The plan of all cells, and what is wrong with any; the same in several is told once."""
    from evalc.backends import registry
    from evalc.plan import cells
    from evalc.plan.selecting import unknown_selections

    found: list[tuple[str, Lowered]] = []
    of_cells = []
    for cell in matrix.cells:
        lowered, own = _lowered(request, cell.config, cell.name)
        of_cells.append(list(dict.fromkeys(own)))
        if lowered:
            found.append((cell.name, lowered))
    problems = [*matrix.problems, *_of_any(of_cells, matrix)]
    if len(found) == len(matrix.cells):
        names = frozenset().union(*(lowered.selectable for _, lowered in found))
        problems += unknown_selections(request.tasks, names)
    problems = list(dict.fromkeys(problems))
    if _has_error(problems):
        return None, problems
    # Of a cell none of whose tasks is picked there is nothing to run.
    parts = [
        cells.in_cell(lowered.plan, name) for name, lowered in found if any(lowered.plan.steps)
    ]
    backend = registry.get(parts[0].backend)
    problems += cells.check(parts, getattr(backend, "job_keys", frozenset()))
    return None if _has_error(problems) else cells.joined(parts), problems


def _of_any(of_cells: list[list[Problem]], matrix: Matrix) -> Iterator[Problem]:
    """The problems of all cells. What several cells have in common, and is of use in one of them,
    is not without effect."""
    block = matrix.unresolved.entries["matrix"].location
    for problem in (problem for own in of_cells for problem in own):
        at = problem.location
        is_common = not (
            at and at.source is block.source and block.line <= at.line <= block.end_line
        )
        if problem.code != "no-effect" or not is_common or all(problem in own for own in of_cells):
            yield problem


def _has_error(problems: Iterable[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def _found_later(request: Request, config: Config, cell: str) -> list[Problem]:
    """What the later steps complain about in the parts of a wrong config that are right."""
    from evalc.config.silence import causes, has_stand_in, silenced
    from evalc.plan.lower import lower

    root = silenced(config.meant, config.problems)
    found: list[Problem] = []
    # What can't cope with a stand-in has nothing to add: the config is wrong as it is.
    with suppress(Exception):
        base = str(request.config.parent)
        lowered = lower(root, name=request.name, base=base, selected=request.tasks, cell=cell)
        found += lowered.problems
        found += _unreadable_commands(lowered)
        # What a backend says of a plan depends on how it is to be executed.
        if not has_stand_in(root.get("execution")):
            found += _found_by_backend(lowered)
    return list(dict.fromkeys(causes(root, config.problems, found)))


def _unreadable_commands(lowered: Lowered) -> list[Problem]:
    from evalc.plan.commands import unreadable_commands

    return unreadable_commands(lowered.plan, lowered.left_out)


def _found_by_backend(lowered: Lowered) -> list[Problem]:
    from evalc.backends import registry

    plan = lowered.plan
    # Where no task could be lowered there is nothing to ask of a plan.
    if not any(job.steps for job in plan.jobs):
        return []
    with registry.blaming(plan.backend, "check"):
        return list(registry.get(plan.backend).check(plan))


def _load(request: Request, source: Source | None = None) -> Config | Matrix:
    for override in request.overrides:
        try:
            override.encode()
        except UnicodeEncodeError:
            raise UsageError(f"-o {override!r} holds a byte that is not UTF-8") from None
    return configs.load(
        source or read_file(request.config),
        overrides=request.overrides,
        config_dirs=request.config_dirs,
        schema=_schema_for,
        added=_added_groups,
    )


def _added_groups() -> list[tuple[str, Path]]:
    from evalc.backends import registry

    return registry.group_folders()


def _check_name(name: str) -> None:
    if not name.isprintable():
        raise UsageError(
            f"the config's file name {name!r} holds a character that no script can show"
        )


@cache
def _schema_for(kind: str) -> dict[str, Any]:
    """The schema of configs, with ``execution`` as the backend ``kind`` has it.

    With every backend's when there is none of that name, so that the message can list them.
    """
    from evalc.backends import registry
    from evalc.config.checking.schema import config_schema

    try:
        backend = registry.get(kind)
        # A schema that can't be put into one is its backend's fault too.
        with registry.blaming(kind, "execution_schema"):
            return config_schema({kind: backend.execution_schema()})
    except registry.UnknownBackend:
        found = registry.working()
        return config_schema({name: found[name].execution_schema() for name in found})
    except registry.BrokenBackend as error:
        raise UsageError(str(error), "mend or uninstall that package") from None


def _composed_text(config: Config | Matrix) -> str:
    from evalc.emit import yamltext

    header = (
        "# The config that this bundle was compiled from: all its parts put together, "
        "references kept.\n"
    )
    return yamltext.dump(config.unresolved.plain(), header=header)


def _inputs(request: Request, config: Config | Matrix) -> Any:
    from evalc.bundle.build import Inputs

    files = {
        (PurePath(source.name).name, hashlib.sha256(source.text.encode()).hexdigest())
        for source in config.sources
        if source.kind == "file"
    }
    return Inputs(tuple(sorted(files)), request.overrides, request.tasks)


# Explaining


def explain(request: Request, key: str, cells: tuple[str, ...] = ()) -> tuple[Explanation, ...]:
    """How the value of ``key`` (``evaluation.tasks[0].name``) came to be: see
    :func:`evalc.config.explaining.explained`.

    Works for configs that are not valid, as long as they can be composed.
    """
    from evalc.config.explaining import explained

    return explained(_load(request), key, cells)


# Migrating


def migrate(request: Request) -> Migrated:
    """The config's own file in the current form.

    Raises :class:`~evalc.errors.ConfigError` when the config can't be composed, and
    :class:`~evalc.errors.UsageError` when a file can't be read.
    """
    from evalc.config.migrating import migrate as migrate_text

    source = read_file(request.config)

    def load(text: str) -> Config | Matrix:
        return _load(request, Source(source.name, text, "file", source.directory))

    def compose(text: str) -> Any:
        config = load(text)
        if isinstance(config, configs.Matrix):
            return {cell.name: cell.config.root.plain() for cell in config.cells}
        return config.root.plain()

    config = load(source.text)
    first = config.cells[0].config if isinstance(config, configs.Matrix) else config
    execution = first.root.plain().get("execution") or {}
    return migrate_text(source.text, str(execution.get("type", "local")), compose)


# Schemas


def schema(kind: str) -> dict[str, Any]:
    """The published JSON Schema: ``config`` (for editors), ``plan`` or ``manifest``."""
    if kind == "config":
        from evalc.backends import registry
        from evalc.config.checking.schema import editor_schema

        found = registry.working()
        return editor_schema({name: found[name].execution_schema() for name in found})
    return read_schema(kind)


__all__ = [
    "Compiled",
    "ConfigError",
    "Problem",
    "Request",
    "Source",
    "check",
    "compile",
    "explain",
    "migrate",
    "schema",
]
