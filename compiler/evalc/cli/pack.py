"""``evalc pack``."""

from __future__ import annotations

from pathlib import Path

import click

from evalc.cli.output import say
from evalc.cli.report.as_text import count, visible
from evalc.errors import UsageError

EPILOG = """
\b
Examples:
  evalc pack build/cluster -o cluster.tar.gz
  evalc pack build/* -o suite.tar.gz
  tar xzf suite.tar.gz && bash suite/verify.sh     # on the other side

\b
Exit codes:
  0  the file is written, or is there already
  1  a bundle was edited, or a different file is in the way
  2  what is named is no bundle, or wrong usage
  3  evalc itself failed
"""
_ENDINGS = (".tar.gz", ".tgz")


@click.command("pack", epilog=EPILOG)
@click.argument(
    "bundles", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUNDLE..."
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.tar.gz",
    help="Where the archive goes.",
)
@click.option("--force", is_flag=True, help="Replace a different file that is there.")
@click.option("--allow-edited", is_flag=True, help="Pack also what was edited by hand.")
def pack_command(*, bundles: tuple[Path, ...], out: Path, force: bool, allow_edited: bool) -> int:
    """Pack bundles into one file for a machine without a network.

    The same bundles give the same bytes. The archive has checksums, a script that verifies them,
    and one that tells where each task stands; all need bash alone. Images are not in it: 'evalc
    images' tells how to bring them over.
    """
    from evalc.bundle.pack import pack, write_pack
    from evalc.bundle.read import read

    ending = next((one for one in _ENDINGS if out.name.endswith(one)), "")
    name = out.name.removesuffix(ending)
    if not ending or not name or not name.isprintable() or name.startswith("-"):
        raise UsageError(f"{out.name!r} can't name the archive", "take a name such as suite.tar.gz")
    made = pack([read(path) for path in bundles], name, allow_edited=allow_edited)
    outcome = write_pack(made, out, force=force)
    say(
        f"{outcome} {visible(str(out))} ({count(made.files, 'file')}, "
        f"{count(len(bundles), 'bundle')})\n  sha256  {made.sha256}"
    )
    return 0
