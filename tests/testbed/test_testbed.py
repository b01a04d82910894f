"""The test bed itself: what other tests take for granted about engines, image and stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engines
import pytest
import yaml
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engines import Engine

HERE = Path(__file__).resolve().parent


def health(port: int) -> int:
    """The status of the model server's health page; 0 when nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as answer:
        return answer.code
    except OSError:
        return 0


@contextmanager
def server(engine: Engine, port: int) -> Iterator[str]:
    """The model server in a container, healthy; gives the container's name."""
    name = f"server-{port}"
    command = ["model-server", "--port", str(port)]
    run = engine("run", "--detach", "--name", name, "--network", "host", engine.image, *command)
    assert run.returncode == 0, run.stderr
    try:
        wait_for(lambda: health(port) == 200)
        yield name
    finally:
        engine("rm", "--force", name)


def run_config(folder: Path, port: int, output: Path | str = "/results", **params: Any) -> None:
    """Writes what a launcher gives the harness, to be mounted with ``folder`` as /results."""
    run = {
        "config": {"output_dir": str(output), "type": "sums", "params": params},
        "target": {
            "api_endpoint": {
                "url": f"http://127.0.0.1:{port}/v1/chat/completions",
                "model_id": "stand-in",
                "type": "chat",
            }
        },
    }
    (folder / "in.yml").write_text(yaml.safe_dump(run), encoding="utf-8")


def harness(folder: Path, engine: Engine, *options: str) -> list[str]:
    """The arguments of ``docker run`` that evaluate what :func:`run_config` wrote."""
    command = ["nemo-evaluator", "run_eval", "--run_config", "/results/in.yml"]
    mount = ["--volume", f"{folder}:/results"]
    return ["run", "--rm", "--network", "host", *mount, *options, engine.image, *command]


def test_a_container_runs_and_goes(engine: Engine) -> None:
    script = "cat; python3 -c 'import json, ssl, http.server; print(6 * 7)'; echo $HOSTNAME"
    ran = engine("run", "--rm", "--network", "host", engine.image, "bash", "-c", script)
    assert (ran.returncode, ran.stdout.split()) == (0, ["42", os.uname().nodename]), ran.stderr
    assert engine.containers() == []


def test_the_engine_is_private(engine: Engine) -> None:
    images = engine("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    assert [image.removeprefix("localhost/") for image in images] == [engine.image]


def test_tests_of_an_engine_are_one_group(engine: Engine, request: pytest.FixtureRequest) -> None:
    groups = [mark.args for mark in request.node.iter_markers("xdist_group")]
    assert groups == [(engine.name,)]


def test_mounts(engine: Engine, tmp_path: Path) -> None:
    for options, code in (("", 0), (":ro", 1)):
        volume = ["--volume", f"{tmp_path}:/data{options}", "--network", "host"]
        ran = engine("run", "--rm", *volume, engine.image, "touch", f"/data/file{code}")
        assert ran.returncode == code, ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file0"]


def test_memory_limit_kills(engine: Engine) -> None:
    eat = ["python3", "-c", "bytearray(300 << 20)"]
    limited = ["--rm", "--network", "host", "--memory", "64m", engine.image]
    assert engine("run", *limited, *eat).returncode == 137
    limited[4] = "1g"
    assert engine("run", *limited, *eat).returncode == 0


@pytest.mark.parametrize(
    ("image", "command", "code"),
    [
        ("evalc-test:1", ["bash", "-c", "exit 7"], 7),
        ("no-such-image.invalid/x:1", ["true"], 125),
        ("evalc-test:1", ["/etc/passwd"], 126),
        ("evalc-test:1", ["no-such-command"], 127),
    ],
)
def test_exit_codes(engine: Engine, image: str, command: list[str], code: int) -> None:
    ran = engine("run", "--rm", "--pull", "never", "--network", "host", image, *command)
    assert ran.returncode == code
    assert engine.containers() == []


def test_gpus_are_accepted(engine: Engine) -> None:
    ran = engine("run", "--rm", "--gpus", "all", "--network", "host", engine.image, "true")
    assert ran.returncode == 0, ran.stderr


def test_harness_against_model_server(
    engine: Engine, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    run_config(tmp_path, port, limit_samples=5)
    with server(engine, port) as name:
        ran = engine(*harness(tmp_path, engine))
        log = engine("logs", name).stderr
    assert ran.returncode == 0, ran.stderr
    assert log.count("POST /v1/chat/completions") == 5
    results = yaml.safe_load((tmp_path / "results.yml").read_text())
    score = results["results"]["tasks"]["sums"]["metrics"]["accuracy"]["scores"]["accuracy"]
    assert score == {"value": 1.0, "stats": {"count": 5}}
    assert (tmp_path / "run_config.yml").read_text() == (tmp_path / "in.yml").read_text()
    assert engine.containers() == []


def test_harness_fails_as_told(
    engine: Engine, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    run_config(tmp_path, port, extra={"exit_code": 7, "no_results": True})
    with server(engine, port):
        assert engine(*harness(tmp_path, engine)).returncode == 7
    shutil.rmtree(tmp_path / "cache")
    ran = engine(*harness(tmp_path, engine))  # now without a server, and without its answers
    assert (ran.returncode, "request 1 of 3 failed" in ran.stderr) == (1, True)
    assert not (tmp_path / "results.yml").exists()


def test_sigterm_reaches_the_harness(
    engine: Engine, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """The foreground client passes SIGTERM on, and its exit code is the container's."""
    port = free_port()
    run_config(tmp_path, port, extra={"sleep": 60})
    with server(engine, port) as name:
        with subprocess.Popen(
            [engine.name, *harness(tmp_path, engine)],
            env={**os.environ, **engine.env},
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "request 1 of 3 answered\n"
            client.terminate()
            assert client.wait(10) == 0
        assert (tmp_path / ".nemo_evaluator_interrupted").exists()
        assert not (tmp_path / "results.yml").exists()
        # The client may end a moment before --rm is carried out.
        wait_for(lambda: engine.containers() == [name])


def test_stop_reaches_pid_1(engine: Engine, free_port: Callable[[], int]) -> None:
    with server(engine, free_port()) as name:
        start = time.monotonic()
        assert engine("stop", name).returncode == 0
        assert time.monotonic() - start < 5, "stopped by SIGKILL only"
        assert engine("inspect", "--format", "{{.State.ExitCode}}", name).stdout == "0\n"
    assert engine.containers() == []


def test_a_killed_client_leaves_its_container(engine: Engine) -> None:
    """Why scripts remove containers by name, whatever became of the client."""
    run = ["run", "--rm", "--init", "--name", "left", "--network", "host", engine.image]
    with subprocess.Popen(
        [engine.name, *run, "bash", "-c", "echo up; sleep 60"],
        env={**os.environ, **engine.env},
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "up\n"
        client.kill()
    assert engine.containers() == ["left"]
    again = engine(*run, "true")
    assert again.returncode == 125
    assert "already in use" in again.stderr
    assert engine("rm", "--force", "left").returncode == 0
    assert engine(*run, "true").returncode == 0


def test_an_engine_goes_with_its_owner(engine: Engine, image_file: Path) -> None:
    """Nothing stays when the process that started an engine (a second one here) is killed."""
    owner = f"""
import engines, pathlib, signal
with engines.running({engine.name!r}, pathlib.Path({str(image_file)!r})) as engine:
    run = engine("run", "--detach", "--network", "host", engine.image, "sleep", "600")
    assert run.returncode == 0, run.stderr
    print(engine.env["PATH"].split(":")[0], flush=True)
    signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", owner],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip()).parent
        assert folder.exists()
        assert mentions(folder)
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: not folder.exists())
    wait_for(lambda: not mentions(folder))
    assert str(folder) not in Path("/proc/mounts").read_text()


def mentions(folder: Path) -> list[str]:
    """The processes with ``folder`` in their command line: engine, containers' monitors, keeper."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_without_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Skipped on a person's machine, failed in CI."""
    monkeypatch.setattr(engines, "find", lambda command: f"/usr/bin/{command}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for ci, outcome in (("", pytest.skip.Exception), ("1", pytest.fail.Exception)):
        monkeypatch.setenv("CI", ci)
        with pytest.raises(outcome, match="podman needs root"), engines.running("podman", tmp_path):
            pass


def test_an_engine_that_does_not_start(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reason is told, and its folder removed."""
    monkeypatch.setenv("CI", "1")
    with tempfile.TemporaryDirectory(dir=engines.ROOT) as root:
        monkeypatch.setattr(engines, "ROOT", root)
        with (
            pytest.raises(pytest.fail.Exception, match=r"does not start: (.*\n)*.*/no\.tar"),
            engines.running(engine.name, Path("/no.tar")),
        ):
            pass
        assert list(Path(root).iterdir()) == []


def test_installer_is_silent_when_all_is_there() -> None:
    for name, command in engines.NEEDS.items():
        if engines.find(command) is None:
            engines.cannot_run(name, "is not installed")
    ran = subprocess.run([HERE / "install.sh"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.usefixtures("podman")
def test_installer_says_what_it_cannot_install() -> None:
    """Run as nobody, in a mount namespace where /usr/bin has everything but podman."""
    hide = (
        "mount --bind /usr/bin /mnt && mount -t tmpfs none /usr/bin && /mnt/ln -s /mnt/* /usr/bin "
        "&& rm /usr/bin/podman && exec setpriv --reuid 65534 bash -s"
    )
    with (HERE / "install.sh").open() as script:
        ran = subprocess.run(
            ["unshare", "--mount", "sh", "-c", hide],
            env={"PATH": "/usr/bin:/bin"},
            stdin=script,
            capture_output=True,
            text=True,
            check=False,
        )
    said = (
        "not installed: podman (Debian package podman): cannot run tests with the podman engine\n"
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", said)


@contextmanager
def on_host(stand_ins: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The model server as a process of the host, killed at the end."""
    command = [str(stand_ins / "model-server"), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("listening on")
            yield process
        finally:
            process.kill()


def test_model_server_answers(stand_ins: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    with on_host(stand_ins, "--port", str(port)) as process:
        asked: list[tuple[str, Any]] = [
            ("chat/completions", {"messages": [{"role": "user", "content": "say so"}]}),
            ("completions", {"prompt": "say so"}),
        ]
        choices = []
        for path, body in asked:
            url = f"http://127.0.0.1:{port}/v1/{path}"
            with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=5) as response:
                choices.append(json.load(response)["choices"][0])
        assert choices[0]["message"] == {"role": "assistant", "content": "so"}
        assert choices[1]["text"] == "so"
        process.terminate()
        assert process.wait(5) == 0


def test_harness_on_the_host(stand_ins: Path, tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    run_config(tmp_path, port, output=tmp_path)
    command = [f"{stand_ins}/nemo-evaluator", "run_eval", "--run_config", f"{tmp_path}/in.yml"]
    with on_host(stand_ins, "--port", str(port)):
        assert subprocess.run(command, check=False).returncode == 0
    assert (tmp_path / "results.yml").exists()


def test_model_server_late_and_never_ready(stand_ins: Path, free_port: Callable[[], int]) -> None:
    late, never = free_port(), free_port()
    with on_host(stand_ins, "--port", str(late), "--ready-after", "0.5"):
        assert health(late) == 503
        with on_host(stand_ins, "--port", str(never), "--never-ready"):
            wait_for(lambda: health(late) == 200, 5)
            assert health(never) == 503


def test_model_server_dies(stand_ins: Path, free_port: Callable[[], int]) -> None:
    with on_host(stand_ins, "--port", str(free_port()), "--die-after", "0.2") as process:
        assert process.wait(5) == 13
        assert process.stderr is not None
        assert "out of memory" in process.stderr.read()
