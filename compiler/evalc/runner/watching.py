"""What has become of runs: their hosts are asked, and what they say is recorded."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalc.backends.running import Sight, State, Unreachable
from evalc.errors import EvalcError
from evalc.runner.reaching import host_of, runs_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalc.runner.database import Database, Invocation

    _Answer = tuple[Mapping[str, Mapping[str, Sight]], Mapping[str, str]]

# Hosts that are asked at a time.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Looked:
    """Runs as they are known to be now; ``unasked`` says why, where nobody could be asked."""

    invocations: tuple[Invocation, ...]
    unasked: Mapping[str, str]


def look(database: Database, known: Sequence[Invocation]) -> Looked:
    """Asks all hosts of these runs, each once, for the jobs that are not known to have ended.

    ``known`` is what the database has told of the runs before.
    """
    asked: dict[tuple[str | None, ...], list[Invocation]] = {}
    for one in known:
        if not all(job.sight.state.is_end for job in one.jobs):
            asked.setdefault((one.backend, *one.place), []).append(one)
    unasked: dict[str, str] = {}
    if asked:
        began = time.time()
        sights: dict[str, Mapping[str, Sight]] = {}
        for found, silent in _ask_all(list(asked.values())):
            sights |= found
            unasked |= silent
        database.record_many(sights, began)
    return Looked(tuple(database.get([one.id for one in known])), unasked)


def _ask_all(groups: Sequence[Sequence[Invocation]]) -> list[_Answer]:
    """What each host says, side by side where there are several."""
    if len(groups) == 1:
        return [_ask(groups[0])]
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - most ask one, and are quick

    with ThreadPoolExecutor(min(_AT_ONCE, len(groups))) as pool:
        return list(pool.map(_ask, groups))


def _ask(
    invocations: Sequence[Invocation],
) -> _Answer:
    """What the one host of these says, or why it says nothing."""
    try:
        runs = runs_for(invocations[0].backend)
        found = runs.poll(host_of(invocations[0]), [one.run for one in invocations])
    except (Unreachable, EvalcError) as error:
        return {}, dict.fromkeys((one.id for one in invocations), str(error))
    return found, {}


def as_known(looked: Looked, invocation: Invocation) -> tuple[Sight, ...]:
    """What to say of each job: what was seen, or that nobody knows, where nobody could be asked."""
    why = looked.unasked.get(invocation.id)
    sights = []
    for job in invocation.jobs:
        sight = job.sight
        if why is not None and not sight.state.is_end:
            last = f"; was {sight.state.value}" if job.seen is not None else ""
            sight = replace(sight, state=State.UNKNOWN, reason=f"could not ask {why}{last}")
        sights.append(sight)
    return tuple(sights)
