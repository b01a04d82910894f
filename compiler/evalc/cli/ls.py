"""``evalc ls``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from evalc.cli.lazy import LazyGroup
from evalc.cli.output import say
from evalc.cli.report.as_json import dumps
from evalc.cli.report.table import columns
from evalc.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from click.shell_completion import CompletionItem

    from evalc.catalog import Catalog, Task

COMMANDS = {
    "runs": ("evalc.cli.runs.listing:runs_command", "List the runs that were submitted."),
    "tasks": ("evalc.cli.ls:tasks_command", "List the tasks of the catalogue."),
    "task": ("evalc.cli.ls:task_command", "Tell all that the catalogue has of tasks."),
    "backends": ("evalc.cli.ls:backends_command", "List the backends that are installed."),
}

EPILOG = """
\b
Examples:
  evalc ls runs --since 2d
  evalc ls tasks --harness simple_evals
  evalc ls tasks --endpoint-type completions --json
  evalc ls task simple_evals.gpqa_diamond
  evalc ls backends
"""


@click.group("ls", cls=LazyGroup, table=COMMANDS, epilog=EPILOG)
def ls_group() -> None:
    """List the runs, tasks and backends that there are."""


def _harnesses(catalog: Catalog) -> list[str]:
    return [harness.name for harness in catalog.harnesses]


def _names(catalog: Catalog) -> list[str]:
    return [task.qualified_name for task in catalog.tasks()]


def _endpoint_types(catalog: Catalog) -> list[str]:
    return sorted({kind for task in catalog.tasks() for kind in task.endpoint_types})


def _complete(
    names: Callable[[Catalog], list[str]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def complete(
        _context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from evalc import catalog

        known = names(catalog.load())
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]

    return complete


@click.command("tasks")
@click.option(
    "--harness",
    metavar="NAME",
    shell_complete=_complete(_harnesses),
    help="Only the tasks of this harness.",
)
@click.option(
    "--endpoint-type",
    metavar="TYPE",
    shell_complete=_complete(_endpoint_types),
    help="Only the tasks that can ask such an endpoint: chat, completions, ...",
)
@click.option("--json", "as_json", is_flag=True, help="As a list of JSON objects.")
def tasks_command(*, harness: str | None, endpoint_type: str | None, as_json: bool) -> int:
    """List the tasks of the catalogue.

    Each line is a name, the endpoint types that it can ask, and its image. A config may leave out
    the name's part before the dot where only one harness has such a task.
    """
    from evalc import catalog

    known = catalog.load()
    _demand(harness, "harness", _harnesses(known))
    _demand(endpoint_type, "endpoint type", _endpoint_types(known))
    tasks = known.tasks(harness=harness, endpoint_type=endpoint_type)
    if as_json:
        say(dumps([_task_object(task) for task in tasks]))
    elif tasks:
        say(columns((t.qualified_name, ",".join(t.endpoint_types), t.image) for t in tasks))
    return 0


@click.command("task")
@click.argument(
    "names", nargs=-1, required=True, metavar="NAME...", shell_complete=_complete(_names)
)
@click.option("--json", "as_json", is_flag=True, help="As a list of JSON objects.")
def task_command(*, names: tuple[str, ...], as_json: bool) -> int:
    """Tell all that the catalogue has of tasks.

    NAME is harness.task, or the task alone where only one harness has it. The parameters are the
    harness's defaults: what a config does not set, and need not repeat.
    """
    from evalc.cli.report import catalogue

    tasks = [find_task(name) for name in names]
    if as_json:
        say(dumps([_task_object(task) for task in tasks]))
    else:
        say("\n\n".join(catalogue.as_text(task) for task in tasks))
    return 0


def find_task(name: str) -> Task:
    """The task called ``name``. Raises UsageError."""
    from evalc import catalog

    try:
        return catalog.load().find(name)
    except catalog.AmbiguousTask as error:
        raise UsageError(str(error), f"there are {', '.join(error.choices)}") from None
    except catalog.UnknownTask as error:
        near = " or ".join(f"'{choice}'" for choice in error.suggestions)
        hint = f"did you mean {near}?" if near else "see `evalc ls tasks`"
        raise UsageError(str(error), hint) from None


@click.command("backends")
@click.option("--json", "as_json", is_flag=True, help="As a list of JSON objects.")
def backends_command(*, as_json: bool) -> int:
    """List the backends that are installed.

    A backend is the value of execution.type; other packages can add some.
    """
    from evalc.backends import registry

    rows = [(name, _description(name)) for name in registry.names()]
    if as_json:
        say(dumps([{"name": name, "description": description} for name, description in rows]))
    else:
        say(columns(rows))
    return 0


def _description(backend: str) -> str:
    from evalc.backends import registry

    try:
        return registry.get(backend).description
    except registry.BrokenBackend as error:
        # One that does not load must not hide the others.
        return f"broken: {error}"


def _task_object(task: Task) -> dict[str, object]:
    return {
        "name": task.name,
        "harness": task.harness.name,
        "qualified_name": task.qualified_name,
        "endpoint_types": list(task.endpoint_types),
        "required_capabilities": list(task.required_capabilities),
        "image": task.image,
        "digest": task.harness.digest,
        "arch": task.harness.arch,
        "url": task.harness.url,
        "params": dict(task.params),
    }


def _demand(name: str | None, kind: str, known: Iterable[str]) -> None:
    """Raise UsageError when ``name`` is given and not known."""
    known = list(known)
    if name is not None and name not in known:
        hint = did_you_mean(name, known) or "there are " + ", ".join(known)
        raise UsageError(f"there is no {kind} '{name}'", hint)
