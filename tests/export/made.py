"""Folders of runs as scripts leave them, made by hand."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BEGAN, ENDED = "2026-01-02T03:04:05Z", "2026-01-02T04:04:05Z"


def bundle(
    folder: Path,
    tasks: Sequence[str],
    *,
    model: str = "tiny",
    backend: str = "local",
    gpus: Any = 2,
) -> Path:
    """A bundle's plan and manifest, with a job for all tasks, or one each on Slurm."""
    folder.mkdir(parents=True)
    steps = [
        {
            "id": task,
            "task": task.rpartition(".")[2],
            "harness": "lm-evaluation-harness",
            "image": "registry.example/harness@sha256:" + "a" * 64,
            "command": None,
            "model_id": model,
            "run_config": {"config": {"params": {"temperature": 0.5}}},
        }
        for task in tasks
    ]
    resources = {"nodes": 1, "gpus": "all", "gpus_per_node": gpus}
    groups = [[step] for step in steps] if backend == "slurm" else [steps]
    jobs = [
        {
            "id": group[0]["id"] if backend == "slurm" else "suite",
            "services": ["model"],
            "resources": resources,
            "steps": group,
        }
        for group in groups
    ]
    services = [{"name": "model", "gpus": "all"}]
    plan = {"schema_version": 1, "name": "suite", "backend": backend, "services": services}
    plan["jobs"] = jobs
    (folder / "plan.json").write_text(json.dumps(plan))
    manifest = {"schema_version": 1, "compiler": {"name": "evalc", "version": "0.1.0"}}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "name": model}))
    return folder


def ended(task: Path, code: int = 0, reason: str = "") -> None:
    """The stage files of a task that has ended."""
    logs = task / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "stage.pre-start").write_text(f"{BEGAN}\n")
    (logs / "stage.exit").write_text(f"{ENDED} {code} {reason}".rstrip() + "\n")


def results_yml(task: Path, parts: Mapping[str, Any], kind: str = "tasks") -> Path:
    """A results.yml: by part, by metric, by score, ``(value, stats)``."""
    artifacts = task / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    content = {
        "results": {
            kind: {
                part: {
                    "metrics": {
                        metric: {
                            "scores": {
                                name: {"value": value, "stats": stats}
                                for name, (value, stats) in scores.items()
                            }
                        }
                        for metric, scores in metrics.items()
                    }
                }
                for part, metrics in parts.items()
            }
        }
    }
    path = artifacts / "results.yml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    return path


def lm_eval(
    task: Path,
    name: str,
    answers: Sequence[float],
    *,
    metric: str = "exact_match",
    stamp: str = "01",
) -> None:
    """What lm-eval leaves of a task, with its samples."""
    folder = task / "artifacts" / "org__model"
    folder.mkdir(parents=True, exist_ok=True)
    count = len(answers)
    mean = sum(answers) / count
    variance = sum((one - mean) ** 2 for one in answers) / max(count - 1, 1)
    time = f"2026-01-{stamp}T00-00-00.000001"
    content = {
        "results": {
            name: {
                "alias": name,
                f"{metric},none": mean,
                f"{metric}_stderr,none": (variance / count) ** 0.5,
            }
        },
        "n-samples": {name: {"original": count, "effective": count}},
        "higher_is_better": {name: {metric: True}},
        "n-shot": {name: 0},
        "config": {"model_args": "model=tiny,base_url=x", "limit": count},
    }
    (folder / f"results_{time}.json").write_text(json.dumps(content))
    with (folder / f"samples_{name}_{time}.jsonl").open("w") as file:
        for number, one in enumerate(answers):
            line = {"doc_id": number, "doc_hash": f"{number:x}", "filter": "none", metric: one}
            file.write(json.dumps(line) + "\n")


def answers(count: int, right: int, seed: int = 1) -> list[float]:
    """``right`` ones among noughts, in some order."""
    found = [1.0] * right + [0.0] * (count - right)
    random.Random(seed).shuffle(found)
    return found
