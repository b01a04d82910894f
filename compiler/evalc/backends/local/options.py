"""The keys of ``execution`` that only the local backend knows, typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalc.backends.local import arguments
from evalc.words import Word, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PARALLELISM = 4


@dataclass(frozen=True, slots=True)
class Options:
    """``engine`` is ``docker``, ``podman`` or ``none``; ``jobs`` is how many tasks run at once."""

    engine: str
    jobs: int
    docker_args: tuple[Word, ...]
    shm_size: str | None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Options:
        """From a plan's validated options."""
        parallel = options.get("mode") == "parallel"
        return cls(
            engine=options.get("engine") or "docker",
            jobs=int(options.get("parallelism") or DEFAULT_PARALLELISM) if parallel else 1,
            docker_args=tuple(_word(arg) for arg in options.get("docker_args") or ()),
            shm_size=options.get("shm_size"),
        )

    @property
    def own_network(self) -> bool:
        """Whether the user's arguments choose the container's network."""
        return any(name in {"network", "net"} for _, name in arguments.options(self.docker_args))


def _word(value: Any) -> Word:
    return value if isinstance(value, tuple) else literal(str(value))
