"""How the runner reaches hosts: this machine, or one that the user's own ``ssh`` leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from evalc.backends.running import Host
from evalc.runner.transport.local import LocalHost
from evalc.runner.transport.ssh import SshHost

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from evalc.runner.transport.session import Session

__all__ = ["LocalHost", "SshHost", "StreamingHost", "connect"]


class StreamingHost(Host, Protocol):
    """A host that also gives what a command says piece by piece."""

    def stream(
        self, script: str, *arguments: str, stdin: bytes = b"", held: bool = False
    ) -> AbstractContextManager[Session]:
        """A command as with :meth:`~evalc.backends.running.Host.bash`, while it runs.

        With ``held``, its standard input ends when the block is left, or this process or the
        connection is no more.

        Its standard output is read from the session, as far as the caller wants it; leaving the
        block ends the command. The session raises :class:`~evalc.backends.running.Unreachable`.
        """


def connect(
    hostname: str | None, username: str | None = None, key: str | None = None
) -> StreamingHost:
    """The host that a config names: this machine without a ``hostname``.

    Nothing is opened before the first command. ``key`` is the path of a private key. Raises
    :class:`~evalc.errors.UsageError` for a name that can't be one, or a key that is not there.
    """
    return LocalHost() if hostname is None else SshHost(hostname, username, key)
