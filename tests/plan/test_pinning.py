"""Images by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from plan.configs import Config

from evalc import catalog
from evalc.compiler import Request, check
from evalc.words import literal_text

if TYPE_CHECKING:
    from pathlib import Path

HOSTED = """
execution: {type: local, pin_images: true}
target: {api_endpoint: {url: http://u, model_id: m}}
"""
SERVED = """
defaults: [execution: slurm/default, deployment: vllm, _self_]
execution: {account: a, output_dir: /o, pin_images: true}
evaluation: {tasks: [{name: gsm8k}]}
deployment: {hf_model_handle: h, served_model_name: m, image: %s}
"""
DIGEST = "sha256:" + "a" * 64


def test_images_of_the_catalogue_get_their_digest(tmp_path: Path) -> None:
    """Without the tag: enroot takes a tag or a digest."""
    step, own = (
        Config(tmp_path)
        .plan(f"{HOSTED}evaluation: {{tasks: [{{name: gsm8k}}, {{name: mine, command: c, "
              f"container: 'mine@{DIGEST}'}}]}}")
        .steps
    )  # fmt: skip
    harness = catalog.load().find("gsm8k").harness
    assert step.image is not None
    assert own.image is not None
    assert literal_text(step.image) == f"{harness.image.partition(':')[0]}@{harness.digest}"
    assert literal_text(own.image) == f"mine@{DIGEST}"


def test_a_container_that_is_the_catalogues_is_pinned_too(tmp_path: Path) -> None:
    image = catalog.load().find("gsm8k").image
    text = f"{HOSTED}evaluation: {{tasks: [{{name: mine, container: '{image}'}}]}}"
    (step,) = Config(tmp_path).plan(text).steps
    assert step.image is not None
    assert "@sha256:" in (literal_text(step.image) or "")


@pytest.mark.parametrize(
    "image", [f"vllm/vllm-openai@{DIGEST}", "/images/vllm.sqsh", "./vllm.sif", "vllm.sif"]
)
def test_what_can_not_move_is_fine(image: str, tmp_path: Path) -> None:
    plan = Config(tmp_path).plan(SERVED % image)
    assert plan.services[0].image is not None
    assert literal_text(plan.services[0].image) == image


@pytest.mark.parametrize(
    ("text", "line", "image"),
    [
        (SERVED % "vllm/vllm-openai:v0.10.0", 5, "'vllm/vllm-openai:v0.10.0'"),
        (SERVED % "'${oc.env:IMAGE}'", 5, "that is known at run time only"),
        (SERVED.replace(", image: %s", ""), 5, "'vllm/vllm-openai:latest'"),
        (
            SERVED.replace("pin_images", "nodes: 2, num_instances: 2, pin_images")
            % f"vllm@{DIGEST}",
            3,
            "'haproxy:latest'",
        ),
        (
            SERVED.replace(
                "pin_images",
                "auto_export: {destinations: [gsheets], export_image: 'py:3'}, pin_images",
            )
            % f"vllm@{DIGEST}",
            3,
            "'py:3'",
        ),
        (HOSTED + "evaluation:\n  tasks:\n    - {name: t, container: 'x:1'}\n", 6, "'x:1'"),
    ],
)
def test_an_image_that_may_move_is_refused(
    text: str, line: int, image: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    (problem,) = check(Request(path))
    assert problem.location is not None
    assert (problem.code, problem.location.line) == ("unpinned-image", line)
    assert problem.message.endswith(f"the image {image}")
    unpinned = text.replace(", pin_images: true", "").replace(", pin_images", "")
    path.write_text(unpinned)
    assert check(Request(path)) == []
