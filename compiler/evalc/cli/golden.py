"""Golden bundles: what configs compile to, committed, so that a change of it is seen in review."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, ClassVar

from evalc import compiler
from evalc.bundle.diff import read_side, side_of
from evalc.bundle.read import NotABundle
from evalc.cli.report.as_text import count
from evalc.cli.report.changes import as_github, as_json, as_text
from evalc.cli.report.changes.comparison import Comparison, compare
from evalc.cli.report.changes.wording import plain, sentence
from evalc.errors import ConfigError, Location, Problem, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from evalc.cli.output import Page
    from evalc.compiler import Compiled, Request

# So many changes, or files, are told in the message; the patch has all.
_TOLD = 20


class NoGolden(Problem):
    """A config without a golden bundle."""

    code: ClassVar[str] = "no-golden"

    why: str
    update: str

    @property
    def message(self) -> str:
        return self.why

    @property
    def help(self) -> str:
        return f"{self.update} makes it"


class GoldenDiffers(Problem):
    """A golden bundle that is not what its config compiles to."""

    code: ClassVar[str] = "golden-differs"

    folder: str
    config: str
    comparison: Comparison
    strays: tuple[str, ...]
    update: str

    @property
    def message(self) -> str:
        differing = len(self.comparison.files) + len(self.strays)
        return f"{self.folder} is not what {self.config} compiles to: {count(differing, 'file')}"

    @property
    def help(self) -> str:
        said = [*self.comparison.remarks]
        said += [plain(sentence(change)) for change in self.comparison.changes]
        said += [f"{path} is no file of the bundle; remove it" for path in self.strays]
        more = len(said) - _TOLD
        said[_TOLD:] = [f"and {more} more"] if more > 0 else []
        if self.comparison.differs:
            said.append(f"if that is right: {self.update}; then review what it changed")
        return "\n".join(said)

    @property
    def details(self) -> dict[str, Any]:
        return {"difference": as_json.as_object(self.comparison, brief=False)}


def check_with_golden(request: Request, folder: Path) -> list[Problem]:
    """Every problem of a config, and how its bundle differs from the golden one in ``folder``.

    Files there that no manifest lists are wrong too: a reviewer would take them for a part of the
    bundle. Raises only :class:`~evalc.errors.UsageError`.
    """
    try:
        compiled = compiler.compile(request)
    except ConfigError as error:
        return list(error.problems)
    found = _golden_problem(request, compiled, folder)
    return [*compiled.warnings, *([found] if found else [])]


def _golden_problem(request: Request, compiled: Compiled, folder: Path) -> Problem | None:
    at, update = _top(request), _update_command(request, folder.parent)
    try:
        old = read_side(folder, str(folder))
    except NotABundle as error:
        return NoGolden(why=str(error), update=update, location=at)
    comparison = compare(old, side_of(compiled.bundle, str(request.config)))
    strays = tuple(_strays(folder, {*old.files, *compiled.bundle.files}))
    if not comparison.differs and not strays:
        return None
    return GoldenDiffers(
        folder=str(folder),
        config=str(request.config),
        comparison=comparison,
        strays=strays,
        update=update,
        location=at,
    )


def _top(request: Request) -> Location:
    """The first line of a config, which stands for all of it."""
    return Location(Source(str(request.config), ""), 1, 1, 1, 1)


def _strays(folder: Path, files: set[str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name not in files and (path.is_symlink() or not path.is_dir()):
            yield name


def _update_command(request: Request, golden: Path) -> str:
    """The command that makes a config's golden bundle anew."""
    words = ["evalc", "compile", "--golden", str(golden), str(request.config)]
    words += [word for text in request.overrides for word in ("-o", text)]
    words += [word for text in request.tasks for word in ("-t", text)]
    words += [word for path in request.config_dirs for word in ("--config-dir", str(path))]
    return shlex.join(words)


def patches(problems: Iterable[Problem], style: str, page: Page) -> str:
    """The text of the golden bundles that differ, in the style of ``evalc diff``."""
    lines: list[str] = []
    for problem in problems:
        if not isinstance(problem, GoldenDiffers):
            continue
        files = problem.comparison.files
        if style == "github":
            patch = [line for file in files for line in file.lines]
            lines += as_github.group(problem.message, patch) if patch else []
        else:
            lines += [*as_text.patch(files, page), ""]
    return "\n".join(lines)
