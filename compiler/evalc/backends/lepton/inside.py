"""What a container of the platform's is given beside its command's words: nothing.

So the command carries all that it needs: its script writes the task's files, and evalc's own
library, into folders before it runs them. Values that the submitting machine knows come as
environment variables whose names begin with ``EVALC_ENV_``.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evalc import __version__
from evalc.backends import scripts
from evalc.backends.base import Artifact
from evalc.emit import quoting
from evalc.emit.environment import shell_environment
from evalc.plan import Argv
from evalc.resources import template_dir
from evalc.words import RuntimeEnv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalc.backends.lepton.options import Options
    from evalc.plan import Plan, Service, Step
    from evalc.words import Part, Word

# Linux passes a program no longer word than that, in bytes, with the NUL at its end.
MAX_WORD = 131_072
_PREFIX = "EVALC_ENV_"
# What the job's script sets itself.
RESULTS_DIR = "RESULTS_DIR"
_FOR_JOBS = ("common.sh", "work.sh", "inside.sh", "step.sh", "tell.sh", "container.sh")
_FOR_ENDPOINTS = ("inside.sh", "serve.sh")
LIBRARY = tuple(sorted({*_FOR_JOBS, *_FOR_ENDPOINTS}))


class Renamed:
    """Words whose run-time parts are variables of the container's; ``needed`` are those of the
    submitting machine that these get their values from, by name."""

    def __init__(self) -> None:
        self.needed: dict[str, RuntimeEnv] = {}

    def value(self, value: Any) -> Any:
        """The same value with other words."""
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, tuple):
            return self.word(value)
        return value

    def word(self, word: Word) -> Word:
        return tuple(map(self._part, word))

    def env(self) -> list[dict[str, Any]]:
        """The variables that the container needs for that, as JSON with words."""
        return [
            {"name": f"{_PREFIX}{name}", "value": (part,)}
            for name, part in sorted(self.needed.items())
        ]

    def _part(self, part: Part) -> Part:
        if not isinstance(part, RuntimeEnv) or part.name == RESULTS_DIR:
            return part
        self.needed[part.name] = part
        return RuntimeEnv(f"{_PREFIX}{part.name}")


@dataclass(frozen=True, slots=True)
class TaskScript:
    """The command of a task's job: ``text`` is bash, ``env`` are variables that it needs (JSON with
    words), ``digest`` tells what a finished task must be of. ``files`` are the task's own, as the
    bundle has them."""

    text: str
    env: tuple[dict[str, Any], ...]
    digest: str
    files: tuple[Artifact, ...]


def task_script(
    plan: Plan, step: Step, options: Options, *, described: str, served: bytes
) -> TaskScript:
    """The script of a task. ``described`` is what else decides what the task does, as text, and
    ``served`` the same of its endpoint."""
    renamed = Renamed()
    inside = replace(step, run_config=renamed.value(step.run_config))
    text, fill = scripts.run_config(inside)
    files = (
        Artifact(f"{step.id}/run_config.yml", text.encode()),
        *scripts.step_scripts(step),
    )
    digest = scripts.digest(served, [described], files)
    results = options.tasks.results
    script = (
        shell_environment()
        .get_template("lepton/job.sh.j2")
        .render(
            plan=plan,
            step=step,
            version=__version__,
            title=scripts.title(step),
            digest=digest,
            results=renamed.value(results),
            timeout=options.tasks.timeout,
            fill=fill,
            carried=list(_carried(f"{step.id}/", files)),
            library=_library(_FOR_JOBS),
        )
    )
    return TaskScript(script, tuple(renamed.env()), digest, files)


def is_direct(service: Service) -> bool:
    """Whether the server's program is called without a script around it."""
    argv = isinstance(service.command, Argv)
    return argv and not service.pre_cmd.strip() and not service.files


def endpoint_script(service: Service) -> tuple[str, list[dict[str, Any]]]:
    """The script of a server that is not called directly, and the variables that it needs."""
    renamed = Renamed()
    command = service.command
    if isinstance(command, Argv):
        command = Argv(tuple(map(renamed.word, command.words)))
    files = scripts.service_scripts(replace(service, command=command), direct=False)
    text = (
        shell_environment()
        .get_template("lepton/endpoint.sh.j2")
        .render(
            service=service,
            version=__version__,
            model=quoting.show(service.model_id),
            carried=list(_carried(f"services/{service.name}/", tuple(files))),
            library=_library(_FOR_ENDPOINTS),
        )
    )
    return text, renamed.env()


@dataclass(frozen=True, slots=True)
class _Carried:
    """A file that a script writes: its ``path`` and ``folder`` below the owner's folder (the latter
    empty for that itself), its content as a here-document, and whether that is base64."""

    path: str
    folder: str
    text: str
    encoded: bool
    executable: bool


def _carried(prefix: str, files: Iterable[Artifact]) -> Iterator[_Carried]:
    for file in files:
        path = file.path.removeprefix(prefix)
        text, encoded = _as_text(file.data)
        # Only the user's own files may be called as programs.
        executable = file.executable and path.startswith("files/")
        yield _Carried(path, path.rpartition("/")[0], text, encoded, executable)


def _as_text(data: bytes) -> tuple[str, bool]:
    """A file's content for a here-document, in base64 where that could not hold it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if text.endswith("\n") and "\0" not in text:
        return text, False
    return base64.encodebytes(data).decode(), True


def _library(names: Iterable[str]) -> list[tuple[str, str]]:
    folder = template_dir() / "lib"
    return [(name, _bare((folder / name).read_text(encoding="utf-8"))) for name in names]


def _bare(text: str) -> str:
    """A file of the library without its comments: the bundle has it with them."""
    return "".join(
        line for line in text.splitlines(keepends=True) if not re.match(r"\s*(#|$)", line)
    )
