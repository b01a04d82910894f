r"""Overrides: ``key=value``, ``+key=value``, ``++key=value``, ``~key``, ``~key=value``.

The language is that of Hydra 1.3 (https://hydra.cc/docs/1.3/advanced/override_grammar/basic), less
its sweeps and functions. A value is a text without quotes (typed as it looks), a text in quotes, a
list or a mapping:

    execution.walltime=4:00:00      deployment.extra_args='--seed 1, 2'
    evaluation.tasks=[{name: gsm8k}, {name: ifeval}]

It is not YAML: ``1_000`` is a number, ``on`` is a text, and ``=``, ``,``, brackets and most other
punctuation need quotes or a backslash.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

from evalc.config.composing.problems import BadOverride, Unsupported
from evalc.errors import ConfigError, Location, Problem, Source
from evalc.source import Mapping, Mark, Node, Scalar, Sequence, Value

if TYPE_CHECKING:
    from collections.abc import Sequence as Items

Action = Literal["set", "add", "force", "delete"]

_ACTIONS: dict[str, Action] = {"": "set", "+": "add", "++": "force", "~": "delete"}
_MAX_DEPTH = 100

# The names and numbers of the grammar.
_ID = r"[A-Za-z_][A-Za-z0-9_-]*"
_INT = r"(?:0|[1-9](?:_?[0-9])*)"
_DIGITS = r"[0-9](?:_?[0-9])*"
_POINT = rf"(?:{_INT}?\.{_DIGITS}|{_INT}\.)"
_FLOAT = rf"[+-]?(?:(?:{_INT}|{_POINT})[eE][+-]?{_DIGITS}|{_POINT}|(?i:inf|nan))"
_STEP = rf"(?:[A-Za-z_$][A-Za-z0-9_$-]*|{_INT})"
_KEY = rf"{_STEP}(?:\.{_STEP})+|[A-Za-z_$][A-Za-z0-9_$-]*"
_HEAD = (
    rf"(?P<action>~|\+\+?|)(?P<key>{_ID}(?:/{_ID})+|{_KEY})"
    rf"(?:@(?P<package>{_KEY}|))?(?P<equal>=[ \t]*|\Z)"
)
# The tokens of a value. The longest match wins, and among equals the first.
_TOKENS = (
    ("(", r"[ \t]*\([ \t]*"),
    (",", r"[ \t]*,[ \t]*"),
    (")", r"[ \t]*\)"),
    ("[", r"\[[ \t]*"),
    ("]", r"[ \t]*\]"),
    ("{", r"\{[ \t]*"),
    ("}", r"[ \t]*\}"),
    (":", r"[ \t]*:[ \t]*"),
    ("=", r"[ \t]*=[ \t]*"),
    ("float", _FLOAT),
    ("int", rf"[+-]?{_INT}"),
    ("bool", r"(?i:true|false)"),
    ("null", r"(?i:null)"),
    ("char", r"[/\-\\+.$%*@?|]"),
    ("id", _ID),
    ("escape", r"(?:\\[\\()\[\]{}:=, \t])+"),
    ("space", r"[ \t]+"),
    ("quoted", r'"(?:(?:\\\\)*|.*?[^\\](?:\\\\)*)"' + "|" + r"'(?:(?:\\\\)*|.*?[^\\](?:\\\\)*)'"),
    ("interpolation", r"\$\{[^}]+\}"),
)
# What a text without quotes is made of, and what a key of a mapping is made of.
_KEY_KINDS = frozenset({"float", "int", "bool", "null", "char", "id", "escape", "space"})
_TEXT_KINDS = _KEY_KINDS | {":", "interpolation"}


@dataclass(frozen=True)
class Override:
    """One override. ``value`` is None only where ``~key`` gives none.

    ``key`` is dotted, or the name of a group (``execution``, ``a/b``); ``package`` is what follows
    an ``@``, which only groups have.
    """

    source: Source
    action: Action
    key: str
    package: str | None
    key_node: Scalar
    value: Node | None

    @property
    def text(self) -> str:
        """All of it, as it was given."""
        return self.source.text

    @property
    def location(self) -> Location:
        """Where its key is."""
        return self.key_node.location


def parse_overrides(texts: Items[str]) -> list[Override]:
    """Read overrides; their values are located in sources named ``-o``.

    Raises :class:`~evalc.errors.ConfigError` with the problems of all that can't be read.
    """
    problems: list[Problem] = []
    overrides = [_read(Source("-o", text, "override"), problems) for text in texts]
    if problems:
        raise ConfigError(problems)
    return [override for override in overrides if override is not None]


def _read(source: Source, problems: list[Problem]) -> Override | None:
    try:
        return _parse(source)
    except ConfigError as error:
        problems += error.problems
        return None


def _parse(source: Source) -> Override:
    head = re.match(_HEAD, source.text)
    if head is None:
        _refuse_head(source)
    key: str = head["key"]
    start, end = _mark(source, head.start("key")), _mark(source, head.end("key"))
    key_node = Scalar(source, start, end, key, key, plain_style=True)
    action = _ACTIONS[head["action"]]
    if key.split(".", maxsplit=1)[0] == "hydra":
        advice = "evalc is not Hydra, and has no use for it"
        raise ConfigError(
            [Unsupported(feature="'hydra.*'", advice=advice, location=key_node.location)]
        )
    value: Node | None = None
    if head["equal"]:
        value = _Values(source, head.end()).read()
        if action == "delete" and isinstance(value, Scalar) and value.value is None:
            # To Hydra "~key=null" is "~key".
            value = None
    elif action != "delete":
        what, advice = f"'{key}' is given no value", f"{source.text}=VALUE"
        raise ConfigError([BadOverride(what=what, advice=advice, location=key_node.location)])
    return Override(source, action, key, head["package"], key_node, value)


def _refuse_head(source: Source) -> NoReturn:
    before = source.text.partition("=")[0]
    at = Location(source, 1, 1, 1, max(len(before), 1) + 1)
    what = f"'{before}' is not a key" if before else "an override starts with a key"
    advice = "write KEY=VALUE, with a dotted key such as execution.partition"
    raise ConfigError([BadOverride(what=what, advice=advice, location=at)])


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The tokens' patterns, which most runs don't need: few give overrides."""
    return tuple((kind, re.compile(pattern, re.DOTALL)) for kind, pattern in _TOKENS)


class _Values:
    """Reads what stands after the ``=`` of an override."""

    def __init__(self, source: Source, start: int) -> None:
        self.source = source
        self.tokens = self._scan(start)
        self.next = 0
        self.depth = 0

    def read(self) -> Node:
        if self._peek() == "end":
            return self._scalar("", "", self.tokens[0].start, self.tokens[0].start, plain=True)
        value = self._element()
        if self._peek() == ",":
            advice = "for a list write [a,b], for a text use quotes"
            self._unsupported("sweeps (several values with commas)", self.tokens[self.next], advice)
        if self._peek() != "end":
            self._refuse(self.tokens[self.next])
        return value

    def _scan(self, start: int) -> list[_Token]:
        text = self.source.text
        tokens = []
        while start < len(text):
            found = [(kind, match) for kind, p in _patterns() if (match := p.match(text, start))]
            if not found:
                self._refuse(_Token("character", text[start], start))
            kind, match = max(found, key=lambda one: one[1].end())
            tokens.append(_Token(kind, match[0], start))
            start = match.end()
        return [*tokens, _Token("end", "", len(text))]

    def _peek(self) -> str:
        return self.tokens[self.next].kind

    def _take(self, *kinds: str) -> _Token:
        token = self.tokens[self.next]
        if token.kind not in kinds:
            self._refuse(token)
        self.next += 1
        return token

    def _element(self) -> Node:
        token = self.tokens[self.next]
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self._bad(f"values are nested more than {_MAX_DEPTH} deep", token)
        if token.kind == "[":
            node: Node = self._list()
        elif token.kind == "{":
            node = self._mapping()
        elif token.kind == "quoted":
            self.next += 1
            node = self._scalar(
                _unquoted(token.text), token.text, token.start, token.end, plain=False
            )
        else:
            node = self._text(_TEXT_KINDS)
        self.depth -= 1
        return node

    def _list(self) -> Sequence:
        start = self._take("[").start
        items = []
        if self._peek() != "]":
            items.append(self._element())
            while self._peek() == ",":
                self.next += 1
                items.append(self._element())
        end = self._take("]").end
        return Sequence(self.source, _mark(self.source, start), _mark(self.source, end), items)

    def _mapping(self) -> Mapping:
        start = self._take("{").start
        entries: dict[str, Node] = {}
        keys: dict[str, Scalar] = {}
        while self._peek() != "}" or entries:
            token = self.tokens[self.next]
            key = self._text(_KEY_KINDS)
            if not isinstance(key.value, str):
                self._bad(f"a key must be text, and {key.text} is not", token)
            if key.value in entries:
                self._bad(f"'{key.value}' is given twice in one mapping", token)
            self._take(":")
            entries[key.value] = self._element()
            keys[key.value] = key
            if self._peek() != ",":
                break
            self.next += 1
        end = self._take("}").end
        marks = _mark(self.source, start), _mark(self.source, end)
        return Mapping(self.source, *marks, entries, keys)

    def _text(self, kinds: frozenset[str]) -> Scalar:
        """A value without quotes: typed when it is a single token, else text."""
        tokens = []
        while self._peek() in kinds:
            tokens.append(self._take(*kinds))
        if self._peek() == "(" and tokens and tokens[-1].kind == "id":
            name = tokens[-1].text
            self._unsupported(f"functions such as {name}()", tokens[-1], "for a text use quotes")
        if tokens and tokens[0].kind == "space":
            del tokens[0]
        if tokens and tokens[-1].kind == "space":
            del tokens[-1]
        if not tokens:
            self._refuse(self.tokens[self.next])
        text = "".join(t.text[1::2] if t.kind == "escape" else t.text for t in tokens)
        value = _typed(tokens[0]) if len(tokens) == 1 else text
        return self._scalar(value, text, tokens[0].start, tokens[-1].end, plain=True)

    def _scalar(self, value: Value, text: str, start: int, end: int, *, plain: bool) -> Scalar:
        shown = text if plain else str(value)
        marks = _mark(self.source, start), _mark(self.source, end)
        return Scalar(self.source, *marks, value, shown, plain_style=plain)

    def _refuse(self, token: _Token) -> NoReturn:
        if token.kind == "end":
            self._bad("the value ends too early", token)
        shown = f"'{token.text.strip()}'" if token.text.strip() else "a line break"
        self._bad(f"{shown} has no meaning here", token, "a text with it needs quotes")

    def _bad(self, what: str, token: _Token, advice: str = "") -> NoReturn:
        raise ConfigError([BadOverride(what=what, advice=advice, location=self._at(token))])

    def _unsupported(self, feature: str, token: _Token, advice: str) -> NoReturn:
        problem = Unsupported(feature=feature, advice=advice, location=self._at(token))
        raise ConfigError([problem])

    def _at(self, token: _Token) -> Location:
        # Even the end of the text gets a caret.
        stop = max(token.end, token.start + 1)
        start, end = _mark(self.source, token.start), _mark(self.source, stop)
        return Location(self.source, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _mark(source: Source, offset: int) -> Mark:
    before = source.text[:offset]
    return Mark(before.count("\n"), offset - (before.rfind("\n") + 1))


def _typed(token: _Token) -> Value:
    if token.kind == "int":
        # Python refuses to read integers of thousands of digits; such a thing is text here.
        return int(token.text) if len(token.text) < 1000 else token.text
    if token.kind == "float":
        return float(token.text)
    if token.kind == "bool":
        return token.text.lower() == "true"
    if token.kind == "null":
        return None
    return token.text[1::2] if token.kind == "escape" else token.text


def _unquoted(text: str) -> str:
    """The content of a text in quotes. Backslashes count only in front of a quote."""
    quote = text[0]
    return re.sub(rf"(\\+)(?={quote}|\Z)", lambda m: "\\" * (len(m[1]) // 2), text[1:-1])
