"""Single answers: what each question scored, from lm-eval's files with samples.

A line is a JSON object: ``doc_id``, ``doc_hash``, ``filter``, and the metrics by their names. A
million of them has a gigabyte, so it is read a line at a time, and all that is kept of one is
sixteen bytes.
"""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from evalc.export.reading.values import Unreadable, number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Samples:
    """What each question scored. ``keys`` tell questions apart, within this process."""

    keys: array[int]
    values: array[float]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def mean(self) -> float:
        """The mean of the values; there must be one at least."""
        return sum(self.values) / len(self.values)


# The baseline's are asked for once for each run that is compared with it.
@lru_cache(maxsize=4)
def read(path: Path, metric: str, filter_name: str) -> Samples:
    """The values of a metric. Raises :class:`~evalc.export.reading.values.Unreadable`."""
    keys, values = array("q"), array("d")
    try:
        with path.open("rb") as file:
            for line_number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    sample = json.loads(line)
                    if str(sample.get("filter", filter_name)) != filter_name:
                        continue
                    key = hash((str(sample["doc_id"]), sample.get("doc_hash")))
                    found = number(_as_number(sample[metric]))
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    raise Unreadable(f"has no answer in line {line_number}") from None
                if found is None:
                    raise Unreadable(f"has no number for '{metric}' in line {line_number}")
                keys.append(key)
                values.append(found)
    except OSError as error:
        raise Unreadable(f"can't be read: {error.strerror}") from None
    if not keys:
        raise Unreadable("has no answers")
    if len(set(keys)) != len(keys):
        raise Unreadable("has questions more than once")
    return Samples(keys, values)


def _as_number(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


def pairs(one: Samples, other: Samples) -> Iterator[tuple[float, float]] | None:
    """The values of each question in both; None when they are not the same questions."""
    if one.keys == other.keys:
        return zip(one.values, other.values, strict=True)
    if len(one) != len(other):
        return None
    ordered = [sorted(zip(each.keys, each.values, strict=True)) for each in (one, other)]
    if any(left[0] != right[0] for left, right in zip(*ordered, strict=True)):
        return None
    return ((left[1], right[1]) for left, right in zip(*ordered, strict=True))
