"""The catalogue of evaluation tasks.

Two files beside this module hold it. ``mapping.toml``, reviewed by hand, says which image each
harness runs in. ``tasks.json``, made by ``tools/make_catalogue.py``, says what each task is. They
are read when something is first asked of the catalogue, not when it is imported.

Names are those of the peer, nemo-evaluator-launcher, and are looked up as it does: exactly,
``task`` or ``harness.task``. No name has a dot. ``-`` and ``_`` differ, and so do upper and lower
case (``simple_evals.AIME_2025`` and ``codec.aime_2025`` are two tasks). What is not found exactly
is only suggested, never guessed.
"""

from __future__ import annotations

import difflib
import json
import sys
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_SUGGESTIONS = 3
_CUTOFF = 0.6  # of difflib's ratio: below it, words that have nothing in common are "similar"


@dataclass(frozen=True)
class Harness:
    """A program that runs evaluations, and the container image that has it.

    ``image`` is a reference with a tag, ``digest`` is what the tag meant when it was reviewed
    (``sha256:…``). ``arch`` is ``multiarch`` or ``amd``: the processors that the image runs on.
    ``url`` is the harness's home page, None when it has none.
    """

    name: str
    image: str
    digest: str
    arch: str
    url: str | None = None

    @property
    def pinned(self) -> str:
        """The image by its digest. Without the tag: enroot, apptainer and older podman refuse a
        reference that has both."""
        return f"{self.image.rpartition(':')[0]}@{self.digest}"


@dataclass(frozen=True)
class Task:
    """One evaluation that a harness can run.

    ``endpoint_types`` are the kinds of endpoint that it can ask (``chat``, ``completions``,
    ``vlm``, ``embedding``), the one to use first. ``required_capabilities`` is what the endpoint
    must be able to do besides (``logprobs``).

    ``params`` are the harness's defaults for ``config.params``, JSON values, to show and to check
    names against. They do not belong in a run config: the container has its own, and those are
    complete, while ours lack some long texts (the prompt template of ``mmlu_pro_aa_v3`` is null
    here). The mapping is shared: copy before you change.
    """

    name: str
    harness: Harness
    endpoint_types: tuple[str, ...]
    params: Mapping[str, Any] = field(hash=False)
    required_capabilities: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        """The image of the task's harness."""
        return self.harness.image

    @property
    def qualified_name(self) -> str:
        """``harness.task``, which names this task and no other."""
        return f"{self.harness.name}.{self.name}"


class UnknownTask(LookupError):
    """No task is called ``query``; ``suggestions`` are up to three names that are like it."""

    def __init__(self, query: str, suggestions: tuple[str, ...]) -> None:
        self.query = query
        self.suggestions = suggestions
        super().__init__(query, suggestions)

    def __str__(self) -> str:
        return f"there is no task {self.query!r}"


class AmbiguousTask(LookupError):
    """Several harnesses have a task called ``query``; ``choices`` are their ``harness.task``."""

    def __init__(self, query: str, choices: tuple[str, ...]) -> None:
        self.query = query
        self.choices = choices
        super().__init__(query, choices)

    def __str__(self) -> str:
        return f"{len(self.choices)} harnesses have a task {self.query!r}"


class Catalog:
    """The tasks and harnesses read from ``directory``, on first use.

    The files are evalc's own: what is wrong with them is no user's mistake, and is raised as it
    comes (OSError, ValueError, KeyError, TypeError).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def find(self, query: str) -> Task:
        """The task that ``query`` names: ``task`` when only one harness has it, ``harness.task``.

        Raises UnknownTask or AmbiguousTask.
        """
        task = self._by_qualified_name.get(query)
        if task:
            return task
        tasks = self._by_name.get(query, [])
        if not tasks:
            raise UnknownTask(query, self._suggest(query))
        if len(tasks) > 1:
            raise AmbiguousTask(query, tuple(task.qualified_name for task in tasks))
        return tasks[0]

    def tasks(
        self, harness: str | None = None, endpoint_type: str | None = None
    ) -> tuple[Task, ...]:
        """All tasks, or those of one harness or endpoint type; sorted by harness, then name.

        Empty for a harness or an endpoint type that there is not.
        """
        return tuple(
            task
            for task in self._by_qualified_name.values()
            if harness in (None, task.harness.name)
            and (endpoint_type is None or endpoint_type in task.endpoint_types)
        )

    @cached_property
    def harnesses(self) -> tuple[Harness, ...]:
        """All harnesses, sorted by name."""
        # Only here, since it is the dearest import of the catalogue.
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib

        with (self._directory / "mapping.toml").open("rb") as file:
            mapping = tomllib.load(file)
        return tuple(Harness(name=name, **facts) for name, facts in sorted(mapping.items()))

    @cached_property
    def _by_qualified_name(self) -> dict[str, Task]:
        harnesses = {harness.name: harness for harness in self.harnesses}
        facts = json.loads((self._directory / "tasks.json").read_bytes())
        tasks = [
            Task(
                name=fact["name"],
                harness=harnesses[fact["harness"]],
                endpoint_types=tuple(fact["endpoint_types"]),
                params=fact["params"],
                required_capabilities=tuple(fact.get("required_capabilities", ())),
            )
            for fact in facts["tasks"]
        ]
        tasks.sort(key=lambda task: (task.harness.name, task.name))
        return {task.qualified_name: task for task in tasks}

    @cached_property
    def _by_name(self) -> dict[str, list[Task]]:
        by_name: dict[str, list[Task]] = {}
        for task in self._by_qualified_name.values():
            by_name.setdefault(task.name, []).append(task)
        return by_name

    def _suggest(self, query: str) -> tuple[str, ...]:
        """Up to three names that ``find`` takes and that are like ``query``, the best first."""
        harness, dot, name = query.rpartition(".")
        found = self._like_qualified(harness, name) if dot else self._like_bare(name)
        return tuple(dict.fromkeys(found))[:MAX_SUGGESTIONS]

    def _like_bare(self, name: str) -> Iterator[str]:
        for near in _nearest(name, self._by_name):
            tasks = self._by_name[near]
            if len(tasks) == 1:
                yield near
            else:
                yield from (task.qualified_name for task in tasks)

    def _like_qualified(self, harness: str, name: str) -> Iterator[str]:
        # First the slips in one half: the harness, when there is a task of just that name; then
        # the task, when there is such a harness. Last what is alike as a whole.
        near = list(_nearest(harness, (known.name for known in self.harnesses)))
        named = [task for task in self.tasks() if task.name.casefold() == name.casefold()]
        yield from (task.qualified_name for task in named if task.harness.name in near)
        yield from (task.qualified_name for task in named)
        for likely in near:
            own = (task.name for task in self.tasks(harness=likely))
            yield from (f"{likely}.{task}" for task in _nearest(name, own))
        yield from _nearest(f"{harness}.{name}", self._by_qualified_name)


def _nearest(word: str, candidates: Iterable[str]) -> Iterator[str]:
    """The candidates most like ``word`` but for case, best first."""
    by_fold: dict[str, list[str]] = {}
    for candidate in candidates:
        by_fold.setdefault(candidate.casefold(), []).append(candidate)
    for near in difflib.get_close_matches(word.casefold(), by_fold, MAX_SUGGESTIONS, _CUTOFF):
        yield from by_fold[near]


@cache
def load() -> Catalog:
    """The catalogue that comes with evalc; one object a process. Reads nothing by itself."""
    return Catalog(Path(__file__).parent)
