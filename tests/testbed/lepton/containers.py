"""What a replica is here: a process in a root of its own, its log, and the way to its port."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SCRIPT = Path(__file__).with_name("container.sh")
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
# The one address of a network namespace, beside its own 127.0.0.1: as on the platform, a server
# that listens on that alone is reached by nobody else.
_ADDRESS = "10.20.30.40"
_LIBC = ctypes.CDLL(None, use_errno=True)


class Log:
    """What a replica has said, in lines with their times in nanoseconds since 1970."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bytes]] = []
        self._data = bytearray()
        self._whole = 0
        self._more = threading.Condition()
        self._over = False

    def add(self, data: bytes) -> None:
        """Takes a piece, which need not end with a line."""
        with self._more:
            self._data += data
            while (end := self._data.find(b"\n", self._whole)) >= 0:
                # Two lines never have one time: readers go on from the last one that they saw.
                now = max(time.time_ns(), self.lines[-1][0] + 1 if self.lines else 0)
                self.lines.append((now, bytes(self._data[self._whole : end])))
                self._whole = end + 1
            self._more.notify_all()

    def close(self) -> None:
        """Says that nothing more comes."""
        with self._more:
            if self._whole < len(self._data):
                self.lines.append((time.time_ns(), bytes(self._data[self._whole :])))
                self._whole = len(self._data)
            self._over = True
            self._more.notify_all()

    def follow(self) -> Iterator[bytes]:
        """All of it, as it comes, up to its end: cut within characters, as networks cut it."""
        at = 0
        while piece := self._behind(at):
            cut = next((n for n, byte in enumerate(piece) if byte >= 0xC0), -1)
            # Behind the first byte of the first character that has several.
            piece = piece[: cut + 1] if 0 <= cut < len(piece) - 1 else piece
            at += len(piece)
            yield piece

    def _behind(self, at: int) -> bytes:
        """What comes next, empty at the end."""
        with self._more:
            self._more.wait_for(lambda: self._over or len(self._data) > at)
            return bytes(self._data[at : at + 4096])


class Container:
    """A command that runs, or has run, in a root of its own.

    ``env`` is its whole environment. ``mounts`` are folders here, where they are found there, and
    whether they can't be written. With ``network`` it has one of its own, and :meth:`connect` is
    the way in.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        env: Mapping[str, str],
        mounts: Sequence[tuple[Path, str, bool]],
        *,
        network: bool,
    ) -> None:
        folder.mkdir(parents=True)
        self.log = Log()
        self.ended: float | None = None
        words = [
            word
            for source, target, read_only in mounts
            for word in (str(source), target, "ro" if read_only else "rw")
        ]
        # When unshare is killed, so is the command, and with it all that it has started.
        unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
        self._process = subprocess.Popen(
            [
                *unshare, *(["--net"] if network else []), "bash", _SCRIPT, folder,
                _ADDRESS if network else "", *words, "--", *command,
            ],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self._folder = folder
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def exit_code(self) -> int | None:
        """The command's, 128 and the signal where one ended it; None while it runs."""
        code = self._process.poll()
        if code is None or self._reader.is_alive():
            return None
        return 128 - code if code < 0 else code

    def terminate(self) -> None:
        """Asks the command to end, as the platform does: process 1 gets SIGTERM."""
        for child in self._children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    def kill(self) -> None:
        """Ends all of it at once."""
        # Once it has been waited for, the number may be another process's.
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(5)

    def connect(self, port: int, seconds: float) -> socket.socket:
        """A connection to a port of the command's own network. Raises OSError."""
        children = self._children()
        if not children:
            raise ConnectionRefusedError("the command does not run")
        # The namespace is the thread's, and a socket stays in the one where it was made.
        own, other = Path("/proc/thread-self/ns/net"), Path(f"/proc/{children[0]}/ns/net")
        with own.open() as here, other.open() as there:
            _enter(there.fileno())
            try:
                return socket.create_connection((_ADDRESS, port), seconds)
            finally:
                _enter(here.fileno())

    def _children(self) -> list[int]:
        pid = self._process.pid
        with suppress(OSError):
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            return [int(word) for word in text.split()]
        return []

    def _read(self) -> None:
        assert self._process.stdout is not None
        number = self._process.stdout.fileno()
        while data := os.read(number, 1 << 16):
            self.log.add(data)
        self._process.wait()
        self._process.stdout.close()
        self.ended = time.time()
        self.log.close()
        with suppress(OSError):
            self._folder.rmdir()


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")
