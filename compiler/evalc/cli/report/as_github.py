"""Problems as annotations of a GitHub workflow.

A line ``::error file=…,line=…::message`` in a job's output becomes a remark on that line of a pull
request. The form and its escapes are GitHub's:
https://docs.github.com/actions/reference/workflow-commands-for-github-actions and ``command.ts`` in
https://github.com/actions/toolkit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.cli.report.places import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalc.errors import Location, Problem


def render_all(problems: Iterable[Problem]) -> str:
    """One annotation a line."""
    return "\n".join(render(problem) for problem in problems)


def render(problem: Problem) -> str:
    """One annotation: the message, then label and help on lines of their own."""
    at = problem.location
    message = problem.message
    if at and at.source.kind != "file":
        # GitHub can only point into a file of the repository.
        message = f"{name_of(at.source)}: {message}"
    properties = {**_span(at), "title": f"evalc: {problem.code}"}
    said = "\n".join(filter(None, (message, problem.label, problem.help)))
    return annotation(problem.severity, properties, said)


def annotation(severity: str, properties: Mapping[str, str], text: str) -> str:
    """One annotation of any text; ``severity`` is ``error``, ``warning`` or ``notice``."""
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{severity} {listed}::{_data(text)}"


def _span(at: Location | None) -> dict[str, str]:
    if at is None or at.source.kind != "file":
        return {}
    span = {"file": at.source.name, "line": str(at.line)}
    if at.line == at.end_line:
        # Columns are refused for a span over several lines; the last one is inclusive.
        last = max(at.column, at.end_column - 1)
        return {**span, "endLine": str(at.line), "col": str(at.column), "endColumn": str(last)}
    return {**span, "endLine": str(at.end_line)}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
