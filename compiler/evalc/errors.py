"""What can be wrong, as data.

A :class:`Problem` is one thing wrong at one place; it holds facts and makes its text late, when a
reporter asks. An :class:`EvalcError` is what is raised; the process's exit code stands on its
class.

This module is a leaf: every layer may import it, it imports none.
"""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_options: object) -> Callable[[type], type]:
        """What type checkers read; it does nothing."""
        return lambda cls: cls


@dataclass(frozen=True, eq=False)
class Source:
    """A text that values come from: a file, or one ``-o`` override.

    ``name`` is shown to people and is the path as the user gave it. ``kind`` says what a value from
    here is: ``file``, ``override`` or ``builtin``. ``directory`` is where relative files are looked
    up, None where there is no such place.
    """

    name: str
    text: str
    kind: str = "file"
    directory: str | None = None

    def line(self, number: int) -> str:
        """Line ``number`` (from 1), without its end; empty when there is no such line."""
        lines = self.text.splitlines()
        return lines[number - 1] if 0 < number <= len(lines) else ""


@dataclass(frozen=True, order=True)
class Location:
    """A span in a source. Lines and columns count from 1, ``end_column`` is exclusive."""

    source: Source = field(compare=False)
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


def first_line(at: Location) -> Location:
    """The part of a location that is on its first line: a caret can't go further."""
    if at.end_line == at.line:
        return at
    end = max(at.column + 1, len(at.source.line(at.line).rstrip()) + 1)
    return Location(at.source, at.line, at.column, at.line, end)


@dataclass_transform(frozen_default=True, kw_only_default=True)
class _Facts:
    """A class whose annotated attributes are facts, given by name as to a dataclass.

    It is none: making sixty dataclasses takes a tenth of the time that evalc needs for a small
    config, and a config that is right never needs one.
    """

    _facts: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = inspect.get_annotations(cls)
        cls._facts += tuple(name for name, kind in own.items() if "ClassVar" not in str(kind))

    def __init__(self, **facts: object) -> None:
        missing = [name for name in self._facts if name not in facts and not hasattr(self, name)]
        unknown = [name for name in facts if name not in self._facts]
        if missing or unknown:
            raise TypeError(f"{type(self).__name__}: missing {missing}, unknown {unknown}")
        self.__dict__.update(facts)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *map(str, self.__dict__.values())))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.__dict__})"


class Problem(_Facts):
    """One thing that is wrong. Subclasses annotate the facts that they hold, and say them.

    ``code`` is stable and documented, people grep for it. ``sensitive`` problems are reported
    without quoting the source line, since the line may hold a secret.
    """

    code: ClassVar[str]
    severity: ClassVar[str] = "error"
    sensitive: ClassVar[bool] = False

    location: Location | None = None

    @property
    def message(self) -> str:
        """What is wrong, in one line."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """What stands beside the caret: most often what to do."""
        return ""

    @property
    def help(self) -> str:
        """What to do, when it does not fit beside the caret; may be several lines."""
        return ""

    @property
    def details(self) -> dict[str, Any]:
        """What programs are told besides, as JSON has it."""
        return {}


class Worded(Problem):
    """A problem that is found in many forms, each of which its finder puts in words: ``what`` is
    wrong, and ``advice`` to stand beside the caret."""

    what: str
    advice: str = ""

    @property
    def message(self) -> str:
        return self.what

    @property
    def label(self) -> str:
        return self.advice


class EvalcError(Exception):
    """Base of all that evalc raises on purpose."""

    exit_code: ClassVar[int] = 3


class ConfigError(EvalcError):
    """The config is wrong; ``problems`` says all of it, sorted by place."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=_place))
        super().__init__("; ".join(p.message for p in self.problems))


class UsageError(EvalcError):
    """The command line is wrong, or what it names is not there."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(message)


def _place(problem: Problem) -> tuple[str, int, int, str]:
    at = problem.location
    return (at.source.name, at.line, at.column, problem.code) if at else ("", 0, 0, problem.code)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the nearest candidate, or an empty text."""
    near = nearest(word, candidates)
    return f"did you mean '{near[0]}'?" if near else ""


def nearest(word: str, candidates: Iterable[str], limit: int = 3) -> Sequence[str]:
    """The candidates that look most like ``word``, best first."""
    by_fold = {c.casefold(): c for c in candidates}
    found = difflib.get_close_matches(word.casefold(), by_fold, n=limit, cutoff=0.6)
    return [by_fold[f] for f in found]
