"""The maintainers' tool: what it writes, and what it says about the images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalc.catalog import Catalog

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_catalogue.py"

CATALOGUE: dict[str, Any] = {
    "source": "a peer 1.0",
    "harnesses": [
        {
            "name": "h",
            "container": "h:1",
            "container_digest": "sha256:0",
            "arch": "amd",
            "url": None,
        }
    ],
    "tasks": [
        {"name": "z", "harness": "h", "endpoint_types": ["chat"], "params": {"k": None, "ä": 1e-7}},
        {
            "name": "a",
            "harness": "h",
            "endpoint_types": ["completions"],
            "params": {},
            "required_capabilities": ["logprobs"],
        },
    ],
}
MAPPING = '[h]\nimage = "h:1"\ndigest = "sha256:0"\narch = "amd"\n'


def make(
    folder: Path, catalogue: dict[str, Any], mapping: str = MAPPING
) -> subprocess.CompletedProcess[str]:
    (folder / "mapping.toml").write_text(mapping)
    (folder / "peer.json").write_text(json.dumps(catalogue))
    return subprocess.run(
        [sys.executable, str(TOOL), str(folder / "peer.json"), "--catalog-dir", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_facts_are_written_sorted_and_load(tmp_path: Path) -> None:
    run = make(tmp_path, CATALOGUE)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{tmp_path / 'tasks.json'}: 2 tasks\n"
    assert (tmp_path / "tasks.json").read_text(encoding="utf-8") == (
        '{"source": "a peer 1.0",\n"tasks": [\n'
        '{"name": "a", "harness": "h", "endpoint_types": ["completions"],'
        ' "required_capabilities": ["logprobs"], "params": {}},\n'
        '{"name": "z", "harness": "h", "endpoint_types": ["chat"],'
        ' "params": {"k": null, "ä": 1e-07}}\n]}\n'
    )
    tasks = Catalog(tmp_path).tasks()
    assert [task.qualified_name for task in tasks] == ["h.a", "h.z"]
    assert tasks[1].params == {"k": None, "ä": 1e-7}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path, CATALOGUE)
    first = (tmp_path / "tasks.json").read_bytes()
    make(tmp_path, {**CATALOGUE, "tasks": CATALOGUE["tasks"][::-1]})
    assert (tmp_path / "tasks.json").read_bytes() == first


def test_an_image_that_differs_is_said_and_not_written(tmp_path: Path) -> None:
    mapping = MAPPING.replace("h:1", "h:0") + '\n[old]\nimage = "o:1"\n'
    run = make(tmp_path, CATALOGUE, mapping)
    assert run.returncode == 1
    assert run.stdout.splitlines()[1:] == [
        "old: only in mapping.toml",
        "h.image: mapping.toml has 'h:0', the catalogue 'h:1'",
    ]
    assert (tmp_path / "mapping.toml").read_text() == mapping


def test_a_new_harness_is_said(tmp_path: Path) -> None:
    run = make(tmp_path, CATALOGUE, "")
    assert run.returncode == 1
    assert run.stdout.splitlines()[1:] == ["h: not in mapping.toml"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"harness": "nope"}, "task nope.a: there is no such harness"),
        ({"name": "a.b"}, "task h.a.b: a name has a dot"),
        ({"name": "z"}, "task h.z is listed 2 times"),
        ({"endpoint_types": []}, "task h.a: no endpoint type"),
    ],
)
def test_a_catalogue_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    tasks = [CATALOGUE["tasks"][0], {**CATALOGUE["tasks"][1], **change}]
    run = make(tmp_path, {**CATALOGUE, "tasks": tasks})
    assert (run.returncode, run.stdout, run.stderr) == (2, "", f"{said}\n")
    assert not (tmp_path / "tasks.json").exists()
