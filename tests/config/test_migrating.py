"""``evalc migrate``: the current form, the same meaning, and nothing else changed."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
import yaml
from config.test_peer import FOLDER, overrides

from evalc.compiler import Request, compile, migrate  # noqa: A004 - it is what a compiler does

if TYPE_CHECKING:
    from evalc.config.migrating import Migrated

EXAMPLES = Path(__file__).parents[2] / "examples"
OLDER = [
    (EXAMPLES / "older_keys.yaml", ()),
    (EXAMPLES / "slurm_older_keys.yaml", ()),
    *(
        (path, overrides(f"older/{path.name}"))
        for path in sorted((FOLDER / "older").glob("*.yaml"))
    ),
]
OLDER_KEYS = {
    *(
        "overrides",
        "extra_docker_args",
        "num_nodes",
        "container_mounts",
        "sbatch_comment",
        "configs",
    ),
}
CURRENT = sorted(FOLDER.glob("*.yaml"))


def migrated(folder: Path, text: str, *given: str) -> Migrated:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return migrate(Request(path, given))


def scripts(folder: Path, text: str, *given: str) -> dict[str, object]:
    """The bundle of a config, but for what quotes the config or its digest; of the plan and the run
    configs, which hold keys in the order in which the config has them, what they say."""
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    files = compile(Request(path, given)).bundle.files
    skipped = ("config.yaml", "manifest.json", "README.md")
    return {
        name: yaml.safe_load(file.data) if name.endswith((".json", ".yml")) else file.data
        for name, file in files.items()
        if name not in skipped
    }


def comments(text: str) -> Counter[str]:
    return Counter(line.partition("#")[2].strip() for line in text.splitlines() if "#" in line)


def hold(folder: Path, text: str, *given: str) -> Migrated:
    """What holds for every config; the result, for what holds for this one."""
    result = migrated(folder, text, *given)
    assert scripts(folder, result.text, *given) == scripts(folder, text, *given), result.text
    lost = comments(text) - comments(result.text)
    assert not lost, f"{lost}\n{result.text}"
    again = migrated(folder, result.text, *given)
    assert (again.text, again.changes) == (result.text, ())
    return result


@pytest.mark.parametrize(("path", "given"), OLDER, ids=[path.name for path, _ in OLDER])
def test_older_configs_become_current(path: Path, given: tuple[str, ...], tmp_path: Path) -> None:
    result = hold(tmp_path, path.read_text(encoding="utf-8"), *given)
    assert result.changes
    assert result.left == ()
    keys = re.findall(r"^ *(?:- )?(\w+):", result.text, re.MULTILINE)
    assert not OLDER_KEYS.intersection(keys)


@pytest.mark.parametrize("path", CURRENT, ids=[path.name for path in CURRENT])
def test_current_configs_stay_as_they_are(path: Path) -> None:
    """But for keys whose only name in the peer is the older one here."""
    text = path.read_text(encoding="utf-8")
    result = migrate(Request(path, overrides(path.name)))
    assert result.left == ()
    known = (("execution.num_nodes", "nodes:"), ("export.mlflow.log_logs", "copy_logs:"))
    for key, new in known:
        text = text.replace(f"  {key.rpartition('.')[2]}:", f"  {new}", 1)
    assert result.text == text


CASES = {
    "a block of variables, with comments": (
        """
        # first
        execution:
          type: local
          env_vars:  # for all
            # of the server
            deployment: {A: lit:1}
            evaluation:
              # a token
              HF_TOKEN: HF_TOKEN  # gated
            B: lit:2
            # last

          # of the engine
          engine: none
        deployment: {type: generic, command: serve, served_model_name: m}
        evaluation:
          tasks:
            - {name: t, command: run}
        """,
        """
        # first
        execution:
          type: local
          env_vars:  # for all
            # of the server
            deployment: {A: lit:1}
            evaluation:
              # a token
              HF_TOKEN: HF_TOKEN  # gated
            B: lit:2
            # last

          # of the engine
          engine: none
        deployment: {type: generic, command: serve, served_model_name: m}
        evaluation:
          tasks:
            - {name: t, command: run}
        """,
    ),
    "settings that a newer key has too": (
        """
        execution: {type: local, engine: none}
        target: {api_endpoint: {url: http://u, model_id: m}}
        evaluation:
          # of all
          config:
            params:
              # seconds
              request_timeout: 60  # a minute
            target:
              api_endpoint:
                stream: true
          nemo_evaluator_config:
            config:
              params: {top_p: 0.5}
          tasks:
            - name: t
              command: run
              overrides:
                config.params.extra.note: |
                  two
                  lines

                # hot
                config.params.temperature: 1  # very
        """,
        None,
    ),
}


def test_a_block_that_flow_style_is_in_the_way_of_is_left(tmp_path: Path) -> None:
    text, same = (dedent(t or "").lstrip() for t in CASES["a block of variables, with comments"])
    result = hold(tmp_path, text)
    assert result.text == same
    assert [(change.key, change.line) for change in result.left] == [("execution.env_vars", 4)]


def test_comments_go_with_what_they_are_about(tmp_path: Path) -> None:
    text = dedent(CASES["a block of variables, with comments"][0]).lstrip()
    text = text.replace(
        "deployment: {type: generic, command: serve, served_model_name: m}",
        "deployment:\n  type: generic\n  command: serve\n  served_model_name: m",
    )
    result = hold(tmp_path, text)
    assert (
        result.text
        == dedent(
            """
        # first
        execution:
          type: local
          # for all
          # of the server
          # last

          # of the engine
          engine: none
        deployment:
          type: generic
          command: serve
          served_model_name: m
          env_vars:
            A: lit:1
            B: lit:2
        evaluation:
          tasks:
            - {name: t, command: run}
          env_vars:
            # a token
            HF_TOKEN: host:HF_TOKEN  # gated
            B: lit:2
        """
        ).lstrip()
    )


def test_older_settings_join_newer_ones(tmp_path: Path) -> None:
    text = dedent(CASES["settings that a newer key has too"][0]).lstrip()
    text = text.replace("params: {top_p: 0.5}", "params:\n        top_p: 0.5")
    result = hold(tmp_path, text)
    assert (
        result.text
        == dedent(
            """
        execution: {type: local, engine: none}
        target: {api_endpoint: {url: http://u, model_id: m}}
        evaluation:
          # of all
          nemo_evaluator_config:
            config:
              params:
                top_p: 0.5
                # seconds
                request_timeout: 60  # a minute
            target:
              api_endpoint:
                stream: true
          tasks:
            - name: t
              command: run
              nemo_evaluator_config:
                config:
                  params:
                    extra:
                      note: |
                        two
                        lines
                    # hot
                    temperature: 1  # very
        """
        ).lstrip()
    )


def test_lines_end_as_they_did(tmp_path: Path) -> None:
    path = EXAMPLES / "slurm_older_keys.yaml"
    here = tmp_path / "c.yaml"
    here.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert migrate(Request(here)).text == migrate(Request(path)).text.replace("\n", "\r\n")


ODD = {
    "a quoted key": "execution: {type: local, engine: none}\nevaluation:\n  'overrides':\n    \"config.type\": t\n"
    "  tasks: [{name: t, command: c}]\ntarget: {api_endpoint: {url: http://u, model_id: m}}\n",
    "an anchor": "execution: {type: local, engine: none}\nevaluation:\n  config: &c\n    params: {top_p: 1}\n"
    "  tasks:\n    - {name: t, command: c, config: *c}\n    - name: s\n      command: c\n"
    "      config: *c\ntarget: {api_endpoint: {url: http://u, model_id: m}}\n",
    "merged keys": "x-all: &a\n  HF_TOKEN: HF_TOKEN\nexecution: {type: local, engine: none}\nevaluation:\n"
    "  env_vars:\n    <<: *a\n    B: B\n  tasks: [{name: t, command: c}]\n"
    "target: {api_endpoint: {url: http://u, model_id: m}}\n",
    "no newline at the end": "execution: {type: local, engine: none}\ntarget: {api_endpoint: {url: http://u, model_id: m}}"
    "\nevaluation:\n  tasks: [{name: t, command: c}]\n  overrides:\n    config.params.top_p: 1",
    "an explicit key": "execution: {type: local, engine: none}\ntarget: {api_endpoint: {url: http://u, model_id: m}}\n"
    "evaluation:\n  ? overrides\n  : config.params.top_p: 1\n  tasks: [{name: t, command: c}]\n",
    "a text of several lines": "execution: {type: local, engine: none}\nevaluation:\n  overrides:\n"
    "    config.params.extra.a: one\n      two\n\n      three\n    config.params.extra.b: 'x\n\n"
    "      # no comment'\n  tasks: [{name: t, command: c}]\n"
    "target: {api_endpoint: {url: http://u, model_id: m}}\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_ways_of_writing_are_edited_right_or_left(text: str, tmp_path: Path) -> None:
    result = migrated(tmp_path, text)
    assert scripts(tmp_path, result.text) == scripts(tmp_path, text), result.text
    assert migrated(tmp_path, result.text).text == result.text


class Generator:
    """Configs of older forms, in all manners of writing."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def lines(self, entries: dict[str, object], column: int = 0) -> list[str]:
        found = []
        for key, value in entries.items():
            if self.chance(0.1):
                found.append("")
            if self.chance(0.25):
                found.append(f"{' ' * column}{self.comment()}")
            found += self.entry(key, value, column)
        if self.chance(0.1):
            found.append(f"{' ' * column}{self.comment()}")
        return found

    def comment(self) -> str:
        self.count += 1
        return f"# comment {self.count}"

    def entry(self, key: str, value: object, column: int) -> list[str]:
        head = f"{' ' * column}{key}:"
        if key == "tasks":
            assert isinstance(value, list)
            dash = column + self.random.choice((0, 2))
            return [head, *(line for item in value for line in self.item(item, dash))]
        after = f"  {self.comment()}" if self.chance(0.2) else ""
        if isinstance(value, dict) and value and not self.chance(0.15):
            return [head + after, *self.lines(value, column + self.random.choice((2, 2, 4)))]
        if isinstance(value, list) and not self.chance(0.2):
            below = " " * (column + self.random.choice((0, 2)))
            return [head + after, *(f"{below}- {item}" for item in value)]
        if isinstance(value, str) and "\n" in value:
            below = " " * (column + 2)
            return [f"{head} |", *(f"{below}{line}".rstrip() for line in value.split("\n"))]
        return [f"{head} {self.flow(value)}{after}"]

    def item(self, entries: dict[str, object], column: int) -> list[str]:
        inner = self.lines(entries, column + 2)
        first = next(n for n, line in enumerate(inner) if line.strip() and line.strip()[0] != "#")
        inner[first] = f"{' ' * column}- {inner[first].lstrip()}"
        return inner

    def flow(self, value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k}: {self.flow(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(str, value)) + "]"
        if isinstance(value, str) and "\n" in value:
            return '"a text"'
        return str(value)

    def some(self, entries: dict[str, object]) -> dict[str, object]:
        picked = [key for key in entries if self.chance(0.6)]
        self.random.shuffle(picked)
        return {key: entries[key] for key in picked}

    def settings(self) -> dict[str, object]:
        forms: list[dict[str, object]] = [
            {"config": {"params": self.some({"top_p": 0.5, "parallelism": 2})}},
            {"config": {"config": {"params": {"limit_samples": 3}}, "target": {"api_endpoint": {}}}},
            {"overrides": self.some({
                "config.params.temperature": 0.5,
                "config.params.extra.note": "one\ntwo",
                "target.api_endpoint.stream": "true",
            })},
            {"nemo_evaluator_config": {"config": {"params": {"max_retries": 4}}}},
            {"nemo_evaluator_config": {"target": {"api_endpoint": {"api_key": "KEY"}}}},
        ]  # fmt: skip
        found: dict[str, object] = {}
        for form in self.random.sample(forms, self.random.choice((1, 1, 2))):
            found.update(form)
        return found

    def text(self) -> str:
        slurm = self.chance(0.5)
        variables: dict[str, object] = {
            "A": "lit:1",
            "HF_TOKEN": "host:HF_TOKEN",
            "B": "'${oc.env:B}'",
        }
        execution: dict[str, object] = {
            "type": "slurm" if slurm else "local",
            "output_dir": "/out",
            **self.some({
                "env_vars": self.some({
                    "deployment": self.some(variables),
                    "evaluation": self.some({**variables, "C": "C_NAME"}),
                    "D": "lit:4",
                }),
                "auto_export": {"destinations": ["mlflow"], "configs": {"mlflow": {
                    "tracking_uri": "http://x", "log_logs": "true"}}},
            }),
        }  # fmt: skip
        older = {
            "num_nodes": 2,
            "sbatch_comment": "a comment",
            "container_mounts": ["/a:/b", "/c:/d:ro"],
            "mounts": {"mount_home": "false"},
        }
        execution |= (
            {"account": "a", **self.some(older)}
            if slurm
            else self.some({"extra_docker_args": "'--ipc host -e \"X=1 2\"'"})
        )
        deployment: dict[str, object] = {
            "type": "vllm",
            "hf_model_handle": "a/b",
            "served_model_name": "b",
            **self.some({"env_vars": self.some({"A": "lit:9", "E": "host:E"})}),
        }
        tasks: dict[str, object] = {"name": "gsm8k", **self.settings()}
        evaluation = {**self.settings(), **self.some({"env_vars": {"F": "F_NAME", "A": "lit:7"}})}
        tops = {"execution": execution, "deployment": deployment}
        tops["evaluation"] = {**evaluation, "tasks": [tasks]}
        blocks = [f"{name}:\n" + "\n".join(self.lines(tops[name], 2)) for name in tops]
        return "\n".join(blocks) + "\n"


@pytest.mark.parametrize("batch", range(6))
def test_generated_configs(batch: int, tmp_path: Path) -> None:
    changed = 0
    for number in range(12):
        text = Generator(batch * 100 + number).text()
        result = hold(tmp_path, text)
        changed += len(result.changes)
    assert changed > 12
