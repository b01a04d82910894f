"""A matrix on Lepton: cells have endpoints of their own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from backends.lepton.lab import SERVER, TARGET, Lab, config

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.xdist_group("lepton")


def matrix(sharing: str) -> Mapping[str, Any]:
    model = [
        {"name": "one", "deployment.served_model_name": "first"},
        {
            "name": "two",
            "deployment.served_model_name": "second",
            "execution.evaluation_tasks.timeout": 77,
        },
    ]
    return config(
        "alpha",
        "beta",
        deployment=SERVER,
        target=TARGET,
        execution={"sharing": sharing},
        matrix={"model": model},
    )


def test_the_tasks_of_a_cell_share_an_endpoint(lab: Lab) -> None:
    lab.compile(matrix("shared"))
    assert "4 submitted, 0 running, 4 finished" in lab.submit().said
    for cell, model in (("one", "first"), ("two", "second")):
        assert lab.events(cell) == [
            f"endpoint {event}" for event in ("creating", "created", "ready", "removed")
        ]
        for task in ("alpha", "beta"):
            assert lab.stage(f"{cell}.{task}") == "0"
            sent = json.loads((lab.bundle / f"{cell}.{task}" / "logs/job.json").read_text())
            envs = {one["name"]: one.get("value") for one in sent["spec"]["envs"]}
            assert envs["MODEL_ID"] == model
    lab.no_endpoint()
    index = json.loads((lab.bundle / "lepton.json").read_text())
    assert [job["timeout"] for job in index["jobs"]].count(77) == 2
