"""The options that name a config, shared by the commands that read one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evalc.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.compiler import Request

SUFFIXES = (".yaml", ".yml")
# Also for a backend whose defaults do not name the key.
PIN = "++execution.pin_images=true"

# Whether a file is there is left to the reader, whose message is the clearer one.
_FILE = click.Path(path_type=Path)
_DIRECTORY = click.Path(path_type=Path, file_okay=False)

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Target(click.Path):
    """A path that something is written to. Not an empty text, which is what a shell makes of a
    variable that is not set, and which would be the current folder."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(path_type=Path, file_okay=file_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty.", param, ctx)
        return super().convert(value, param, ctx)


def config_options(function: _Function) -> _Function:
    """Give a command CONFIG…, -o, --config-dir and --config-name; it gets ``requests``.

    A command that also wants ``-t`` adds :data:`task_option`, and :data:`pin_option` for ``--pin``.
    """

    @functools.wraps(function)
    def command(
        *,
        configs: tuple[Path, ...],
        overrides: tuple[str, ...],
        config_dirs: tuple[Path, ...],
        config_names: tuple[str, ...],
        tasks: tuple[str, ...] = (),
        pin: bool = False,
        **others: Any,
    ) -> Any:
        from evalc.compiler import Request

        named = (*configs, *(find_config(name, config_dirs) for name in config_names))
        if not named:
            raise UsageError(
                "no config is named", "give a file, or --config-dir DIR with --config-name NAME"
            )
        if pin:
            overrides = (*overrides, PIN)
        requests = tuple(Request(path, overrides, tasks, config_dirs) for path in named)
        return function(requests=requests, **others)

    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command  # type: ignore[return-value]


def folders(requests: Sequence[Request], parent: Path) -> list[Path]:
    """The folder of each config's bundle below ``parent``. Raises UsageError when two would go to
    one place."""
    seen: dict[str, Request] = {}
    for request in requests:
        other = seen.setdefault(request.name, request)
        if other is not request:
            raise UsageError(
                f"{other.config} and {request.config} would both be written to "
                f"{parent / request.name}",
                "compile them one by one, each with its own --out",
            )
    return [parent / request.name for request in requests]


def find_config(name: str, directories: tuple[Path, ...]) -> Path:
    """The config called ``name``, with or without its suffix, in the first directory that has it.

    Raises UsageError when no directory has it.
    """
    if not directories:
        raise UsageError("--config-name is looked up in --config-dir, and none is given")
    for directory in directories:
        for candidate in (directory / name, *(directory / (name + end) for end in SUFFIXES)):
            if candidate.is_file():
                return candidate
    there = {
        path.stem
        for directory in directories
        if directory.is_dir()
        for path in directory.iterdir()
        if path.suffix in SUFFIXES
    }
    places = " or ".join(str(directory) for directory in directories)
    raise UsageError(f"there is no config '{name}' in {places}", did_you_mean(name, there))


task_option = click.option(
    "-t",
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="Only this task, or this cell of a matrix; may be repeated.",
)

override_option = click.option(
    "-o",
    "--override",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a value: a.b=c; add one: +a.b=c; either: ++a.b=c; remove one: ~a.b. "
    "May be repeated.",
)

config_dir_option = click.option(
    "--config-dir",
    "config_dirs",
    multiple=True,
    type=_DIRECTORY,
    metavar="DIR",
    help="Look for the parts of a config here first; may be repeated.",
)

golden_option = click.option(
    "--golden",
    type=Target(file_okay=False),
    metavar="DIR",
    help="The folder of committed bundles: DIR/NAME for each config.",
)

pin_option = click.option(
    "--pin",
    is_flag=True,
    help="Name images by digest, not by tag: the same as -o execution.pin_images=true.",
)

_OPTIONS = (
    click.argument("configs", nargs=-1, type=_FILE, metavar="CONFIG..."),
    override_option,
    config_dir_option,
    click.option(
        "--config-name",
        "config_names",
        multiple=True,
        metavar="NAME",
        help="A config in --config-dir, with or without .yaml.",
    ),
)
