"""What every backend whose jobs are bash scripts makes in the same way."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from evalc.backends.base import Artifact, Needs
from evalc.emit import quoting, yamltext
from evalc.emit.commands import Assign, Raw, command_line, is_open, join
from evalc.plan import Argv, Shell
from evalc.plan.model import words_of
from evalc.plan.serialise import export_words, service_words, step_words
from evalc.resources import template_dir
from evalc.words import Literal, RuntimeEnv, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evalc.emit.commands import CommandLines, Item
    from evalc.plan import BundledFile, EnvVar, Plan, Service, Step
    from evalc.words import Word

# Where a container finds its results' folder.
RESULTS = "/results"
_SCRIPT_HEAD = "#!/usr/bin/env bash\n"

Variable: TypeAlias = "tuple[str, Item]"


class Inputs:
    """The environment variables that some words read, and which of them must be set.

    ``provided`` are those that the scripts set themselves.
    """

    def __init__(self, words: Iterable[Word], provided: frozenset[str]) -> None:
        self.secrets: set[str] = set()
        self.host: set[str] = set()
        self.plain: set[str] = set()
        self.defaults: dict[str, str] = {}
        required: set[str] = set()
        for word in words:
            for part in word:
                if isinstance(part, Literal) or part.name in provided:
                    continue
                if isinstance(part, Secret):
                    self.secrets.add(part.name)
                    if part.scope == "host":
                        self.host.add(part.name)
                else:
                    self.plain.add(part.name)
                if part.default is None:
                    required.add(part.name)
                elif self.defaults.setdefault(part.name, part.default) != part.default:
                    why = f"{part.name} has two different defaults"
                    raise quoting.Refused(part.default, why)
        self.required = sorted(required)
        # A variable that is required somewhere has no use for a default elsewhere.
        self.defaults = {n: d for n, d in sorted(self.defaults.items()) if n not in required}


class OpenWords:
    """A plan's words that are not known before it runs: all that is asked about words.

    ``steps`` has those of each step, by its id; ``services`` those of all servers, ``export`` those
    of exporting results.
    """

    def __init__(self, plan: Plan) -> None:
        self.steps = {
            step.id: [word for word in step_words(step) if is_open(word)] for step in plan.steps
        }
        self.services = [
            word for service in plan.services for word in service_words(service) if is_open(word)
        ]
        self.export = [word for word in export_words(plan) if is_open(word)]

    def all(self) -> list[Word]:
        """Those of all steps and servers, and of exporting."""
        return [
            *(word for words in self.steps.values() for word in words),
            *self.services,
            *self.export,
        ]


def needs(
    plan: Plan, inputs: Inputs, *, engine: str, tools: Sequence[str], images: Sequence[Word] = ()
) -> Needs:
    """What a bundle of this plan needs; ``images`` are those beside the plan's own."""
    every = [*(step.image for step in plan.steps), *(s.image for s in plan.services), *images]
    return Needs(
        images=tuple(sorted({quoting.show(image) for image in every if image})),
        secrets=tuple(sorted(inputs.secrets)),
        runtime_env=tuple(sorted(inputs.plain)),
        tools=tuple(tools),
        engine=engine,
    )


def library(names: Iterable[str]) -> Iterator[Artifact]:
    """Files of the static shell library."""
    folder = template_dir() / "lib"
    for name in names:
        data = (folder / name).read_bytes()
        yield Artifact(f"lib/{name}", data, data.startswith(b"#!"))


# Commands


def by_option(words: Sequence[Word]) -> CommandLines:
    """Words in lines: each option with its values on a line of its own."""
    lines: CommandLines = []
    for word in words:
        option = bool(word) and isinstance(word[0], Literal) and word[0].text.startswith("-")
        if option or not lines:
            lines.append([])
        lines[-1].append(word)
    return lines


def step_variables(
    step: Step, *, results: Item, task: Item, filled: bool, in_container: bool
) -> list[Variable]:
    """What every harness and every command of a user's finds in its environment.

    ``results`` and ``task`` are the folders as the step sees them; ``filled`` when run_config.yml
    is completed at run time, and so is another file.
    """
    env: list[Variable] = [
        ("RESULTS_DIR", results),
        ("RUN_CONFIG", join(task, "/logs/run_config.yml" if filled else "/run_config.yml")),
        ("MODEL_URL", step.model_url),
        ("MODEL_ID", step.model_id),
        ("ENDPOINT_TYPE", step.endpoint_type),
    ]
    if step.api_key_name:
        env.append(("API_KEY_NAME", step.api_key_name))
    if step.limit_samples:
        env.append(("LIMIT_SAMPLES", step.limit_samples))
    if step.files:
        env.append(("FILES_DIR", join(task, "/files")))
    if step.dataset:
        place = step.dataset.target if in_container else host_path(step.dataset.source)
        env.append(("NEMO_EVALUATOR_DATASET_DIR", place))
    return env


def service_variables(service: Service, folder: Item) -> list[Variable]:
    """What a server's commands find in their environment."""
    env: list[Variable] = [("PORT", str(service.port)), ("MODEL_ID", service.model_id)]
    if service.files:
        env.append(("FILES_DIR", join(folder, "/files")))
    return env


def host_path(word: Word) -> Item:
    """A path of the host's, absolute.

    A relative one counts from where the script is run, as everywhere in a shell; docker itself
    would take a bare name for that of a volume.
    """
    first = word[0]
    relative = isinstance(first, Literal) and not first.text.startswith("/")
    return join(Raw('"$PWD"/'), word) if relative else word


def export(env: Sequence[Variable], own: Sequence[EnvVar]) -> list[CommandLines]:
    """An export of a step's or server's variables, in a way that ``bash -x`` shows no secret."""
    # One export, whose values bash reads before it sets any: two variables may swap.
    lines: CommandLines = [["export"]]
    lines += [[join(f"{name}=", value)] for name, value in env]
    lines += [[Assign(var.name, var.value)] for var in own if not is_itself(var)]
    lines += [[var.name] for var in own if is_itself(var)]
    return hidden(lines, own)


def hidden(export: CommandLines, env: Sequence[EnvVar]) -> list[CommandLines]:
    """An export, in a way that ``bash -x`` shows no secret that it assigns."""
    if all(is_itself(var) or not is_open(var.value) for var in env):
        return [export]
    return [[[Raw("evalc_hide")]], export, [[Raw("evalc_unhide")]]]


def is_itself(var: EnvVar) -> bool:
    """Whether a variable gets the value that the variable of the same name has."""
    part = var.value[0]
    return len(var.value) == 1 and not isinstance(part, Literal) and part.name == var.name


# Files


def title(step: Step) -> str:
    """What a step does, for the head of its script."""
    what = step.harness or ("its own command" if step.command else "its container's harness")
    return f"evaluates {quoting.show(step.model_id)} with {what}"


def digest(served: bytes, commands: Iterable[str], files: Iterable[Artifact]) -> str:
    """16 hex digits of the SHA-256 of all that decides what a task does.

    Not of the script's whole text: a task that is finished stays finished when a newer evalc words
    its comments differently.
    """
    total = hashlib.sha256(served)
    for text in commands:
        total.update(text.encode() + b"\0")
    for file in files:
        total.update(f"{file.path}\0{len(file.data)}\0".encode() + file.data)
    return total.hexdigest()[:16]


def run_config(step: Step) -> tuple[str, list[str]]:
    """The text of run_config.yml, and the variables that are put into it when it runs."""
    fill = {
        part.name
        for word in words_of(step.run_config)
        for part in word
        if isinstance(part, RuntimeEnv)
    }
    config = _marked(step.run_config) if fill else step.run_config
    return yamltext.dump(config), sorted(fill)


def _marked(value: Any) -> Any:
    """Words as text with the marks that evalc_fill (lib/common.sh) replaces."""
    if isinstance(value, tuple):
        return yamltext.Quoted("".join(_mark(part) for part in value))
    if isinstance(value, dict):
        return {_marked(key): _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, str) and "@@{" in value:
        raise quoting.Refused(value, "'@@{' marks values that are put in at run time")
    return value


def _mark(part: object) -> str:
    if isinstance(part, Literal):
        if "@@{" in part.text:
            raise quoting.Refused(part.text, "'@@{' marks values that are put in at run time")
        return part.text
    assert isinstance(part, RuntimeEnv)
    return f"@@{{{part.name}}}@@"


def step_scripts(step: Step) -> Iterator[Artifact]:
    """The commands of a step that the user wrote, and the files it carries."""
    yield from _user_scripts(step.id, step.command, pre_cmd=step.pre_cmd, post_cmd=step.post_cmd)
    yield from _files(f"{step.id}/files", step.files)


def service_scripts(service: Service, *, direct: bool) -> Iterator[Artifact]:
    """The files of a server: its commands (its program is called ``direct``, without a shell in
    between, or by command.sh) and those it carries."""
    folder = f"services/{service.name}"
    command = service.command
    if isinstance(command, Argv) and not direct:
        command = as_shell(command)
    own = command if isinstance(command, Shell) else None
    yield from _user_scripts(folder, own, pre_cmd=service.pre_cmd)
    yield from _files(f"{folder}/files", service.files)


def as_shell(command: Argv) -> Shell:
    """A program and its arguments as bash text that replaces the shell by it."""
    return Shell(command_line([["exec"], *by_option(command.words)], indent=2))


def _user_scripts(
    folder: str, command: Shell | None, *, pre_cmd: str = "", post_cmd: str = ""
) -> Iterator[Artifact]:
    if command:
        yield script(f"{folder}/command.sh", command.text)
    if pre_cmd.strip():
        yield script(f"{folder}/pre_cmd.sh", pre_cmd)
    if post_cmd.strip():
        yield script(f"{folder}/post_cmd.sh", post_cmd)


def script(path: str, text: str) -> Artifact:
    """A command of the user's, as it was written."""
    head = "" if re.match(r"#!", text) else _SCRIPT_HEAD
    return Artifact(path, f"{head}{text.rstrip()}\n".encode(), executable=True)


def _files(folder: str, files: Iterable[BundledFile]) -> Iterator[Artifact]:
    for file in files:
        yield Artifact(f"{folder}/{file.path}", file.data, file.executable)
