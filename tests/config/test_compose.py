"""Composing: places, history, sources, look-up, and what is wrong with it all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from evalc.config.composing.compose import Composed, Composing
from evalc.errors import ConfigError, Problem, UsageError
from evalc.source import Mapping, Node, Scalar, read_file
from evalc.source.nodes import key_location, walk

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("builtin").mkdir()


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def composed(
    files: dict[str, str],
    *overrides: str,
    config_dirs: Sequence[str] = (),
    primary: str = "main.yaml",
) -> Composed:
    write(files)
    composing = Composing(
        read_file(Path(primary)),
        config_dirs=[Path(directory) for directory in config_dirs],
        overrides=overrides,
        builtin=Path("builtin"),
        command_keys=lambda path: path[-1:] == ("command",),
    )
    found = composing.filled(composing.merged())
    if found.problems:
        raise ConfigError(found.problems)
    return found


def problems(files: dict[str, str], *overrides: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        composed(files, *overrides)
    return caught.value.problems


def only(files: dict[str, str], *overrides: str) -> Problem:
    (problem,) = problems(files, *overrides)
    return problem


def said(problem: Problem) -> str:
    return f"{problem.message}\n{problem.label}\n{problem.help}"


def place(problem: Problem) -> str:
    at = problem.location
    assert at is not None
    return f"{at}-{at.end_column}"


def node(root: Mapping, *path: str | int) -> Node:
    found = walk(root, path)
    assert found is not None
    return found


LAYERS = {
    "main.yaml": "defaults: [lower, upper, _self_]\nown: 1\n",
    "lower.yaml": "a: {b: 1, c: [1], m: {k: 1}}\nd: low\n",
    "upper.yaml": "a:\n  b: 2\n  c: [2]\nd: up\n",
    "third.yaml": "a: {m: {k: 2}}\n",
}


# --- places and history ---------------------------------------------------------------------------


def test_a_value_knows_where_it_was_written() -> None:
    root = composed({**LAYERS, "lower.yaml": "a: {b: 1, z: 3}\n"}).root
    assert str(node(root, "a", "b").location) == "upper.yaml:2:6"
    assert str(node(root, "a", "z").location) == "lower.yaml:1:14"
    assert str(key_location(root, ("a", "b"))) == "upper.yaml:2:3"
    assert str(node(root, "own").location) == "main.yaml:2:6"


def test_a_merged_mapping_stands_where_it_was_changed_last() -> None:
    root = composed(LAYERS).root
    assert str(node(root, "a").location) == "upper.yaml:2:3"
    assert str(key_location(root, ("a",))) == "upper.yaml:1:1"
    assert str(root.location) == "main.yaml:1:1"


def test_history_leads_through_files_overrides_and_references() -> None:
    root = composed({**LAYERS, "main.yaml": "defaults: [lower, upper]\ne: x\n"}, "d=${e}").root
    history = []
    at: Node | None = node(root, "d")
    while at is not None:
        assert isinstance(at, Scalar)
        history.append((str(at.location), at.value))
        at = at.previous
    assert history == [
        ("-o:1:3", "x"),
        ("-o:1:3", "${e}"),
        ("upper.yaml:4:4", "up"),
        ("lower.yaml:2:4", "low"),
    ]


def test_lists_and_mappings_have_a_history_too() -> None:
    root = composed({**LAYERS, "main.yaml": "defaults: [lower, upper, third]\n"}, "a.b=3").root
    old = node(root, "a", "c").previous
    assert old is not None
    assert (old.plain(), str(old.location)) == ([1], "lower.yaml:1:14")
    history = []
    at: Node | None = node(root, "a")
    while at is not None:
        history.append(at.plain())
        at = at.previous
    assert history == [
        {"b": 3, "c": [2], "m": {"k": 2}},
        {"b": 2, "c": [2], "m": {"k": 1}},
        {"b": 1, "c": [1], "m": {"k": 1}},
    ]


def test_what_refers_to_a_mapping_stands_where_the_mapping_does() -> None:
    root = composed({"main.yaml": "a: {b: 1}\nc: ${a}\n"}).root
    assert str(node(root, "c", "b").location) == "main.yaml:1:8"
    reference = node(root, "c").previous
    assert isinstance(reference, Scalar)
    assert reference.value == "${a}"


def test_a_number_keeps_its_writing_where_it_is_referred_to() -> None:
    root = composed({"main.yaml": "a: 1.10\nb: ${a}\nc: x${a}\n"}).root
    number = node(root, "b")
    assert isinstance(number, Scalar)
    assert (number.value, number.text) == (1.1, "1.10")
    assert node(root, "c").plain() == "x1.1"


def test_a_package_stands_where_the_file_was_chosen() -> None:
    files = {"main.yaml": "defaults:\n  - group: x\n", "group/x.yaml": "a: 1\n", "group/y.yaml": ""}
    assert str(key_location(composed(files).root, ("group",))) == "main.yaml:2:12"
    chosen = composed(files, "group=y").root
    assert str(key_location(chosen, ("group",))) == "-o:1:7"


def test_an_override_is_located_in_its_own_text() -> None:
    result = composed({"main.yaml": "a: {b: 1}\n"}, "a.b='two words'", "+c=[1,{d: x}]")
    value = node(result.root, "a", "b").location
    assert (value.source.name, value.source.text, value.source.kind) == (
        "-o",
        "a.b='two words'",
        "override",
    )
    assert (value.line, value.column, value.end_column) == (1, 5, 16)
    assert str(key_location(result.root, ("a", "b"))) == "-o:1:1"
    assert str(node(result.root, "c", 1, "d").location) == "-o:1:11"
    assert str(key_location(result.root, ("c", 1, "d"))) == "-o:1:8"


def test_references_are_kept_in_the_unresolved_tree() -> None:
    result = composed({"main.yaml": "a: 1\nb: x${a}\nc: {d: '${oc.env:HOME}'}\n"})
    assert result.unresolved.plain() == {"a": 1, "b": "x${a}", "c": {"d": "${oc.env:HOME}"}}
    assert result.root.plain()["b"] == "x1"


def test_what_has_no_references_is_shared_and_nothing_else_changes() -> None:
    result = composed(
        {"main.yaml": "a: {b: [1, {c: 2}]}\nd: ${a.b[0]}\ne: [{f: '${d}'}, {g: 1}]\n"}
    )
    for path in (("a",), ("e", 1)):
        assert node(result.root, *path) is node(result.unresolved, *path)
    assert node(result.unresolved, "e", 0, "f").plain() == "${d}"


# --- look-up --------------------------------------------------------------------------------------


def test_config_dirs_come_before_the_files_folder_before_the_builtin() -> None:
    files = {
        "sub/main.yaml": "defaults: [g: one, h: two, i: three]\n",
        "first/g/one.yaml": "from: first\n",
        "second/g/one.yaml": "from: second\n",
        "sub/g/one.yaml": "from: folder\n",
        "sub/h/two.yaml": "from: folder\n",
        "builtin/h/two.yaml": "from: builtin\n",
        "builtin/i/three.yaml": "from: builtin\n",
    }
    result = composed(files, config_dirs=["first", "second"], primary="sub/main.yaml")
    assert result.root.plain() == {
        "g": {"from": "first"},
        "h": {"from": "folder"},
        "i": {"from": "builtin"},
    }
    assert [(s.name, s.kind) for s in result.sources] == [
        ("sub/main.yaml", "file"),
        ("<evalc>/i/three.yaml", "builtin"),
        ("sub/h/two.yaml", "file"),
        ("first/g/one.yaml", "file"),
    ]


def test_files_are_named_as_the_user_would() -> None:
    files = {"main.yaml": "defaults: [g: one]\n", "g/one.yaml": "a: 1\n"}
    assert [source.name for source in composed(files).sources] == ["main.yaml", "g/one.yaml"]


def test_a_config_dir_must_be_there() -> None:
    with pytest.raises(UsageError, match="there is no directory nowhere"):
        composed({"main.yaml": ""}, config_dirs=["nowhere"])


def test_an_unknown_option_lists_the_options_of_all_places() -> None:
    problem = only(
        {
            "main.yaml": "defaults:\n  - execution: slrum/default\n",
            "builtin/execution/slurm/default.yaml": "",
            "builtin/execution/local.yaml": "",
            "execution/mine.yaml": "",
        }
    )
    assert problem.code == "unknown-config"
    assert place(problem) == "main.yaml:2:16-29"
    assert said(problem) == (
        "the group 'execution' has no option 'slrum/default'\n"
        "did you mean 'slurm/default'?\n"
        "options of execution: local, mine, slurm/default\nsearched: ., <evalc>"
    )


def test_a_needed_option_lists_the_options() -> None:
    problem = only({"main.yaml": "defaults: [g: '???']\n", "g/a.yaml": "", "g/b.yaml": ""})
    assert problem.code == "option-needed"
    assert said(problem) == (
        "an option of 'g' must be chosen\nname one here, or with -o g=OPTION\noptions of g: a, b"
    )


def test_a_group_that_is_not_listed_can_be_added() -> None:
    problem = only({"main.yaml": "defaults: [h: x]\n", "g/a.yaml": "", "h/x.yaml": ""}, "g=a")
    assert problem.code == "unused-choice"
    assert place(problem) == "-o:1:3-4"
    assert said(problem) == (
        "can't override 'g': no defaults list has it\n\nto add it to the defaults list: -o +g=a"
    )


def test_two_options_of_one_group_say_how_to_override() -> None:
    files = {"main.yaml": "defaults:\n  - g: a\n  - g: b\n", "g/a.yaml": "", "g/b.yaml": ""}
    problem = only(files)
    assert place(problem) == "main.yaml:3:8-9"
    assert said(problem) == (
        "'g' has the option 'a' already, from main.yaml:2:8\nto change it: 'override g: b'\n"
    )
    appended = only({**files, "main.yaml": "defaults: [g: a]\n"}, "+g=b")
    assert appended.label == "to change it: '-o g=b'"


def test_configs_that_name_each_other() -> None:
    files = {
        "main.yaml": "defaults: [a]\n",
        "a.yaml": "defaults: [b]\n",
        "b.yaml": "defaults: [a]\n",
    }
    problem = only(files)
    assert problem.message == "configs name each other: a -> b -> a"
    assert place(problem) == "b.yaml:1:12-13"


def test_a_config_that_names_itself() -> None:
    problem = only({"main.yaml": "defaults: [main]\n"})
    assert problem.message == "configs name each other: main -> main"


def test_a_defaults_list_can_refer_to_groups_only() -> None:
    problem = only({"main.yaml": "a: 1\ndefaults:\n  - g: x\n  - h: ${a}\n", "g/x.yaml": ""})
    assert place(problem) == "main.yaml:4:8-12"
    assert said(problem) == "'a' is no group of the defaults lists\ngroups with an option: g\n"


def test_a_defaults_list_can_not_depend_on_the_environment() -> None:
    problem = only({"main.yaml": "defaults:\n  - g: ${oc.env:WHERE}\n", "g/x.yaml": ""})
    assert problem.code == "needs-value-now"
    assert "a part of a defaults list" in problem.message


# --- all problems of a step at once ---------------------------------------------------------------


def test_all_problems_of_defaults_lists_are_told() -> None:
    found = problems(
        {
            "main.yaml": "defaults:\n  - g: nope\n  - 1\n  - h: '???'\n  - broken\n  - _self_\n",
            "broken.yaml": "a: 1\na: 2\n",
            "h/x.yaml": "",
        }
    )
    assert [(p.code, place(p)) for p in found] == [
        ("duplicate-key", "broken.yaml:2:1-2"),
        ("unknown-config", "main.yaml:2:8-12"),
        ("bad-defaults", "main.yaml:3:5-6"),
        ("option-needed", "main.yaml:4:8-13"),
    ]


def test_a_broken_file_that_is_named_twice_is_told_once() -> None:
    problem = only({"main.yaml": "defaults: [a, a@b]\n", "a.yaml": "x: 1\nx: 2\n"})
    assert place(problem) == "a.yaml:2:1-2"


def test_all_problems_of_merging_are_told() -> None:
    found = problems(
        {
            "main.yaml": "defaults: [lower, upper]\n",
            "lower.yaml": "a: [1]\nb: {c: {}}\n",
            "upper.yaml": "a: {}\nb:\n  c: []\n",
        }
    )
    assert [(p.code, place(p)) for p in found] == [
        ("merge-conflict", "upper.yaml:1:4-6"),
        ("merge-conflict", "upper.yaml:3:6-8"),
    ]
    assert said(found[1]) == (
        "'b.c' is a list here and a mapping in lower.yaml:2:8\na list can't replace a mapping\n"
    )


def test_all_problems_of_overrides_are_told() -> None:
    found = problems({"main.yaml": "a: {b: 1}\n"}, "a.c=1", "+a.b=2", "~d", "a.b=3")
    assert [p.code for p in found] == ["unknown-override", "key-exists", "nothing-to-delete"]


def test_all_problems_of_references_are_told_and_each_cause_once() -> None:
    found = problems(
        {
            "main.yaml": "a: ${nope}\nb: ${a}\nc: x${b}\nd: ${e}\ne: ${d}\nf: ${nope:1}\n"
            "g: {h: '${i}'}\ni: {j: '${g}'}\nk: '???'\nl: ${k}\n"
        }
    )
    assert [(p.code, place(p)) for p in found] == [
        ("unknown-reference", "main.yaml:1:4-11"),
        ("reference-cycle", "main.yaml:4:4-8"),
        ("unknown-resolver", "main.yaml:6:4-13"),
        ("reference-cycle", "main.yaml:7:8-14"),
        ("missing-reference", "main.yaml:10:4-8"),
    ]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (
            "server.prot=1",
            (
                "can't override 'server.prot': the config has no 'server.prot'\n"
                "did you mean 'port'?\nto add a new key: -o '+server.prot=1'"
            ),
        ),
        (
            "server={tls: {kye: 1}}",
            (
                "can't override 'server': the config has no 'server.tls.kye'\n"
                "did you mean 'key'?\nto add a new key: -o '+server={tls: {kye: 1}}'"
            ),
        ),
        (
            "+server.port=1",
            (
                "can't add 'server.port': it has a value already, given at main.yaml:1:16\n"
                "to replace it, leave out the +\nto add it or replace it: -o '++server.port=1'"
            ),
        ),
        ("~server.x", "can't delete 'server.x': there is no such key\n\n"),
        ("~server.port=2", "can't delete 'server.port': its value is 1\n\n"),
        ("~list.0", "can't delete 'list.0': an item of a list can't be deleted\n\n"),
        ("~made.x", "can't delete 'made.x': an expression makes it\n\n"),
        (
            "list.2=x",
            "'list' is a list of 2, and has no item '2'\nitems count from 0, up to 1\n",
        ),
        ("server@x=1", "there is no group 'server', and only groups have a package ('@')\n\n"),
        (
            "list={a: 1}",
            (
                "'list' is a mapping here and a list in main.yaml:2:7\n"
                "a mapping can't replace a list\n"
            ),
        ),
    ],
)
def test_an_override_that_can_not_be_applied(override: str, text: str) -> None:
    files = {
        "main.yaml": "server: {port: 1, tls: {key: x}}\nlist: [1, 2]\nmade: '${oc.create:{x: 1}}'\n"
    }
    assert said(only(files, override)) == text


# --- what Hydra has and evalc has not ------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "overrides", "feature", "at"),
    [
        ({"main.yaml": "hydra: {run: {dir: .}}\n"}, [], "'hydra:'", "main.yaml:1:1"),
        (
            {"main.yaml": "defaults:\n  - override hydra/launcher: basic\n"},
            [],
            "Hydra's own groups",
            "main.yaml:2:5",
        ),
        ({"main.yaml": ""}, ["hydra.run.dir=x"], "'hydra.*'", "-o:1:1"),
        ({"main.yaml": "", "hydra/x/y.yaml": ""}, ["hydra/x=y"], "Hydra's own groups", "-o:1:1"),
        ({"main.yaml": "a: ${hydra:job.name}\n"}, [], "${hydra:…}", "main.yaml:1:4"),
        ({"main.yaml": "a: 1\n"}, ["a=1,2"], "sweeps (several values with commas)", "-o:1:4"),
        ({"main.yaml": "a: 1\n"}, ["a=choice(1,2)"], "functions such as choice()", "-o:1:3"),
        ({"main.yaml": "a: 1\n"}, ["a=[range(1,2)]"], "functions such as range()", "-o:1:4"),
    ],
)
def test_an_unsupported_feature_is_named(
    files: dict[str, str], overrides: list[str], feature: str, at: str
) -> None:
    problem = only(files, *overrides)
    assert problem.code == "unsupported-feature"
    assert problem.message == f"evalc does not support {feature}"
    assert str(problem.location) == at


# --- files that are no configs --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [("just text\n", "a single value"), ("- 1\n", "a list"), ("3\n", "a single value")],
)
def test_a_primary_config_is_a_mapping(text: str, what: str) -> None:
    problem = only({"main.yaml": text})
    assert problem.code == "not-a-mapping"
    assert problem.message == f"a config is a mapping of keys to values, and this is {what}"


def test_a_group_file_can_not_be_a_text() -> None:
    problem = only({"main.yaml": "defaults: [g: x]\n", "g/x.yaml": "text\n"})
    assert place(problem) == "g/x.yaml:1:1-5"


def test_a_header_that_can_not_be_read() -> None:
    problem = only({"main.yaml": "defaults: [g: x]\n", "g/x.yaml": "\n# @package a b\na: 1\n"})
    assert problem.code == "bad-header"
    assert place(problem) == "g/x.yaml:2:1-15"
    assert said(problem) == (
        "'# @package a b' is not a header\n"
        "a header is one key and one value, as in '# @package _global_'\n"
    )


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("g: 1", "an option of a group is the name of a file, or a list of such names"),
        ("1", "an entry of a defaults list is a file or one 'group: option'"),
        ("wrong g: x", "'wrong g' is not a group"),
        ("g: _self_", "an option of a group is the name of a file, or a list of such names"),
        ("_self_@p", "_self_ goes where its file goes, it has no package"),
        ("'???'", "a defaults list can't leave out a file"),
    ],
)
def test_an_entry_that_means_nothing(entry: str, message: str) -> None:
    problem = only({"main.yaml": f"defaults:\n  - {entry}\n", "g/x.yaml": ""})
    assert problem.code == "bad-defaults"
    assert problem.message == message
    assert problem.location is not None
    assert problem.location.line == 2


# --- purity and cost ------------------------------------------------------------------------------


def test_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "main.yaml": "a: ${oc.env:EVALC_X}\nb: y ${oc.env:EVALC_X,z}\nc: ${oc.env:'EVALC_X'}\n"
    }
    monkeypatch.setenv("EVALC_X", "value of now")
    first = composed(files).root.plain()
    monkeypatch.delenv("EVALC_X")
    assert composed(files).root.plain() == first
    assert "value of now" not in repr(first)


def test_common_references_do_not_import_omegaconf(tmp_path: Path) -> None:
    write(
        {
            "main.yaml": "a: 1\nb: ${a}\nc: x ${.a} ${oc.env:HOME} ${oc.env:USER,me}\n"
            "d: ${select_not_null:a,/checkpoint}\ne: {f: '${..a}/${a}'}\n"
        }
    )
    program = (
        "import pathlib, sys\n"
        "from evalc.config.composing.compose import Composing\n"
        "from evalc.source import read_file\n"
        "c = Composing(read_file(pathlib.Path('main.yaml')), config_dirs=[], overrides=['a=2'],\n"
        "              builtin=pathlib.Path('builtin'), command_keys=lambda _: False)\n"
        "c.filled(c.merged())\n"
        "print(*(m for m in ('omegaconf', 'antlr4', 'hydra') if m in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


def test_compositions_do_not_affect_each_other() -> None:
    files = {"main.yaml": "defaults: [g: x, _self_]\nl: [1, {a: 1}]\n", "g/x.yaml": "m: {a: 1}\n"}
    before = composed(files).root.plain()
    composed(files, "g.m.a=2", "l.1.a=2", "+g.m.b=3", "~l")
    assert composed(files).root.plain() == before


@pytest.mark.parametrize("whole", [False, True])
def test_overrides_change_nothing_that_an_underlay_holds(*, whole: bool) -> None:
    write({"main.yaml": "a: 1\n"})
    extra = composed({"other.yaml": "m: {l: [{x: 1}], n: {o: 1}}\n"}, primary="other.yaml").root

    def underlay(root: Mapping) -> Mapping:
        if whole:
            return extra
        entries, keys = {**extra.entries, **root.entries}, {**extra.keys, **root.keys}
        return Mapping(root.source, root.start, root.end, entries, keys)

    composing = Composing(
        read_file(Path("main.yaml")),
        config_dirs=[],
        overrides=["m.l.0.x=2", "m.n={o: 2}", "+m.n={p: 3}", "++q=4"],
        builtin=Path("builtin"),
        command_keys=lambda _: False,
        underlay=underlay,
    )
    result = composing.filled(composing.merged())
    if not whole:
        # Otherwise the second underlay, after the overrides, hides what they did.
        assert result.root.plain()["m"] == {"l": [{"x": 2}], "n": {"o": 2, "p": 3}}
    assert extra.plain() == {"m": {"l": [{"x": 1}], "n": {"o": 1}}}


def test_a_config_beside_a_link_is_found(tmp_path: Path) -> None:
    write({"real/g/x.yaml": "a: 1\n", "main.yaml": "defaults: [g: x]\n"})
    (tmp_path / "g").symlink_to(tmp_path / "real" / "g")
    assert composed({}).root.plain() == {"g": {"a": 1}}
