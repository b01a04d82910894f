"""Changes in words.

A sentence is a tuple of texts, in which what comes from configs is a :class:`Value`: a report can
set it apart, and must make it harmless.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from evalc.bundle.diff import MISSING, Of
from evalc.cli.report.as_text import count, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalc.bundle.diff import Change

ARROW = " → "
# A value of more characters, or of several lines, is not told; the text of the files has it.
_LONGEST = 80
# So many jobs, tasks or servers are named.
_NAMED = 3
# Digits of a digest that are told.
_DIGITS = 12

_LABELS = {
    "name": "name",
    "backend": "backend",
    "engine": "engine",
    "output_dir": "output folder",
    "gpus_per_node": "GPUs per node",
    "gpus": "GPUs",
    "cpus": "CPUs",
    "total": "max_walltime",
    "failed": "attempts after one that failed",
    "out_of_memory": "attempts after one that ran out of memory",
    "idle": "attempts without progress",
    "model_id": "model",
    "model_url": "endpoint",
    "health_path": "health path",
    "readiness_timeout": "seconds to be ready",
    "endpoint_type": "endpoint type",
    "api_key_name": "variable of the API key",
    "limit_samples": "samples",
    "dataset": "data set",
    "dataset.target": "data set's place in the container",
}
_TIMES = frozenset(("walltime", "total"))
# What has no limit where it has no value.
_LIMITS = frozenset(("walltime", "total", "gpu_hours", "limit_samples"))
_NEEDS = frozenset(("secret", "variable", "tool", "image"))
_PARTS = frozenset(("task", "server", "job"))


class Value(str):
    """A text that comes from a config, in a sentence."""

    __slots__ = ()


Sentence: TypeAlias = "tuple[str, ...]"


def sentence(change: Change) -> Sentence:
    """What has changed, in one line."""
    if change.what in _PARTS and not change.names:
        name = change.after if change.kind == "added" else change.before
        return (f"{change.what} ", Value(name), f" {change.kind}")
    if change.of is Of.BUNDLE:
        return _of_bundle(change)
    return _difference(change)


def _of_bundle(change: Change) -> Sentence:
    if change.what == "compiler":
        values = (Value(change.before), ARROW, Value(change.after))
        return ("compiled by ", *values, "; what differs below may be the compiler's doing")
    if change.what == "gpu_hours":
        before, after = (_told(change.what, value) for value in (change.before, change.after))
        return ("GPU hours ", Value(before), ARROW, Value(after), ", at most")
    if change.what == "order":
        return ("the tasks are in another order",)
    if change.what in _NEEDS:
        if change.kind == "added":
            return (f"new {change.what} ", Value(change.after))
        return (f"{change.what} ", Value(change.before), " is not needed any more")
    return _difference(change)


def _difference(change: Change) -> Sentence:
    """``walltime 4:00:00 → 8:00:00 on all 3 jobs``."""
    joint = "on" if change.of is Of.JOB else "of"
    if change.what == "image" and isinstance(change.before, str) and isinstance(change.after, str):
        return (*_image(change.before, change.after), *_where(joint, change))
    label = _label(change)
    before, after = (_told(change.what, value) for value in (change.before, change.after))
    if change.kind == "added":
        said = () if after is None else (": ", Value(after))
        return (*label, " added", *_where("to", change), *said)
    if change.kind == "removed":
        said = () if before is None else (": it was ", Value(before))
        return (*label, " removed", *_where("from", change), *said)
    if before is None or after is None:
        return (*label, " changed", *_where(joint, change))
    return (*label, " ", Value(before), ARROW, Value(after), *_where(joint, change))


def _label(change: Change) -> Sentence:
    what = change.what
    if change.of is Of.EXECUTION:
        return (Value(f"execution.{what}"),)
    kind, _, rest = what.partition(".")
    if kind == "env":
        return ("variable ", Value(rest))
    if kind == "endpoints":
        return ("path of the endpoint ", Value(rest))
    if kind == "run_config":
        return (Value(rest),)
    kind, _, rest = what.partition(" ")
    if rest:
        # An option of the server's own command speaks for itself.
        return (Value(rest),) if kind == "command" else (f"{kind} ", Value(rest))
    return (_LABELS.get(what, what),)


def _told(what: str, value: Any) -> str | None:
    """A value in one line, or None for one that is too long for it."""
    if value is MISSING:
        return "unknown" if what == "gpu_hours" else "none"
    if value is None:
        return "unlimited" if what in _LIMITS else "none"
    if value == "" and " --" in what:
        return None  # a flag of a command
    if what in _TIMES:
        return walltime(value)
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST and "\n" not in text else None


def walltime(seconds: int) -> str:
    """A time limit as people write it for Slurm: ``4:00:00``, ``1-00:00:00``."""
    minutes, left = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (
        f"{days}-{hours:02}:{minutes:02}:{left:02}" if days else f"{hours}:{minutes:02}:{left:02}"
    )


def _image(before: str, after: str) -> Sentence:
    """Two references to an image; the same one of another digest is told as that."""
    old, _, old_digest = before.partition("@")
    new, _, new_digest = after.partition("@")
    if old != new:
        return ("image ", Value(before), ARROW, Value(after))
    if not old_digest:
        return ("image ", Value(old), " is pinned to ", Value(_short(new_digest)))
    if not new_digest:
        return ("image ", Value(old), " is pinned no more, it was ", Value(_short(old_digest)))
    digests = (Value(_short(old_digest)), ARROW, Value(_short(new_digest)))
    return ("image ", Value(old), " changed digest: ", *digests)


def _short(digest: str) -> str:
    algorithm, colon, digits = digest.partition(":")
    return f"{algorithm}{colon}{digits[:_DIGITS]}"


def _where(joint: str, change: Change) -> Sentence:
    """``on all 3 jobs``, ``of server model``."""
    if not change.names:
        return ()
    kind, names = change.of.value, change.names
    if len(names) == 1:
        return (f" {joint} {kind} ", Value(names[0]))
    if len(names) == change.total:
        all_ = f"both {kind}s" if len(names) == 2 else f"all {count(len(names), kind)}"
        return (f" {joint} {all_}",)
    if len(names) <= _NAMED:
        return (f" {joint} {count(len(names), kind)}: ", *_listed(names))
    return (f" {joint} {len(names)} of {count(change.total, kind)}",)


def _listed(names: Iterable[str]) -> Sentence:
    pieces: list[str] = []
    for name in names:
        pieces += [*([", "] if pieces else []), Value(name)]
    return tuple(pieces)


def plain(pieces: Sentence) -> str:
    """A sentence as text, without characters that are not printable."""
    return visible("".join(pieces))
