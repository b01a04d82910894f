"""Commands on another machine, by the system's OpenSSH.

The user's ``~/.ssh/config``, agent, certificates and jump hosts are ssh's own business. What is
decided here: nothing is ever asked, a dead link is noticed, and commands share one connection. Who
has configured shared connections (``ControlPath``) keeps those: where a login needs a second
factor, the connection that was opened by hand is the only one there can be.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
import subprocess
import time
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evalc.errors import UsageError
from evalc.runner.transport.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from evalc.backends.running import Ran

# Seconds that a connection may take to come about, and that others wait for it to be shared.
_CONNECT = 20
_OPTIONS = (
    "BatchMode=yes",
    f"ConnectTimeout={_CONNECT}",
    # 45 seconds without a sign of life, and the connection is given up.
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
    # What a config may have for people who log in.
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
)
# Seconds that a connection stays for the next command.
_PERSIST = 60
# A socket's address has room for 104 characters, and ssh adds 17 while it makes one.
_LONGEST_FOLDER = 60
_ODD = re.compile(r"[\s\x00-\x1f\x7f]")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/_.+-]*")


class SshHost:
    """A machine that ``ssh`` leads to, as a :class:`~evalc.runner.transport.StreamingHost`.

    ``hostname`` is what one would type after ``ssh``, ``key`` the path of a private key. Raises
    :class:`~evalc.errors.UsageError` for a name that ssh would take for an option, or that can't
    be one, and for a key that is not there.
    """

    def __init__(self, hostname: str, username: str | None = None, key: str | None = None) -> None:
        for what, value in (("host name", hostname), ("user name", username)):
            if value is not None and (not value or value.startswith("-") or _ODD.search(value)):
                raise UsageError(f"{value!r} is no {what}")
        self.name = hostname
        self._options = [word for option in _OPTIONS for word in ("-o", option)]
        if username is not None:
            self._options += ["-l", username]
        if key is not None:
            path = Path(key).expanduser()
            if not path.is_file():
                raise UsageError(f"there is no ssh key {path}")
            # Only this one: servers count each key that is tried as a failed login.
            self._options += ["-i", str(path), "-o", "IdentitiesOnly=yes"]

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
        with self._session(
            script, arguments, stdin=stdin, env=env, timeout=timeout, said=said
        ) as session:
            return session.finish()

    @contextmanager
    def stream(
        self, script: str, *arguments: str, stdin: bytes = b"", held: bool = False
    ) -> Iterator[Session]:
        """See :class:`~evalc.runner.transport.StreamingHost`."""
        with self._session(script, arguments, stdin=stdin, held=held) as session:
            yield session

    def close(self) -> None:
        """Ends the shared connection, which else goes a minute after its last command."""
        subprocess.run(
            ["ssh", *self._options, *self._sharing, "-O", "exit", "--", self.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        self.__dict__.pop("_sharing", None)

    @contextmanager
    def _session(
        self,
        script: str,
        arguments: tuple[str, ...],
        *,
        stdin: bytes = b"",
        held: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        said: Callable[[str], None] | None = None,
    ) -> Iterator[Session]:
        with self._first():
            session = Session(
                self.name, self._command, self._why, script, arguments,
                stdin=stdin, held=held, env=env, timeout=timeout, said=said,
            )  # fmt: skip
            try:
                session.begun()
            except BaseException:
                session.close()
                raise
        with session:
            yield session

    def _command(self, line: str) -> Sequence[str]:
        return ["ssh", "-T", "-x", *self._options, *self._sharing, "--", self.name, line]

    @contextmanager
    def _first(self) -> Iterator[None]:
        """Lets one process at a time open the connection that all then share.

        A server turns away many logins at once (sshd's ``MaxStartups``).
        """
        socket = self._socket
        if socket is None or os.path.exists(socket):  # noqa: PTH110 - Path raises for odd ones
            yield
            return
        handle = os.open(f"{socket}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = time.monotonic() + _CONNECT
            while time.monotonic() < end:
                with suppress(BlockingIOError):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if os.path.exists(socket):  # noqa: PTH110 - as above
                    break
                time.sleep(0.02)
            yield
        finally:
            os.close(handle)

    @cached_property
    def _config(self) -> str:
        """What ssh has made of its configuration for this host; empty when it could not."""
        try:
            asked = subprocess.run(
                ["ssh", "-G", *self._options, "--", self.name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError:
            return ""  # the first command says so
        return asked.stdout.decode("utf-8", "replace") if asked.returncode == 0 else ""

    @cached_property
    def _socket(self) -> str | None:
        """Where the shared connection is found; None where it is the user's, or can't be."""
        if not self._config or re.search(r"^controlpath (?!none$)", self._config, re.MULTILINE):
            return None
        folder = _private_folder()
        if folder is None:
            return None
        # Whatever is changed in the configuration, the next command sees it.
        return f"{folder}/{hashlib.sha256(self._config.encode()).hexdigest()[:16]}"

    @property
    def _sharing(self) -> Sequence[str]:
        if self._socket is None:
            return ()
        options = (
            "ControlMaster=auto",
            f"ControlPath={self._socket}",
            f"ControlPersist={_PERSIST}",
        )
        return [word for option in options for word in ("-o", option)]

    def _why(self, code: int, said: str) -> str:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        last = lines[-1].removeprefix("ssh: ") if lines else ""
        if code == 127:
            return f"bash can't be started there: {last}"
        if code != 255:
            return f"the login shell there did not run a command (exit code {code}): {last}"
        if "Host key verification failed" in last:
            if "IDENTIFICATION HAS CHANGED" in said:
                where = [line for line in lines if line.startswith("Offending ")]
                known = f" ({where[-1].removeprefix('Offending ')})" if where else ""
                return f"its host key is not the one that is known{known}"
            return f"its host key is not known; log in once by hand: ssh {self.name}"
        if "Permission denied" in last:
            return f"{last.rstrip('.')}; evalc never asks for a password: try ssh {self.name}"
        return last or "ssh ended without a word"


def _private_folder() -> str | None:
    """A folder of this user's alone, with a short path; None when there is none."""
    for folder in (
        f"{os.environ['XDG_RUNTIME_DIR']}/evalc" if os.environ.get("XDG_RUNTIME_DIR") else "",
        f"/tmp/evalc-{os.getuid()}",  # noqa: S108 - looked at closely below
    ):
        if len(folder) > _LONGEST_FOLDER or not _PLAIN_PATH.fullmatch(folder):
            continue
        with suppress(OSError):
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)  # noqa: PTH102 - beside the others of its kind
            found = os.lstat(folder)
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if is_ours and not found.st_mode & 0o077:
                return folder
    return None
