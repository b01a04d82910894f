"""``evalc images``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalc.bundle.images import Image, commands

Run = Callable[..., Any]

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
D = "sha256:" + "ab" * 32


def by_tool(image: Image, registry: str = "r.x/m") -> dict[str, list[str]]:
    tools = ("docker", "podman", "skopeo", "enroot", "apptainer")
    return {tool: commands(image, tool, registry) for tool in tools}


def test_the_commands_of_every_tool() -> None:
    assert by_tool(Image("vllm/v:1", "vllm/v:1", ())) == {
        "docker": [
            "docker pull docker.io/vllm/v:1",
            "docker tag docker.io/vllm/v:1 r.x/m/vllm/v:1",
            "docker push r.x/m/vllm/v:1",
        ],
        "podman": [
            "podman pull docker.io/vllm/v:1",
            "podman tag docker.io/vllm/v:1 r.x/m/vllm/v:1",
            "podman push r.x/m/vllm/v:1",
        ],
        "skopeo": [
            "skopeo copy --all --preserve-digests docker://docker.io/vllm/v:1 docker://r.x/m/vllm/v:1"
        ],
        "enroot": ["enroot import --output vllm-v-1.sqsh docker://vllm/v:1"],
        "apptainer": ["apptainer build vllm-v-1.sif docker://docker.io/vllm/v:1"],
    }


def test_a_digest_says_all() -> None:
    made = by_tool(Image(f"r.io/v:1@{D}", f"r.io/v:1@{D}", ()))
    assert made["skopeo"] == [
        f"skopeo copy --all --preserve-digests docker://r.io/v@{D} docker://r.x/m/v:1"
    ]
    assert made["docker"][0] == f"docker pull r.io/v@{D}"
    assert made["enroot"] == ["enroot import --output v-1.sqsh 'docker://r.io#v:1'"]
    assert by_tool(Image(f"r.io/v@{D}", f"r.io/v@{D}", ()))["enroot"] == []


@pytest.mark.parametrize(
    ("place", "tools"),
    [
        ("r.y/v:2", ["docker", "podman", "skopeo"]),
        ("/i/v.sqsh", ["enroot"]),
        ("/i/v.sif", ["apptainer"]),
        ("/i/v.img", ["enroot", "apptainer"]),
    ],
)
def test_an_image_goes_to_where_the_bundle_names_it(place: str, tools: list[str]) -> None:
    made = {tool: lines for tool, lines in by_tool(Image(place, "a/v:1", ())).items() if lines}
    assert list(made) == tools
    assert all(place in lines[-1] for lines in made.values())


@pytest.mark.parametrize("text", ["/i/v.sqsh", "r.io/$NAME"])
def test_what_is_no_image_of_a_registry_needs_no_carrying(text: str) -> None:
    assert not any(by_tool(Image(text, text, ())).values())


def test_the_list(evalc: Run) -> None:
    result = evalc("images", GOLDEN / "slurm_offline", GOLDEN / "slurm_instances")
    assert (result.code, result.err) == (0, "")
    table, *tools = result.out.split("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == [
        "IMAGE",
        "/lustre/images/vllm-openai-v0.11.0.sqsh",
        "haproxy:3.0",
        "nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03",
        "registry.example.org/nvcr/nvidia/eval-factory/lm-evaluation-harness:26.03",
        "registry.example.org/nvcr/nvidia/eval-factory/simple-evals:26.03",
        "vllm/vllm-openai:latest",
    ]
    assert "(from vllm/vllm-openai:v0.11.0)" in table.splitlines()[1]
    assert table.splitlines()[1].endswith("not pinned  server model")
    assert [text.splitlines()[0] for text in tools] == [
        f"with {tool}:" for tool in ("docker", "podman", "skopeo", "enroot", "apptainer")
    ]


def test_a_script_of_one_tool(evalc: Run) -> None:
    result = evalc("images", GOLDEN / "slurm_vllm", "--with", "skopeo", "--mirror", "r.x")
    assert result.code == 0
    subprocess.run(["bash", "-n"], input=result.out, text=True, check=True)
    assert result.out.count("\nskopeo copy ") == 3
    result = evalc("images", GOLDEN / "slurm_vllm", "--with", "skopeo")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: skopeo has to know where to put nvcr.io/")
    # The config says where to.
    assert evalc("images", GOLDEN / "slurm_offline", "--with", "skopeo").code == 0


def test_json(evalc: Run) -> None:
    result = evalc("images", GOLDEN / "slurm_offline", "--format", "json")
    first = json.loads(result.out)[0]
    assert first.pop("commands")["enroot"] == [
        "enroot import --output /lustre/images/vllm-openai-v0.11.0.sqsh docker://vllm/vllm-openai:v0.11.0"
    ]
    assert first == {
        "image": "/lustre/images/vllm-openai-v0.11.0.sqsh",
        "source": "vllm/vllm-openai:v0.11.0",
        "reference": "docker.io/vllm/vllm-openai:v0.11.0",
        "digest": None,
        "file": True,
        "users": ["server model"],
    }


def test_a_bundle_without_images(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    assert evalc("images", "build/good") == (0, "no images are needed\n", "")


def test_what_is_no_bundle(evalc: Run, good: Path) -> None:
    assert evalc("images", good).code == 2
    evalc("compile", good)
    Path("build/good/plan.json").write_text("{}")
    assert evalc("images", "build/good").err.startswith("error: build/good is damaged (")
