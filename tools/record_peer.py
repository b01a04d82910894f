"""Records what the peer makes of configs: tests hold evalc against it.

    python -m venv build/peer && build/peer/bin/pip install nemo-evaluator-launcher==0.2.6
    build/peer/bin/python tools/record_peer.py

The peer is asked, never read: ``composed`` is what its ``RunConfig.from_hydra`` makes of each
config below ``tests/config/data/launcher``, and ``run_configs`` what its
``get_eval_factory_command`` would write into the container's ``config_ef.yaml`` (without
``metadata``, which tells of the launcher), for each of their tasks, and for every task of the
peer's catalogue under each of some configs (``everything/``). Equal answers but for the task's name
are stored once.

What a config's comments say of ``-o KEY=VALUE`` are its overrides.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from nemo_evaluator_launcher.api.types import RunConfig  # type: ignore[import-not-found]
from nemo_evaluator_launcher.common.helpers import (  # type: ignore[import-not-found]
    get_eval_factory_command,
)
from nemo_evaluator_launcher.common.mapping import (  # type: ignore[import-not-found]
    get_task_definition_for_job,
    load_tasks_mapping,
)
from omegaconf import OmegaConf, open_dict

CONFIGS = Path(__file__).resolve().parent.parent / "tests/config/data/launcher"
TARGET = CONFIGS / "peer.json"
# Stands for the task's own name in answers that many tasks share.
TASK = "<TASK>"
# What configs read of the environment when they are composed.
ENVIRONMENT = {"USER": "someone"}


def main() -> None:
    """Write the answers to ``peer.json``. Needs the peer installed; no network."""
    os.environ.update(ENVIRONMENT)
    catalogue = load_tasks_mapping()
    answers: dict[str, Any] = {
        "peer": f"nemo-evaluator-launcher {version('nemo-evaluator-launcher')}",
        "tasks": [f"{harness}.{task}" for harness, task in sorted(catalogue)],
        "composed": {},
        "run_configs": {},
        "everything": {},
    }
    for path in sorted(CONFIGS.rglob("*.yaml")):
        name = path.relative_to(CONFIGS).as_posix()
        text = path.read_text(encoding="utf-8")
        if "\nevaluation:" not in text or "refused" in path.parts:
            continue
        overrides = re.findall(r"(?<=-o )\S+", " ".join(re.findall("^#.*$", text, re.MULTILINE)))
        print(name, file=sys.stderr)
        if path.parent.name == "everything":
            answers["everything"][name] = _everything(path, overrides, catalogue)
        else:
            config = _composed(path, overrides)
            answers["composed"][name] = _plain(config)
            answers["run_configs"][name] = _run_configs(config, catalogue)
    TARGET.write_text(_json(answers), encoding="utf-8")


def _json(answers: dict[str, Any]) -> str:
    """A line for each config, so that a diff shows what has changed."""
    parts = []
    for key, value in answers.items():
        if isinstance(value, dict):
            lines = (f"{json.dumps(name)}: {json.dumps(value[name])}" for name in sorted(value))
            parts.append(f'"{key}": {{\n' + ",\n".join(lines) + "\n}")
        else:
            parts.append(f'"{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _composed(path: Path, overrides: list[str]) -> Any:
    return RunConfig.from_hydra(config=str(path), hydra_overrides=overrides)


def _plain(config: Any) -> Any:
    plain: Any = OmegaConf.to_container(config, resolve=True)
    del plain["user_config_path"]
    return plain


def _run_configs(config: Any, catalogue: dict[Any, Any]) -> list[Any]:
    return [_run_config(config, task, catalogue) for task in config.evaluation.tasks]


def _run_config(config: Any, task: Any, catalogue: dict[Any, Any]) -> Any:
    """The answer for one task; the text of an error where the peer refuses it."""
    try:
        definition = get_task_definition_for_job(
            task_query=task.name,
            # It writes a task's own endpoint_type into the mapping it is given.
            base_mapping={key: dict(facts) for key, facts in catalogue.items()},
            endpoint_type=task.get("endpoint_type"),
        )
        command = get_eval_factory_command(config, task, definition).cmd
    except Exception as error:  # noqa: BLE001 - whatever it raises, it does not run the task
        return f"{type(error).__name__}"
    found = re.search(r'echo "([A-Za-z0-9+/=]*)" \| base64 -d > config_ef\.yaml', command)
    assert found
    answer = yaml.safe_load(base64.b64decode(found[1]))
    del answer["metadata"]
    return answer


def _everything(path: Path, overrides: list[str], catalogue: dict[Any, Any]) -> list[Any]:
    """For every task of the catalogue: ``[answer, [tasks…]]``, each different answer once. The most
    common one is last, for ``"*"``: all others."""
    config = _composed(path, overrides)
    template: Any = OmegaConf.to_container(config.evaluation.tasks[0], resolve=False)
    tasks = [{**template, "name": f"{harness}.{task}"} for harness, task in sorted(catalogue)]
    with open_dict(config):
        # What answers hold of the whole config is metadata; one task a time keeps that small.
        config.user_config_path = None
    by_answer: dict[str, list[str]] = {}
    for task in tasks:
        with open_dict(config):
            config.evaluation.tasks = [task]
        answer = _run_config(config, config.evaluation.tasks[0], catalogue)
        if isinstance(answer, dict) and answer["config"]["type"] == task["name"].partition(".")[2]:
            answer["config"]["type"] = TASK
        by_answer.setdefault(json.dumps(answer), []).append(task["name"])
    found = sorted(by_answer.items(), key=lambda item: len(item[1]))
    answers = [[json.loads(answer), names] for answer, names in found]
    answers[-1][1] = "*"
    return answers


if __name__ == "__main__":
    main()
