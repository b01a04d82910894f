"""``evalc images``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalc.cli.output import say
from evalc.cli.report.as_json import dumps
from evalc.cli.report.as_text import visible
from evalc.cli.report.table import columns
from evalc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from evalc.bundle.images import Image

EPILOG = """
\b
Examples:
  evalc images build/cluster
  evalc images build/* --mirror registry.site.example/mirror
  evalc images build/* --mirror registry.site.example --with skopeo | bash
  evalc images build/* --with enroot > import.sh

\b
--format json prints a list of objects:
  image (as the bundle has it), source (where it comes from), reference (the
  source's full name), digest (null when it is not known), file (whether image
  is a path), users, commands (by tool)

\b
Exit codes:
  0  fine
  2  what is named is no bundle
  3  evalc itself failed
"""
_HEADINGS = ("IMAGE", "DIGEST", "USED BY")
# What stands for the registry where none is given.
_UNKNOWN = "REGISTRY"


@click.command("images", epilog=EPILOG)
@click.argument(
    "bundles", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUNDLE..."
)
@click.option(
    "--mirror",
    metavar="REGISTRY",
    help="The registry for images that the config has no image_mirror for.",
)
@click.option(
    "--with",
    "tool",
    type=click.Choice(["docker", "podman", "skopeo", "enroot", "apptainer"]),
    help="Print only the commands of this tool, as a bash script.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)
def images_command(
    *, bundles: tuple[Path, ...], mirror: str | None, tool: str | None, style: str
) -> int:
    """List the images of bundles, and how to mirror them.

    Nothing is pulled or pushed: you run the commands, where there is a network. An image for which
    the config has an execution.image_mirror goes to the place that this names.
    """
    from evalc.bundle.images import TOOLS, commands
    from evalc.bundle.inside import images_in

    if tool and style == "json":
        raise UsageError("--with and --format json exclude each other")
    images = _merged(image for bundle in bundles for image in images_in(bundle))
    registry = mirror or _UNKNOWN
    tools = (tool,) if tool else TOOLS
    made = {image.text: {one: commands(image, one, registry) for one in tools} for image in images}
    if style == "json":
        say(dumps([_object(image, made[image.text]) for image in images]))
    elif tool:
        _need_mirror(tool, mirror, images)
        say(_script([line for image in images for line in made[image.text][tool]]))
    else:
        say(_text(images, made))
    return 0


def _need_mirror(tool: str, mirror: str | None, images: Iterable[Image]) -> None:
    if mirror is not None or tool in ("enroot", "apptainer"):
        return
    for image in images:
        if image.reference and image.text == image.source:
            raise UsageError(f"{tool} has to know where to put {image.text}", "give --mirror")


def _merged(images: Iterable[Image]) -> list[Image]:
    """Each image once, with its users in all bundles."""
    from dataclasses import replace

    found: dict[str, Image] = {}
    for image in images:
        before = found.get(image.text)
        users = (*before.users, *image.users) if before else image.users
        found[image.text] = replace(image, users=tuple(dict.fromkeys(users)))
    return [found[text] for text in sorted(found)]


def _object(image: Image, made: Mapping[str, list[str]]) -> dict[str, object]:
    reference = image.reference
    return {
        "image": image.text,
        "source": image.source,
        "reference": reference.full if reference else None,
        "digest": (reference.digest or None) if reference else None,
        "file": image.is_file,
        "users": list(image.users),
        "commands": dict(made),
    }


def _script(lines: list[str]) -> str:
    return "\n".join(("#!/usr/bin/env bash", "set -euo pipefail", *lines))


def _text(images: list[Image], made: Mapping[str, Mapping[str, list[str]]]) -> str:
    if not images:
        return "no images are needed"
    rows = [(visible(_name(i)), _digest(i), visible(", ".join(i.users))) for i in images]
    parts = [columns([_HEADINGS, *rows])]
    for tool in made[images[0].text]:
        lines = [line for image in images for line in made[image.text][tool]]
        if lines:
            parts.append("\n".join((f"with {tool}:", *(f"  {visible(line)}" for line in lines))))
    return "\n\n".join(parts)


def _name(image: Image) -> str:
    return image.text if image.text == image.source else f"{image.text} (from {image.source})"


def _digest(image: Image) -> str:
    if image.reference is not None:
        return image.reference.digest or "not pinned"
    return "a file" if image.is_file else "known when it runs"
