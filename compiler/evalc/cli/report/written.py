"""What ``evalc compile`` did, as text and as JSON.

A compiled config is an object with the keys ``config``, ``name``, ``out``, ``outcome``
(``written``, ``replaced`` or ``unchanged``), ``files`` (objects of ``path``, ``bytes`` and
``mode``, octal text), ``needs`` (``engine``, ``images``, ``secrets``, ``runtime_env``, ``tools``),
``run`` (the command, for the bundle's folder), ``warnings`` and, where the backend can tell,
``gpu_hours`` (what each job may cost at worst, by its name; null: no limit). One that failed has
``config``, ``name``, ``outcome`` (``failed``), ``message`` and ``problems``; warnings and problems
are as in ``evalc check --format json``.
"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalc.cli.report import as_json
from evalc.cli.report.as_text import count, visible
from evalc.cli.report.table import columns
from evalc.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from evalc.backends.base import Needs
    from evalc.compiler import Compiled, Request

# A bundle of more lines than this is shown by its top-level folders, of which so many.
TREE_LINES = 40
FOLDERS = 10


@dataclass(frozen=True)
class Written:
    """A bundle that was compiled, without its content. ``files`` are path, size and mode."""

    config: str
    name: str
    out: Path
    outcome: str
    files: tuple[tuple[str, int, int], ...]
    needs: Needs
    run: str
    gpu_hours: Mapping[str, float | None]
    warnings: tuple[Problem, ...]


def summarise(request: Request, compiled: Compiled, out: Path, outcome: str) -> Written:
    """What is told of ``compiled``, which was written to ``out``."""
    bundle = compiled.bundle
    return Written(
        config=str(request.config),
        name=compiled.name,
        out=out,
        outcome=outcome,
        files=tuple((path, len(file.data), file.mode) for path, file in bundle.files.items()),
        needs=bundle.needs,
        run=bundle.run_hint,
        gpu_hours=bundle.gpu_hours,
        warnings=compiled.warnings,
    )


def as_object(result: Written) -> dict[str, Any]:
    """A compiled config as a JSON object; the keys are the module's."""
    needs = result.needs
    return {
        "config": result.config,
        "name": result.name,
        "out": str(result.out),
        "outcome": result.outcome,
        "files": [
            {"path": path, "bytes": size, "mode": f"{mode:04o}"}
            for path, size, mode in result.files
        ],
        "needs": {
            "engine": needs.engine,
            "images": list(needs.images),
            "secrets": list(needs.secrets),
            "runtime_env": list(needs.runtime_env),
            "tools": list(needs.tools),
        },
        "run": result.run,
        **({"gpu_hours": dict(result.gpu_hours)} if result.gpu_hours else {}),
        "warnings": [as_json.as_object(problem) for problem in result.warnings],
    }


def failure_object(request: Request, error: Exception) -> dict[str, Any]:
    """A config that could not be compiled as a JSON object."""
    problems = error.problems if isinstance(error, ConfigError) else ()
    return {
        "config": str(request.config),
        "name": request.name,
        "outcome": "failed",
        "message": str(error),
        "problems": [as_json.as_object(problem) for problem in problems],
    }


def as_text(result: Written, *, tree: bool) -> str:
    """What was written and, with ``tree``, its files; what it needs; how to run it."""
    out = visible(str(result.out))
    total = sum(size for _, size, _ in result.files)
    size = f"{count(len(result.files), 'file')}, {amount(total)}"
    parts = [f"{visible(result.config)}: {result.outcome} {out} ({size})"]
    if tree and result.outcome != "unchanged":
        parts.append(_indented(_tree(result.files)))
    rows = [
        *_needs(result.needs),
        *_cost(result.gpu_hours),
        ("run", f"cd {_for_cd(result.out)} && {result.run}"),
    ]
    parts.append(_indented(columns((name, visible(text)) for name, text in rows)))
    return ("\n\n" if tree else "\n").join(parts)


def _for_cd(folder: Path) -> str:
    """A folder as a word that ``cd`` takes for one, whatever its name."""
    text = str(folder)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def amount(size: int) -> str:
    """A number of bytes for people: ``812 B``, ``1.2 kB``, ``34 MB``."""
    if size < 1000:
        return f"{size} B"
    unit, value = ("kB", size / 1e3) if size < 999_500 else ("MB", size / 1e6)
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def _needs(needs: Needs) -> Iterable[tuple[str, str]]:
    if needs.engine:
        yield "engine", needs.engine
    for index, image in enumerate(needs.images):
        yield ("images" if index == 0 else ""), image
    for name, values in (
        ("secrets", needs.secrets),
        ("variables", needs.runtime_env),
        ("tools", needs.tools),
    ):
        if values:
            yield name, ", ".join(values)


def _cost(gpu_hours: Mapping[str, float | None]) -> Iterable[tuple[str, str]]:
    known = [hours for hours in gpu_hours.values() if hours is not None]
    if len(known) < len(gpu_hours):
        yield "cost", "no limit of GPU hours: walltime and max_walltime are infinite"
    elif any(known):
        yield (
            "cost",
            f"at most {sum(known):g} GPU hours, all attempts of {count(len(known), 'job')}",
        )


def _tree(files: tuple[tuple[str, int, int], ...]) -> str:
    """The files below one another, folders last; of a large bundle, only the top."""
    folders = {path.rpartition("/")[0] for path, _, _ in files} - {""}
    if len(files) + len(folders) > TREE_LINES:
        return _top(files)
    rows: list[tuple[str, str]] = []
    above: list[str] = []
    for path, size, _ in sorted(files, key=lambda file: _order(file[0])):
        *parents, name = path.split("/")
        shared = 0
        while shared < min(len(parents), len(above)) and parents[shared] == above[shared]:
            shared += 1
        rows += [
            (f"{'  ' * depth}{visible(parents[depth])}/", "")
            for depth in range(shared, len(parents))
        ]
        rows.append((f"{'  ' * len(parents)}{visible(name)}", amount(size)))
        above = parents
    return columns(rows)


def _order(path: str) -> list[tuple[bool, str]]:
    *parents, name = path.split("/")
    return [*((True, parent) for parent in parents), (False, name)]


def _top(files: tuple[tuple[str, int, int], ...]) -> str:
    plain = [(visible(path), amount(size)) for path, size, _ in files if "/" not in path]
    numbers: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for path, size, _ in files:
        folder, slash, _ = path.partition("/")
        if slash:
            numbers[folder] += 1
            sizes[folder] += size
    shown = [
        (f"{visible(folder)}/", f"{count(numbers[folder], 'file')}, {amount(sizes[folder])}")
        for folder in list(numbers)[:FOLDERS]
    ]
    more = len(numbers) - len(shown)
    rest = f"\n... and {count(more, 'more folder')}" if more else ""
    return columns([*plain, *shown]) + rest


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
