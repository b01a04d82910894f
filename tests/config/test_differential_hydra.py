"""Composing equals Hydra's: many generated configs are composed by both.

Equal means equal JSON, so the order of keys too; and where one refuses, the other does, ours with a
place. What evalc does otherwise on purpose is left out by the generator (see its comments).
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from config import hydra_composer
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.hydra import Hydra
from hydra.compose import compose as hydra_compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from evalc.config.composing.compose import Composing
from evalc.errors import ConfigError
from evalc.source import read_file
from evalc.words import Literal, RuntimeEnv

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORIES = ("dirs", "beside", "builtin")
ENVIRONMENT = {"EVALC_ONE": "one", "EVALC_SPACED": "two words", "EVALC_EMPTY": ""}

# --- the two composers ---------------------------------------------------------------------------


@dataclass
class Project:
    """Files by their path (``beside/main.yaml`` is the primary config), and overrides."""

    files: dict[str, str]
    overrides: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        for directory in DIRECTORIES:
            (folder / directory).mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def __str__(self) -> str:
        files = "".join(f"--- {name}\n{text}" for name, text in self.files.items())
        return f"{files}--- overrides: {self.overrides}"


def by_evalc(project: Project, folder: Path) -> Any:
    """What evalc composes, as data, or the ConfigError it raises."""
    try:
        composing = Composing(
            read_file(folder / "beside" / "main.yaml"),
            config_dirs=[folder / "dirs"],
            overrides=project.overrides,
            builtin=folder / "builtin",
            command_keys=lambda _: False,
        )
        composed = composing.filled(composing.merged())
        if not composed.problems:
            return _rendered(composed.root.plain())
        return ConfigError(composed.problems)
    except (ConfigError, KeyError) as error:
        return error


def _rendered(value: Any) -> Any:
    """The value with its run-time parts filled in from this process's environment."""
    if isinstance(value, dict):
        return {key: _rendered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item) for item in value]
    if isinstance(value, tuple):
        return "".join(_part(part) for part in value)
    return value


def _part(part: Any) -> str:
    if isinstance(part, Literal):
        return part.text
    assert isinstance(part, RuntimeEnv)
    return (
        os.environ[part.name] if part.default is None else os.environ.get(part.name, part.default)
    )


def _places(folder: Path) -> list[tuple[str, Path]]:
    return [("main" if name == "beside" else name, folder / name) for name in DIRECTORIES]


def by_hydra_core(project: Project, folder: Path) -> Any:
    """What Hydra composes when its own config is left out, which takes most of its time."""
    return hydra_composer.by_hydra_core("main", _places(folder), project.overrides)


def by_hydra(project: Project, folder: Path) -> Any:
    """What Hydra composes, through its public interface."""
    GlobalHydra.instance().clear()
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    for element in hydra_composer.search_path(_places(folder)).get_path():
        path.append(element.provider, element.path)
    Hydra.create_main_hydra2("test", path)
    try:
        config = hydra_compose("main", overrides=project.overrides)
        return OmegaConf.to_container(config, resolve=True)
    except (Exception, RecursionError) as error:  # noqa: BLE001 - Hydra raises all sorts
        return error
    finally:
        GlobalHydra.instance().clear()


# --- the generator -------------------------------------------------------------------------------

KEYS = ("a", "b", "c", "d", "e")
SCALARS = (
    "1", "0", "-7", "2.5", "1e3", "true", "false", "null", "text", "'quoted'", '"a b"', "''",
    "'1'", "/path/to", "x:y", "'???'",
)  # fmt: skip
INTERPOLATIONS = (
    "${a}", "${b}", "${a.b}", "${g.a}", "${g.b.c}", "${h.a}", "${.a}", "${..a}", "${.b.c}",
    "${...a}", "${a.0}", "${a[1]}", "${nope}", "pre ${a} post", "${a}${b}", "\\${a}", "\\\\${a}",
    "x \\${a} ${b}", "${${c}}", "${g.${d}}", "${oc.env:EVALC_ONE}", "${oc.env:EVALC_SPACED}/x",
    "${oc.env:EVALC_EMPTY}", "${oc.env:EVALC_UNSET,fallback}", "${oc.env:EVALC_ONE,${a}}",
    "${oc.env:EVALC_UNSET,8000}", "${oc.env:EVALC_UNSET,'a b'}", "${oc.select:a}",
    "${oc.select:nope,9}", "${oc.select:g.a,${b}}", "${oc.select:.b,x}", "${oc.dict.keys:g}",
    "${oc.dict.values:g}", "${oc.dict.keys:.b}", "${oc.decode:'[1, {a: 2}]'}", "${oc.decode:null}",
    "${oc.decode:${a}}", "${oc.create:{x: 1, y: [a, 2]}}", "${oc.create:[1, {a: b}]}",
    "${unknown:a}", "${oc.deprecated:a}",
)  # fmt: skip
# Files by group; the first element of each is where most choices fall.
OPTIONS = {"g": ("x", "y", "sub/w"), "h": ("x", "y"), "g/k": ("x", "y"), "": ("one", "two")}


class Generator:
    """Makes projects: small ones, with few names, so that things meet."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def project(self) -> Project:
        files = {}
        # One feature or the other is often left out, or nearly every config would be refused.
        self.references = self.random.choice((0.0, 0.03, 0.1))
        self.oddity = self.random.choice((0.0, 0.0, 0.0, 0.1))
        self.keys: list[str] = []
        self.main_defaults = ""
        for group, options in OPTIONS.items():
            for option in options:
                for directory in self.random.sample(DIRECTORIES, self.random.choice((1, 1, 1, 2))):
                    name = "/".join(part for part in (directory, group, option) if part)
                    if not self.chance(self.oddity):
                        files[f"{name}.yaml"] = self.file(group)
        others = len(self.keys)
        files["beside/main.yaml"] = self.file(None)
        # Most overrides are of what is surely there.
        self.keys = self.keys[others:] * 20 + self.keys
        overrides = [self.override() for _ in range(self.random.choice((0, 0, 0, 1, 1, 2)))]
        return Project(files, overrides)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def file(self, group: str | None) -> str:
        lines = []
        if self.chance(0.15 if group is not None else 0.05):
            packages = ("_global_", "g", "p.q", "_global_.p", "_group_", "g.k")
            lines.append(f"# @package {self.random.choice(packages)}")
        if self.chance(0.9 if group is None else 0.15) and group != "h":
            defaults = json.dumps(self.defaults(group))
            self.main_defaults = defaults if group is None else ""
            lines.append(f"defaults: {defaults}")
        if group is not None and self.chance(0.03 * bool(self.oddity)):
            lines = ["- 1", "- a: 2"]
        elif self.chance(0.9):
            lines += self.mapping(0, group.replace("/", ".") if group else "")
        return "\n".join(lines) + "\n"

    # The lists of deeper files name only what is deeper or later, so that few lead in circles.
    def defaults(self, group: str | None) -> list[Any]:
        groups = {None: ("g", "h", "g/k", ""), "": ("h",), "g": ("k", "/h"), "g/k": ("/h",)}
        known = groups[group]
        items: list[Any] = []
        for name in self.random.sample(known, self.random.randint(1, len(known))):
            items.append(self.entry(name))
            if self.chance(0.1):
                items.append(self.entry(name, package=self.package()))
        if self.chance(0.6):
            items.insert(self.random.randint(0, len(items)), "_self_")
        if self.chance(0.1):
            # Overrides come last, or nearly always.
            at = len(items) if self.chance(0.9) else 0
            name = self.random.choice(known)
            if name:
                items.insert(at, {f"override {name}": self.option(name)})
        if self.chance(self.oddity):
            odd: tuple[Any, ...] = (
                1,
                None,
                {},
                {"g": 1},
                {"g": "x", "h": "y"},
                "nope",
                {"nope": "x"},
                "_self_",
            )
            items.insert(self.random.randint(0, len(items)), self.random.choice(odd))
        return items

    def entry(self, group: str, package: str | None = None) -> Any:
        suffix = "" if package is None else f"@{package}"
        if not group:
            return self.random.choice(OPTIONS[""]) + suffix
        if self.chance(0.15):
            # A file of a group, named directly.
            return f"{group}/{self.name(group)}{suffix}"
        keyword = "optional " if self.chance(0.1) else ""
        if self.chance(0.05):
            return {f"{keyword}{group}{suffix}": [self.name(group) for _ in range(2)]}
        return {f"{keyword}{group}{suffix}": self.option(group)}

    def package(self) -> str:
        return self.random.choice(
            ("p", "p.q", "_global_", "_here_", "_group_.p", "g", "_global_.g")
        )

    def name(self, group: str) -> str:
        group = {"k": "g/k"}.get(group.lstrip("/"), group.lstrip("/"))
        if self.chance(0.005 + self.oddity / 2):
            return "absent"
        return self.random.choice(OPTIONS.get(group, ("x",)))

    def option(self, group: str) -> Any:
        pick = self.random.random()
        if pick < 0.03:
            return None
        if pick < 0.04 + self.oddity / 4:
            return "???"
        if pick < 0.09:
            return self.random.choice(("${g}", "${h}", "${g/k}", "${g}", "${nope}"))
        return self.name(group)

    def mapping(self, depth: int, path: str) -> list[str]:
        lines = []
        names = self.random.sample(KEYS, self.random.randint(1, 3))
        if not path and depth == 0 and self.chance(0.8):
            # Most references are to these.
            lines += ["a: [1, 2]" if self.chance(0.1) else "a: 5", "b: {a: x, b: {c: 3}, c: y}"]
            names = names[:1]
        for name in names:
            key = self.random.choice(("g", "h", "p")) if not depth and self.chance(0.3) else name
            if any(line.startswith(f"{key}:") for line in lines):
                continue
            here = f"{path}.{key}" if path else key
            self.keys.append(here)
            lines.append(f"{key}: {self.value(depth + 1, here)}")
        return lines

    def value(self, depth: int, path: str) -> str:
        """A value in flow style."""
        pick = self.random.random()
        if depth < 3 and pick < 0.4:
            return "{" + ", ".join(self.mapping(depth, path)) + "}"
        if depth < 3 and pick < 0.5:
            items = range(self.random.randint(0, 3))
            return "[" + ", ".join(self.value(depth + 1, f"{path}.{i}") for i in items) + "]"
        if self.chance(self.references):
            return json.dumps(self.random.choice(INTERPOLATIONS))
        return self.random.choice(SCALARS)

    def override(self) -> str:
        if self.chance(0.25):
            listed = [g for g in OPTIONS if f'"{g}": ' in self.main_defaults]
            group = self.random.choice(listed if listed and self.chance(0.9) else ("g", "h", "g/k"))
            suffix = f"@{self.package()}" if self.chance(0.15) else ""
            sign = self.random.choice(("", "", "", "", "", "~") if listed else ("+",))
            if sign == "~" and self.chance(0.6):
                return f"~{group}{suffix}"
            suffix = "" if sign == "" and self.chance(0.8) else suffix
            option = self.random.choice((self.name(group), self.name(group), "[x,y]", "{a: 1}"))
            return f"{sign}{group}{suffix}={option}"
        sign = self.random.choice(("", "", "", "", "+", "++", "~"))
        key = self.random.choice(self.keys)
        if self.chance(0.8 if sign == "+" else 0.06):
            key += f".{self.random.choice((*KEYS, 'k', '0'))}"
        if sign == "~" and self.chance(0.7):
            return f"~{key}"
        values = (
            "1", "text", "a b", "'a, b'", "null", "true", "2.5", "", "4:00:00", "${a}", "${a.b}",
            "[1,2]", "[]", "{}", "{a: 1}", "{a: {b: c}}", "{b: ???}", "???", "'${g.a} x'",
            "[{a: 1},${b}]", "{c: ${.a}}",
        )  # fmt: skip
        value = self.random.choice(values)
        if key in OPTIONS and value.startswith("[{"):
            # Hydra takes this for options, and only refuses it when no later override replaces it.
            value = "[x]"
        return f"{sign}{key}={value}"


# --- the tests -----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("EVALC_UNSET", raising=False)
    with hydra_composer.hydra_environment(monkeypatch, ENVIRONMENT):
        yield


def compare(project: Project, folder: Path, reference: Any) -> bool:
    """Whether both compose it (to the same); fails when they differ."""
    ours = by_evalc(project, folder)
    if isinstance(reference, BaseException):
        assert isinstance(ours, ConfigError | KeyError), f"{project}\nHydra: {reference!r}\n{ours}"
        if isinstance(ours, ConfigError):
            assert all(problem.location for problem in ours.problems), f"{project}\n{ours}"
        return False
    told = str(project)
    assert not isinstance(ours, BaseException), f"{told}\nevalc: {ours!r}\nHydra: {reference}"
    assert json.dumps(ours) == json.dumps(reference), told
    return True


BATCH = 40


@pytest.mark.parametrize("batch", range(16))
def test_generated_configs_compose_as_in_hydra(batch: int, tmp_path: Path) -> None:
    composed = 0
    for number in range(BATCH):
        project = Generator(batch * BATCH + number).project()
        folder = tmp_path / str(number)
        project.write(folder)
        composed += compare(project, folder, by_hydra_core(project, folder))
    # A generator whose configs are all refused would show nothing.
    assert composed > BATCH // 4


def test_leaving_out_hydras_own_config_changes_nothing(tmp_path: Path) -> None:
    composed = 0
    for number in range(30):
        project = Generator(1_000_000 + number).project()
        folder = tmp_path / str(number)
        project.write(folder)
        composed += compare(project, folder, by_hydra(project, folder))
    assert composed > 8


def read_cases(name: str) -> dict[str, Project]:
    """The cases of a file in ``data``; it says how to read it."""
    text = (Path(__file__).parent / "data" / name).read_text(encoding="utf-8")
    cases = {}
    for block in text.split("\n=== ")[1:]:
        title, _, body = block.partition("\n")
        files: dict[str, list[str]] = {}
        overrides = []
        for line in body.splitlines(keepends=True):
            if line.startswith("--- "):
                files[line[4:].strip()] = lines = []
            elif line.startswith("-o "):
                overrides.append(line[3:].rstrip("\n"))
            else:
                lines.append(line)
        named = {f"beside/{file}.yaml": "".join(lines) for file, lines in files.items()}
        cases[title] = Project(named, overrides)
    shared = cases.pop("shared")
    return {
        title: Project({**shared.files, **project.files}, project.overrides)
        for title, project in cases.items()
    }


COMPOSED = read_cases("composed.txt")
REFUSED = read_cases("refused.txt")


@pytest.mark.parametrize("name", COMPOSED)
def test_composes_as_in_hydra(name: str, tmp_path: Path) -> None:
    project = COMPOSED[name]
    project.write(tmp_path)
    reference = by_hydra_core(project, tmp_path)
    assert not isinstance(reference, BaseException), f"Hydra refuses: {reference!r}"
    assert compare(project, tmp_path, reference)


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_as_in_hydra(name: str, tmp_path: Path) -> None:
    project = REFUSED[name]
    project.write(tmp_path)
    reference = by_hydra_core(project, tmp_path)
    assert isinstance(reference, BaseException), f"Hydra composes: {reference}"
    assert not compare(project, tmp_path, reference)
