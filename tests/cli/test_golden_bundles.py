"""``evalc compile --golden`` and ``evalc check --golden``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle.bundles import tree

from evalc import __version__

Run = Callable[..., Any]

FINE = (0, "1 config is fine\n", "")


@pytest.fixture
def golden(evalc: Run, good: Path) -> Path:
    """A folder with the golden bundle of ``good``."""
    assert evalc("compile", "--golden", "golden", good, "--quiet") == (0, "", "")
    return Path("golden")


def check(evalc: Run, *args: str) -> Any:
    return evalc("check", "--golden", "golden", "good.yaml", *args)


def change(old: str, new: str) -> None:
    text = Path("good.yaml").read_text()
    assert old in text
    Path("good.yaml").write_text(text.replace(old, new))


@pytest.mark.usefixtures("golden")
def test_what_was_compiled_is_fine(evalc: Run) -> None:
    assert check(evalc) == FINE


@pytest.mark.usefixtures("golden")
def test_a_difference_is_told_and_shown(evalc: Run) -> None:
    change("echo hello", "echo bye")
    result = check(evalc)
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith(
        "error[golden-differs]: golden/good is not what good.yaml compiles to: 5 files\n"
        " --> good.yaml:1:1\n"
        "  = help: command echo hello → echo bye of task hello\n"
        "          if that is right: evalc compile --golden golden good.yaml; then review what it "
        "changed\n\ndiff --git a/config.yaml b/config.yaml\n"
    )
    assert "\n-echo hello\n+echo bye\n" in result.out
    assert result.out.endswith("\n\n1 error in 1 file\n")


def test_updating_makes_it_fine_again_and_removes_what_is_gone(
    evalc: Run, good: Path, golden: Path
) -> None:
    change("name: hello", "name: other")
    assert check(evalc).code == 1
    assert evalc("compile", "--golden", golden, good).code == 0
    assert check(evalc) == FINE
    evalc("compile", good)
    assert tree(golden / "good") == tree(Path("build/good"))


@pytest.mark.usefixtures("golden")
def test_the_options_count_and_are_in_the_command(evalc: Run) -> None:
    result = check(evalc, "-o", "execution.output_dir=a b")
    assert result.code == 1
    command = "evalc compile --golden golden good.yaml -o 'execution.output_dir=a b'"
    assert f"if that is right: {command}; then" in result.out


def test_an_edit_by_hand_is_found(evalc: Run, golden: Path) -> None:
    (golden / "good/hello/command.sh").write_text("rm -rf /\n")
    result = check(evalc)
    assert result.code == 1
    assert "golden/good was edited since it was compiled: hello/command.sh\n" in result.out
    assert "\n-rm -rf /\n" in result.out


@pytest.mark.parametrize("stray", ["hello/files/old.py", "logs/x", "link"])
def test_a_file_that_is_none_of_the_bundles_is_found(evalc: Run, golden: Path, stray: str) -> None:
    path = golden / "good" / stray
    path.parent.mkdir(parents=True, exist_ok=True)
    if stray == "link":
        path.symlink_to("hello")
    else:
        path.write_text("")
    result = check(evalc)
    assert (result.code, result.err) == (1, "")
    assert f"  = help: {stray} is no file of the bundle; remove it\n\n1 error" in result.out


def test_modes_count_as_git_keeps_them(evalc: Run, golden: Path) -> None:
    for path in golden.rglob("*"):
        path.chmod(path.stat().st_mode | 0o020)
    assert check(evalc) == FINE
    (golden / "good/run_all.sh").chmod(0o644)
    result = check(evalc)
    assert result.code == 1
    assert (
        "\ndiff --git a/run_all.sh b/run_all.sh\nold mode 100644\nnew mode 100755\n" in result.out
    )


def test_a_config_without_a_golden_bundle(evalc: Run, good: Path) -> None:
    assert str(good) == "good.yaml"
    assert check(evalc) == (
        1,
        (
            "error[no-golden]: golden/good is no folder with a bundle\n --> good.yaml:1:1\n"
            "  = help: evalc compile --golden golden good.yaml makes it\n\n1 error in 1 file\n"
        ),
        "",
    )


def test_another_compiler_is_said_first(evalc: Run, golden: Path) -> None:
    manifest = golden / "good/manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"{__version__}"', '"0.0.1"'))
    assert f"  = help: compiled by evalc 0.0.1 → evalc {__version__}; " in check(evalc).out


@pytest.mark.usefixtures("golden")
def test_several_configs(evalc: Run, good: Path, bad: Path) -> None:
    Path("new.yaml").write_text(good.read_text())
    change("echo hello", "echo bye")
    result = evalc("check", "--golden", "golden", bad, good, "new.yaml", "missing.yaml")
    assert result.code == 2
    assert [line for line in result.out.splitlines() if line.startswith("error")] == [
        "error[unknown-key]: 'engin' is not a key of execution (local)",
        "error[golden-differs]: golden/good is not what good.yaml compiles to: 5 files",
        "error[no-golden]: golden/new is no folder with a bundle",
    ]
    assert evalc("compile", "--golden", "golden", good, "new.yaml", "-q").code == 0
    assert evalc("check", "--golden", "golden", good, "new.yaml").out == "2 configs are fine\n"


@pytest.mark.usefixtures("golden")
def test_json(evalc: Run) -> None:
    change("echo hello", "echo bye")
    (problem,) = json.loads(check(evalc, "--format", "json").out)
    assert (problem["code"], problem["file"], problem["line"]) == ("golden-differs", "good.yaml", 1)
    difference = problem["difference"]
    assert [change["what"] for change in difference["changes"]] == ["command"]
    assert "\n+echo bye\n" in "".join(file["patch"] for file in difference["files"])


@pytest.mark.usefixtures("golden")
def test_github(evalc: Run) -> None:
    change("echo hello", "'::error::x'")
    first, group, stop, *rest, last = check(evalc, "--format", "github").out.splitlines()
    assert first.startswith("::error file=good.yaml,line=1,")
    assert group == "::group::golden/good is not what good.yaml compiles to: 5 files"
    assert rest[-2:] == [f"::{stop.removeprefix('::stop-commands::')}::", "::endgroup::"]
    assert "+::error::x" in rest
    assert last == "1 error in 1 file"


def test_the_patch_brings_the_golden_bundle_up_to_date(evalc: Run, golden: Path) -> None:
    change("name: hello", "name: other")
    text = check(evalc).out
    subprocess.run(["git", "apply", "-"], cwd=golden / "good", input=text.encode(), check=True)
    assert check(evalc) == FINE


def test_wrong_usage(evalc: Run, good: Path) -> None:
    assert evalc("compile", good, "--golden", "golden", "--out", "x") == (
        2,
        "",
        "error: --golden and --out exclude each other\n",
    )
    Path("other").mkdir()
    Path("other/good.yaml").write_text(good.read_text())
    result = evalc("check", good, "other/good.yaml", "--golden", "golden")
    assert result.code == 2
    assert "would both be" in result.err
