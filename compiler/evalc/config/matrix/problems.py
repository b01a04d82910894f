"""What can be wrong with a matrix itself; what is wrong with a cell is found as in any config."""

from __future__ import annotations

from typing import ClassVar

from evalc.errors import Location, Problem, Worded


class BadMatrix(Worded):
    """A part of ``matrix`` that does not mean anything."""

    code: ClassVar[str] = "bad-matrix"
    more: str = ""

    @property
    def help(self) -> str:
        return self.more


class DuplicateCell(Problem):
    """Two cells of a matrix that would have one name."""

    code: ClassVar[str] = "duplicate-cell"
    name: str
    first: Location

    @property
    def message(self) -> str:
        return f"two cells of the matrix are called '{self.name}'"

    @property
    def label(self) -> str:
        return f"the first is on line {self.first.line}; give one of them a 'name' of its own"


class IdleMatrix(Worded):
    """A part of ``matrix`` that is right and changes nothing."""

    code: ClassVar[str] = "no-effect"
    severity: ClassVar[str] = "warning"
