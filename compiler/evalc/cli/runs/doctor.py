"""``evalc doctor``."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalc.cli.output import page_of, say
from evalc.cli.report.as_json import dumps
from evalc.cli.report.runs import one_line
from evalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.backends.running import Check
    from evalc.bundle.read import StoredBundle

EPILOG = """
\b
Examples:
  evalc doctor
  evalc doctor cluster.yaml
  evalc doctor build/cluster --host me@login.cluster

\b
Exit codes:
  0  nothing is wrong, as far as can be told
  1  something is wrong; each line says what to do
  2  wrong usage: there is no bundle, say
  3  evalc itself failed
  4  the host can't be reached
"""
_WRONG, _NOT_REACHED = 1, 4
_COLOURS = {"ok": "green", "WRONG": "red", "?": "yellow"}


@click.command("doctor", epilog=EPILOG)
@click.argument("target", required=False, type=click.Path(path_type=Path), metavar="[CONFIG|DIR]")
@click.option(
    "--host",
    "to",
    metavar="[USER@]HOST",
    help="Look at this machine by ssh, whatever the config's hostname is.",
)
@click.option("--json", "as_json", is_flag=True, help="As a list of JSON objects.")
def doctor_command(*, target: Path | None, to: str | None, as_json: bool) -> int:
    """Say whether all is there that a run needs.

    Of a config, or of a bundle's folder: can the host be reached, does Slurm know the partition and
    the account, are images and mounts there, are the secrets set, can the results be written? Each
    line is ok, or says what to do; ? is what nobody can tell beforehand. Without an argument: what
    this machine has. Nothing is started, and nothing is left behind.
    """
    from evalc.runner.diagnosing import of_bundle, of_machine

    if target is None:
        if to is not None:
            raise UsageError("--host needs a config or a bundle", "evalc doctor CONFIG --host HOST")
        found = of_machine()
    else:
        with _bundle(target) as bundle:
            found = of_bundle(bundle, to=to, environ=os.environ)
    if as_json:
        say(dumps([_as_object(check) for check in found.checks]))
    else:
        say(_text(found.checks))
    if not found.reached:
        return _NOT_REACHED
    return _WRONG if any(check.verdict.value == "WRONG" for check in found.checks) else 0


@contextmanager
def _bundle(target: Path) -> Iterator[StoredBundle]:
    """The bundle in a folder, or a config's for as long as it is looked at."""
    from evalc.bundle.read import read

    if target.is_dir():
        yield read(target)
        return
    from evalc import compiler
    from evalc.bundle import write
    from evalc.cli.failures import report_problems

    compiled = compiler.compile(compiler.Request(target))
    report_problems(compiled.warnings)
    with tempfile.TemporaryDirectory(prefix="evalc-doctor-") as folder:
        write(compiled.bundle, Path(folder, "bundle"), force=False)
        yield read(Path(folder, "bundle"))


def _as_object(check: Check) -> dict[str, Any]:
    return {"verdict": check.verdict.name.lower(), "what": check.what, "todo": check.todo}


def _text(checks: tuple[Check, ...]) -> str:
    coloured = page_of(sys.stdout).colour
    lines = []
    for check in checks:
        word = check.verdict.value.ljust(5)
        colour = _COLOURS.get(check.verdict.value)
        if coloured and colour:
            word = click.style(word, fg=colour)
        text = f"{check.what}: {check.todo}" if check.todo else check.what
        lines.append(f"{word} {one_line(text)}")
    return "\n".join(lines)
