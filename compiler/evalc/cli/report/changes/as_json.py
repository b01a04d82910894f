"""A difference for programs.

An object with ``old`` and ``new`` (``label``, ``compiler``, and ``edited``: files that are not as
the manifest says), ``changes`` and ``files``. A change has ``of`` (``bundle``, ``execution``,
``job``, ``task`` or ``server``), ``what``, ``kind`` (``added``, ``removed`` or ``changed``),
``before`` and ``after`` (as in ``plan.json``, times in seconds; left out where there was,
or is, nothing), ``names`` (the jobs, tasks or servers that it holds for), ``total`` (how many of
their kind both bundles have) and ``text``. A file has ``path``, ``kind``, ``added`` and ``removed``
(numbers of lines) and, unless it is brief, ``patch``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalc.bundle.diff import MISSING
from evalc.cli.report.changes.wording import plain, sentence

if TYPE_CHECKING:
    from evalc.bundle.diff import Change, FileDifference, Side
    from evalc.cli.report.changes.comparison import Comparison


def as_object(comparison: Comparison, *, brief: bool) -> dict[str, Any]:
    """A difference as a JSON object; the keys are the module's."""
    return {
        "old": _side(comparison.old),
        "new": _side(comparison.new),
        "changes": [_change(change) for change in comparison.changes],
        "files": [_file(file, brief=brief) for file in comparison.files],
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "label": side.label,
        "compiler": side.facts.compiler,
        "edited": list(side.edited),
    }


def _change(change: Change) -> dict[str, Any]:
    values = {"before": change.before, "after": change.after}
    return {
        "of": change.of.value,
        "what": change.what,
        "kind": change.kind,
        **{name: value for name, value in values.items() if value is not MISSING},
        "names": list(change.names),
        "total": change.total,
        "text": plain(sentence(change)),
    }


def _file(file: FileDifference, *, brief: bool) -> dict[str, Any]:
    text = {} if brief else {"patch": "\n".join((*file.lines, ""))}
    return {
        "path": file.path,
        "kind": file.kind,
        "added": file.added,
        "removed": file.removed,
        **text,
    }
