"""What can be wrong with how a config is put together."""

from __future__ import annotations

from typing import ClassVar

from evalc.errors import Location, Problem, Worded, did_you_mean


class Unsupported(Problem):
    """A feature of Hydra's or OmegaConf's that evalc does not have."""

    code: ClassVar[str] = "unsupported-feature"
    feature: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"evalc does not support {self.feature}"

    @property
    def label(self) -> str:
        return self.advice


# --- files and defaults lists -------------------------------------------------------------------


class NotAMapping(Problem):
    """A config file that holds a text, a number or (the primary config) a list."""

    code: ClassVar[str] = "not-a-mapping"
    what: str

    @property
    def message(self) -> str:
        return f"a config is a mapping of keys to values, and this is {self.what}"


class BadHeader(Problem):
    """A ``# @package`` line that can't be read."""

    code: ClassVar[str] = "bad-header"
    line: str

    @property
    def message(self) -> str:
        return f"'{self.line}' is not a header"

    @property
    def label(self) -> str:
        return "a header is one key and one value, as in '# @package _global_'"


class BadDefaults(Worded):
    """A defaults list that does not mean anything."""

    code: ClassVar[str] = "bad-defaults"


class UnknownConfig(Problem):
    """A defaults list, or an override, names a file that is nowhere.

    ``group`` is None for a plain file; ``options`` are what the group has; ``places`` are the
    directories that were searched.
    """

    code: ClassVar[str] = "unknown-config"
    name: str
    group: str | None
    options: tuple[str, ...]
    places: tuple[str, ...]

    @property
    def message(self) -> str:
        if self.group is None:
            return f"there is no config '{self.name}'"
        return f"the group '{self.group}' has no option '{self.name}'"

    @property
    def label(self) -> str:
        return did_you_mean(self.name, self.options)

    @property
    def help(self) -> str:
        lines = []
        if self.options:
            lines.append(f"options of {self.group}: {', '.join(self.options)}")
        lines.append(f"searched: {', '.join(self.places)}")
        return "\n".join(lines)


class OptionNeeded(Problem):
    """A defaults list leaves the choice of an option to the user (``???``)."""

    code: ClassVar[str] = "option-needed"
    key: str
    options: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"an option of '{self.key}' must be chosen"

    @property
    def label(self) -> str:
        return f"name one here, or with -o {self.key}=OPTION"

    @property
    def help(self) -> str:
        return f"options of {self.key}: {', '.join(self.options) or 'none'}"


class UnusedChoice(Problem):
    """An override of, or a deletion from, the defaults list that matches nothing in it.

    ``known`` are the keys under which the list uses the same group.
    """

    code: ClassVar[str] = "unused-choice"
    key: str
    verb: str
    known: tuple[str, ...]
    append: str = ""

    @property
    def message(self) -> str:
        return f"can't {self.verb} '{self.key}': no defaults list has it"

    @property
    def label(self) -> str:
        return f"did you mean {' or '.join(repr(k) for k in self.known)}?" if self.known else ""

    @property
    def help(self) -> str:
        return f"to add it to the defaults list: -o {self.append}" if self.append else ""


class MergeConflict(Problem):
    """A list meets a mapping of an earlier layer, or the other way round."""

    code: ClassVar[str] = "merge-conflict"
    key: str
    kind: str
    other: str
    other_location: Location

    @property
    def message(self) -> str:
        return f"'{self.key}' is a {self.kind} here and a {self.other} in {self.other_location}"

    @property
    def label(self) -> str:
        return f"a {self.kind} can't replace a {self.other}"


# --- overrides ----------------------------------------------------------------------------------


class BadOverride(Worded):
    """The text of an override can't be read."""

    code: ClassVar[str] = "bad-override"


class CannotOverride(Problem):
    """An override of a key that is not there. ``near`` are keys that stand beside it."""

    code: ClassVar[str] = "unknown-override"
    key: str
    missing: str
    near: tuple[str, ...]
    text: str

    @property
    def message(self) -> str:
        return f"can't override '{self.key}': the config has no '{self.missing}'"

    @property
    def label(self) -> str:
        return did_you_mean(self.missing.rpartition(".")[2], self.near)

    @property
    def help(self) -> str:
        return f"to add a new key: -o '+{self.text}'"


class CannotAdd(Problem):
    """``+key=value`` where the key has a value already."""

    code: ClassVar[str] = "key-exists"
    key: str
    existing: Location
    text: str

    @property
    def message(self) -> str:
        return f"can't add '{self.key}': it has a value already, given at {self.existing}"

    @property
    def label(self) -> str:
        return "to replace it, leave out the +"

    @property
    def help(self) -> str:
        return f"to add it or replace it: -o '+{self.text}'"


class CannotDelete(Problem):
    """``~key`` where there is nothing to delete."""

    code: ClassVar[str] = "nothing-to-delete"
    key: str
    why: str

    @property
    def message(self) -> str:
        return f"can't delete '{self.key}': {self.why}"


# --- interpolation ------------------------------------------------------------------------------


class BadInterpolation(Worded):
    """``${…}`` that can't be read, or that has no sense where it stands."""

    code: ClassVar[str] = "bad-interpolation"


class UnknownReference(Problem):
    """A reference to a key that is not there.

    ``for_bash`` is how a command writes it where it is bash's own and no reference.
    """

    code: ClassVar[str] = "unknown-reference"
    key: str
    why: str
    near: tuple[str, ...] = ()
    for_bash: str = ""

    @property
    def message(self) -> str:
        return f"'{self.key}' refers to nothing: {self.why}"

    @property
    def label(self) -> str:
        return did_you_mean(self.key.rpartition(".")[2], self.near)

    @property
    def help(self) -> str:
        return _for_bash(self.for_bash)


class MissingReference(Problem):
    """A reference to a value that is still ``???``."""

    code: ClassVar[str] = "missing-reference"
    key: str
    missing: str

    @property
    def message(self) -> str:
        return f"'{self.key}' refers to a value that was not given: {self.missing} is ???"

    @property
    def label(self) -> str:
        return f"give it with -o {self.missing}=VALUE"


class ReferenceCycle(Problem):
    """References that lead back to where they start."""

    code: ClassVar[str] = "reference-cycle"
    cycle: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"references lead in a circle: {' -> '.join(self.cycle)}"


class UnknownResolver(Problem):
    """``${name:…}`` with a name that evalc does not know.

    ``for_bash`` is how a command writes it where it is bash's own and no resolver.
    """

    code: ClassVar[str] = "unknown-resolver"
    name: str
    supported: tuple[str, ...]
    for_bash: str = ""

    @property
    def message(self) -> str:
        return f"evalc knows no resolver '{self.name}'"

    @property
    def label(self) -> str:
        return did_you_mean(self.name, self.supported)

    @property
    def help(self) -> str:
        if self.for_bash and not self.label:
            return _for_bash(self.for_bash)
        return f"supported: {', '.join(self.supported)}"


class NeedsValueNow(Problem):
    """A run-time value where composing needs to know it."""

    code: ClassVar[str] = "needs-value-now"
    use: str

    @property
    def message(self) -> str:
        return f"an environment variable can't be {self.use}: its value is known only at run time"

    @property
    def label(self) -> str:
        return "give the value itself, here or with -o"


class UnsafeInterpolation(Problem):
    """A value that the shell would take for more than a word, inserted into a command."""

    code: ClassVar[str] = "unsafe-interpolation"
    key: str
    why: str

    @property
    def message(self) -> str:
        return f"{self.key} can't be inserted into a command: {self.why}"

    @property
    def label(self) -> str:
        return "it would be executed as shell code"

    @property
    def help(self) -> str:
        return 'pass the value through env_vars and write "$NAME" in the command'


class EnvInCommand(Problem):
    """``${oc.env:NAME}`` in a command, where the shell itself can read the variable."""

    code: ClassVar[str] = "env-in-command"
    name: str

    @property
    def message(self) -> str:
        return f"a command reads the environment variable {self.name} itself"

    @property
    def label(self) -> str:
        return f'write "${self.name}"'

    @property
    def help(self) -> str:
        return f"with braces, write \\${{{self.name}}}, so that it is not an interpolation"


def _for_bash(text: str) -> str:
    return (
        f"where bash is to read it, write {text}: a config's '${{…}}' is filled in before"
        if text
        else ""
    )
