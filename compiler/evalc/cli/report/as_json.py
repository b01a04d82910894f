"""Problems for programs.

A problem is an object with the keys ``code``, ``severity`` (``error`` or ``warning``), ``message``,
``label``, ``help`` (texts, empty when there is none), ``file``, ``line``, ``column``, ``end_line``
and ``end_column`` (numbers from 1, the end is exclusive; null when the problem has no place). For
an override, ``file`` is ``-o`` with its key. A problem may have keys of its own besides:
``golden-differs`` has ``difference``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evalc.cli.report.places import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalc.errors import Problem


def as_object(problem: Problem) -> dict[str, Any]:
    """One problem as a JSON object; the keys are the module's."""
    at = problem.location
    return {
        "code": problem.code,
        "severity": problem.severity,
        "message": problem.message,
        "label": problem.label,
        "help": problem.help,
        "file": name_of(at.source) if at else None,
        "line": at.line if at else None,
        "column": at.column if at else None,
        "end_line": at.end_line if at else None,
        "end_column": at.end_column if at else None,
        **problem.details,
    }


def render_all(problems: Iterable[Problem]) -> str:
    """A JSON list of ``problems``."""
    return dumps([as_object(problem) for problem in problems])


def dumps(value: Any) -> str:
    """JSON as every command prints it: indented, and in ASCII, so that any stream takes it."""
    return json.dumps(value, indent=2)
