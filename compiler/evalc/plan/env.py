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


def env_block(
    block: Mapping | None, problems: list[Problem], *, bare_is_host: bool
) -> list[EnvVar]:
    """The variables of one ``env_vars`` block, in its order.

    ``bare_is_host``: a bare name means the variable of that name on the submitting machine, as in
    ``evaluation.env_vars``. Elsewhere older configs meant the text itself, so a bare name has to
    say which.
    """
    found = []
    for name, node in block.entries.items() if block else ():
        assert block is not None
        fault = name_fault(name)
        if fault:
            at = block.keys[name].location
            problems.append(BadEnvName(name=name, why=fault, location=at))
        elif isinstance(node, Scalar) and node.value is not None:
            value = _value(name, node, problems, bare_is_host=bare_is_host)
            if value is not None:
                found.append(EnvVar(name, value))
    return found


def _value(name: str, node: Scalar, problems: list[Problem], *, bare_is_host: bool) -> Word | None:
    value = node.value
    if isinstance(value, tuple):
        return _composed(name, value, node.location, problems)
    if isinstance(value, bool):
        return literal("true" if value else "false")
    if not isinstance(value, str):
        return literal(node.text)
    kind, colon, rest = value.partition(":")
    if colon and kind == "lit":
        return literal(rest)
    if colon and kind in ("host", "runtime"):
        return _reference(name, rest, kind, node.location, problems)
    return _unmarked(name, value, node.location, problems, bare_is_host=bare_is_host)


def _composed(name: str, word: Word, at: Location, problems: list[Problem]) -> Word:
    """``${oc.env:NAME}`` inside an env block names a secret of the submitting machine."""
    parts: list[Part] = []
    for part in word:
        if not isinstance(part, RuntimeEnv):
            parts.append(part)
        elif _is_usable(name, part.name, at, problems):
            parts.append(Secret(part.name, "host", part.default))
    return tuple(parts)


def _unmarked(
    name: str, value: str, at: Location, problems: list[Problem], *, bare_is_host: bool
) -> Word | None:
    """Text that does not say whether it is a name or a literal."""
    is_name = _NAME.fullmatch(value)
    if is_name and bare_is_host:
        return _reference(name, value, "host", at, problems)
    if is_name:
        problems.append(AmbiguousEnv(name=name, value=value, location=at))
        return None
    if bare_is_host:
        why = "is neither a variable's name nor marked as a literal"
        problems.append(BadEnvValue(name=name, why=why, location=at))
        return None
    return (Literal(value),)


def _reference(
    name: str, source: str, scope: str, at: Location, problems: list[Problem]
) -> Word | None:
    return (Secret(source, scope),) if _is_usable(name, source, at, problems) else None


def _is_usable(name: str, source: str, at: Location, problems: list[Problem]) -> bool:
    """Whether the variable ``name`` may be given the value of ``source``; a problem if not."""
    fault = name_fault(source)
    if fault:
        why = f"refers to '{source}', and {fault}"
        problems.append(BadEnvValue(name=name, why=why, location=at))
    return not fault
