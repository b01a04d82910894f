"""A backend of somebody else's, in a package of its own, works through the entry points alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import pathlib

from evalc.backends.base import Artifact, Emission, Needs
from evalc.emit.commands import command_line
from evalc.emit.quoting import show
from evalc.plan.problems import NoEffect


class PrinterBackend:
    name = "printer"
    description = "writes a script that prints what it would evaluate"

    def execution_schema(self):
        return {
            "type": "object",
            "additionalProperties": False,
            "required": ["tray"],
            "properties": {
                "type": {"const": self.name},
                "output_dir": {"type": "string"},
                "tray": {"type": "integer", "description": "The paper's tray."},
                "colour": {"type": "boolean"},
            },
            "patternProperties": {"^x-": {}},
        }

    def config_groups(self):
        return None

    def check(self, plan):
        if plan.options.get("colour"):
            yield NoEffect(
                key="execution.colour",
                why="there is only black ink",
                location=plan.origin.at("execution", "colour"),
            )

    def emit(self, plan):
        lines = ["#!/usr/bin/env bash"]
        for step in plan.steps:
            lines.append(command_line([["echo", str(plan.options["tray"]), step.id, step.model_id]]))
        script = "\\n".join(lines).encode() + b"\\n"
        needs = Needs(images=tuple(sorted({show(s.image) for s in plan.steps if s.image})))
        return Emission((Artifact("print.sh", script, True),), needs, "bash print.sh")


class EscapingBackend(PrinterBackend):
    name = "escaping"

    def emit(self, plan):
        return Emission((Artifact("../print.sh", b"", True),), Needs(), "bash ../print.sh")


class FilingBackend(PrinterBackend):
    name = "filing"

    def config_groups(self):
        return pathlib.Path(__file__).parent / "evalc_filing"


class FailingBackend(PrinterBackend):
    name = "failing"

    def check(self, plan):
        yield from ()
        raise OSError(5, "the printer is on fire")
"""
GROUP = "type: filing\ntray: 7\nx-file: ${execution.tray}\n"
CONFIG = """\
execution:
  type: {kind}
  tray: 2
  colour: true
target:
  api_endpoint:
    url: http://127.0.0.1:8000/v1/chat/completions
    model_id: a model; touch PWNED
evaluation:
  tasks:
    - name: lm-evaluation-harness.ifeval
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with the package installed as pip would leave it."""
    folder = tmp_path / "site"
    info = folder / "evalc_printer-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "evalc_printer.py").write_text(MODULE)
    (folder / "evalc_filing/execution").mkdir(parents=True)
    (folder / "evalc_filing/execution/filing.yaml").write_text(GROUP)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evalc-printer\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[evalc.backends]\n"
        "printer = evalc_printer:PrinterBackend\n"
        "torn = evalc_printer:NoSuchBackend\n"
        "escaping = evalc_printer:EscapingBackend\n"
        "filing = evalc_printer:FilingBackend\n"
        "failing = evalc_printer:FailingBackend\n"
    )
    return folder


def evalc(site: Path, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evalc", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_compiles(site: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG.format(kind="printer"))
    done = evalc(site, "compile", "c.yaml", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'execution.colour' has no effect: there is only black ink" in done.stderr
    assert "c.yaml:4:3" in done.stderr
    printed = subprocess.check_output(["bash", "out/print.sh"], cwd=tmp_path, text=True)
    assert printed == "2 lm-evaluation-harness.ifeval a model; touch PWNED\n"
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["backend"] == "printer"
    assert manifest["needs"]["images"] == [
        "nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03"
    ]


def test_its_keys_are_checked_by_its_schema(site: Path, tmp_path: Path) -> None:
    text = CONFIG.format(kind="printer").replace("tray: 2", "trai: 2")
    (tmp_path / "c.yaml").write_text(text)
    done = evalc(site, "check", "c.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "error[unknown-key]: 'trai' is not a key of execution (printer)" in done.stdout
    assert "did you mean 'tray'?" in done.stdout


def test_it_is_listed(site: Path, tmp_path: Path) -> None:
    done = evalc(site, "ls", "backends", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "prints what it would evaluate" in done.stdout
    assert "local" in done.stdout


def test_a_broken_one_is_one_clear_line(site: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG.format(kind="torn"))
    done = evalc(site, "compile", "c.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "the backend 'torn' (evalc_printer:NoSuchBackend)" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_writes_elsewhere_is_stopped(site: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG.format(kind="escaping"))
    done = evalc(site, "compile", "c.yaml", "--out", "out/deep", cwd=tmp_path)
    assert done.returncode == 3
    assert "the backend 'escaping' made the file '../print.sh'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_one_that_is_not_there_is_located(site: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG.format(kind="prynter"))
    done = evalc(site, "check", "c.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "c.yaml:2:9" in done.stdout
    assert "did you mean 'printer'?" in done.stdout


def test_its_config_group_is_found(site: Path, tmp_path: Path) -> None:
    text = CONFIG.format(kind="filing").partition("target:")[2]
    (tmp_path / "c.yaml").write_text(f"defaults:\n  - execution: filing\n  - _self_\ntarget:{text}")
    done = evalc(site, "compile", "c.yaml", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/print.sh").read_text().splitlines()[1].startswith("echo 7 ")


def test_its_config_group_lies_under_the_type_of_that_name(site: Path, tmp_path: Path) -> None:
    text = CONFIG.format(kind="filing").replace("  tray: 2\n", "")
    (tmp_path / "c.yaml").write_text(text)
    done = evalc(site, "explain", "c.yaml", "execution.tray", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "<filing>/execution/filing.yaml:2" in done.stdout


def test_its_config_group_can_be_chosen_with_an_override(site: Path, tmp_path: Path) -> None:
    text = CONFIG.format(kind="filing").partition("target:")[2]
    (tmp_path / "c.yaml").write_text(f"defaults:\n  - execution: local\n  - _self_\ntarget:{text}")
    done = evalc(site, "check", "c.yaml", "-o", "execution=filing", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = evalc(site, "check", "c.yaml", "-o", "execution=filling", cwd=tmp_path)
    assert done.returncode == 1
    assert "options of execution: filing, " in done.stdout
    assert "<filing>" in done.stdout


def test_one_that_raises_is_named(site: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG.format(kind="failing"))
    done = evalc(site, "compile", "c.yaml", cwd=tmp_path)
    assert done.returncode == 3
    assert "the backend 'failing' failed: check() raised OSError: " in done.stderr
    assert "the printer is on fire" in done.stderr
    assert "bug of the package" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["local", "slurm/default"])
def test_others_are_not_looked_for_when_ours_suffice(kind: str, tmp_path: Path) -> None:
    """Scanning the metadata of all packages takes longer than compiling a small config."""
    config = tmp_path / "c.yaml"
    config.write_text(
        f"defaults:\n  - execution: {kind}\n  - deployment: none\n  - _self_\n"
        + CONFIG.format(kind=kind.partition("/")[0]).replace("  tray: 2\n  colour: true\n", "")
    )
    script = (
        "import importlib.metadata, pathlib\n"
        "def scan(**_): raise AssertionError('the entry points are scanned')\n"
        "importlib.metadata.entry_points = scan\n"
        "from evalc.compiler import Request, compile\n"
        f"request = Request(pathlib.Path({str(config)!r}), ('execution.output_dir=/x', ))\n"
        "compile(request)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
