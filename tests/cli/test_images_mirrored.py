"""What ``evalc images`` prints, run for real: from one registry into another, by each tool that
Debian has. What enroot and apptainer make of an image stands in ``test_images_command.py`` alone.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import engines
import pytest
from backends.local.lab import listens
from waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engines import Engine

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = """\
execution:
  type: local
  image_mirror: {{"{old}": "{new}/mirrored"}}
target: {{api_endpoint: {{url: "http://127.0.0.1:9/v1", model_id: m}}}}
evaluation:
  tasks:
    - {{name: alpha, container: "{old}/team/harness:2", command: "true"}}
"""


@contextmanager
def registry(folder: Path, port: int) -> Iterator[str]:
    """An empty registry on this machine; its name in images."""
    program = engines.find("docker-registry")
    if program is None:
        engines.cannot_run("docker-registry", "is not installed; run tests/testbed/install.sh")
    place = folder / str(port)
    place.mkdir()
    (place / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {place}}}}}\n"
    )
    name = f"127.0.0.1:{port}"
    with subprocess.Popen(
        [program, "serve", place / "config.yml"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(lambda: listens(port))
            yield name
        finally:
            process.terminate()


def digest(name: str, repository: str, tag: str) -> str:
    """That of an image in a registry."""
    url = f"http://{name}/v2/{repository}/manifests/{tag}"
    request = urllib.request.Request(url, headers={"Accept": _MANIFEST})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.headers["Docker-Content-Digest"])


def small_image(file: Path) -> None:
    with tarfile.open(file, "w") as tar:
        entry = tarfile.TarInfo("hello")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"world"))


@pytest.fixture
def source(docker: Engine, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    """A registry with one image in it."""
    with registry(tmp_path, free_port()) as name:
        small_image(tmp_path / "small.tar")
        image = f"{name}/team/harness:2"
        for command in (
            ["import", str(tmp_path / "small.tar"), image],
            ["push", image],
            ["rmi", image],
        ):
            ran = docker(*command)
            assert ran.returncode == 0, ran.stderr
        yield name


@pytest.mark.parametrize("tool", ["docker", "podman", "skopeo"])
def test_an_image_gets_to_where_the_bundle_looks_for_it(
    tool: str, docker: Engine, source: str, tmp_path: Path, free_port: Callable[[], int],
    evalc: Callable[..., Any], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    with registry(tmp_path, free_port()) as target:
        (tmp_path / "suite.yaml").write_text(CONFIG.format(old=source, new=target))
        assert evalc("compile", "suite.yaml", "--out", "bundle").code == 0
        script = evalc("images", "bundle", "--with", tool).out
        # Docker takes what is on this machine without TLS; the others are told so.
        insecure = (
            f'[[registry]]\nlocation = "{name}"\ninsecure = true\n' for name in (source, target)
        )
        file = tmp_path / ".config/containers/registries.conf"
        file.parent.mkdir(parents=True)
        file.write_text("".join(insecure))
        # Looked up by name, so that the other two do not start it.
        engine = docker if tool != "podman" else request.getfixturevalue("podman")
        # skopeo finds it there, podman is told.
        home = {"HOME": str(tmp_path), "CONTAINERS_REGISTRIES_CONF": str(file)}
        env = {**os.environ, **engine.env, **home}
        ran = subprocess.run(
            ["bash"], input=script, env=env, check=False, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        made = digest(target, "mirrored/team/harness", "2")
        if tool != "podman":
            assert made == digest(source, "team/harness", "2")
        (needs,) = json.loads((tmp_path / "bundle/manifest.json").read_text())["needs"]["images"]
        pulled = docker("pull", needs)
        assert pulled.returncode == 0, pulled.stderr
        docker("rmi", needs)
        if tool != "skopeo":
            # Engines are shared with other tests.
            assert engine("rmi", f"{source}/team/harness:2").returncode == 0
            engine("rmi", needs)
        listed = [docker("images").stdout, engine("images").stdout]
        assert not any("127.0.0.1" in text for text in listed)
