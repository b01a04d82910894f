"""Values that know where they were written.

A tree of nodes is what a YAML text means, before anything is merged or resolved. Later passes make
new nodes and never change one that another pass may hold, except that ``previous`` links a node to
the one it replaced, which is how ``evalc explain`` tells a value's history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from evalc.errors import Location, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.words import Word

# What a scalar can hold. A Word only after interpolation, for text with run-time parts.
Value: TypeAlias = "str | int | float | bool | Word | None"
Path: TypeAlias = "tuple[str | int, ...]"


class Mark:
    """A place in a text, counted from 0; PyYAML's marks have the same two attributes."""

    __slots__ = ("column", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column


class Node:
    """Base of the three kinds of node."""

    __slots__ = ("end", "previous", "source", "start")

    def __init__(self, source: Source, start: Any, end: Any) -> None:
        self.source = source
        self.start = start
        self.end = end
        self.previous: Node | None = None

    @property
    def location(self) -> Location:
        """Where this was written. Made on demand: most nodes are never asked."""
        return Location(
            self.source,
            self.start.line + 1,
            self.start.column + 1,
            self.end.line + 1,
            self.end.column + 1,
        )

    def plain(self) -> Any:
        """The value as dicts, lists and scalars."""
        raise NotImplementedError


class Scalar(Node):
    """A single value. ``plain_style`` is true when it was written without quotes."""

    __slots__ = ("plain_style", "text", "value")

    def __init__(
        self, source: Source, start: Any, end: Any, value: Value, text: str, *, plain_style: bool
    ) -> None:
        # Not through super(): there are as many of these as there are words in a config.
        self.source = source
        self.start = start
        self.end = end
        self.previous = None
        self.value = value
        self.text = text
        self.plain_style = plain_style

    def plain(self) -> Value:
        return self.value

    def replaced(self, value: Value) -> Scalar:
        """A node of the same place with another value, whose history is this one."""
        node = Scalar(
            self.source, self.start, self.end, value, self.text, plain_style=self.plain_style
        )
        node.previous = self
        return node


# The text of every stand-in. It can be a name, an image, a word of a command or a variable, so that
# few checks find fault with it, and no text of a user's has it.
MARK = "EvalcStandIn"


class StandIn(Scalar):
    """Stands for a value that is wrong and was told of: every later step takes it as it is.

    It may stand for a mapping or a list too. ``given`` is false where it stands for a key that
    lacks. What is said of its text, :data:`MARK`, is a consequence and not another mistake.
    """

    __slots__ = ("given",)
    given: bool

    @classmethod
    def of(cls, node: Node, *, given: bool = True) -> StandIn:
        """The stand-in for ``node``."""
        made = cls(node.source, node.start, node.end, MARK, MARK, plain_style=False)
        made.given = given
        made.previous = node
        return made

    def replaced(self, value: Value) -> Scalar:  # noqa: ARG002 - whatever it becomes is unknown too
        return self


class Sequence(Node):
    """A list."""

    __slots__ = ("items",)

    def __init__(self, source: Source, start: Any, end: Any, items: list[Node]) -> None:
        super().__init__(source, start, end)
        self.items = items

    def plain(self) -> list[Any]:
        return [node.value if type(node) is Scalar else node.plain() for node in self.items]


class Mapping(Node):
    """A dict, in the order of writing. ``keys`` holds the node of each key, for its place."""

    __slots__ = ("entries", "keys")

    def __init__(
        self,
        source: Source,
        start: Any,
        end: Any,
        entries: dict[str, Node],
        keys: dict[str, Scalar],
    ) -> None:
        super().__init__(source, start, end)
        self.entries = entries
        self.keys = keys

    def plain(self) -> dict[str, Any]:
        return {
            key: node.value if type(node) is Scalar else node.plain()
            for key, node in self.entries.items()
        }

    def get(self, key: str) -> Node | None:
        return self.entries.get(key)


def empty_mapping(source: Source) -> Mapping:
    """A mapping with nothing in it, at the start of ``source``."""
    return Mapping(source, Mark(0, 0), Mark(0, 0), {}, {})


def walk(root: Node, path: Path) -> Node | None:
    """The node at ``path`` below ``root``, or None."""
    node: Node | None = root
    for step in path:
        if isinstance(node, Mapping):
            node = node.entries.get(str(step))
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def key_location(root: Node, path: Path) -> Location:
    """Where the key that ends ``path`` was written; for an item of a list, the item.

    Falls back to the nearest place above that exists.
    """
    parent = walk(root, path[:-1])
    if isinstance(parent, Mapping) and path and str(path[-1]) in parent.keys:
        return parent.keys[str(path[-1])].location
    node = walk(root, path)
    if node is not None:
        return node.location
    return key_location(root, path[:-1]) if path else root.location


def users_location(root: Node, path: Path) -> Location:
    """Where the user can change what is at ``path``.

    What is evalc's own (a built-in group) is not for editing: then it is the user's nearest block
    above, if there is one.
    """
    own = key_location(root, path)
    places = (key_location(root, path[:length]) for length in range(len(path), 0, -1))
    return next((at for at in places if at.source.kind != "builtin"), own)


def scalars(root: Node, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """Every scalar below ``root`` with its path, in order."""
    # A stack of our own: a generator in a generator for each level takes several times as long.
    stack: list[tuple[Path, Node]] = [(path, root)]
    while stack:
        here, node = stack.pop()
        if type(node) is Scalar:
            yield here, node
        elif type(node) is Mapping:
            stack += [((*here, key), child) for key, child in reversed(node.entries.items())]
        elif type(node) is Sequence:
            last = len(node.items) - 1
            stack += [((*here, last - i), child) for i, child in enumerate(reversed(node.items))]


def show_path(path: Path) -> str:
    """``evaluation.tasks[0].name``, as people write it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else str(step))
    return text


def scalar_text(node: Scalar) -> str:
    """A scalar as the text that a program is given: as written, where writing and value agree.

    ``1.10`` stays ``1.10``. A Word has no text yet and gives an empty one.
    """
    value = node.value
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, tuple):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # An interpolated number keeps the reference as its text.
    return str(value) if "${" in node.text else node.text
