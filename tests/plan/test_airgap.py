"""``execution.image_mirror`` and ``execution.offline``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plan.configs import place

from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does
from evalc.errors import ConfigError
from evalc.plan.airgap import OFFLINE
from evalc.plan.images import Reference, parse
from evalc.words import literal

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.compiler import Compiled

D = "sha256:" + "ab" * 32
CONFIG = """\
execution:
  type: {type}
  output_dir: /o
  engine: {engine}
{execution}
deployment:
  type: generic
  image: {server}
  served_model_name: m
  command: [serve]
  env_vars: {{HF_HUB_OFFLINE: lit:0}}
evaluation:
  tasks:
    - name: t
      container: {task}
      command: c
"""


def compiled(
    folder: Path, execution: str, *, server: str = "vllm/v:1", task: str = "nvcr.io/nvidia/t:2",
    engine: str = "pyxis",
) -> Compiled:  # fmt: skip
    kind = "slurm" if engine in ("pyxis", "apptainer") else "local"
    path = folder / "c.yaml"
    lines = "\n".join(f"  {line}" for line in execution.splitlines())
    path.write_text(
        CONFIG.format(type=kind, engine=engine, execution=lines, server=server, task=task)
    )
    return compile(Request(path))


def mirrored(folder: Path, entries: str, **images: str) -> list[str]:
    """The images of the server and the task."""
    found = compiled(folder, f"image_mirror: {{{entries}}}", **images)
    assert found.warnings == ()
    (service,), (step,) = found.plan.services, found.plan.steps
    words = (service.image, step.image)
    return ["".join(part.text for part in word or () if hasattr(part, "text")) for word in words]


@pytest.mark.parametrize(
    ("entries", "server", "task"),
    [
        ("nvcr.io: r.x/nv", "vllm/v:1", "r.x/nv/nvidia/t:2"),
        ("nvcr.io: r.x/nv/", "vllm/v:1", "r.x/nv/nvidia/t:2"),
        ("nvcr.io/nvidia: r.x/nv", "vllm/v:1", "r.x/nv/t:2"),
        ("nvcr.io: r.x, nvcr.io/nvidia: r.y", "vllm/v:1", "r.y/t:2"),
        ("docker.io: r.x:5000", "r.x:5000/vllm/v:1", "nvcr.io/nvidia/t:2"),
        ("'*': r.x, nvcr.io: r.y", "r.x/vllm/v:1", "r.y/nvidia/t:2"),
        ("vllm/v:1: /i/v.sqsh, '*': r.x", "/i/v.sqsh", "r.x/nvidia/t:2"),
        ("docker.io/vllm/v:1: r.y/other:3, '*': r.x", "r.y/other:3", "r.x/nvidia/t:2"),
    ],
)
def test_the_longest_key_counts(tmp_path: Path, entries: str, server: str, task: str) -> None:
    assert mirrored(tmp_path, entries) == [server, task]


def test_a_digest_stays(tmp_path: Path) -> None:
    assert mirrored(tmp_path, "'*': r.x", server=f"v:1@{D}", task="localhost:5000/t")[0] == (
        f"r.x/library/v:1@{D}"
    )


def test_files_and_what_is_known_later_stay(tmp_path: Path) -> None:
    text = "image_mirror: {'*': r.x}"
    found = compiled(tmp_path, text, server="/i/v.sqsh", task="'${oc.env:IMAGE}'")
    (service,), (step,) = found.plan.services, found.plan.steps
    assert (service.image, service.mirrored, step.mirrored) == (literal("/i/v.sqsh"), None, None)
    assert found.warnings == ()


def test_where_an_image_comes_from_is_kept(tmp_path: Path) -> None:
    found = compiled(tmp_path, "image_mirror: {nvcr.io: r.x}")
    (service,), (step,) = found.plan.services, found.plan.steps
    assert (service.mirrored, step.mirrored) == (None, literal("nvcr.io/nvidia/t:2"))
    assert found.bundle.needs.images == ("r.x/nvidia/t:2", "vllm/v:1")


def test_the_load_balancers_image_is_one_too(tmp_path: Path) -> None:
    text = "num_instances: 2\nnodes: 2\nimage_mirror: {'*': r.x}\nproxy: {image: haproxy:3}"
    found = compiled(tmp_path, text)
    assert "r.x/library/haproxy:3" in found.bundle.needs.images
    script = found.bundle.files["t/sbatch_t.sh"].data.decode()
    # As enroot writes it.
    assert "--container-image='r.x#library/haproxy:3'" in script


def test_the_image_that_exports_is_one_too(tmp_path: Path) -> None:
    export = "auto_export: {destinations: [gsheets], export_image: 'python:3'}"
    found = compiled(tmp_path, f"image_mirror: {{'*': r.x}}\n{export}")
    assert "r.x/library/python:3" in found.bundle.needs.images
    script = found.bundle.files["export.sh"].data.decode()
    assert "--container-image='r.x#library/python:3'" in script
    # Where nothing is called in it, it is none that the bundle needs.
    other = compiled(tmp_path, export.replace("gsheets", "local"))
    assert "python:3" not in other.bundle.needs.images


@pytest.mark.parametrize(
    ("entries", "engine", "said"),
    [
        ("nvcr.io: /images", "pyxis", "a file stands for one image"),
        ("'*': /images", "pyxis", "a file stands for one image"),
        ("nvcr.io/nvidia/t:2: /i/t.tar", "docker", "docker takes an image from a registry"),
        ("nvcr.io/nvidia/t:2: /i/t.tar", "podman", "podman takes an image from a registry"),
        ("nvcr.io: -x", "pyxis", "a registry"),
        ("nvcr.io: 'a b'", "docker", "a registry"),
    ],
)
def test_what_can_not_be_is_refused_where_it_stands(
    tmp_path: Path, entries: str, engine: str, said: str
) -> None:
    with pytest.raises(ConfigError) as error:
        compiled(tmp_path, f"image_mirror: {{{entries}}}", engine=engine)
    (problem,) = error.value.problems
    assert said in f"{problem.message} {problem.label}"
    assert place(problem) == entries.partition(": ")[2]


@pytest.mark.parametrize("engine", ["none", "pyxis"])
def test_a_key_that_no_image_begins_with_has_no_effect(tmp_path: Path, engine: str) -> None:
    text = "image_mirror: {quay.io: r.x}"
    (warning,) = compiled(tmp_path, text, engine=engine).warnings
    assert warning.code == "no-effect"
    assert "'execution.image_mirror.quay.io' has no effect" in warning.message


@pytest.mark.parametrize("engine", ["pyxis", "apptainer", "docker", "podman", "none"])
def test_offline_sets_what_the_config_does_not(tmp_path: Path, engine: str) -> None:
    plan = compiled(tmp_path, "offline: true", engine=engine).plan
    (service,), (step,) = plan.services, plan.steps
    served = {var.name: var.value for var in service.env}
    assert served == {**{k: literal(v) for k, v in OFFLINE.items()}, "HF_HUB_OFFLINE": literal("0")}
    assert {var.name: var.value for var in step.env} == {k: literal(v) for k, v in OFFLINE.items()}
    assert "offline" not in plan.options


@pytest.mark.parametrize("text", ["offline: false", "offline: null", "image_mirror: null", ""])
def test_without_it_nothing_is_set(tmp_path: Path, text: str) -> None:
    assert next(compiled(tmp_path, text).plan.steps).env == ()


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("ubuntu", Reference("docker.io", "library/ubuntu", "", "")),
        ("a/b:1", Reference("docker.io", "a/b", "1", "")),
        (f"a/b@{D}", Reference("docker.io", "a/b", "", D)),
        ("localhost/b:1", Reference("localhost", "b", "1", "")),
        ("r:5000/a/b", Reference("r:5000", "a/b", "", "")),
        (f"r.io:5000/a/b:1@{D}", Reference("r.io:5000", "a/b", "1", D)),
        ("nvcr.io#nvidia/b:1", Reference("nvcr.io", "nvidia/b", "1", "")),
        ("docker://r.io/b:1", Reference("r.io", "b", "1", "")),
        ("/a/b.sif", None),
        ("./b.sif", None),
        ("library://b", None),
        ("r.io/$NAME:1", None),
    ],
)
def test_what_an_images_name_says(text: str, reference: Reference | None) -> None:
    assert parse(text) == reference
