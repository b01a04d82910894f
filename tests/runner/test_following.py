"""``evalc logs --follow``: however it ends, nothing of it is left on the other side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from cli.test_runs import Laptop, followers, waits
from sshd import HOST
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sshd import Sshd


@pytest.fixture(scope="module")
def run(sshd: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Laptop, str, str]]:
    """A task that says nothing more, on this machine, and one behind ssh."""
    laptop = Laptop(tmp_path_factory.mktemp("following"))
    laptop.env |= sshd.env
    task = waits("alpha")
    text = f"echo begun\nuntil [ -e {laptop.folder}/go ]; do sleep 0.1; done"
    laptop.config({**task, "command": text}, execution={"output_dir": str(laptop.folder / "out")})
    here = laptop.run()
    told = laptop("run", "suite.yaml", "--host", HOST, "--json").stdout
    there: str = json.loads(told)[0]["invocation"]
    wait_for(lambda: len(list(laptop.folder.glob("out/*/alpha/logs/client_stdout.log"))) == 2)
    yield laptop, here, there
    (laptop.folder / "go").touch()
    for id_ in (here, there):
        laptop("kill", id_)


def following(laptop: Laptop, id_: str) -> subprocess.Popen[str]:
    process = laptop.start("logs", id_, "--follow")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    assert len(followers(laptop.folder)) == 1
    return process


@pytest.mark.parametrize("where", ["here", "behind ssh"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_evalc_is_ended(run: tuple[Laptop, str, str], number: signal.Signals, where: str) -> None:
    laptop, here, there = run
    with following(laptop, here if where == "here" else there) as process:
        process.send_signal(number)
        process.wait(20)
    wait_for(lambda: not followers(laptop.folder), 5)


def test_ssh_is_killed(run: tuple[Laptop, str, str]) -> None:
    laptop, _, there = run
    with following(laptop, there) as process:
        ssh = subprocess.run(
            ["pgrep", "--parent", str(process.pid), "ssh"], capture_output=True, check=True
        )
        os.kill(int(ssh.stdout), signal.SIGKILL)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 4, said
    assert "the connection broke" in said
    wait_for(lambda: not followers(laptop.folder), 5)


def test_the_connection_is_cut(run: tuple[Laptop, str, str], sshd: Sshd) -> None:
    laptop, _, there = run
    with following(laptop, there) as process:
        sshd.kill_connections()
        _, said = process.communicate(timeout=20)
    assert process.returncode == 4, said
    wait_for(lambda: not followers(laptop.folder), 5)


def test_what_is_added_comes(run: tuple[Laptop, str, str]) -> None:
    laptop, _, there = run
    with following(laptop, there) as process:
        for file in laptop.folder.glob("out/*/alpha/logs/client_stdout.log"):
            with file.open("a") as log:
                log.write("more\n")
        assert process.stdout is not None
        assert process.stdout.readline() == "more\n"
        process.send_signal(signal.SIGINT)
    wait_for(lambda: not followers(laptop.folder), 5)
