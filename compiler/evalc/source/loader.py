"""YAML text -> nodes with positions.

One parse at C speed: PyYAML's ``CSafeLoader`` composes its node tree (with marks), and a single
walk turns it into ours. Scalars follow the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema): ``4:00:00`` is text, ``on`` and ``no`` are text,
``0o17`` is a number and ``0777`` is 777. The merge key ``<<`` of YAML 1.1 is kept, because users'
files have it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

import yaml

from evalc.errors import ConfigError, Location, Problem, Source, UsageError
from evalc.source.nodes import Mapping, Node, Scalar, Sequence, Value, empty_mapping

if TYPE_CHECKING:
    from pathlib import Path as FilePath

# 10,000 tasks take about 5 MB. What is larger is not a config, and would take minutes to refuse.
MAX_BYTES = 8 * 1024 * 1024
# A real config stays far below each of these. Aliases make a small text large ("billion laughs"),
# so what they repeat is counted apart and refused before it is built.
MAX_NODES = 2_000_000
MAX_COPIES = 100_000
MAX_DEPTH = 100
# Signs that a text may be nested deeply, which real ones hardly show.
_MANY_BRACKETS = 1000
_MANY_ENTRIES_IN_A_LINE = re.compile(r"(?:[-?][ \t]+){10}")
_CUT_OFF = {
    "but found another document": (
        "a config is one document, and another document begins here",
        "remove the line, or make it two files",
    ),
    "second occurrence": (
        "an anchor (&) of this name is there already",
        "give this one another name",
    ),
}
_BRACKET = re.compile(r"[][{}]")

_INT = re.compile(r"[-+]?[0-9]+")
_OCT = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_NUMBER_START = frozenset("0123456789+-.")

_CORE = "tag:yaml.org,2002:"
_STR_TAG = f"{_CORE}str"
# What an explicit tag of the core schema says a scalar must be.
_TAG_TYPES: dict[str, tuple[type, ...]] = {
    f"{_CORE}null": (type(None),),
    f"{_CORE}bool": (bool,),
    f"{_CORE}int": (int,),
    f"{_CORE}float": (int, float),
}
_COLLECTION_TAGS = frozenset((f"{_CORE}map", f"{_CORE}seq"))
# What a node has whose tag was not written. No text can hold it: a tag has no spaces.
_NO_TAG = "not written"


class _Loader(yaml.CSafeLoader):
    """Leaves tags that were not written open; PyYAML would guess them by YAML 1.1's rules."""

    def resolve(self, _kind: object, _value: object, _implicit: object) -> str:
        return _NO_TAG


class BadYaml(Problem):
    """The text is not YAML."""

    code: ClassVar[str] = "bad-yaml"
    what: str
    advice: str = ""

    @property
    def message(self) -> str:
        return f"this is not valid YAML: {self.what}"

    @property
    def label(self) -> str:
        return self.advice


class DuplicateKey(Problem):
    """A mapping holds one key twice."""

    code: ClassVar[str] = "duplicate-key"
    key: str
    first: Location

    @property
    def message(self) -> str:
        return f"'{self.key}' is given twice in one mapping"

    @property
    def label(self) -> str:
        return f"first given on line {self.first.line}"


class BadKey(Problem):
    """A key that is not text."""

    code: ClassVar[str] = "bad-key"
    what: str

    @property
    def message(self) -> str:
        return f"a key must be text, and this one is {self.what}"

    @property
    def label(self) -> str:
        return "put it in quotes"


class TooLarge(Problem):
    """More than a config can reasonably be."""

    code: ClassVar[str] = "too-large"
    what: str

    @property
    def message(self) -> str:
        return self.what


@lru_cache(maxsize=8192)
def scalar_value(text: str) -> Value:
    """What an unquoted scalar means by YAML 1.2's core schema."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in _NUMBER_START:
        # Python refuses to read and write integers of thousands of digits; those are text here.
        if len(text) >= 1000:
            return text
        if _INT.fullmatch(text):
            return int(text)
        if _OCT.fullmatch(text) or _HEX.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
    return text


def read_file(path: FilePath, shown: str | None = None, kind: str = "file") -> Source:
    """Read a file as a source named ``shown`` (by default the path as given).

    Raises :class:`~evalc.errors.UsageError` when it can't be read and
    :class:`~evalc.errors.ConfigError` when it is not UTF-8 or too large.
    """
    name = shown if shown is not None else str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise UsageError(f"{name} is a directory, not a config file") from None
    except FileNotFoundError:
        raise UsageError(f"there is no file {name}") from None
    except OSError as error:
        raise UsageError(f"{name} can't be read: {error.strerror}") from None
    at = Source(name, "", kind, str(path.parent))
    if len(data) > MAX_BYTES:
        what = f"the file is larger than {MAX_BYTES // 2**20} MiB, which no config needs"
        raise ConfigError([TooLarge(what=what, location=_location(at, 0, 0))])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n")
        column = len(before) - (before.rfind(b"\n") + 1)
        what = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise ConfigError(
            [
                BadYaml(
                    what=what, advice="save the file as UTF-8", location=_location(at, line, column)
                )
            ]
        ) from None
    return Source(name, text, kind, str(path.parent))


def parse(source: Source) -> Node:
    """The nodes of a YAML text; an empty text is an empty mapping.

    Raises :class:`~evalc.errors.ConfigError` with every duplicate or unusable key, or with the
    first syntax error.
    """
    try:
        if _may_be_deep(source.text):
            _refuse_deep(source)
        loader = _Loader(source.text)
        try:
            tree = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError([_syntax_problem(source, error)]) from None
    except UnicodeEncodeError as error:
        # A byte of the command line that is not UTF-8.
        raise ConfigError([_not_unicode(source, error.start)]) from None
    if tree is None:
        return empty_mapping(source)
    builder = _Builder(source)
    node = builder.build(tree, 0)
    if builder.problems:
        raise ConfigError(builder.problems)
    return node


def _may_be_deep(text: str) -> bool:
    """Whether the text could be nested so deeply that PyYAML's composer, which calls itself for
    each level, overflows the stack and takes the whole process down.

    By indentation alone a text of ``MAX_BYTES`` can't; in one line it can.
    """
    if text.count("[") + text.count("{") > _MANY_BRACKETS:
        depth = 0
        for match in _BRACKET.finditer(text):
            depth += 1 if match[0] in "[{" else -1
            if depth > _MANY_BRACKETS:
                return True
    return _MANY_ENTRIES_IN_A_LINE.search(text) is not None


def _refuse_deep(source: Source) -> None:
    """Refuse a text by its events, which take no stack. Raises as :func:`parse`."""
    loader = yaml.CSafeLoader(source.text)
    depth = 0
    try:
        while (event := loader.get_event()) is not None:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH + 1:
                raise ConfigError([_too_deep(source, event.start_mark)])
    finally:
        loader.dispose()


class _Builder:
    """Turns PyYAML's nodes into ours, collecting every problem on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.count = 0
        self.open: set[int] = set()
        # How many values each mapping and list holds, by the identity of its tree: what is built
        # again is an alias of it.
        self.sizes: dict[int, int] = {}
        self.copies = 0
        # A long file may use its aliases often.
        self.max_copies = max(MAX_COPIES, len(source.text))
        self.copying = False

    def build(self, tree: yaml.Node, depth: int) -> Node:
        self.count += 1
        if self.count > MAX_NODES:
            what = f"the file holds more than {MAX_NODES:,} values"
            raise ConfigError([TooLarge(what=what, location=self._at(tree))])
        if type(tree) is yaml.ScalarNode:
            return self._scalar(tree)
        if depth > MAX_DEPTH:
            raise ConfigError([_too_deep(self.source, tree.start_mark)])
        if id(tree) in self.open:
            what = "an alias (*) stands inside the anchor (&) that it names"
            raise ConfigError([BadYaml(what=what, location=self._at(tree))])
        size = self.sizes.get(id(tree))
        if size is None:
            before = self.count
            node = self._collection(tree, depth)
            self.sizes[id(tree)] = self.count - before + 1
            return node
        if self.copying:
            return self._collection(tree, depth)
        self.copies += size
        if self.copies > self.max_copies:
            what = f"aliases (*) repeat more than {self.max_copies:,} values"
            raise ConfigError([TooLarge(what=what, location=self._at(tree))])
        self.copying = True
        node = self._collection(tree, depth)
        self.copying = False
        return node

    def _collection(self, tree: yaml.Node, depth: int) -> Node:
        self.open.add(id(tree))
        node: Node
        if tree.tag != _NO_TAG and tree.tag not in _COLLECTION_TAGS:
            self._unknown_tag(tree)
        if type(tree) is yaml.SequenceNode:
            items = [self.build(item, depth + 1) for item in tree.value]
            node = Sequence(self.source, tree.start_mark, tree.end_mark, items)
        else:
            node = self._mapping(cast("yaml.MappingNode", tree), depth)
        self.open.discard(id(tree))
        return node

    def _scalar(self, tree: yaml.ScalarNode) -> Scalar:
        text: str = tree.value
        tag: str = tree.tag
        plain = not tree.style
        value: Value = text
        if tag == _NO_TAG:
            if plain:
                value = scalar_value(text)
        elif tag in _TAG_TYPES:
            value = self._as_tagged(tree, _TAG_TYPES[tag])
        elif tag != _STR_TAG:
            self._unknown_tag(tree)
        return Scalar(self.source, tree.start_mark, tree.end_mark, value, text, plain_style=plain)

    def _as_tagged(self, tree: yaml.ScalarNode, types: tuple[type, ...]) -> Value:
        value = scalar_value(tree.value)
        if not isinstance(value, types) or (bool not in types and isinstance(value, bool)):
            what = f"{tree.value!r} is not what the tag {_short_tag(tree.tag)} says"
            self.problems.append(BadYaml(what=what, location=self._at(tree)))
        return value

    def _unknown_tag(self, tree: yaml.Node) -> None:
        what = f"the tag {_short_tag(tree.tag)} has no meaning here"
        self.problems.append(BadYaml(what=what, location=self._at(tree)))

    def _mapping(self, tree: yaml.MappingNode, depth: int) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Scalar] = {}
        merged: list[Mapping] = []
        for key_tree, value_tree in tree.value:
            if type(key_tree) is not yaml.ScalarNode:
                self.problems.append(
                    BadKey(what="a list or a mapping", location=self._at(key_tree))
                )
                continue
            key = self._scalar(key_tree)
            if key.text == "<<" and key.plain_style:
                merged += self._merge_sources(value_tree, depth)
                continue
            if not isinstance(key.value, str):
                what = f"the {_kind_name(key.value)} {key.text or 'null'}"
                self.problems.append(BadKey(what=what, location=key.location))
                continue
            value = self.build(value_tree, depth + 1)
            if key.value in entries:
                first = keys[key.value].location
                self.problems.append(
                    DuplicateKey(key=key.value, first=first, location=key.location)
                )
                continue
            entries[key.value] = value
            keys[key.value] = key
        for other in merged:
            for name, value in other.entries.items():
                if name not in entries:
                    entries[name] = value
                    keys[name] = other.keys[name]
        return Mapping(self.source, tree.start_mark, tree.end_mark, entries, keys)

    def _merge_sources(self, tree: yaml.Node, depth: int) -> list[Mapping]:
        node = self.build(tree, depth + 1)
        parts = node.items if isinstance(node, Sequence) else [node]
        good = [part for part in parts if isinstance(part, Mapping)]
        if len(good) != len(parts):
            what = "'<<' merges mappings, and this is none"
            self.problems.append(BadYaml(what=what, location=node.location))
        return good

    def _at(self, tree: yaml.Node) -> Location:
        start, end = tree.start_mark, tree.end_mark
        return Location(self.source, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _short_tag(tag: str) -> str:
    return f"!!{tag[len(_CORE) :]}" if tag.startswith(_CORE) else tag


def _kind_name(value: Value) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "value"


def _location(source: Source, line: int, column: int) -> Location:
    return Location(source, line + 1, column + 1, line + 1, column + 2)


def _too_deep(source: Source, mark: Any) -> Problem:
    what = f"values are nested more than {MAX_DEPTH} deep"
    return TooLarge(what=what, location=_location(source, mark.line, mark.column))


def _not_unicode(source: Source, index: int) -> Problem:
    before = source.text[:index]
    column = index - (before.rfind("\n") + 1)
    what = "a byte of it is not UTF-8"
    return BadYaml(what=what, location=_location(source, before.count("\n"), column))


def _syntax_problem(source: Source, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if "nesting depth" in str(what):
        return _too_deep(source, mark)
    position = getattr(error, "position", None)
    if mark is not None:
        line, column = mark.line, mark.column
    elif isinstance(position, int):
        # The C library's reader counts bytes.
        before = source.text.encode()[:position].decode(errors="ignore")
        line, column = before.count("\n"), len(before) - (before.rfind("\n") + 1)
    else:
        line, column = 0, 0
    advice = ""
    lines = source.text.splitlines()
    if line >= len(lines) > 0:
        # The text ended too early: point behind its last character.
        line, column = len(lines) - 1, len(lines[-1])
    shown = source.line(line + 1)
    indent = shown[: len(shown) - len(shown.lstrip())]
    if "\t" in indent or "'\\t'" in str(what):
        what, advice = "a tab can't indent YAML", "use spaces"
    elif what in _CUT_OFF:
        # The C library says the first half of these in its context.
        what, advice = _CUT_OFF[what]
    elif "mapping values are not allowed" in str(what):
        advice = "is the line above indented as it should be, or does a text with ': ' need quotes?"
    elif "undefined alias" in str(what) or "cannot start any token" in str(what):
        advice = "a text that starts with one of *&!%@` needs quotes"
    elif source.line(line + 1)[column : column + 1] == "?" or "???" in shown[max(0, column - 3) :]:
        advice = "in braces and brackets, a text that begins with '?' needs quotes: \"???\""
    return BadYaml(what=str(what), advice=advice, location=_location(source, line, column))
