"""``evalc schema``."""

from __future__ import annotations

import click

from evalc.cli.output import say
from evalc.cli.report.as_json import dumps

EPILOG = """
\b
Examples:
  evalc schema config > evalc.schema.json

\b
Then an editor completes a config whose first line is:
  # yaml-language-server: $schema=./evalc.schema.json

\b
Exit codes:
  0  fine
  2  wrong usage
  3  evalc itself failed
"""


@click.command("schema", epilog=EPILOG)
@click.argument("kind", type=click.Choice(["config", "plan", "manifest"]))
def schema_command(*, kind: str) -> int:
    """Print a JSON Schema (draft-07).

    config is what users write, and lets an editor complete and check it; plan and manifest are
    plan.json and manifest.json in a bundle.
    """
    from evalc import compiler

    say(dumps(compiler.schema(kind)))
    return 0
