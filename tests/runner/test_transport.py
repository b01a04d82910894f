"""Commands on this machine and over a real ssh server."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import wait_for

from evalc.backends.running import Unreachable
from evalc.errors import UsageError
from evalc.runner.transport import LocalHost, SshHost, connect

if TYPE_CHECKING:
    from clusters import Cluster
    from sshd import Sshd

    from evalc.runner.transport import StreamingHost

SHELLS = ("bash", "dash", "zsh", "tcsh", "fish")
NASTY = (
    "", " ", "'", '"', "\\", "\\'", "!", "!!", "$HOME", "$(id)", "`id`", "a\nb", "\n", "\r\n", "\t", "-n", "--",
    "*", "~", "{a,b}", "#", "é", "日本", "\x01", "\x7f", "\x1b[31m", ";", "&", "|", "<", ">", "%s", "\udcff", "💥" * 100,
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
# What prints its arguments so that nothing is lost.
ECHO = 'printf "%s\\0" "$#" "$@"'


def processes(*words: str) -> list[int]:
    """Processes of this machine whose command line has all these words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if entry.name != str(os.getpid()):
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if all(word.encode() in line for word in words):
                found.append(int(entry.name))
    return found


def started_with(variable: str, *words: str) -> list[int]:
    """Those among them that have this NAME=VALUE in their environment."""
    found = []
    for pid in processes(*words):
        try:
            environment = Path("/proc", str(pid), "environ").read_bytes()
        except OSError:
            continue
        if variable.encode() in environment.split(b"\0"):
            found.append(pid)
    return found


def received(host: StreamingHost, *arguments: str) -> list[bytes]:
    with host.stream(ECHO, *arguments) as session:
        count, *rest, last = session.read().split(b"\0")
    assert last == b""
    assert int(count) == len(rest)
    return rest


def test_nasty_arguments_arrive_byte_by_byte(host: StreamingHost) -> None:
    assert received(host, *NASTY) == [os.fsencode(text) for text in NASTY]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_login_shell_passes_them_on(testhost: SshHost, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    by = SshHost(f"{testhost.name}-{shell}")
    assert received(by, *NASTY) == [os.fsencode(text) for text in NASTY]


def test_any_text_arrives_as_it_is(testhost: SshHost) -> None:
    @settings(max_examples=100)
    @given(st.lists(TEXT, max_size=5), TEXT)
    def arrives(arguments: list[str], text: str) -> None:
        assert received(testhost, *arguments) == [word.encode() for word in arguments]
        # As a part of the script, and as a variable.
        there = testhost.bash(
            f"cat <<'END of it'\n{text}\nEND of it\nprintf %s \"$TEXT\"", env={"TEXT": text}
        )
        assert there.out == f"{text}\n{text}"

    arrives()


def test_what_no_program_can_be_given_is_refused() -> None:
    for text in ("a\0b", "\ud800"):
        with pytest.raises(UsageError):
            LocalHost().bash("true", text)
    with pytest.raises(UsageError):
        LocalHost().bash("true", env={"A B": ""})


def test_arguments_may_be_longer_than_a_command_line(host: StreamingHost) -> None:
    assert host.bash("echo ${#1} $#", "x" * 3_000_000, "y").out == "3000000 2\n"


def test_every_exit_code_is_the_scripts(host: StreamingHost) -> None:
    for code in range(0, 256, 1 if host.name == "localhost" else 15):
        assert host.bash('exit "$1"', str(code)).code == code


def test_a_script_that_is_killed_or_wrong_has_a_result(host: StreamingHost) -> None:
    assert host.bash('kill -9 "$BASHPID"').code == 128 + 9
    ran = host.bash("syntax ( error")
    assert ran.code
    assert "syntax error" in ran.err


def test_much_goes_in_and_out_untouched(host: StreamingHost) -> None:
    data = os.urandom(1 << 20) * 20
    with host.stream("cat", stdin=data) as session:
        there = bytearray()
        while part := session.read(1 << 16):
            assert len(part) <= 1 << 16
            there += part
    assert bytes(there) == data


def test_a_script_need_not_read_what_it_is_sent(host: StreamingHost) -> None:
    ran = host.bash("echo done", stdin=b"echo executed\n" * 500_000)
    assert (ran.code, ran.out) == (0, "done\n")


def test_lines_are_told_as_they_come(host: StreamingHost, tmp_path: Path) -> None:
    told: list[str] = []
    go = tmp_path / "go"

    def said(line: str) -> None:
        told.append(line)
        go.touch()

    script = 'echo first >&2; until [[ -e $1 ]]; do sleep 0.02; done; echo >&2; printf "last é" >&2'
    ran = host.bash(script, str(go), said=said, timeout=60)
    assert told == ["first", "", "last é"]
    assert ran.err == "first\n\nlast é"


def test_the_environment_is_without_what_slurm_takes_for_options(
    host: StreamingHost, monkeypatch: pytest.MonkeyPatch, sshd: Sshd
) -> None:
    settings_of = {
        "SBATCH_PARTITION": "a", "SQUEUE_FORMAT": "b", "SACCT_FORMAT": "c", "SLURM_TIME_FORMAT": "d",
        "SLURM_CONF": "kept", "SLURM_CLUSTERS": "kept",
    }  # fmt: skip
    for name, value in settings_of.items():
        monkeypatch.setenv(name, value)
    lines = "".join(f"export {name}={value}\n" for name, value in settings_of.items())
    (sshd.home / ".bashrc").write_text(lines)
    ran = host.bash("env | grep -E '^(SBATCH|SQUEUE|SACCT|SLURM)_' | sort", env={"SLURM_X": "own"})
    assert ran.out == "SLURM_CLUSTERS=kept\nSLURM_CONF=kept\nSLURM_X=own\n"


def test_what_a_login_shell_says_is_no_result(testhost: SshHost, sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text("printf 'Welcome! Exit 0;'; echo Maintenance >&2\n")
    told: list[str] = []
    ran = testhost.bash("echo out; echo err >&2", said=told.append)
    assert (ran.out, ran.err, told) == ("out\n", "err\n", ["err"])


def test_what_is_left_running_keeps_nobody_waiting(host: StreamingHost) -> None:
    begun = time.monotonic()
    ran = host.bash("sleep 300 & echo $!")
    assert time.monotonic() - begun < 60
    os.kill(int(ran.out), signal.SIGTERM)


def test_a_timeout_is_no_result_and_leaves_no_process(host: StreamingHost) -> None:
    mark = f"evalc-test-{os.getpid()}-timeout"
    with pytest.raises(Unreachable) as caught:
        host.bash(f"exec -a {mark} sleep 300", timeout=1)
    assert str(caught.value) == f"{host.name}: no answer within 1 seconds"
    if host.name == "localhost":
        assert not processes(mark)
    for process in processes(mark):
        os.kill(process, signal.SIGTERM)


def test_five_commands_share_a_connection(testhost: SshHost, sshd: Sshd) -> None:
    before = sshd.logins
    for _ in range(5):
        assert SshHost(testhost.name).bash("echo hello").out == "hello\n"
    assert sshd.logins == before + 1


def test_many_at_once_share_a_connection(testhost: SshHost, sshd: Sshd) -> None:
    before = sshd.logins
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(SshHost(testhost.name).bash("exit 3").code))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [3] * 8
    # One, or none where that of the test before is still kept.
    assert sshd.logins - before in (0, 1)


def test_a_shared_connection_of_the_users_is_kept(testhost: SshHost, sshd: Sshd) -> None:
    own = sshd.key.parent / "own"  # a socket's path is to be short
    own.mkdir()
    config = sshd.key.parent / "config"
    kept = config.read_text()
    config.write_text(f"ControlMaster auto\nControlPath {own}/%C\nControlPersist 60\n{kept}")
    try:
        assert testhost.bash("exit 4").code == 4
        assert len(list(own.iterdir())) == 1
        testhost.close()
    finally:
        config.write_text(kept)


@pytest.mark.parametrize("name", ["-oProxyCommand=touch x", "-p", "", "a b", "a\nb"])
def test_what_ssh_would_take_for_an_option_is_no_name(name: str) -> None:
    with pytest.raises(UsageError):
        SshHost(name)
    with pytest.raises(UsageError):
        SshHost("host", username=name)


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no ssh key"):
        connect("host", key=str(tmp_path / "key"))


def test_a_name_leads_to_ssh_and_none_to_this_machine() -> None:
    assert isinstance(connect(None), LocalHost)
    assert isinstance(connect("host", "user"), SshHost)


def why(host: StreamingHost) -> str:
    with pytest.raises(Unreachable) as caught:
        host.bash("echo hello")
    assert caught.value.host == host.name
    return caught.value.why


def test_a_server_that_is_down_is_named(testhost: SshHost, sshd: Sshd) -> None:
    sshd.stop()
    assert why(testhost) == f"connect to host 127.0.0.1 port {sshd.port}: Connection refused"


def test_an_unknown_host_is_named(testhost: SshHost) -> None:  # noqa: ARG001 - its environment
    assert "Could not resolve hostname nowhere.invalid" in why(SshHost("nowhere.invalid"))


def test_another_host_key_is_refused(testhost: SshHost, sshd: Sshd) -> None:
    with sshd.other_host_key():
        assert why(testhost).startswith("its host key is not the one that is known (")
    assert testhost.bash("echo hello").out == "hello\n"


def test_an_unknown_host_key_is_refused(testhost: SshHost, sshd: Sshd) -> None:
    known = sshd.key.parent / "known_hosts"
    kept = known.read_text()
    known.write_text("")
    try:
        assert why(testhost) == "its host key is not known; log in once by hand: ssh testhost"
        assert known.read_text() == ""
    finally:
        known.write_text(kept)


def test_a_key_that_does_not_fit_is_refused(testhost: SshHost, sshd: Sshd) -> None:
    config = sshd.key.parent / "config"
    kept = config.read_text()
    config.write_text(kept.replace(f"IdentityFile {sshd.key}\n", ""))
    try:
        stranger = SshHost(testhost.name, key=str(sshd.stranger))
        assert "Permission denied (publickey); evalc never asks" in why(stranger)
        assert SshHost(testhost.name, key=str(sshd.key)).bash("exit 5").code == 5
    finally:
        config.write_text(kept)


def test_a_login_shell_that_runs_nothing_is_named(testhost: SshHost, sshd: Sshd) -> None:
    (sshd.home / ".bashrc").write_text(
        "echo 'This account is \x1b[31mclosed\x1b[0m.' >&2; exit 1\n"
    )
    assert why(testhost) == (
        "the login shell there did not run a command (exit code 1): This account is closed."
    )


def test_a_connection_that_breaks_is_no_result(testhost: SshHost, sshd: Sshd) -> None:
    mark = f"evalc-test-{os.getpid()}-broken"

    def cut() -> None:
        wait_for(lambda: processes(mark))
        sshd.kill_connections()

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(Unreachable, match="the connection broke while a command ran"):
        testhost.bash(f"echo out; echo err >&2; exec -a {mark} sleep 300")
    thread.join()
    for process in processes(mark):
        os.kill(process, signal.SIGTERM)
    # And the next one finds a new connection.
    assert testhost.bash("echo hello").out == "hello\n"


def test_nothing_runs_of_a_program_that_did_not_arrive_whole(tmp_path: Path) -> None:
    from evalc.runner.transport import quoting

    made = tmp_path / "made"
    program = quoting.program(f"touch {made}", (), {}, "token")
    line = quoting.command_line(program)
    for length in (0, 1, len(program) // 2, len(program) - 1):
        subprocess.run(
            ["bash", "-c", line], input=program[:length], check=False, capture_output=True
        )
        assert not made.exists()
    subprocess.run(["bash", "-c", line], input=program, check=False, capture_output=True)
    assert made.exists()


@pytest.mark.parametrize("hostname", [None, "testhost"])
def test_ctrl_c_leaves_no_process(testhost: SshHost, hostname: str | None) -> None:  # noqa: ARG001
    mark = f"evalc-test-{os.getpid()}-ctrl-c"
    code = (
        "import sys; from evalc.runner.transport import connect\n"
        f"try: connect(sys.argv[1] or None).bash('exec -a {mark} sleep 300', 'argument')\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, hostname or ""],
        env={**os.environ, "TESTS_MARK": mark},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        # Not what Python forks while it starts, which has its command line for a moment.
        wait_for(lambda: processes(f"{mark}\x00300"))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0] == "interrupted\n"
    # The shared connection stays for the next command; it has no command of its own.
    assert not started_with(f"TESTS_MARK={mark}", "ssh", "--norc -c")
    for left in processes(mark):
        assert hostname, "a local command goes with the process that has started it"
        os.kill(left, signal.SIGTERM)


def test_a_host_without_ssh_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why(SshHost("host")) == "there is no program 'ssh' here"


def test_the_folder_of_shared_connections_must_be_ones_own(
    testhost: SshHost, sshd: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Too long for a socket's address, then open to others: another place is taken, it still works.
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert testhost._socket is not None
    assert not testhost._socket.startswith(str(tmp_path))
    assert not list(long.iterdir())
    folder = sshd.key.parent / "open"
    folder.mkdir()
    (folder / "evalc").mkdir(mode=0o777)
    (folder / "evalc").chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    found = SshHost(testhost.name)._socket
    assert found is not None
    assert not found.startswith(str(folder))
    with suppress(OSError):  # it may be in use
        Path(found).parent.rmdir()


def test_a_login_node_leads_to_its_cluster(
    login_node: Sshd, slurm: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in login_node.env.items():
        monkeypatch.setenv(name, value)
    ran = SshHost("testhost").bash(
        "sbatch --parsable --chdir=/ --output=/dev/null", stdin=b"#!/bin/bash\ntrue\n"
    )
    login_node.restore()
    assert ran.code == 0, ran.err
    assert slurm.wait(ran.out.strip(), "COMPLETED") == "COMPLETED"


def test_marks_are_found_wherever_the_pieces_end() -> None:
    from evalc.runner.transport.session import Marked

    data = b"banner\nTbeginpayload Ten and Tend but no endTend12;after"
    for one, other in itertools.combinations(range(len(data)), 2):
        marked = Marked("T")
        pieces = (data[:one], data[one:other], data[other:])
        out = b"".join(marked.feed(piece) for piece in pieces)
        assert (out, marked.code) == (b"payload Ten and Tend but no end", 12)
