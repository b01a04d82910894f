"""Commands on this machine."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from evalc.runner.transport.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evalc.backends.running import Ran


class LocalHost:
    """This machine, as a :class:`~evalc.runner.transport.StreamingHost`.

    Commands run in a session of their own, so that Ctrl-C and the terminal's end are the caller's
    to handle, and start in the folder that the process is in.
    """

    name = "localhost"

    def bash(
        self,
        script: str,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        said: Callable[[str], None] | None = None,
    ) -> Ran:
        """See :class:`~evalc.backends.running.Host`."""
        session = Session(
            self.name, _command, _why, script, arguments,
            stdin=stdin, env=env, timeout=timeout, said=said,
        )  # fmt: skip
        with session:
            return session.finish()

    def stream(
        self, script: str, *arguments: str, stdin: bytes = b"", held: bool = False
    ) -> Session:
        """See :class:`~evalc.runner.transport.StreamingHost`."""
        return Session(self.name, _command, _why, script, arguments, stdin=stdin, held=held)


def _command(line: str) -> Sequence[str]:
    # What a login shell would make of it.
    return shlex.split(line.removeprefix("exec "))


def _why(code: int, said: str) -> str:
    last = said.strip().rpartition("\n")[2]
    return f"bash ended with exit code {code}: {last}" if last else "bash was ended"
