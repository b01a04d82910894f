"""Jobs that nothing happens to, on the real cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from backends.slurm.lab import Lab


@pytest.mark.parametrize("lab", ["none", "pyxis", "apptainer"], indirect=True)
def test_a_harness_and_its_server(lab: Lab) -> None:
    bundle = lab.bundle(lab.harness(), deployment=lab.server())
    bundle.submit()
    assert bundle.ends().name == "done", bundle.everything()
    assert "results" in bundle.text("alpha", "artifacts", "results.yml")
    assert bundle.exit() == (0, "")
    assert lab.cluster.queue() == []


def test_a_command_without_a_server(lab: Lab) -> None:
    bundle = lab.bundle(lab.command("echo $MODEL_ID >here"))
    job = bundle.sbatch()
    assert bundle.ends().name == "done", bundle.everything()
    assert bundle.text("alpha", "artifacts", "here") == "stand-in\n"
    assert lab.cluster.state(job) == "COMPLETED"
