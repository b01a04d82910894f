"""The values of environment blocks: ``host:NAME``, ``runtime:NAME``, ``lit:VALUE``, older forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evalc.plan.model import EnvVar
from evalc.plan.problems import AmbiguousEnv, BadEnvName, BadEnvValue
from evalc.source import Mapping, Scalar
from evalc.words import Literal, RuntimeEnv, Secret, Word, literal

if TYPE_CHECKING:
    from evalc.errors import Location, Problem
    from evalc.words import Part

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"[A-Za-z._-][A-Za-z0-9._-]*")
# Bash keeps these read-only; a script that assigns one stops.
_READ_ONLY = frozenset(("BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "SHELLOPTS", "UID"))
# Bash answers with a value of its own, whatever the environment says.
_ANSWERED = frozenset(
    """
    BASHPID BASH_ARGV0 BASH_COMMAND BASH_SUBSHELL DIRSTACK EPOCHREALTIME EPOCHSECONDS FUNCNAME
    GROUPS HISTCMD LINENO PIPESTATUS RANDOM SECONDS SRANDOM
    """.split()  # noqa: SIM905 - a table of names reads best as one
)
# The scripts and their library name every variable of their own like this (templates/lib).
_OWN = re.compile(r"_[a-z]|_EXIT_|_(AT_ONCE|AWAY|GRACE|PULSE|SILENCE|SLURM_PATIENCE|STALE)$|EVALC_")


def name_fault(name: str) -> str:
    """Why ``name`` can't be an environment variable of a script, or an empty text."""
    if not _NAME.fullmatch(name):
        return "a name is made of letters, digits and '_', and does not start with a digit"
    if name in _READ_ONLY:
        return "bash keeps it read-only"
    if name in _ANSWERED:
        return "bash gives it a value of its own"
    if _OWN.match(name):
        return "evalc's scripts use this name, as all that start with '_' and a small letter"
    return ""


def secret_fault(name: str) -> str:
    """Why ``name`` can't be a secret of a Lepton workspace, or an empty text."""
    if _SECRET.fullmatch(name):
        return ""
    return "a secret's name is made of letters, digits, '_', '.' and '-', and no digit comes first"


def env_block(
    block: Mapping | None,
    problems: list[Problem],
    *,
    bare_is_host: bool,
    of_workspace: bool = False,
) -> list[EnvVar]:
    """The variables of one ``env_vars`` block, in its order.

    ``bare_is_host``: a bare name means the variable of that name on the submitting machine, as in
    ``evaluation.env_vars``. Elsewhere older configs meant the text itself, so a bare name has to
    say which. ``of_workspace``: secrets are kept by the platform where the job runs, whichever way
    they are named, and a variable's value is the whole of one.
    """
    found = []
    for name, node in block.entries.items() if block else ():
        assert block is not None
        fault = name_fault(name)
        if fault:
            at = block.keys[name].location
            problems.append(BadEnvName(name=name, why=fault, location=at))
        elif isinstance(node, Scalar) and node.value is not None:
            reader = _Reader(name, node.location, problems, of_workspace=of_workspace)
            value = reader.value(node, bare_is_host=bare_is_host)
            if of_workspace and value is not None:
                value = _kept_there(name, value, node.location, problems)
            if value is not None:
                found.append(EnvVar(name, value))
    return found


def _kept_there(name: str, value: Word, at: Location, problems: list[Problem]) -> Word | None:
    """A value whose secret is one of the platform's workspace."""
    secrets = [part for part in value if isinstance(part, Secret)]
    if not secrets:
        return value
    why = ""
    if len(value) > 1:
        why = "is more than a secret, and a workspace gives a variable the whole of one"
    elif secrets[0].default is not None:
        why = "has a default, which a secret of a workspace can't have"
    if why:
        problems.append(BadEnvValue(name=name, why=why, location=at))
        return None
    return (Secret(secrets[0].name, "runtime"),)


class _Reader:
    """Reads the value of the variable ``name``."""

    def __init__(
        self, name: str, at: Location, problems: list[Problem], *, of_workspace: bool
    ) -> None:
        self.name = name
        self.at = at
        self.problems = problems
        self.of_workspace = of_workspace

    def value(self, node: Scalar, *, bare_is_host: bool) -> Word | None:
        value = node.value
        if isinstance(value, tuple):
            return self.composed(value)
        if isinstance(value, bool):
            return literal("true" if value else "false")
        if not isinstance(value, str):
            return literal(node.text)
        kind, colon, rest = value.partition(":")
        if colon and kind == "lit":
            return literal(rest)
        if colon and kind in ("host", "runtime"):
            return self.reference(rest, kind)
        return self.unmarked(value, bare_is_host=bare_is_host)

    def composed(self, word: Word) -> Word:
        """``${oc.env:NAME}`` inside an env block names a secret of the submitting machine."""
        parts: list[Part] = []
        for part in word:
            if not isinstance(part, RuntimeEnv):
                parts.append(part)
            elif self.is_usable(part.name):
                parts.append(Secret(part.name, "host", part.default))
        return tuple(parts)

    def unmarked(self, value: str, *, bare_is_host: bool) -> Word | None:
        """Text that does not say whether it is a name or a literal."""
        is_name = _NAME.fullmatch(value)
        if is_name and bare_is_host:
            return self.reference(value, "host")
        if is_name:
            self.problems.append(AmbiguousEnv(name=self.name, value=value, location=self.at))
            return None
        if bare_is_host:
            self.refuse("is neither a variable's name nor marked as a literal")
            return None
        return (Literal(value),)

    def reference(self, source: str, scope: str) -> Word | None:
        return (Secret(source, scope),) if self.is_usable(source) else None

    def is_usable(self, source: str) -> bool:
        """Whether the variable may be given the value of ``source``; a problem if not."""
        fault = secret_fault(source) if self.of_workspace else name_fault(source)
        if fault:
            self.refuse(f"refers to '{source}', and {fault}")
        return not fault

    def refuse(self, why: str) -> None:
        self.problems.append(BadEnvValue(name=self.name, why=why, location=self.at))
