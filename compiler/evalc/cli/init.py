"""``evalc init``."""

from __future__ import annotations

from pathlib import Path

import click

from evalc.cli.output import say
from evalc.errors import UsageError, did_you_mean

DEFAULT_TASK = "lm-evaluation-harness.ifeval"

EPILOG = """
\b
Examples:
  evalc init
  evalc init cluster.yaml --execution slurm --deployment vllm
  evalc init --deployment none -t mbpp-chat -t simple_evals.gpqa_diamond
  evalc init - --execution slurm | less

\b
Exit codes:
  0  fine
  2  wrong usage, or the file is there already
  3  evalc itself failed
"""


@click.command("init", epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="evalc.yaml")
@click.option(
    "--execution",
    default="local",
    show_default=True,
    metavar="BACKEND",
    help="What runs the tasks: local, slurm, lepton.",
)
@click.option(
    "--deployment",
    default="none",
    show_default=True,
    metavar="TYPE",
    help="What serves the model: none (it runs already), vllm, sglang, nim, trtllm, generic, "
    "vllm_ray.",
)
@click.option(
    "-t",
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help=f"A task of the catalogue; may be repeated.  [default: {DEFAULT_TASK}]",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init_command(
    *, file: Path, execution: str, deployment: str, tasks: tuple[str, ...], force: bool
) -> int:
    """Write a commented config to start from.

    FILE is evalc.yaml by default; '-' is the standard output. The config is right as it is: edit
    the names in it, and `evalc run` it.
    """
    from evalc.cli.ls import find_task
    from evalc.config.starting import backends, deployments, starting_config

    _demand("backend", execution, backends())
    _demand(f"deployment on {execution}", deployment, deployments(execution))
    # As the user called them: a name that one harness alone has stays short.
    for task in tasks:
        find_task(task)
    text = starting_config(execution, deployment, tasks or (DEFAULT_TASK,))
    if str(file) == "-":
        say(text.rstrip("\n"))
        return 0
    try:
        with file.open("w" if force else "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise UsageError(f"{file} is there already", "--force replaces it") from None
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror}") from None
    say(f"wrote {file}; next: evalc check {file}")
    return 0


def _demand(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        hint = did_you_mean(name, known) or "there are " + ", ".join(known)
        raise UsageError(f"there is no {kind} to start from called '{name}'", hint)
