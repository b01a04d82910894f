"""Several logs as one stream."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from evalc.runner.merging import beside_each_other, one_after_another

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_one_after_another() -> None:
    logs = {"a": iter([b"1\n", b"2\n"]), "b": iter([]), "c": iter([b"3\n"])}
    assert b"".join(one_after_another(logs)) == b"==> a <==\n1\n2\n==> c <==\n3\n"


def test_lines_stay_whole_and_are_named() -> None:
    goes_on = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"begun\nhal"
        assert goes_on.wait(10)
        yield b"f a line\nno end"

    def quick() -> Iterator[bytes]:
        yield b"quick\n"
        yield b"again\n"

    merged = beside_each_other({"slow": slow(), "quick": quick(), "none": iter([])})
    seen = b""
    while seen.count(b"\n") < 5:
        seen += next(merged)
    assert b"hal" not in seen
    goes_on.set()
    seen += b"".join(merged)
    assert seen.count(b"==> quick <==\n") == 1
    assert b"half a line\n" in seen
    assert seen.endswith(b"no end\n")


def test_what_goes_wrong_in_one_is_told() -> None:
    def broken() -> Iterator[bytes]:
        yield b"x\n"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        list(beside_each_other({"a": broken(), "b": iter([])}))
