"""Secrets that were written into a config, by the shapes that well-known ones have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from evalc.errors import Problem
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import scalars, show_path
from evalc.words import Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.source import Node

# Who issues it, a text that every such secret holds (for a quick look), and its shape. Shapes are
# strict in length, so that names of models and files with the same start are left alone.
_KINDS = (
    ("a Hugging Face token", "hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    ("an NVIDIA API key", "nvapi-", r"\bnvapi-[A-Za-z0-9_-]{20,}"),
    (
        "an API key of OpenAI's form",
        "sk-",
        r"(?<![A-Za-z0-9_-])sk-(?:(?:proj|svcacct|admin|ant|or)-[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})",
    ),
    ("a GitHub token", "gh", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ("a GitHub token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,}"),
    ("a GitLab token", "glpat-", r"\bglpat-[A-Za-z0-9_.-]{20,}"),
    ("an AWS access key", "AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
    ("a Slack token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    ("a private key", "-----BEGIN", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY"),
)
_MARKERS = tuple(marker for _, marker, _ in _KINDS)
_SHAPE = re.compile("|".join(f"(?P<k{i}>{shape})" for i, (_, _, shape) in enumerate(_KINDS)))
# Weights & Biases issues 40 hexadecimal digits, as git does; only the key's name tells them apart.
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{40}(?![0-9A-Za-z])")
_HEX_KEY = re.compile(r"api_?key|token|secret|password", re.IGNORECASE)


class SecretInConfig(Problem):
    """A value that looks like a secret. The value itself is not kept."""

    code: ClassVar[str] = "secret-in-config"
    sensitive: ClassVar[bool] = True
    key: str
    kind: str

    @property
    def message(self) -> str:
        return f"{self.key} holds what looks like {self.kind}"

    @property
    def label(self) -> str:
        return "take it out, and treat it as known to others"

    @property
    def help(self) -> str:
        return (
            "a config names secrets and never holds them: put it into an environment variable, and "
            "write host:NAME under 'env_vars', or NAME as 'api_key_name'"
        )


def secret_kind(text: str, key: str = "") -> str:
    """What kind of secret ``text`` holds by its look, or an empty text.

    ``key`` is the key that it is the value of, where there is one.
    """
    found = _SHAPE.search(text)
    if found:
        assert found.lastgroup is not None
        return _KINDS[int(found.lastgroup[1:])][0]
    if _HEX_KEY.search(key) and _HEX.search(text):
        return "an API key (40 hexadecimal digits)"
    return ""


def find_secrets(root: Mapping) -> list[Problem]:
    """Every value of the config that looks like a secret, wherever it stands."""
    if not any(secret_kind(text, key) for text, key in _suspects(root)):
        return []
    found: list[Problem] = []
    for path, node in scalars(root):
        key = next((step for step in reversed(path) if isinstance(step, str)), "")
        kind = next(filter(None, (secret_kind(text, key) for text in _texts(node))), "")
        if kind:
            found.append(SecretInConfig(key=show_path(path), kind=kind, location=node.location))
    return found


def _suspects(root: Node) -> Iterator[tuple[str, str]]:
    """The texts that may hold a secret, each with its key: a quick look at everything."""
    todo: list[tuple[Node, str]] = [(root, "")]
    while todo:
        node, key = todo.pop()
        if isinstance(node, Mapping):
            todo += [(inner, name) for name, inner in node.entries.items()]
        elif isinstance(node, Sequence):
            todo += [(item, key) for item in node.items]
        elif isinstance(node, Scalar):
            for text in _texts(node):
                if len(text) >= 12 and (
                    any(marker in text for marker in _MARKERS) or _HEX_KEY.search(key)
                ):
                    yield text, key


def _texts(node: Scalar) -> Iterator[str]:
    if isinstance(node.value, str):
        yield node.value
    elif isinstance(node.value, tuple):
        for part in node.value:
            if isinstance(part, Literal):
                yield part.text
