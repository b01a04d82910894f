"""Configs in the manner of the peer's examples compile, and mean what the peer says they mean.

``data/launcher`` has a config for each feature of the peer's example files. ``peer.json`` there is
what the peer itself made of them (``tools/record_peer.py``): its environment of 400 MB is nothing to
install for every run of the tests.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from config.hydra_composer import by_hydra_core, hydra_environment

from evalc import catalog
from evalc.compiler import Request, check
from evalc.compiler import compile as compile_request
from evalc.config import BUILTIN
from evalc.config.composing.compose import Composed, Composing
from evalc.errors import ConfigError
from evalc.plan.model import words_of
from evalc.source import read_file
from evalc.source.nodes import walk
from evalc.words import Literal, Word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.compiler import Compiled
    from evalc.plan import Plan

FOLDER = Path(__file__).parent / "data" / "launcher"
PEER = json.loads((FOLDER / "peer.json").read_text(encoding="utf-8"))
CONFIGS = tuple(PEER["composed"])
REFUSED = tuple(path.name for path in sorted((FOLDER / "refused").glob("*.yaml")))
ENVIRONMENT = {"USER": "someone"}


def overrides(name: str) -> tuple[str, ...]:
    """What the comments of a config say of ``-o KEY=VALUE``."""
    comments = re.findall("^#.*$", (FOLDER / name).read_text(encoding="utf-8"), re.MULTILINE)
    return tuple(re.findall(r"(?<=-o )\S+", " ".join(comments)))


@cache
def compiled(name: str) -> Compiled:
    return compile_request(Request(FOLDER / name, overrides(name)))


def plan_of(name: str) -> Plan:
    return compiled(name).plan


def rendered(value: Any) -> Any:
    """A value with its run-time parts filled in: variables that are not known keep their names."""
    if isinstance(value, dict):
        return {key: rendered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rendered(item) for item in value]
    return _text(value) if isinstance(value, tuple) else value


def _text(word: Word) -> str:
    return "".join(
        part.text if isinstance(part, Literal) else ENVIRONMENT.get(part.name, f"${{{part.name}}}")
        for part in word
    )


# --- they compile --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_compiles_unchanged(name: str) -> None:
    problems = check(Request(FOLDER / name, overrides(name)))
    assert [problem for problem in problems if problem.severity == "error"] == []


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_and_told_what_to_change(name: str) -> None:
    """The file says what it is told: ``# LINE CODE: words of the label or the help``."""
    path = FOLDER / "refused" / name
    expected = re.findall(r"^# (\d+) ([a-z-]+): (.*)$", path.read_text("utf-8"), re.MULTILINE)
    problems = check(Request(path, overrides(f"refused/{name}")))
    assert expected
    assert [
        (str(p.location.line if p.location else 0), p.code, words in f"{p.label}\n{p.help}")
        for p, (_, _, words) in zip(problems, expected, strict=True)
    ] == [(line, code, True) for line, code, _ in expected], [p.help for p in problems]


# --- they are composed as by the peer ------------------------------------------------------------

# Where evalc's own groups say something else than the peer's, and why.
OTHERWISE = {
    r"(deployment|auxiliary_deployments\.\w+)\.(base_)?command": "a list of words, see the next test",
    r"deployment\.type": "vllm_ray is a type of its own, for Ray's commands differ",
    r"execution\.sbatch_extra_flags\.exclusive": "only where it was asked for, see the decisions",
    r"execution\.endpoint_readiness_timeout": "bounded: an hour",
    r"execution\.ntasks_per_node": "as the servers need",
    r"execution\.deployment\.n_tasks": "as the servers need",
    r"execution\.partition": "the site's own default",
    r"execution\.proxy\.config\.health_check_path": "the deployment's own",
    r"execution\.subproject": "jobs are called after the config",
    r"execution\.username": "ssh's own",
}


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """The paths of what the peer has and evalc has not, or has otherwise."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in theirs.items():
            where = f"{path}.{key}".lstrip(".")
            if key in ours:
                yield from differences(ours[key], value, where)
            else:
                yield where
    elif json.dumps(ours) != json.dumps(theirs):
        yield path


def added(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """The paths of what evalc alone has."""
    for key, value in ours.items() if isinstance(ours, dict) else ():
        where = f"{path}.{key}".lstrip(".")
        if not isinstance(theirs, dict) or key not in theirs:
            yield where
        else:
            yield from added(value, theirs[key], where)


def composition(name: str) -> Composed:
    composing = Composing(
        read_file(FOLDER / name),
        config_dirs=[],
        overrides=overrides(name),
        builtin=BUILTIN,
        command_keys=lambda _: False,
    )
    return composing.filled(composing.merged())


def composed(name: str) -> Any:
    return rendered(composition(name).root.plain())


@pytest.mark.parametrize("name", CONFIGS)
def test_is_composed_as_by_the_peer(name: str) -> None:
    ours, theirs = composed(name), PEER["composed"][name]
    reasons = re.compile("|".join(OTHERWISE))
    assert [path for path in differences(ours, theirs) if not reasons.fullmatch(path)] == []
    # What evalc has besides are defaults of keys that the peer does not have, or does not show.
    root = composition(name).root
    for path in added(ours, theirs):
        node = walk(root, tuple(path.split(".")))
        assert node is not None
        assert node.source.kind == "builtin", path


def test_every_reason_to_differ_is_one() -> None:
    found = {p for n in CONFIGS for p in differences(composed(n), PEER["composed"][n])}
    assert [e for e in OTHERWISE if not any(re.fullmatch(e, path) for path in found)] == []


@pytest.mark.parametrize("name", CONFIGS)
def test_servers_are_started_as_by_the_peer(name: str) -> None:
    """Word by word, where the peer's command is one command and no script."""
    services = {service.name: service for service in plan_of(name).services}
    theirs = PEER["composed"][name]
    service = services.get("model")
    command = theirs["deployment"].get("command")
    if service is None or command is None or "\n" in command or "bash -c" in command:
        return
    assert hasattr(service.command, "words")
    assert [_text(word) for word in service.command.words] == command.split()


def test_a_judge_is_started_with_its_own_model_and_port() -> None:
    """In Hydra the group's command refers to ``deployment``, wherever the group is put."""
    judge = next(s for s in plan_of("slurm_judge.yaml").services if s.name == "judge")
    words = [_text(word) for word in judge.command.words]  # type: ignore[union-attr]
    assert "acme/judge-70b" in words
    assert words[words.index("--port") + 1] == "8001"
    assert "acme/instruct-8b" not in words


@pytest.mark.parametrize("name", CONFIGS)
def test_is_composed_as_by_hydra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same groups, evalc's own: equal to the last key, and in the same order."""
    with hydra_environment(monkeypatch, {**ENVIRONMENT, "MASTER_IP": "${MASTER_IP}"}):
        places = [("main", FOLDER / Path(name).parent), ("builtin", BUILTIN)]
        theirs = by_hydra_core(Path(name).stem, places, list(overrides(name)))
    assert not isinstance(theirs, BaseException), theirs
    assert json.dumps(composed(name)) == json.dumps(theirs)


def test_groups_may_be_elsewhere(tmp_path: Path) -> None:
    """The same config from another folder, with its groups in --config-dir."""
    name = "site/groups_of_ones_own.yaml"
    copy = tmp_path / "groups_of_ones_own.yaml"
    copy.write_bytes((FOLDER / name).read_bytes())
    with pytest.raises(ConfigError):
        compile_request(Request(copy))
    there = compile_request(Request(copy, config_dirs=(FOLDER / "site",))).plan
    assert there == plan_of(name)


# --- the container is given the same -------------------------------------------------------------


@pytest.mark.parametrize("name", CONFIGS)
def test_run_configs_are_the_peers(name: str) -> None:
    if name == "older/overrides.yaml":  # the peer has forgotten the older form
        assert PEER["run_configs"][name] == ["ValueError", "ValueError"]
        return
    ours = [rendered(step.run_config) for step in plan_of(name).steps]
    assert ours == PEER["run_configs"][name]
    # And so are the files, as PyYAML reads them in the container.
    files = compiled(name).bundle.files
    for step, theirs in zip(plan_of(name).steps, PEER["run_configs"][name], strict=True):
        if not words_of(step.run_config):
            assert yaml.safe_load(files[f"{step.id}/run_config.yml"].data) == theirs


@pytest.mark.parametrize("name", PEER["everything"])
def test_run_configs_of_the_whole_catalogue_are_the_peers(name: str, tmp_path: Path) -> None:
    tasks = [task.qualified_name for task in catalog.load().tasks()]
    assert sorted(tasks) == sorted(PEER["tasks"])
    assert len(tasks) == 421
    config = tmp_path / "everything.yaml"
    lines = (FOLDER / name).read_text(encoding="utf-8")
    head, _, task = lines.partition("    - name: any\n")
    config.write_text(head + "".join(f"    - name: {name}\n{task}" for name in tasks))
    answers = {task: answer for answer, names in PEER["everything"][name] for task in names}
    for step in compile_request(Request(config)).plan.steps:
        theirs = answers.get(step.id, answers["*"])
        if isinstance(theirs, str):
            # The peer knows no address for this type of endpoint; evalc asks 'chat' about images.
            assert theirs == "ConfigKeyError"
            assert catalog.load().find(step.id).endpoint_types[0] == "vlm"
            continue
        theirs = json.loads(json.dumps(theirs).replace('"<TASK>"', json.dumps(step.task)))
        # The peer obeys an output_dir, and then nobody finds the results; evalc warns, and does not.
        if theirs["config"]["output_dir"] == "/results/below":
            theirs["config"]["output_dir"] = "/results"
        assert rendered(step.run_config) == theirs
