"""``evalc submit``, ``evalc run`` and ``evalc resume``."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalc.cli.options import config_options, pin_option, task_option
from evalc.cli.output import note, say
from evalc.cli.report import runs as shown
from evalc.cli.report.as_json import dumps
from evalc.cli.report.table import columns
from evalc.cli.runs.common import EXIT_CODES, named, tracking
from evalc.errors import EvalcError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeVar

    from evalc.bundle.read import StoredBundle
    from evalc.compiler import Request
    from evalc.runner.database import Database, Invocation

    _Function = TypeVar("_Function", bound=Callable[..., Any])

SUBMIT_EPILOG = """
\b
Examples:
  evalc submit build/cluster
  evalc submit build/cluster --host me@login.cluster
  evalc submit golden/suite --dry-run

\b
Exit codes:
  0  all jobs were submitted
  1  a job was refused, a secret is missing, or the bundle was edited
  2  wrong usage: there is no bundle, say
  3  evalc itself failed
  4  the host can't be reached, or was lost; nothing is ever submitted twice
"""
RUN_EPILOG = (
    """
\b
Examples:
  evalc run cluster.yaml
  evalc run laptop.yaml -t gsm8k --wait
  evalc run cluster.yaml --dry-run

With --wait:
"""
    + EXIT_CODES
)
RESUME_EPILOG = """
\b
Examples:
  evalc resume k3f
  evalc resume k3f.2
"""


def submit_options(function: _Function) -> _Function:
    """Give a command what decides where and how a bundle is submitted."""
    for decorate in reversed(
        (
            click.option(
                "--host",
                "to",
                metavar="[USER@]HOST",
                help="Submit by ssh to this machine, whatever the config's hostname is.",
            ),
            click.option(
                "--dry-run", is_flag=True, help="Say what would be done, and show the scripts."
            ),
            click.option(
                "--wait", is_flag=True, help="Watch until all is over; the exit code tells how."
            ),
            click.option("--json", "as_json", is_flag=True, help="Say what was done as JSON."),
        )
    ):
        function = decorate(function)
    return function


@click.command("submit", epilog=SUBMIT_EPILOG)
@click.argument(
    "bundles", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR..."
)
@click.option(
    "--allow-edited", is_flag=True, help="Submit a bundle that was changed by hand; it is recorded."
)
@submit_options
def submit_command(
    *,
    bundles: tuple[Path, ...],
    to: str | None,
    allow_edited: bool,
    dry_run: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Submit compiled bundles.

    A bundle is copied to a new folder in its output_dir, on the machine that its config names, and
    its jobs are started from there. Every step is recorded first: what is interrupted is found
    again, and no job is submitted twice.
    """
    from evalc.bundle.read import read

    return _submit(
        [read(path) for path in bundles],
        to=to,
        allow_edited=allow_edited,
        dry_run=dry_run,
        wait=wait,
        as_json=as_json,
    )


@click.command("run", epilog=RUN_EPILOG)
@config_options
@task_option
@pin_option
@submit_options
def run_command(
    *, requests: tuple[Request, ...], to: str | None, dry_run: bool, wait: bool, as_json: bool
) -> int:
    """Compile configs and submit the bundles.

    The same as 'evalc compile --force' into build/NAME, and then 'evalc submit'.
    """
    from evalc import compiler
    from evalc.bundle import write
    from evalc.bundle.read import read
    from evalc.cli.compile import BUILD
    from evalc.cli.failures import report_problems

    folders = []
    # All of them first: a mistake in the second is found before the first has cost anything.
    for request in requests:
        compiled = compiler.compile(request)
        report_problems(compiled.warnings)
        folder = BUILD / request.name
        write(compiled.bundle, folder, force=True)
        folders.append(folder)
    return _submit(
        [read(folder) for folder in folders],
        to=to,
        allow_edited=False,
        dry_run=dry_run,
        wait=wait,
        as_json=as_json,
    )


@click.command("resume", epilog=RESUME_EPILOG)
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--json", "as_json", is_flag=True, help="Say what was done as JSON.")
def resume_command(*, ids: tuple[str, ...], as_json: bool) -> int:
    """Start again what has stopped without being finished.

    Finished tasks are skipped, and a harness goes on from what it has cached. What still runs or
    waits is left alone.
    """
    from evalc.runner.submitting import resume

    with tracking() as database:
        done = [
            resume(database, invocation, jobs, environ=os.environ, said=note)
            for invocation, jobs in named(database, ids)
        ]
        return _tell(done, as_json=as_json)


def _submit(
    bundles: Sequence[StoredBundle],
    *,
    to: str | None,
    allow_edited: bool,
    dry_run: bool,
    wait: bool,
    as_json: bool,
) -> int:
    from evalc.runner.submitting import check, submit

    if dry_run and wait:
        raise UsageError("--dry-run starts nothing that --wait could wait for")
    if dry_run:
        plans = [_what_would_be_done(bundle, to, os.environ) for bundle in bundles]
        say(dumps(plans) if as_json else "\n\n".join(map(_plan_text, plans)))
        return 0
    for bundle in bundles:
        check(bundle, allow_edited=allow_edited, environ=os.environ)
    done: list[Invocation] = []
    with tracking() as database:
        try:
            # Added one by one: what was submitted before one that fails is known.
            done.extend(
                submit(
                    database,
                    bundle,
                    to=to,
                    allow_edited=allow_edited,
                    environ=os.environ,
                    said=note,
                )
                for bundle in bundles
            )
        except EvalcError:
            # What runs already must not go unmentioned.
            _tell(done, as_json=as_json)
            raise
        if not wait or not as_json:
            code = _tell(done, as_json=as_json)
        return _wait(database, done, as_json=as_json) if wait else code


def _wait(database: Database, done: Sequence[Invocation], *, as_json: bool) -> int:
    from evalc.cli.runs.status import follow

    wanted = {one.id: [job.id for job in one.jobs] for one in done}
    return follow(database, done, wanted, 5.0, as_json=as_json)


def _tell(done: Iterable[Invocation], *, as_json: bool) -> int:
    from evalc.backends.running import State

    done = list(done)
    sights = [[job.sight for job in one.jobs] for one in done]
    if as_json:
        say(dumps([shown.invocation_object(*pair) for pair in zip(done, sights, strict=True)]))
    else:
        for one in done:
            say(_submitted_text(one))
    refused = any(sight.state is State.FAILED for of_one in sights for sight in of_one)
    return 1 if refused else 0


def _submitted_text(invocation: Invocation) -> str:
    rows = [
        (
            f"  {invocation.id}.{job.number}",
            job.id,
            " ".join(job.sight.native[-1:]),
            job.sight.state.value,
            shown.one_line(job.sight.reason),
        )
        for job in invocation.jobs
    ]
    from evalc.backends.running import remote_of
    from evalc.runner.reaching import runs_for

    remote = remote_of(runs_for(invocation.backend))
    where = f"{invocation.hostname}:" if invocation.hostname else ""
    host = invocation.hostname or ("this machine" if remote is None else remote.where)
    return (
        f"{invocation.id}: {invocation.name} on {host}\n"
        f"{columns(rows)}\n"
        f"{'results' if remote is None else 'folder'}: {where}{invocation.folder}\n"
        f"next: evalc status {invocation.id} --watch | logs | kill | fetch"
    )


def _what_would_be_done(
    bundle: StoredBundle, to: str | None, environ: Mapping[str, str]
) -> dict[str, Any]:
    """As JSON; of secrets only whether they are set."""
    from evalc.runner.reaching import MissingSecrets, output_folder

    scripts = [name for name, mode in bundle.files.items() if mode & 0o100]
    if not to and not bundle.options.get("hostname"):
        # What a variable would say is not known here.
        with suppress(MissingSecrets):
            output_folder(bundle, environ, remote=False)
    return {
        "bundle": str(bundle.path),
        "backend": bundle.backend,
        "host": to or _shown_word(bundle.options.get("hostname") or "this machine"),
        "output_dir": _shown_word(bundle.output_dir),
        "jobs": {job.id: list(job.steps) for job in bundle.jobs},
        "secrets": {
            name: "is set"
            if name in environ
            else "is NOT set"
            if required
            else "is not set, and has a default"
            for name, required in bundle.secrets.items()
        },
        "edited": list(bundle.edited),
        "scripts": {
            name: (bundle.path / name).read_text(encoding="utf-8", errors="replace")
            for name in scripts
            if not name.startswith("lib/") and (bundle.path / name).is_file()
        },
    }


def _plan_text(plan: Mapping[str, Any]) -> str:
    lines = [
        f"would submit {plan['bundle']} ({plan['backend']}) to {plan['host']}",
        f"into a new folder in {plan['output_dir']}",
        *(f"  job {job}: {', '.join(steps)}" for job, steps in plan["jobs"].items()),
        *(f"  secret {name} {how}" for name, how in plan["secrets"].items()),
        *(f"  edited since it was compiled: {name}" for name in plan["edited"]),
    ]
    for name, text in plan["scripts"].items():
        lines += ["", f"==> {name} <==", text.rstrip("\n")]
    return "\n".join(lines)


def _shown_word(word: Any) -> str:
    if isinstance(word, str):
        return word
    return "".join(part if isinstance(part, str) else f"${part['env']}" for part in word["parts"])
