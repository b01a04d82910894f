"""``evalc compile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalc.cli.failures import report_error, report_failure, report_problems
from evalc.cli.options import (
    Target,
    config_options,
    folders,
    golden_option,
    pin_option,
    task_option,
)
from evalc.cli.output import say
from evalc.cli.progress import Progress
from evalc.cli.report import written
from evalc.cli.report.as_json import dumps
from evalc.errors import UsageError

if TYPE_CHECKING:
    from evalc.bundle import BundleExists
    from evalc.compiler import Request

BUILD = Path("build")
# So many file names are said of a bundle that is in the way.
_NAMED = 3

EPILOG = """
\b
Examples:
  evalc compile cluster.yaml
  evalc compile cluster.yaml -o execution.walltime=8:00:00 -t gsm8k --out run1
  evalc compile configs/*.yaml --out bundles
  evalc compile configs/*.yaml --golden golden
  evalc compile cluster.yaml --pin
  evalc compile --config-dir configs --config-name cluster --json

\b
Exit codes (the worst of all configs):
  0  every bundle was written, or is there already
  1  a config is wrong, or a different bundle is in the way
  2  wrong usage
  3  evalc itself failed
"""


@click.command("compile", epilog=EPILOG)
@config_options
@task_option
@pin_option
@click.option(
    "--out",
    type=Target(),
    metavar="DIR",
    help="Where the bundle goes, by default build/NAME; with several configs, the folder that "
    "gets a bundle for each.",
)
@golden_option
@click.option("--force", is_flag=True, help="Replace a different bundle that is there.")
@click.option("--json", "as_json", is_flag=True, help="Say what was written as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what is wrong.")
def compile_command(
    *,
    requests: tuple[Request, ...],
    out: Path | None,
    golden: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compile configs to bundles of scripts.

    A bundle is a folder of plain files that runs on its own: scripts, what they read, a manifest,
    and a README.md that says how to run it. One that is there already and the same is left
    untouched. A config that is wrong does not keep the others from being compiled.

    With --golden, the bundles are DIR/NAME, and one that differs is replaced: the difference is
    for you to review.
    """
    if as_json and quiet:
        raise UsageError("--json and --quiet exclude each other")
    if golden is not None and out is not None:
        raise UsageError("--golden and --out exclude each other")
    targets = _targets(requests, out, golden)
    progress = Progress(len(requests))
    objects: list[dict[str, Any]] = []
    worst = 0
    for request, target in zip(requests, targets, strict=True):
        try:
            with progress.step(f"compiling {request.config}"):
                result = _compile(request, target, force=force or golden is not None)
        except Exception as error:  # noqa: BLE001 - the other configs are compiled all the same
            worst = max(worst, _report(error))
            objects.append(written.failure_object(request, error))
            continue
        report_problems(result.warnings)
        if as_json:
            objects.append(written.as_object(result))
        elif not quiet:
            say(written.as_text(result, tree=len(requests) == 1))
    if as_json:
        say(dumps(objects))
    return worst


def _targets(requests: tuple[Request, ...], out: Path | None, golden: Path | None) -> list[Path]:
    """Where each bundle goes. Raises UsageError when two would go to one place."""
    if golden is not None:
        return folders(requests, golden)
    if len(requests) == 1:
        return [BUILD / requests[0].name if out is None else out]
    return folders(requests, BUILD if out is None else out)


def _compile(request: Request, target: Path, *, force: bool) -> written.Written:
    """Compile one config and write its bundle; keep of it only what is told about it."""
    from evalc import compiler
    from evalc.bundle import write

    compiled = compiler.compile(request)
    outcome = write(compiled.bundle, target, force=force)
    return written.summarise(request, compiled, target, outcome.value)


def _report(error: Exception) -> int:
    from evalc.bundle import BundleExists

    if isinstance(error, BundleExists):
        return report_error(error, _in_the_way(error))
    return report_failure(error)


def _in_the_way(error: BundleExists) -> str:
    named = ", ".join(error.changed[:_NAMED])
    more = len(error.changed) - _NAMED
    return f"{named}{f' and {more} more' if more > 0 else ''} differ; --force replaces it"
