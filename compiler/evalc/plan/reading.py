"""Reading a config that has been validated: values by their paths, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.plan.env import env_block
from evalc.plan.model import EnvVar, Mount
from evalc.plan.problems import Contradiction, NotGiven, ReferenceInKey
from evalc.source import Mapping, Scalar
from evalc.source.nodes import MARK, StandIn, scalar_text, users_location, walk
from evalc.words import Word, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Location, Problem
    from evalc.source import Node, Path


def to_word(node: Node | None) -> Word | None:
    """A scalar as a word; None for null and for what is not there."""
    if not isinstance(node, Scalar) or node.value is None:
        return None
    return node.value if isinstance(node.value, tuple) else literal(scalar_text(node))


class Reader:
    """A config, and the problems that were found in it so far.

    ``base`` is the folder of the primary config, for files that the command line names.
    """

    def __init__(self, root: Mapping, base: str, problems: list[Problem]) -> None:
        self.root = root
        self.base = base
        self.problems = problems
        self.backend = self.text("execution", "type")
        # Some keys mean something to clusters alone; another backend may have its own of that name.
        self.on_cluster = self.backend == "slurm"
        # A container has nothing of the submitting machine's there, and secrets are the platform's.
        self.on_lepton = self.backend == "lepton"

    def node(self, *path: str | int) -> Node | None:
        """What is at a path; None when nothing is."""
        return walk(self.root, path)

    def text(self, *path: str | int) -> str:
        """A scalar as text; empty for null and for what is not there."""
        node = self.node(*path)
        return scalar_text(node) if isinstance(node, Scalar) and node.value is not None else ""

    def word(self, *path: str | int) -> Word | None:
        """A scalar as a word; None for null, for an empty text and for what is not there."""
        word = to_word(self.node(*path))
        return None if word == literal("") else word

    def mapping(self, *path: str | int) -> Mapping | None:
        """A block; None when there is none."""
        node = self.node(*path)
        return node if isinstance(node, Mapping) else None

    def at(self, *path: str | int) -> Location:
        """Where the user can change what is at a path."""
        return users_location(self.root, path)

    def value_at(self, *path: str | int) -> Location:
        """Where a value was written, or where its key would be."""
        node = self.node(*path)
        return node.location if node else self.at(*path)

    def count(self, *path: str | int, default: int = 1) -> int:
        """A whole number, or the default."""
        value = self.number(*path)
        return default if value is None else int(value)

    def need(self, *path: str | int, because: str = "") -> Word:
        """A word that must be there: a problem when it is not."""
        word = self.word(*path)
        if word is not None:
            return word
        self.missing(*path, because=because)
        return literal(MARK)

    def missing(self, *path: str | int, because: str) -> None:
        """Report a key that must be given."""
        if self.is_unknown(*path):
            return
        key = ".".join(str(step) for step in path)
        self.problems.append(NotGiven(key=key, because=because, location=self.at(*path)))

    def flag(self, *path: str | int) -> bool:
        """Whether a boolean is true; null and what is not there are not."""
        node = self.node(*path)
        return isinstance(node, Scalar) and node.value is True

    def is_unknown(self, *path: str | int) -> bool:
        """Whether a stand-in is what, or where, this may be given."""
        return any(
            isinstance(self.node(*path[:length]), StandIn) for length in range(1, len(path) + 1)
        )

    def number(self, *path: str | int) -> int | float | None:
        """A number; None when there is none."""
        node = self.node(*path)
        value = node.value if isinstance(node, Scalar) else None
        return value if isinstance(value, int | float) else None

    def mounts(self, *kinds: str) -> Iterator[Mount]:
        """What the block ``mounts.KIND`` of ``execution`` lets containers see."""
        block = self.mapping("execution", "mounts", *kinds)
        for source, node in block.entries.items() if block else ():
            if not isinstance(node, Scalar):
                continue
            if "${" in source:
                self.problems.append(
                    ReferenceInKey(
                        key=".".join(("execution", "mounts", *kinds)),
                        location=self.at("execution", "mounts", *kinds, source),
                    )
                )
            target, _, mode = scalar_text(node).partition(":")
            if mode not in ("", "ro", "rw"):
                what = f"'{mode}' does not say how to mount"
                advice = "write ':ro' for read-only, or nothing"
                self.problems.append(
                    Contradiction(what=what, advice=advice, location=node.location)
                )
            yield Mount(literal(source), target, read_only=mode == "ro")

    def env(self, *blocks: Path, bare_is_host: bool = False) -> list[EnvVar]:
        """Several blocks in one, later ones first in right, in the order of the names."""
        found: dict[str, EnvVar] = {}
        for block in blocks:
            # The top-level block is the new form, in which a bare name is a variable's.
            host = bare_is_host or block == ("env_vars",)
            for var in env_block(
                self.mapping(*block),
                self.problems,
                bare_is_host=host,
                of_workspace=self.on_lepton,
            ):
                found[var.name] = var
        return list(found.values())
