"""nemo-evaluator's ``results.yml``.

Its form is ``EvaluationResult`` of ``nemo_evaluator.api.api_dataclasses``: ``results.tasks.<name>``
and ``results.groups.<name>[.groups.<name>…]``, each with ``metrics.<metric>.scores.<score>``, which
has a ``value`` and ``stats`` (``count``, ``stderr``, ``stddev`` of the population, …).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalc.export.model import Score
from evalc.export.reading.values import (
    Unreadable,
    count_of,
    error_of,
    mapping,
    number,
    read_yaml,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEEPEST = 20


def read(path: Path) -> tuple[list[Score], dict[str, Any], list[str]]:
    """The scores, the rest of the file's content, and what is wrong with it, a line each.

    Raises :class:`~evalc.export.reading.values.Unreadable` when no score can be had from it.
    """
    content = mapping(read_yaml(path))
    results = content.pop("results", None)
    if not isinstance(results, dict) or not {"tasks", "groups"} & results.keys():
        raise Unreadable(
            "has no 'results' with 'tasks' or 'groups': it is no results.yml, or of another version"
        )
    said: list[str] = []
    scores = list(_all_of(mapping(results.get("tasks")), "", group=False, said=said))
    # Harnesses without groups say the same once more, as a group of the task's name.
    there = {repr(score) for score in scores}
    groups = _all_of(mapping(results.get("groups")), "", group=True, said=said)
    scores += [one for one in groups if repr(replace(one, group=False)) not in there]
    if not scores:
        raise Unreadable("; ".join(said) or "has no scores")
    return scores, content, said


def _all_of(
    parts: dict[str, Any], above: str, *, group: bool, said: list[str], depth: int = 0
) -> Iterator[Score]:
    for name, part in parts.items():
        path = f"{above}/{text(name)}" if above else text(name)
        found = mapping(part)
        for metric, entry in mapping(found.get("metrics")).items():
            scores = mapping(mapping(entry).get("scores"))
            if not scores:
                said.append(f"{path}: the metric '{text(metric)}' has no scores")
            for score, value in scores.items():
                yield from _score(path, metric, score, mapping(value), group=group, said=said)
        if depth < _DEEPEST:
            groups = mapping(found.get("groups"))
            yield from _all_of(groups, path, group=True, said=said, depth=depth + 1)


def _score(
    path: str, metric: str, score: str, entry: dict[str, Any], *, group: bool, said: list[str]
) -> Iterator[Score]:
    value = number(entry.get("value"))
    if value is None:
        said.append(f"{path}: '{text(metric)}' ('{text(score)}') has no number as its value")
        return
    stats = mapping(entry.get("stats"))
    yield Score(
        path,
        text(metric),
        text(score),
        value,
        group=group,
        stderr=_stderr(stats),
        count=count_of(stats.get("count")),
    )


def _stderr(stats: dict[str, Any]) -> float | None:
    """The standard error, or what follows from the standard deviation."""
    told = error_of(stats.get("stderr"))
    deviation, count = error_of(stats.get("stddev")), count_of(stats.get("count"))
    if told is not None or deviation is None or count is None or count < 2:
        return told
    # The deviation is the population's; the mean's error is estimated from the sample's.
    return deviation / math.sqrt(count - 1)
