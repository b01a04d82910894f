"""References: ``${a.b}``, ``${.sibling}``, ``${oc.env:NAME}`` and the like, as OmegaConf has them.

Two things differ on purpose. Composing never reads the environment: ``${oc.env:NAME}`` becomes a
:class:`~evalc.words.RuntimeEnv` in a :data:`~evalc.words.Word`. And into a value that is a bash
command, only what the shell takes as a plain word may be inserted
(:mod:`evalc.config.composing.commands`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from evalc.config.composing.commands import insertable, insertable_words
from evalc.config.composing.expressions import (
    BadTemplateError,
    Call,
    Expression,
    Joined,
    Reference,
)
from evalc.config.composing.found import FailedError, Found, Site, known, text_of
from evalc.config.composing.keys import list_index, split_key
from evalc.config.composing.problems import (
    BadInterpolation,
    MissingReference,
    ReferenceCycle,
    UnknownReference,
)
from evalc.config.composing.resolvers import LookupFailedError, call_resolver
from evalc.config.composing.template import parse_template
from evalc.source import Mapping, Node, Path, Scalar, Sequence
from evalc.source.loader import MAX_BYTES, TooLarge
from evalc.source.nodes import show_path, walk
from evalc.words import Literal, Part, Word

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalc.errors import Problem

_MISSING = "???"
_T = TypeVar("_T")
# No config has a longer chain of references; Python's recursion limit is not far above.
MAX_CHAIN = 60


def is_reference(node: Node | None) -> bool:
    """Whether a node is a text with an interpolation (or an escaped one) in it."""
    return isinstance(node, Scalar) and type(node.value) is str and "${" in node.value


def is_missing(node: Node | None) -> bool:
    """Whether a node is ``???``: a value that must still be given."""
    return isinstance(node, Scalar) and node.value == _MISSING


def unreadable(node: Node) -> list[Problem]:
    """The problems of all texts below ``node`` whose ``${…}`` can't be read."""
    if isinstance(node, Mapping):
        return [problem for child in node.entries.values() for problem in unreadable(child)]
    if isinstance(node, Sequence):
        return [problem for child in node.items for problem in unreadable(child)]
    if is_reference(node):
        assert isinstance(node, Scalar)
        try:
            _parsed(node)
        except FailedError as error:
            return [error.problem] if error.problem else []
    return []


class Resolver:
    """Finds what the references of one tree stand for.

    ``command_keys`` tells which paths hold bash commands. What is wrong is collected in
    ``problems``, each cause once; ``referred`` are the paths that references have led to. The tree
    must not change while a resolver is in use.
    """

    def __init__(self, root: Mapping, command_keys: Callable[[Path], bool]) -> None:
        self.root = root
        self.command_keys = command_keys
        self.problems: list[Problem] = []
        self.referred: set[Path] = set()
        self._known: dict[tuple[Path, bool], Found | None] = {}
        # The texts whose references are being followed, to notice circles.
        self._open: list[Path] = []

    def scalar(self, node: Scalar, path: Path, *, command: bool) -> Found:
        """What the text at ``path`` stands for; ``command`` says whether it is a bash command.

        Raises :class:`~evalc.config.composing.found.FailedError`, after reporting why.
        """
        key = (path, command)
        if key not in self._known:
            self._known[key] = self._scalar(Site(node, path, command=command))
        found = self._known[key]
        if found is None:
            raise FailedError(None)
        return found

    def container(self, node: Scalar, path: Path) -> Found | None:
        """The mapping or list that the text at ``path`` refers to, if it refers to one."""
        try:
            found = self.scalar(node, path, command=False)
        except FailedError:
            return None
        return found if isinstance(found.value, Mapping | Sequence) else None

    def report(self, problem: Problem | None) -> None:
        """Add to the problems."""
        if problem is not None:
            self.problems.append(problem)

    # --- keys -------------------------------------------------------------------------------------

    def look_up(self, key: str, site: Site) -> Found:
        """What ``key`` leads to, seen from ``site``.

        Raises :class:`~evalc.config.composing.resolvers.LookupFailedError` when it leads nowhere or
        to ``???``, and :class:`~evalc.config.composing.found.FailedError` when a reference on the
        way fails.
        """
        dots = len(key) - len(key.lstrip("."))
        path: Path = ()
        if dots:
            # One dot is the mapping or list that the text is in, each further one goes up.
            above = len(site.path) - dots
            if above < 0 and dots > 1:
                raise _nowhere(key, "it goes above the top", site)
            path = site.path[: max(above, 0)]
        node = walk(self.root, path)
        steps = split_key(key[dots:])
        found = Found(None)
        for number, step in enumerate(steps, 1):
            child, name = _child(node, step, key, site)
            if child is None:
                near = tuple(node.entries) if isinstance(node, Mapping) else ()
                why = f"{show_path(path) or 'the config'} has no '{step}'"
                raise _nowhere(key, why, site, near)
            found = self.item(child, (*path, name), site)
            if number == len(steps):
                self.referred.add((*path, name))
            else:
                if not isinstance(found.value, Mapping | Sequence) or found.path is None:
                    raise _nowhere(key, f"{show_path((*path, name))} is a single value", site)
                node, path = found.value, found.path
        return found

    def item(self, node: Node, path: Path, site: Site) -> Found:
        """What the node at ``path`` stands for. Raises as :meth:`look_up` does."""
        if not isinstance(node, Scalar):
            assert isinstance(node, Mapping | Sequence)
            return Found(node, path)
        if is_missing(node):
            shown = show_path(path)
            problem = MissingReference(key=site.text, missing=shown, location=site.location)
            raise LookupFailedError(problem)
        if is_reference(node):
            return self.scalar(node, path, command=self.command_keys(path))
        return Found(node.value, path, node)

    # --- expressions ------------------------------------------------------------------------------

    def evaluate(self, expression: Expression, site: Site) -> Found:
        """What an expression stands for.

        Raises :class:`~evalc.config.composing.found.FailedError`.
        """
        if isinstance(expression, Reference):
            return self._reference(expression, site.within(expression.text))
        if isinstance(expression, Call):
            return self._call(expression, site.within(expression.text))
        if isinstance(expression, Joined):
            return self._joined(expression, site)
        if isinstance(expression, list):
            return Found([self.evaluate(item, site) for item in expression])
        if isinstance(expression, dict):
            return Found(
                {
                    _text_key(key, site): self.evaluate(item, site)
                    for key, item in expression.items()
                }
            )
        return Found(expression, written=True)

    def _scalar(self, site: Site) -> Found | None:
        try:
            self._check_open(site)
            self._open.append(site.path)
            try:
                expression = _parsed(site.node)
                found = (self._command if site.command else self.evaluate)(expression, site)
            finally:
                self._open.pop()
        except FailedError as error:
            self.report(error.problem)
            return None
        # Seen from elsewhere, a value that was made here stands here.
        path = site.path if found.path is None else found.path
        return Found(found.value, path, found.node)

    def _check_open(self, site: Site) -> None:
        if site.path in self._open:
            circle = [*self._open[self._open.index(site.path) :], site.path]
            cycle = tuple(show_path(path) for path in circle)
            raise FailedError(ReferenceCycle(cycle=cycle, location=site.location))
        if len(self._open) >= MAX_CHAIN:
            what = f"references follow each other more than {MAX_CHAIN} times"
            raise FailedError(TooLarge(what=what, location=site.location))

    def _command(self, expression: Expression, site: Site) -> Found:
        """A command, with what may be inserted into one."""
        if isinstance(expression, Joined):
            return Found("".join(self._each(expression, lambda part: self._inserted(part, site))))
        found = self.evaluate(expression, site)
        if not isinstance(found.value, str | tuple):
            return found
        return Found(self._inserted(expression, site), found.path)

    def _inserted(self, expression: Expression, site: Site) -> str:
        if isinstance(expression, Reference | Call):
            site = site.within(expression.text)
        found = self.evaluate(expression, site)
        if isinstance(found.value, list):
            return insertable_words(found.value, site)
        if isinstance(found.value, Sequence) and found.path is not None:
            path = found.path
            try:
                items = [
                    self.item(item, (*path, index), site)
                    for index, item in enumerate(found.value.items)
                ]
            except LookupFailedError as error:
                raise FailedError(error.problem) from None
            return insertable_words(items, site)
        return insertable(found, self.command_keys, site)

    def _reference(self, expression: Reference, site: Site) -> Found:
        key = self._name(expression.parts, site)
        try:
            found = self.look_up(key, site)
        except LookupFailedError as error:
            raise FailedError(error.problem) from None
        if isinstance(found.value, Mapping | Sequence) and found.path is not None:
            inside = site.path[:-1]
            if found.path == inside[: len(found.path)]:
                what = f"'{key}' refers to what it is itself a part of"
                raise FailedError(BadInterpolation(what=what, location=site.location))
        return found

    def _call(self, expression: Call, site: Site) -> Found:
        name = self._name(expression.name, site)
        arguments = tuple(self.evaluate(argument, site) for argument in expression.arguments)
        return call_resolver(self, name, arguments, site)

    def _name(self, parts: tuple[Expression, ...], site: Site) -> str:
        """The key, or the name of a resolver, that is written in parts."""
        texts = []
        for part in parts:
            value = known(self.evaluate(part, site), "a part of a key", site)
            if not isinstance(value, str):
                what = f"a part of a key must be text, and {value!r} is not"
                problem = BadInterpolation(
                    what=what, advice="put the value in quotes", location=site.location
                )
                raise FailedError(problem)
            texts.append(value)
        return "".join(texts)

    def _each(self, joined: Joined, value: Callable[[Expression], _T]) -> list[_T]:
        """What ``value`` makes of each part; several of them may be wrong, and all are told."""
        values = []
        failed = False
        for part in joined.parts:
            try:
                values.append(value(part))
            except FailedError as error:
                self.report(error.problem)
                failed = True
        if failed:
            raise FailedError(None)
        return values

    def _part(self, expression: Expression, site: Site) -> Found:
        """A part of a text: a text, or a Word."""
        found = self.evaluate(expression, site)
        if isinstance(found.value, tuple):
            return found
        return Found(text_of(found, "a part of a text", site), written=found.written)

    def _joined(self, expression: Joined, site: Site) -> Found:
        """Texts and expressions in a row: a text, or a Word when a part is a run-time value."""
        word: list[Part] = []
        written = True
        for found in self._each(expression, lambda part: self._part(part, site)):
            written = written and found.written
            if isinstance(found.value, tuple):
                word += found.value
            else:
                word.append(Literal(str(found.value)))
        if sum(len(part.text) for part in word if isinstance(part, Literal)) > MAX_BYTES:
            what = f"references expand this to more than {MAX_BYTES // 2**20} MiB"
            raise FailedError(TooLarge(what=what, location=site.location))
        return Found(_smoothed(word), written=written)


def _parsed(node: Scalar) -> Expression:
    assert isinstance(node.value, str)
    try:
        return parse_template(node.value)
    except BadTemplateError as error:
        what = f"the interpolation can't be read: {error}"
        advice = r"a '${' that is plain text is written '\${'"
        problem = BadInterpolation(what=what, advice=advice, location=node.location)
        raise FailedError(problem) from None


def _child(node: Node | None, step: str, key: str, site: Site) -> tuple[Node | None, str | int]:
    """The node that one step of a key leads to, and the step as part of a path."""
    if isinstance(node, Mapping):
        return node.entries.get(step), step
    if not isinstance(node, Sequence):
        raise FailedError(_nowhere(key, "an expression makes what it is in", site).problem)
    index = list_index(step)
    if index is None:
        raise FailedError(_nowhere(key, f"'{step}' is no index of a list", site).problem)
    return (node.items[index] if 0 <= index < len(node.items) else None), index


def _nowhere(key: str, why: str, site: Site, near: tuple[str, ...] = ()) -> LookupFailedError:
    problem = UnknownReference(
        key=key, why=why, near=near, for_bash=site.for_bash, location=site.location
    )
    return LookupFailedError(problem)


def _smoothed(word: list[Part]) -> str | Word:
    """A word without empty or neighbouring literals; text when nothing else is in it."""
    parts: list[Part] = []
    for part in word:
        if isinstance(part, Literal):
            if not part.text:
                continue
            if parts and isinstance(parts[-1], Literal):
                parts[-1] = Literal(parts[-1].text + part.text)
                continue
        parts.append(part)
    if not parts:
        return ""
    return parts[0].text if len(parts) == 1 and isinstance(parts[0], Literal) else tuple(parts)


def _text_key(key: object, site: Site) -> str:
    if not isinstance(key, str):
        what = f"a key must be text, and {key!r} is not"
        raise FailedError(BadInterpolation(what=what, location=site.location))
    return key
