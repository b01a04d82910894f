"""The resolvers: what ``${name:argument,…}`` can call.

They do what OmegaConf's built-in ones do (https://omegaconf.readthedocs.io/en/2.3_branch/
custom_resolvers.html#built-in-resolvers); ``select_not_null`` is one that launcher configs use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, Protocol

from evalc.config.composing.expressions import BadTemplateError, Expression
from evalc.config.composing.found import FailedError, Found, Site, as_node, known, text_of
from evalc.config.composing.problems import BadInterpolation, UnknownResolver, Unsupported
from evalc.source import Mapping, Node, Path, Sequence
from evalc.words import RuntimeEnv

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalc.errors import Problem

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class LookupFailedError(Exception):
    """A key leads nowhere, or to ``???``."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__()


class Lookup(Protocol):
    """What resolvers need of the one who follows references."""

    def evaluate(self, expression: Expression, site: Site) -> Found:
        """What an expression stands for. Raises FailedError."""

    def look_up(self, key: str, site: Site) -> Found:
        """What a key leads to. Raises LookupFailedError, or FailedError on the way there."""

    def item(self, node: Node, path: Path, site: Site) -> Found:
        """What a node of the tree stands for. Raises LookupFailedError or FailedError."""


@dataclass(frozen=True)
class _Call:
    """A resolver being called: from where, with which arguments."""

    lookup: Lookup
    name: str
    arguments: tuple[Found, ...]
    site: Site

    def count(self, least: int, most: int | None) -> None:
        """Refuse a wrong number of arguments."""
        given = len(self.arguments)
        if given < least or (most is not None and given > most):
            wanted = (
                f"{least}"
                if least == most
                else f"{least} to {most}"
                if most
                else f"{least} or more"
            )
            self.refuse(f"{self.name} takes {wanted} arguments, and is given {given}")

    def text(self, index: int, what: str) -> str:
        """An argument that must be text, and known now."""
        value = known(self.arguments[index], what, self.site)
        if not isinstance(value, str):
            self.refuse(f"{what} must be text, and {value!r} is not", "put it in quotes")
        return value

    def select(self, index: int) -> Found:
        """What the key that is an argument leads to."""
        return self.lookup.look_up(self.text(index, "the name of a key"), self.site)

    def mapping(self) -> tuple[Mapping, Path]:
        """The mapping that the only argument leads to."""
        self.count(1, 1)
        try:
            found = self.select(0)
        except LookupFailedError as error:
            raise FailedError(error.problem) from None
        if not isinstance(found.value, Mapping) or found.path is None:
            self.refuse(f"{self.name} needs the key of a mapping")
        return found.value, found.path

    def refuse(self, what: str, advice: str = "") -> NoReturn:
        raise FailedError(BadInterpolation(what=what, advice=advice, location=self.site.location))


def call_resolver(lookup: Lookup, name: str, arguments: tuple[Found, ...], site: Site) -> Found:
    """Call a resolver by name. Raises :class:`~evalc.config.composing.found.FailedError`."""
    resolver = _RESOLVERS.get(name)
    if resolver is None:
        if name == "hydra":
            advice = "evalc is not Hydra, and knows none of its run-time values"
            raise FailedError(
                Unsupported(feature="${hydra:…}", advice=advice, location=site.location)
            )
        raise FailedError(
            UnknownResolver(
                name=name,
                supported=tuple(_RESOLVERS),
                for_bash=site.for_bash,
                location=site.location,
            )
        )
    return resolver(_Call(lookup, name, arguments, site))


def _env(call: _Call) -> Found:
    """``${oc.env:NAME,default}``: a variable of the machine where the script runs."""
    call.count(1, 2)
    name = call.text(0, "the name of an environment variable")
    if not _VARIABLE.fullmatch(name):
        call.refuse(f"'{name}' is not the name of an environment variable")
    if len(call.arguments) == 1:
        return Found((RuntimeEnv(name),))
    if call.arguments[1].value is None:
        call.refuse("at run time an unset variable can't become null", "use '' for an empty text")
    default = text_of(call.arguments[1], "the default of another", call.site)
    return Found((RuntimeEnv(name, default),))


def _select(call: _Call) -> Found:
    """``${oc.select:key,default}``: a value, or the default when there is none."""
    call.count(1, 2)
    try:
        return call.select(0)
    except LookupFailedError:
        return call.arguments[1] if len(call.arguments) == 2 else Found(None)


def _select_not_null(call: _Call) -> Found:
    """``${select_not_null:key,default}``: as oc.select, with null taken as absent.

    Keys count from the top, and there may be several before the default.
    """
    call.count(2, None)
    top = replace(call.site, path=())
    for index in range(len(call.arguments) - 1):
        key = call.text(index, "the name of a key")
        try:
            found = call.lookup.look_up(key, top)
        except (LookupFailedError, FailedError):
            continue
        if found.value is not None:
            return found
    return call.arguments[-1]


def _decode(call: _Call) -> Found:
    """``${oc.decode:text}``: what the text means as an argument (a number, a list, …)."""
    from evalc.config.composing.grammar import parse_element  # noqa: PLC0415 - imports OmegaConf

    call.count(1, 1)
    if known(call.arguments[0], "decoded", call.site) is None:
        return Found(None)
    try:
        expression = parse_element(call.text(0, "what oc.decode is given"))
    except BadTemplateError as error:
        call.refuse(f"the text can't be decoded: {error}")
    found = call.lookup.evaluate(expression, call.site)
    # What a text elsewhere in the tree says is not written here.
    return Found(found.value, found.path, found.node)


def _create(call: _Call) -> Found:
    """``${oc.create:…}``: a list or mapping that other references can look into."""
    call.count(1, 1)
    node = as_node(call.arguments[0], call.site.node)
    if not isinstance(node, Mapping | Sequence):
        call.refuse("oc.create needs a list or a mapping")
    return Found(node, call.site.path)


def _deprecated(call: _Call) -> Found:
    """``${oc.deprecated:new_key}``: the value of the new key. Nobody is warned."""
    call.count(1, 2)
    try:
        return call.select(0)
    except LookupFailedError as error:
        raise FailedError(error.problem) from None


def _dict_keys(call: _Call) -> Found:
    """``${oc.dict.keys:key}``: the keys of a mapping."""
    mapping, _ = call.mapping()
    return Found([Found(key) for key in mapping.entries])


def _dict_values(call: _Call) -> Found:
    """``${oc.dict.values:key}``: the values of a mapping."""
    mapping, path = call.mapping()
    try:
        values = [
            call.lookup.item(node, (*path, key), call.site) for key, node in mapping.entries.items()
        ]
    except LookupFailedError as error:
        raise FailedError(error.problem) from None
    return Found(values)


_RESOLVERS: dict[str, Callable[[_Call], Found]] = {
    "oc.env": _env,
    "oc.select": _select,
    "oc.decode": _decode,
    "oc.create": _create,
    "oc.deprecated": _deprecated,
    "oc.dict.keys": _dict_keys,
    "oc.dict.values": _dict_values,
    "select_not_null": _select_not_null,
}
