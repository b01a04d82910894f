"""What lowering can find wrong: each fact that a schema can't state has a class here."""

from __future__ import annotations

import re
from typing import ClassVar

from evalc.errors import Location, Problem, Worded


class NotGiven(Problem):
    """A key that this config needs, given what else it says."""

    code: ClassVar[str] = "missing-key"
    key: str
    because: str = ""

    @property
    def message(self) -> str:
        return f"'{self.key}' must be given" + (f": {self.because}" if self.because else "")

    @property
    def label(self) -> str:
        # Whether it is there already, as an empty one, or not: '++' takes both.
        key = re.sub(r"\[(\d+)\]", r".\1", self.key)
        return f"add it, or give it with -o ++{key}=…"


class UnknownTask(Problem):
    """A task that the catalogue does not have. ``image``: that of the harness it names."""

    code: ClassVar[str] = "unknown-task"
    task: str
    suggestions: tuple[str, ...] = ()
    image: str = ""

    @property
    def message(self) -> str:
        return f"there is no task '{self.task}' in the catalogue"

    @property
    def label(self) -> str:
        return (
            "did you mean " + " or ".join(f"'{s}'" for s in self.suggestions) + "?"
            if (self.suggestions)
            else ""
        )

    @property
    def help(self) -> str:
        if self.image:
            return (
                "`evalc ls tasks` lists them; if the harness has it all the same, add\n"
                f"'container: {self.image}'"
            )
        return (
            "`evalc ls tasks` lists them; a task of your own needs a 'container' with the harness, "
            "or a 'command'"
        )


class UnpinnedImage(Problem):
    """An image without a digest, where images are to be pinned. ``image`` is in words."""

    code: ClassVar[str] = "unpinned-image"
    image: str

    @property
    def message(self) -> str:
        return f"images are pinned, and no digest is known of the image {self.image}"

    @property
    def label(self) -> str:
        return "write it as NAME@sha256:…, or without 'pin_images'"


class AmbiguousTask(Problem):
    """A task name that several harnesses have."""

    code: ClassVar[str] = "ambiguous-task"
    task: str
    choices: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"several harnesses have a task '{self.task}'"

    @property
    def label(self) -> str:
        return "write " + " or ".join(f"'{c}'" for c in self.choices)


class BadTaskName(Problem):
    """A task name that can't be a directory's name."""

    code: ClassVar[str] = "bad-task-name"
    name: str
    why: str

    @property
    def message(self) -> str:
        return f"{self.name!r} can't name a task's directory: {self.why}"

    @property
    def label(self) -> str:
        return "give the task an 'id' of letters, digits, '.', '_' and '-'"


class DuplicateTask(Problem):
    """Two tasks that would share one directory."""

    code: ClassVar[str] = "duplicate-task"
    name: str
    first: Location

    @property
    def message(self) -> str:
        return f"the task '{self.name}' is there twice"

    @property
    def label(self) -> str:
        return f"first on line {self.first.line}; give one of them an 'id' of its own"


class UnknownSelection(Problem):
    """A ``-t`` that names no task of the config."""

    code: ClassVar[str] = "unknown-task"
    name: str
    suggestion: str

    @property
    def message(self) -> str:
        return f"-t {self.name}: the config has no such task"

    @property
    def label(self) -> str:
        return self.suggestion


class BadEnvName(Problem):
    """A name that no environment variable can have here."""

    code: ClassVar[str] = "bad-env-name"
    name: str
    why: str

    @property
    def message(self) -> str:
        return f"{self.name!r} can't be used as an environment variable: {self.why}"


class BadEnvValue(Problem):
    """A value of an environment variable that does not say what it is."""

    code: ClassVar[str] = "bad-env-value"
    sensitive: ClassVar[bool] = True
    name: str
    why: str

    @property
    def message(self) -> str:
        return f"the value of '{self.name}' {self.why}"

    @property
    def help(self) -> str:
        return (
            "write host:NAME (read where the bundle is submitted), runtime:NAME (read where the "
            "job runs) or lit:VALUE (a visible literal)"
        )


class AmbiguousEnv(Problem):
    """A bare word outside of ``evaluation``: older configs meant a literal, newer ones a name."""

    code: ClassVar[str] = "ambiguous-env"
    name: str
    value: str

    @property
    def message(self) -> str:
        return f"'{self.name}: {self.value}' may mean a variable's name or a literal"

    @property
    def label(self) -> str:
        return f"write host:{self.value} or lit:{self.value}"


class SecretOutsideEnv(Problem):
    """A variable that is a secret by its name, in a place that is written to files."""

    code: ClassVar[str] = "secret-outside-env"
    name: str

    @property
    def message(self) -> str:
        return f"the value of {self.name} would be written into files of the run"

    @property
    def help(self) -> str:
        return (
            "name it under 'env_vars' (host:NAME), where only its name is kept; a harness gets its "
            "key through 'api_key_name'"
        )


class BadFile(Problem):
    """A file that the bundle should carry and can't."""

    code: ClassVar[str] = "bad-file"
    path: str
    why: str

    @property
    def message(self) -> str:
        return f"the file '{self.path}' can't be put into the bundle: {self.why}"


class BadCommand(Problem):
    """Text that is meant to be bash and is not."""

    code: ClassVar[str] = "bad-command"
    what: str

    @property
    def message(self) -> str:
        return f"bash can't read this: {self.what}"


class BadUrl(Problem):
    """The address of an endpoint that can't be one."""

    code: ClassVar[str] = "bad-value"
    why: str
    advice: str

    @property
    def message(self) -> str:
        return f"the endpoint's URL {self.why}"

    @property
    def label(self) -> str:
        return self.advice


class Contradiction(Worded):
    """Keys that are right by themselves and wrong together."""

    code: ClassVar[str] = "contradiction"


class NoEffect(Problem):
    """A key that is right and does nothing here."""

    code: ClassVar[str] = "no-effect"
    severity: ClassVar[str] = "warning"
    key: str
    why: str

    @property
    def message(self) -> str:
        return f"'{self.key}' has no effect: {self.why}"


class RelativePath(Problem):
    """A path of the host that depends on the folder in which the scripts are started."""

    code: ClassVar[str] = "relative-path"
    severity: ClassVar[str] = "warning"
    path: str

    @property
    def message(self) -> str:
        return f"'{self.path}' is relative: it counts from the folder in which a script is started"

    @property
    def label(self) -> str:
        return "give an absolute path, so that the bundle runs from anywhere"


class CannotCarry(Problem):
    """A value that the file it belongs in can't hold. ``key`` is where it stands, or the block of
    which it is a key."""

    code: ClassVar[str] = "cannot-carry"
    sensitive: ClassVar[bool] = True
    why: str
    key: str = ""

    @property
    def message(self) -> str:
        value = f"what '{self.key}' says" if self.key else "this value"
        return f"{value} can't be written where it belongs: {self.why}"


class ReferenceInKey(Problem):
    """``${…}`` in a key, where nothing is filled in."""

    code: ClassVar[str] = "bad-interpolation"
    key: str

    @property
    def message(self) -> str:
        return (
            f"'${{…}}' in a key is not filled in, and those of '{self.key}' are taken as they are"
        )

    @property
    def label(self) -> str:
        return "write the path itself"
