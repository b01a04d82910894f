"""``evalc compile``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sh

from evalc import compiler

Run = Callable[..., Any]


def names(folder: str | Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def test_a_bundle_is_written_where_it_is_expected(evalc: Run, good: Path) -> None:
    result = evalc("compile", good)
    assert (result.code, result.err) == (0, "")
    assert {"manifest.json", "run_all.sh", "hello/run.sh"} <= names("build/good")
    first, *rest = result.out.splitlines()
    files = len(names("build/good"))
    assert first.startswith(f"good.yaml: written build/good ({files} files, ")
    shown = [line.split()[0] for line in rest if line.strip()]
    for name in names("build/good"):
        assert name.rpartition("/")[2] in shown
    assert "  run     cd build/good && bash run_all.sh" in rest


@pytest.mark.parametrize("place", ["a place", "-P", "it's"])
def test_what_it_says_to_run_does_run(evalc: Run, good: Path, place: str) -> None:
    out = evalc("compile", good, "--out", place).out
    (line,) = [line for line in out.splitlines() if line.split()[:1] == ["run"]]
    command = line.split(None, 1)[1]
    assert Path(shlex.split(command)[1]) == Path(place)
    sh.Command("bash")("-c", f"{command} --help")


@pytest.mark.parametrize("option", ["--out", "--golden"])
def test_no_text_is_no_folder(evalc: Run, good: Path, option: str) -> None:
    """A shell makes it of a variable that is not set; the current folder was not meant."""
    result = evalc("compile", good, option, "")
    assert result.code == 2
    assert result.err.splitlines()[0] == f"error: invalid value for '{option}': it is empty"
    assert names(".") == {"good.yaml"}


def test_an_equal_bundle_is_left_alone(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    before = {name: (Path("build/good") / name).stat() for name in names("build/good")}
    result = evalc("compile", good)
    assert result.code == 0
    assert result.out.startswith("good.yaml: unchanged build/good (")
    assert {name: (Path("build/good") / name).stat() for name in names("build/good")} == before


def test_images_by_digest(evalc: Run, good: Path) -> None:
    text = good.read_text(encoding="utf-8").replace("  engine: none\n", "")
    good.write_text(text.replace("name: hello\n      command: echo hello", "name: gsm8k"))
    assert evalc("compile", good, "--pin").code == 0
    assert "@sha256:" in Path("build/good/gsm8k/run.sh").read_text(encoding="utf-8")
    (image,) = json.loads(Path("build/good/manifest.json").read_bytes())["needs"]["images"]
    assert "@sha256:" in str(image)
    good.write_text(good.read_text(encoding="utf-8").replace("gsm8k", "t\n      container: x:1"))
    assert evalc("check", good).code == 0
    assert evalc("check", good, "--pin").code == 1


def test_a_different_bundle_is_in_the_way(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    before = {name: (Path("build/good") / name).read_bytes() for name in names("build/good")}
    changed = ["-o", "target.api_endpoint.model_id=other"]
    result = evalc("compile", good, *changed)
    assert (result.code, result.out) == (1, "")
    error, hint = result.err.splitlines()
    assert error == "error: build/good holds a different bundle"
    assert hint.startswith("hint: ")
    assert hint.endswith("--force replaces it")
    assert {n: (Path("build/good") / n).read_bytes() for n in names("build/good")} == before
    forced = evalc("compile", good, *changed, "--force")
    assert forced.code == 0
    assert forced.out.startswith("good.yaml: replaced build/good (")


def test_a_wrong_config_writes_nothing(evalc: Run, bad: Path) -> None:
    result = evalc("compile", bad)
    assert (result.code, result.out) == (1, "")
    assert " --> bad.yaml:6:3" in result.err
    assert not Path("build").exists()


def test_one_wrong_config_does_not_keep_the_others(evalc: Run, good: Path, bad: Path) -> None:
    result = evalc("compile", "missing.yaml", bad, good, "--out", "out")
    assert result.code == 2
    assert "there is no file missing.yaml" in result.err
    assert " --> bad.yaml:6:3" in result.err
    assert "run_all.sh" in names("out/good")
    assert [path.name for path in Path("out").iterdir()] == ["good"]
    assert result.out.startswith("good.yaml: written out/good (")


def test_a_bug_in_one_config_does_not_keep_the_others(
    evalc: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("odd.yaml").write_text(good.read_text())
    real = compiler.compile

    def broken(request: compiler.Request) -> compiler.Compiled:
        if request.name == "odd":
            raise KeyError("x")
        return real(request)

    monkeypatch.setattr(compiler, "compile", broken)
    result = evalc("compile", "odd.yaml", good)
    assert result.code == 3
    assert result.err.startswith("error: evalc itself failed: KeyError: 'x' (")
    assert result.out.startswith("good.yaml: written build/good (")


def test_two_configs_of_one_name(evalc: Run, good: Path) -> None:
    Path("other").mkdir()
    Path("other/good.yml").write_text(good.read_text())
    assert evalc("compile", good, "other/good.yml") == (
        2,
        "",
        (
            "error: good.yaml and other/good.yml would both be written to build/good\n"
            "hint: compile them one by one, each with its own --out\n"
        ),
    )
    assert not Path("build").exists()


def test_only_some_tasks(evalc: Run, good: Path) -> None:
    text = good.read_text() + "    - name: bye\n      command: echo bye\n"
    good.write_text(text)
    assert evalc("compile", good, "-t", "bye", "--out", "one").code == 0
    assert not Path("one/hello").exists()
    assert Path("one/bye/run.sh").exists()
    assert evalc("compile", good, "-t", "bye", "-t", "hello", "--out", "two").code == 0
    assert Path("two/hello/run.sh").exists()


def test_quiet_says_only_what_is_wrong(evalc: Run, good: Path, bad: Path) -> None:
    assert evalc("compile", good, "--quiet") == (0, "", "")
    result = evalc("compile", good, bad, "-q", "--out", "out")
    assert (result.code, result.out) == (1, "")
    assert " --> bad.yaml:6:3" in result.err


def test_json(evalc: Run, good: Path, bad: Path) -> None:
    result = evalc("compile", good, bad, "--json")
    assert result.code == 1
    done, failed = json.loads(result.out)
    files = {file.pop("path"): file for file in done.pop("files")}
    assert set(files) == names("build/good")
    for name, file in files.items():
        status = (Path("build/good") / name).stat()
        assert file == {"bytes": status.st_size, "mode": f"{status.st_mode & 0o777:04o}"}
    needs = done.pop("needs")
    assert needs.keys() == {"engine", "images", "secrets", "runtime_env", "tools"}
    assert (needs["engine"], needs["images"]) == ("none", [])
    assert done == {
        "config": "good.yaml",
        "name": "good",
        "out": "build/good",
        "outcome": "written",
        "run": "bash run_all.sh",
        "warnings": [],
    }
    assert [problem["code"] for problem in failed.pop("problems")] == ["unknown-key"]
    assert failed == {
        "config": "bad.yaml",
        "name": "bad",
        "outcome": "failed",
        "message": "'engin' is not a key of execution (local)",
    }


def test_json_and_quiet_exclude_each_other(evalc: Run, good: Path) -> None:
    assert evalc("compile", good, "--json", "--quiet") == (
        2,
        "",
        "error: --json and --quiet exclude each other\n",
    )


def test_out_that_is_a_file(evalc: Run, good: Path) -> None:
    Path("taken").write_text("mine")
    result = evalc("compile", good, "--out", "taken")
    assert (result.code, result.out) == (2, "")
    assert "taken" in result.err
    assert Path("taken").read_text() == "mine"


@pytest.mark.parametrize("name", ["good", "good.yaml"])
def test_a_config_by_name(evalc: Run, good: Path, name: str) -> None:
    folder = Path("configs")
    folder.mkdir()
    good.rename(folder / "good.yaml")
    result = evalc("compile", "--config-dir", folder, "--config-name", name)
    assert result.code == 0
    assert result.out.startswith("configs/good.yaml: written build/good (")


@pytest.mark.usefixtures("good")
def test_a_name_that_no_folder_has(evalc: Run) -> None:
    Path("empty").mkdir()
    found = ["--config-dir", "empty", "--config-dir", "."]
    assert evalc("compile", *found, "--config-name", "god") == (
        2,
        "",
        "error: there is no config 'god' in empty or .\nhint: did you mean 'good'?\n",
    )
    assert evalc("compile", "--config-name", "good") == (
        2,
        "",
        "error: --config-name is looked up in --config-dir, and none is given\n",
    )


def test_the_first_folder_wins(evalc: Run, good: Path) -> None:
    for name in ("one", "two"):
        Path(name).mkdir()
        (Path(name) / "good.yml").write_text(good.read_text())
    found = ["--config-dir", "two", "--config-dir", "one"]
    result = evalc("compile", *found, "--config-name", "good")
    assert result.out.startswith("two/good.yml: written")
