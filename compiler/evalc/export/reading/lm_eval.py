"""lm-eval's own files: ``results_<time>.json`` (or ``results.json``), and beside it
``samples_<task>_<time>.jsonl``.

Their form is what ``lm_eval.loggers.EvaluationTracker`` writes: ``results.<task>`` has
``"<metric>,<filter>": value`` and ``"<metric>_stderr,<filter>": value or "N/A"``; before version
0.4 there was no filter. ``groups`` has the same for groups, which stand in ``results`` as well.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalc.export.model import Score
from evalc.export.reading.values import (
    Unreadable,
    count_of,
    error_of,
    mapping,
    number,
    read_json,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RESULTS = re.compile(r"results(_.+)?\.json")
# The time as lm-eval writes it: 2025-11-02T10-22-31.123456.
_SAMPLES = re.compile(r"samples(_(?P<task>.+?))?(_\d{4}-\d\d-\d\dT[\d.:-]+)?\.jsonl")
_STDERR = "_stderr"
# What stands among the metrics and is none.
_NO_METRICS = frozenset(("alias", "name", "sample_len", "sample_count", " "))


@dataclass(frozen=True, slots=True)
class Found:
    """What lm-eval left. ``scores`` are all of it; ``model`` is what it was told, if anything."""

    scores: tuple[Score, ...]
    model: str
    parameters: Mapping[str, Any]
    samples: Mapping[str, Path]


def files(folder: Path) -> tuple[Path | None, list[Path]]:
    """The newest file with results below a folder, and the files with samples beside it."""
    found = []
    for here, below, names in os.walk(folder):
        # Where harnesses keep a file for each response, by the hundred thousand.
        below[:] = [name for name in below if "cache" not in name.lower()]
        found += [Path(here, name) for name in names if _RESULTS.fullmatch(name)]
    if not found:
        return None, []
    # The name ends with the time; names without one are older than those with one.
    newest = max(found, key=lambda path: (path.name, str(path)))
    return newest, sorted(p for p in newest.parent.glob("samples*.jsonl") if p.is_file())


def read(path: Path, samples: list[Path]) -> Found:
    """What a file with results holds. Raises :class:`Unreadable`."""
    content = mapping(read_json(path))
    results = content.get("results")
    if not isinstance(results, dict):
        raise Unreadable("has no 'results': it is none of lm-eval's, or of another version")
    groups = mapping(content.get("groups"))
    counts, better = mapping(content.get("n-samples")), mapping(content.get("higher_is_better"))
    scores: list[Score] = []
    for name, values in {**results, **groups}.items():
        count = count_of(mapping(counts.get(name)).get("effective"))
        if count is None and name in groups:
            count = _of_group(name, mapping(content.get("group_subtasks")), counts)
        scores += _scores(
            str(name), mapping(values), count, mapping(better.get(name)), group=name in groups
        )
    if not scores:
        raise Unreadable("has no scores")
    config = mapping(content.get("config"))
    told = {name: config[name] for name in ("limit", "gen_kwargs") if config.get(name) is not None}
    if shots := {name: n for name, n in mapping(content.get("n-shot")).items() if n is not None}:
        told["num_fewshot"] = next(iter(shots.values())) if len({*shots.values()}) == 1 else shots
    return Found(tuple(scores), _model(config), told, _by_task(samples, results))


def _scores(
    name: str, values: dict[str, Any], count: int | None, better: dict[str, Any], *, group: bool
) -> Iterator[Score]:
    for key, raw in values.items():
        metric, _, filter_name = key.partition(",")
        value = number(raw)
        if value is None or metric in _NO_METRICS or metric.endswith(_STDERR):
            continue
        higher = better.get(metric)
        error = f"{metric}{_STDERR},{filter_name}" if filter_name else f"{metric}{_STDERR}"
        yield Score(
            text(name),
            text(metric),
            text(filter_name) or "none",
            value,
            group=group,
            stderr=error_of(values.get(error)),
            count=count,
            higher=higher if isinstance(higher, bool) else None,
            sampled=(metric, filter_name or "none"),
        )


def _of_group(name: str, below: dict[str, Any], counts: dict[str, Any]) -> int | None:
    """The samples of all tasks of a group, and of the groups in it."""
    todo, seen, total = [name], set[str](), 0
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        total += count_of(mapping(counts.get(one)).get("effective")) or 0
        children = below.get(one)
        todo += [str(child) for child in children] if isinstance(children, list) else []
    return total or None


def _model(config: dict[str, Any]) -> str:
    """The model's name of ``model_args``, which is a mapping, or text: ``model=NAME,key=value``."""
    told = config.get("model_args")
    if isinstance(told, str):
        told = dict(part.split("=", 1) for part in told.split(",") if "=" in part)
    told = mapping(told)
    return text(told.get("model") or told.get("pretrained") or "")


def _by_task(samples: list[Path], results: dict[str, Any]) -> dict[str, Path]:
    """Files with samples by their task, the newest of each; a file that names none is the one
    task's."""
    found: dict[str, Path] = {}
    for path in samples:
        match = _SAMPLES.fullmatch(path.name)
        if match is None:
            continue
        name = match["task"] or (next(iter(results)) if len(results) == 1 else None)
        if name is not None:
            found[text(name)] = path
    return found
