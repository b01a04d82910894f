"""A command while it runs: feeds it, and tells its words from those of ssh and of login shells."""

from __future__ import annotations

import codecs
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from plumbum.machines.local import LocalCommand, local

from evalc.backends.running import Ran, Unreachable
from evalc.runner.transport import quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self

_CHUNK = 1 << 16
# Seconds that a process has to go when it is told to, and that a lost one is waited for.
_GRACE = 2.0
# Seconds that ssh has to end by itself after the command has.
_LINGER = 0.5
# How often it is looked whether a process has ended that has closed its standard output.
_GLANCE = 0.1
# What colours words and moves cursors in what a server says.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")


class Marked:
    """One stream of a command: what stands between the marks.

    A login shell may say something before, and what a script has left running something after.
    ``code`` is the script's exit code, None before its end mark has come.
    """

    def __init__(self, token: str) -> None:
        self.code: int | None = None
        self.begun = False
        self._begin = quoting.begin_mark(token).encode()
        self._mark = quoting.end_mark(token).encode()
        self._end = re.compile(re.escape(self._mark) + rb"(\d+);")
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What is certain to be the script's own, after these bytes have come."""
        if self.code is not None:
            return b""
        self._rest += data
        if not self.begun:
            _before, mark, rest = self._rest.partition(self._begin)
            if not mark:
                return b""
            self.begun, self._rest = True, rest
        if found := self._end.search(self._rest):
            self.code = int(found[1])
            return self._rest[: found.start()]
        # All but what the end mark may have begun with.
        whole = len(self._rest)
        held = range(max(0, whole - len(self._mark) - len("255")), whole)
        sure = next((at for at in held if self._may_be_end(self._rest[at:])), whole)
        data, self._rest = self._rest[:sure], self._rest[sure:]
        return data

    def _may_be_end(self, data: bytes) -> bool:
        if len(data) <= len(self._mark):
            return self._mark.startswith(data)
        return data.startswith(self._mark) and data[len(self._mark) :].isdigit()

    def left(self) -> bytes:
        """What came instead of a first mark, or after the last byte that was certain."""
        return self._rest


class Session:
    """A script that runs on a host; a context manager, which ends it when it is left.

    ``command`` starts what runs a program that comes by standard input, see
    :mod:`evalc.runner.transport.quoting`, and is called with the line to run it by. ``why`` makes
    the reason why the host can't be reached of the exit code and of what was said instead.
    """

    def __init__(
        self,
        host: str,
        command: Callable[[str], Sequence[str]],
        why: Callable[[int, str], str],
        script: str,
        arguments: tuple[str, ...],
        *,
        stdin: bytes = b"",
        held: bool = False,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        said: Callable[[str], None] | None = None,
    ) -> None:
        token = os.urandom(12).hex()
        program = quoting.program(script, arguments, dict(env or {}), token)
        self._host = host
        self._why = why
        self._held = held
        self._timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout
        self._said = said
        self._out, self._err = Marked(token), Marked(token)
        self._ready = bytearray()
        self._words: list[str] = []
        self._line = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._todo = [memoryview(program), memoryview(stdin)]
        self._process = _start(host, command(quoting.command_line(program)))
        self._selector = selectors.DefaultSelector()
        for number, events, act in (
            (self._number("stdin"), selectors.EVENT_WRITE, self._write),
            (self._number("stdout"), selectors.EVENT_READ, self._read_out),
            (self._number("stderr"), selectors.EVENT_READ, self._read_err),
        ):
            os.set_blocking(number, False)
            self._selector.register(number, events, act)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes of the script's standard output, at least one; all when negative.

        Empty at its end. Raises :class:`~evalc.backends.running.Unreachable` when the end is not
        the script's doing.
        """
        while not self._is_over and (size < 0 or not self._ready):
            self._turn()
        taken = bytes(self._ready if size < 0 else self._ready[:size])
        del self._ready[: len(taken)]
        if not taken and size:
            self._check()
        return taken

    def begun(self) -> None:
        """Waits until the script has begun; returns also when it never will."""
        while not self._is_over and not (self._out.begun and self._err.begun):
            self._turn()

    def finish(self) -> Ran:
        """What the command did, without what was read before. Raises
        :class:`~evalc.backends.running.Unreachable`."""
        out = bytearray()
        while data := self.read(_CHUNK):
            out += data
        code = self._check()
        return Ran(code, out.decode("utf-8", "replace"), "".join(self._words))

    def close(self) -> None:
        """Ends the command, if it has not ended, and leaves no process here."""
        try:
            for key in list(self._selector.get_map().values()):
                self._forget(key.fd)
            self._selector.close()
            if self._out.code is not None and self._err.code is not None:
                # It is done; ssh may still wait for what the script has left running.
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_LINGER)
        finally:
            self._kill()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def _kill(self) -> None:
        """Ends the process, and with it what it has started without a session of its own."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)

    def _number(self, name: str) -> int:
        pipe = getattr(self._process, name)
        number: int = pipe.fileno()
        return number

    def _forget(self, number: int) -> None:
        with suppress(KeyError):
            self._selector.unregister(number)

    @property
    def _is_over(self) -> bool:
        """Whether nothing of the script's can come any more."""
        if self._out.code is not None and self._err.code is not None:
            return True
        waiting = self._selector.get_map()
        return not any(self._number(name) in waiting for name in ("stdout", "stderr"))

    def _turn(self) -> None:
        """Waits for one thing to happen, and does what it asks for."""
        pause = None
        if self._end is not None:
            pause = self._end - time.monotonic()
            if pause <= 0:
                raise Unreachable(self._host, f"no answer within {self._timeout:g} seconds")
        closed = self._number("stdout") not in self._selector.get_map()
        happened = self._selector.select(_GLANCE if closed else pause)
        for key, _events in happened:
            key.data(key.fd)
        if closed and not happened and self._process.poll() is not None:
            # A connection that was left open for others may have kept standard error.
            self._forget(self._number("stderr"))

    def _write(self, number: int) -> None:
        while self._todo and not self._todo[0]:
            del self._todo[0]
        try:
            if self._todo:
                written = os.write(number, self._todo[0][:_CHUNK])
                self._todo[0] = self._todo[0][written:]
                return
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._todo = []  # a script may end without having read all
        self._forget(number)
        assert self._process.stdin is not None
        if not self._held:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def _read_out(self, number: int) -> None:
        data = os.read(number, _CHUNK)
        if not data:
            self._forget(number)
        self._ready += self._out.feed(data)

    def _read_err(self, number: int) -> None:
        data = os.read(number, _CHUNK)
        if not data:
            self._forget(number)
        text = self._decode(self._err.feed(data), not data or self._err.code is not None)
        self._words.append(text)
        *lines, self._line = (self._line + text).split("\n")
        if self._err.code is not None and self._line:
            lines, self._line = [*lines, self._line], ""
        if self._said is not None:
            for line in lines:
                self._said(line)

    def _check(self) -> int:
        """The script's exit code; raises Unreachable when nobody has told it."""
        code = self._err.code
        if code is not None and self._out.code == code:
            return code
        try:
            exit_code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            exit_code = 255
        if self._out.begun or self._err.begun:
            raise Unreachable(self._host, "the connection broke while a command ran")
        raise Unreachable(
            self._host, self._why(exit_code, plain(self._err.left().decode("utf-8", "replace")))
        )


def _start(host: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
    # By the environment as it is: plumbum's own idea of it is as old as the process.
    path = shutil.which(command[0])
    if path is None:
        raise Unreachable(host, f"there is no program '{command[0]}' here")
    try:
        started = LocalCommand(local.path(path)).popen(
            command[1:], env=dict(os.environ), new_session=True
        )
    except OSError as error:
        why = f"'{command[0]}' can't be started here: {error.strerror}"
        raise Unreachable(host, why) from None
    return cast("subprocess.Popen[bytes]", started)


def plain(text: str) -> str:
    """``text`` without what would colour it, move the cursor or overwrite lines."""
    text = _ESCAPES.sub("", text)
    return "".join(char for char in text if char == "\n" or char.isprintable())
