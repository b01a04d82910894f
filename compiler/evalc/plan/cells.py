"""The plans of a matrix's cells -> one plan, whose names tell them apart.

What a cell has in the plan is called ``CELL.NAME``, whatever other cells there are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalc.plan.names import MAX_NAME, RESERVED_IDS
from evalc.plan.problems import BadTaskName, Contradiction, DuplicateTask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from evalc.errors import Location, Problem
    from evalc.plan.model import Job, Plan


def in_cell(plan: Plan, cell: str) -> Plan:
    """The plan of a cell with names that no other cell's has.

    The job of all its tasks has no name yet, and gets the cell's.
    """

    def named(job: Job) -> Job:
        return replace(
            job,
            id=f"{cell}.{job.id}" if job.id else cell,
            steps=tuple(replace(step, id=f"{cell}.{step.id}") for step in job.steps),
            services=tuple(replace(s, name=f"{cell}.{s.name}") for s in job.services),
            cell=cell,
        )

    jobs = tuple(named(job) for job in plan.jobs)
    return replace(plan, jobs=jobs, cell=cell, origin=plan.origin.of_cell(cell))


def joined(parts: Sequence[Plan]) -> Plan:
    """One plan of those of all cells, which are :func:`in_cell`."""
    first = parts[0]
    common = {
        key: value
        for key, value in first.options.items()
        if all(key in part.options and part.options[key] == value for part in parts)
    }
    jobs = tuple(
        replace(job, options=_own(part.options, common) or None)
        for part in parts
        for job in part.jobs
    )
    parts = tuple(
        replace(part, jobs=tuple(job for job in jobs if job.cell == part.cell)) for part in parts
    )
    return replace(first, jobs=jobs, options=common, cell="", parts=parts)


def _own(options: Any, common: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in common}


def check(parts: Sequence[Plan], own: Collection[str]) -> Iterator[Problem]:
    """What the cells of a matrix can't have together.

    ``own`` are the keys of ``execution`` that the backend takes from each job.
    """
    yield from _one_for_all(parts, ("execution", "output_dir"), lambda plan: plan.output_dir)
    yield from _one_for_all(parts, ("execution", "type"), lambda plan: plan.backend)
    sharing = ("execution", "sharing")
    yield from _one_for_all(parts, sharing, lambda plan: plan.origin.value(*sharing))
    yield from _one_for_all(parts, ("export",), lambda plan: plan.origin.value("export"))
    for key in {key: None for part in parts for key in part.options}:
        if key not in own:
            path = ("execution", key)
            yield from _one_for_all(parts, path, lambda plan, key=key: plan.options.get(key))  # type: ignore[misc]
    yield from _names(parts)


def _one_for_all(
    parts: Sequence[Plan], path: tuple[str, ...], value: Callable[[Plan], Any]
) -> Iterator[Problem]:
    usual = value(parts[0])
    for part in parts[1:]:
        if value(part) != usual:
            yield Contradiction(
                what=f"'{'.'.join(path)}' is of the whole run, and can't differ between cells of "
                "the matrix",
                advice="take it out of the matrix, or make two configs of it",
                location=part.origin.at(*path),
            )
            return


def _names(parts: Sequence[Plan]) -> Iterator[Problem]:
    """Names of folders: too long, or the same in two cells by the dots in their names."""
    taken: dict[str, Location] = {}
    for part in parts:
        names = dict.fromkeys((*(job.id for job in part.jobs), *(s.id for s in part.steps)))
        for name in names:
            at = part.origin.at(*part.origin.task(name), "name")
            if len(name) > MAX_NAME:
                why = f"with its cell's name it is longer than {MAX_NAME} characters"
                yield BadTaskName(name=name, why=why, location=at)
            elif name.casefold() in RESERVED_IDS:
                yield BadTaskName(name=name, why="a bundle has something of that name", location=at)
            elif name.casefold() in taken:
                yield DuplicateTask(name=name, first=taken[name.casefold()], location=at)
            taken.setdefault(name.casefold(), at)
