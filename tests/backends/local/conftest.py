"""The fixture ``lab``: a place to compile bundles for an engine and to run their scripts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from backends.local.lab import BOXES, TESTBED, Lab, listens, stand_ins
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def host_bin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of the tests' image, for the host."""
    return stand_ins(tmp_path_factory.mktemp("host") / "bin")


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    """The address of a model that answers as long as the tests run."""
    port = unused_port()
    command = [sys.executable, str(TESTBED / "model_server.py"), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: listens(port))
        yield f"http://127.0.0.1:{port}/v1/chat/completions"
        process.terminate()


@pytest.fixture(params=("none", *BOXES))
def lab(
    request: pytest.FixtureRequest, tmp_path: Path, model_url: str, host_bin: Path
) -> Iterator[Lab]:
    """For each engine in turn; at the end of a test nothing may be left of what it ran."""
    # Looked up by name, so that only the engine of this turn is started.
    box = None if request.param == "none" else request.getfixturevalue(request.param)
    path = box.env["PATH"] if box else f"{host_bin}:{os.environ['PATH']}"
    made = Lab(request.param, box, tmp_path, unused_port(), model_url, path)
    try:
        yield made
        made.nothing_is_left()
    finally:
        made.clear()
