"""``evalc migrate``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from evalc.cli.options import config_options
from evalc.errors import UsageError

if TYPE_CHECKING:
    from evalc.compiler import Request

EPILOG = """
\b
Examples:
  evalc migrate old.yaml > new.yaml
  evalc migrate old.yaml | diff old.yaml -
  evalc migrate --config-dir configs --config-name cluster

\b
Exit codes:
  0  fine; the standard error tells what was changed, and what was left
  1  the config is wrong
  2  wrong usage
  3  evalc itself failed
"""


@click.command("migrate", epilog=EPILOG)
@config_options
@click.option("-q", "--quiet", is_flag=True, help="Do not tell what was changed.")
def migrate_command(*, requests: tuple[Request, ...], quiet: bool) -> int:
    """Print a config in the current form.

    Older keys and values become those of today; everything else, comments too, stays as it was
    written. Nothing is changed that would change what the config means; what could not be rewritten
    is told, and goes on to be read in its older form.
    """
    from evalc import compiler

    if len(requests) > 1:
        raise UsageError("one config is migrated at a time")
    migrated = compiler.migrate(requests[0])
    # As it is, without a newline of our own.
    click.echo(migrated.text, nl=False)
    if not quiet:
        sys.stdout.flush()
        name = requests[0].config
        for change in migrated.changes:
            click.echo(f"{name}:{change.line}: {change.key} -> {change.new}", err=True)
        for change in migrated.left:
            click.echo(
                f"{name}:{change.line}: {change.key} is left as it is; write {change.new} by hand",
                err=True,
            )
    return 0
