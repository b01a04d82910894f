"""``evalc export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalc.cli.output import note, say
from evalc.cli.report.as_json import dumps

if TYPE_CHECKING:
    from evalc.export.destinations.base import Outcome
    from evalc.export.model import RunResult
    from evalc.export.sending import Batch

EPILOG = """
Destinations are local (files), mlflow, wandb, gsheets, and those that installed packages add. What
each is told stands under 'export' in the run's config; --config and -o say more, and win. Exporting
the same twice adds nothing; what failed is completed by doing it again.

\b
Examples:
  evalc export k3f
  evalc export k3f m2q --format csv --output-dir scores
  evalc export k3f --dest mlflow -o export.mlflow.experiment_name=nightly
  evalc export runs/a --dest local --dest wandb --config export.yaml

\b
Exit codes:
  0  all results are where they should be
  1  something could not be exported; it says what, and what to do
  2  wrong usage: there is no such run or destination, say
  3  evalc itself failed
  4  the run's host can't be reached
"""


@click.command("export", epilog=EPILOG)
@click.argument("names", nargs=-1, required=True, metavar="ID|DIR...")
@click.option(
    "--dest",
    "destinations",
    multiple=True,
    default=("local",),
    show_default=True,
    metavar="NAME",
    help="Where to; may be repeated, or hold names with commas.",
)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A YAML file with a block 'export', as in a run's config.",
)
@click.option(
    "-o",
    "--override",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting: export.mlflow.experiment_name=nightly. May be repeated.",
)
@click.option("--output-dir", metavar="DIR", help="The same as -o export.local.output_dir=DIR.")
@click.option("--format", "form", metavar="FORMAT", help="Of local: json, csv or parquet.")
@click.option("--json", "as_json", is_flag=True, help="Say what was done as JSON.")
def export_command(
    *,
    names: tuple[str, ...],
    destinations: tuple[str, ...],
    file: Path | None,
    overrides: tuple[str, ...],
    output_dir: str | None,
    form: str | None,
    as_json: bool,
) -> int:
    """Send results elsewhere.

    The scores of finished tasks, with what tells where they come from; and files, where a
    destination takes any. A run is an id, or a folder.
    """
    from evalc.cli.results.finding import find_runs
    from evalc.export.sending import unfinished

    wanted = list(dict.fromkeys(d for given in destinations for d in given.split(",") if d))
    told = _told(overrides, output_dir, form, wanted)
    runs = find_runs(names)
    for name, why in unfinished(runs):
        note(f"{name}: nothing to export, {why}")
    work = _Work(names, runs, file, told, quiet=as_json)
    for destination in wanted:
        work.send_to(destination, only=len(wanted) == 1)
    if as_json:
        say(dumps(work.as_object()))
    return 1 if work.failed else 0


def _told(
    overrides: tuple[str, ...], output_dir: str | None, form: str | None, wanted: list[str]
) -> list[tuple[str, str, Any]]:
    """What the command line says of destinations."""
    from evalc.errors import UsageError, did_you_mean
    from evalc.export.destinations import settings

    told = [settings.override(text) for text in overrides]
    told += [("local", "output_dir", output_dir)] if output_dir is not None else []
    told += [("local", "format", form)] if form is not None else []
    for destination, key, _ in told:
        if destination not in wanted:
            hint = did_you_mean(destination, wanted) or f"add --dest {destination}"
            raise UsageError(f"export.{destination}.{key} is of no destination here", hint)
    return told


class _Work:
    """What is to be exported, and what has become of it."""

    def __init__(
        self,
        names: tuple[str, ...],
        runs: list[RunResult],
        file: Path | None,
        told: list[tuple[str, str, Any]],
        *,
        quiet: bool,
    ) -> None:
        self._names = names
        self._runs = runs
        self._file = file
        self._told = told
        self._quiet = quiet
        self._outcomes: list[tuple[str, Outcome]] = []
        self._failures: list[dict[str, Any]] = []

    @property
    def failed(self) -> bool:
        """Whether something is not where it should be."""
        bad = any(one.status.value == "FAILED" for _, one in self._outcomes)
        return bad or bool(self._failures)

    def send_to(self, destination: str, *, only: bool) -> None:
        """Sends all to a destination. What makes that impossible is raised where it is the only
        one, and else said, for the others to go on."""
        from evalc.cli.failures import report_error
        from evalc.errors import EvalcError
        from evalc.export.sending import send

        try:
            found = self._batches(destination)
        except EvalcError as error:
            if only:
                raise
            report_error(error, getattr(error, "hint", ""))
            self._failures.append({"destination": destination, "why": str(error), "tasks": []})
            return
        for batch in found:
            failure = send(batch, lambda outcome: self._said(destination, outcome))
            if failure is None:
                continue
            again = "do it again when that is mended: what is there already stays as it is"
            report_error(failure.error, getattr(failure.error, "hint", "") or again)
            if failure.undone:
                note(f"not exported to {destination}: {', '.join(failure.undone)}")
            why = {"why": str(failure.error), "tasks": list(failure.undone)}
            self._failures.append({"destination": destination, **why})

    def as_object(self) -> dict[str, Any]:
        """What has become of it, as JSON."""
        objects = [
            {
                "destination": destination,
                "run": one.run,
                "task": one.task,
                "status": one.status.value.lower(),
                "text": one.text,
            }
            for destination, one in self._outcomes
        ]
        return {"schema_version": 1, "tasks": objects, "failures": self._failures}

    def _batches(self, destination: str) -> list[Batch]:
        from evalc.cli.results.finding import find_runs
        from evalc.export.sending import batches

        found = batches(destination, self._runs, self._file, self._told)
        logs, whole = (any(one) for one in zip(*(batch.needs for batch in found), strict=True))
        if logs or whole:
            # Of runs elsewhere, the scores are here so far.
            runs = find_runs(self._names, logs=logs, whole=whole)
            found = batches(destination, runs, self._file, self._told)
        return found

    def _said(self, destination: str, outcome: Outcome) -> None:
        self._outcomes.append((destination, outcome))
        if not self._quiet:
            line = f"{destination}: {outcome.run}.{outcome.task} {outcome.status.value}"
            line = f"{line}: {outcome.text}" if outcome.text else line
            (note if outcome.status.value == "FAILED" else say)(line)
