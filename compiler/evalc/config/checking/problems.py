"""What the schema can find wrong in a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from evalc.errors import Problem, did_you_mean

if TYPE_CHECKING:
    from evalc.source import Path


# Keys that launchers once had and that have no newer name, and what to write instead.
_FORMER = {
    "multiple_instances": (
        "write 'execution.num_instances' for how many servers there are, and 'execution.num_nodes' "
        "for the nodes of all of them together"
    ),
    "command_template": "write 'command'; ${auxiliary_deployments.NAME.KEY} stands for {KEY} in it",
    "s3": "results are exported to local, wandb, mlflow and gsheets",
}


class UnknownKey(Problem):
    """A key that the schema does not have at this place.

    ``where`` names the mapping (empty for the top level), ``known`` are its keys, ``elsewhere`` the
    mappings that do have a key of this name. ``path`` is the key's.
    """

    code: ClassVar[str] = "unknown-key"
    key: str
    where: str
    known: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    path: Path = ()

    @property
    def message(self) -> str:
        if not self.where:
            return f"'{self.key}' is not a top-level key"
        return f"'{self.key}' is not a key of {self.where}"

    @property
    def label(self) -> str:
        return "" if self.key in _FORMER else did_you_mean(self.key, self.known)

    @property
    def help(self) -> str:
        if self.key in _FORMER:
            return _FORMER[self.key]
        if self.elsewhere:
            places = _either(self.elsewhere, "and")
            return f"'{self.key}' is a key of {places}, not of {self.where or 'the top level'}"
        if self.label:
            return ""
        return f"keys here: {', '.join(self.known)}; keys of your own start with 'x-'"


class WrongType(Problem):
    """A value of the wrong kind. ``expected`` and ``got`` are in words people use."""

    code: ClassVar[str] = "wrong-type"
    key: str
    expected: tuple[str, ...]
    got: str
    hint: str = ""

    @property
    def message(self) -> str:
        return f"{self.key} must be {_either(self.expected, 'or')}, and this is {self.got}"

    @property
    def label(self) -> str:
        return self.hint


class BadValue(Problem):
    """A value of the right kind that is none of those that make sense.

    ``rule`` goes on after the key: ``must be at least 1, and this is 0``.
    """

    code: ClassVar[str] = "bad-value"
    key: str
    rule: str
    hint: str = ""

    @property
    def message(self) -> str:
        return f"{self.key} {self.rule}"

    @property
    def label(self) -> str:
        return self.hint


class BadSecretName(BadValue):
    """What should name a secret does not: it may be the secret itself, so it is not quoted."""

    sensitive: ClassVar[bool] = True


class MissingKey(Problem):
    """A mapping lacks a key that it must have. ``path`` is how ``-o`` names the key."""

    code: ClassVar[str] = "missing-key"
    key: str
    where: str
    path: str

    @property
    def message(self) -> str:
        return f"{self.where or 'the config'} needs the key '{self.key}'"

    @property
    def label(self) -> str:
        return f"add '{self.key}' here, or give it with -o +{self.path}=VALUE"


class OtherGroup(Problem):
    """``execution.type`` is not what the group of evalc's that the config is made of is for."""

    code: ClassVar[str] = "contradiction"
    kind: str
    group: str

    @property
    def message(self) -> str:
        return f"'execution.type' is {self.kind}, and the config is made of {self.group}"

    @property
    def label(self) -> str:
        option = self.kind if self.kind == "local" else f"{self.kind}/default"
        return f"choose the group instead: '- execution: {option}', or -o execution={option}"


class EmptyConfig(Problem):
    """A config in which the user has said nothing at all."""

    code: ClassVar[str] = "missing-key"

    @property
    def message(self) -> str:
        return "the config is empty, and needs the key 'evaluation'"

    @property
    def label(self) -> str:
        return "say here what to evaluate, and which model"

    @property
    def help(self) -> str:
        return (
            "'evaluation.tasks' lists the tasks; `evalc ls tasks` shows those of the catalogue\n"
            "'target.api_endpoint' has 'url' and 'model_id' of a model that is served already\n"
            "'deployment' says how to serve one instead"
        )


class MissingValue(Problem):
    """A value that is still ``???``. ``here``: the place is its own, not that of a block above."""

    code: ClassVar[str] = "missing-value"
    key: str
    path: str
    here: bool = True

    @property
    def message(self) -> str:
        return f"{self.key} must be given"

    @property
    def label(self) -> str:
        name = "it" if self.here else f"'{self.path.rpartition('.')[2]}'"
        return f"give {name} here or with -o {self.path}=VALUE"


class NeedsValue(Problem):
    """A value that is known at run time only, where it must be known for compiling."""

    code: ClassVar[str] = "needs-value"
    key: str
    path: str

    @property
    def message(self) -> str:
        return f"{self.key} is only known at run time, and is needed now"

    @property
    def label(self) -> str:
        return f"give it with -o {self.path}=VALUE"


def _either(words: tuple[str, ...], conjunction: str) -> str:
    """``a, b or c``."""
    return f" {conjunction} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
