"""What the tests of the runner share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sshd as servers

from evalc.runner.transport import LocalHost, SshHost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.runner.transport import StreamingHost


@pytest.fixture
def testhost(sshd: servers.Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHost]:
    """The test server, with an empty home and no connection to it."""
    for name, value in sshd.env.items():
        monkeypatch.setenv(name, value)
    yield SshHost(servers.HOST)
    sshd.restore()


@pytest.fixture(params=["local", "ssh"])
def host(request: pytest.FixtureRequest) -> StreamingHost:
    """This machine, then the test server."""
    if request.param == "local":
        return LocalHost()
    found = request.getfixturevalue("testhost")
    assert isinstance(found, SshHost)
    return found
