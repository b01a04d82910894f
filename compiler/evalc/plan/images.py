"""Names of container images, as https://github.com/distribution/reference has them.

``[registry/]name[:tag][@digest]``; without a registry they are Docker Hub's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DOCKER_HUB = "docker.io"
# The first part of a name is a registry's when it looks like a host, as docker decides it.
_REGISTRY = re.compile(r"localhost(:\d+)?|[^/]*[.:][^/]*")
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


@dataclass(frozen=True, slots=True)
class Reference:
    """A name of an image in a registry. ``tag`` and ``digest`` are empty where it has none."""

    registry: str
    name: str
    tag: str
    digest: str

    @property
    def full(self) -> str:
        """The reference with everything that it leaves to be understood, but a tag ``latest``."""
        tag, digest = self.tag and f":{self.tag}", self.digest and f"@{self.digest}"
        return f"{self.registry}/{self.name}{tag}{digest}"

    @property
    def exact(self) -> str:
        """The full reference, without a tag that its digest makes superfluous."""
        tag = "" if self.digest else self.tag
        return Reference(self.registry, self.name, tag, self.digest).full

    def in_registry(self, registry: str) -> str:
        """The same image's name in another registry, which may have a path (``host/mirror``)."""
        return Reference(registry.rstrip("/"), self.name, self.tag, self.digest).full

    @property
    def file_stem(self) -> str:
        """A file's name for the image, without its ending."""
        version = self.tag or self.digest.replace(":", "-")[: len("sha256-") + 12] or "latest"
        return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.name}-{version}")


def is_file(text: str) -> bool:
    """Whether an image is named by a path."""
    return text.startswith(("/", "./", "../"))


def parse(text: str) -> Reference | None:
    """What an image's name says; None where it is no reference to a registry."""
    # Pyxis writes 'registry#name', apptainer 'docker://registry/name'.
    text = text.removeprefix("docker://").replace("#", "/", 1)
    if is_file(text) or "$" in text or "://" in text:
        return None
    digest = _DIGEST.search(text)
    rest = text[: digest.start()] if digest else text
    first, slash, name = rest.partition("/")
    if not slash or not _REGISTRY.fullmatch(first):
        first, name = DOCKER_HUB, rest
    path, colon, tag = name.rpartition(":")
    if not colon:
        path, tag = name, ""
    if first == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return Reference(first, path, tag, digest[1] if digest else "")
