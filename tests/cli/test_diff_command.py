"""``evalc diff``."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle.bundles import tree

from evalc import __version__

Run = Callable[..., Any]

MORE = "    - name: bye\n      command: echo bye\n"
BRIEF = """\
good.yaml → more.yaml
  name good → more
  task bye added
  10 files differ: """


@pytest.fixture
def more(good: Path) -> Path:
    """``good`` with a task more."""
    Path("more.yaml").write_text(good.read_text() + MORE)
    return Path("more.yaml")


def test_two_configs(evalc: Run, good: Path, more: Path) -> None:
    result = evalc("diff", good, more, "--brief")
    assert (result.code, result.err) == (1, "")
    assert result.out.startswith(BRIEF)
    assert not Path("build").exists()


def test_nothing_differs(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    for style in ("text", "github"):
        for other in (good, "build/good"):
            assert evalc("diff", good, other, "--format", style) == (0, "", "")
    assert "Nothing differs." in evalc("diff", good, good, "--format", "markdown").out


def test_a_bundle_and_a_config_and_the_options(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    result = evalc("diff", "build/good", good, "-o", "execution.output_dir=there", "--brief")
    assert result.code == 1
    assert "\n  output folder results → there\n" in result.out


def test_the_text_is_a_patch_from_the_one_bundle_to_the_other(
    evalc: Run, good: Path, more: Path
) -> None:
    evalc("compile", good, more)
    result = evalc("diff", "build/good", more)
    subprocess.run(["git", "apply", "-"], cwd="build/good", input=result.out.encode(), check=True)
    assert tree(Path("build/good")) == tree(Path("build/more"))
    assert evalc("diff", "build/good", more) == (0, "", "")


def test_what_runs_left_is_no_part_of_a_bundle(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    subprocess.run(["bash", "build/good/run_all.sh"], check=True, capture_output=True)
    assert Path("build/good/hello/logs").is_dir()
    assert evalc("diff", "build/good", good) == (0, "", "")


def test_what_was_edited_is_said(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    Path("build/good/hello/command.sh").write_text("echo mine\n")
    Path("build/good/README.md").unlink()
    result = evalc("diff", "build/good", good)
    assert result.code == 1
    assert (
        "\n  build/good was edited since it was compiled: README.md, hello/command.sh\n"
        "  the two mean the same; only their texts differ\n"
    ) in result.out
    assert "\n-echo mine\n" in result.out


def test_another_compiler_is_said_first(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    manifest = Path("build/good/manifest.json")
    manifest.write_text(manifest.read_text().replace(f'"{__version__}"', '"0.0.1"'))
    result = evalc("diff", "build/good", good, "-o", "execution.output_dir=there")
    assert result.out.splitlines()[1] == (
        f"  compiled by evalc 0.0.1 → evalc {__version__}; "
        "what differs below may be the compiler's doing"
    )


@pytest.mark.parametrize("sides", [("good.yaml", "bad.yaml"), ("bad.yaml", "good.yaml")])
def test_a_wrong_config_is_trouble_and_no_difference(
    evalc: Run, good: Path, bad: Path, sides: tuple[str, str]
) -> None:
    assert (str(good), str(bad)) == ("good.yaml", "bad.yaml")
    result = evalc("diff", *sides)
    assert (result.code, result.out) == (2, "")
    assert " --> bad.yaml:6:3\n" in result.err


def test_what_is_no_bundle(evalc: Run, good: Path) -> None:
    Path("empty").mkdir()
    assert evalc("diff", "missing", good) == (2, "", "error: there is no file missing\n")
    assert evalc("diff", "empty", good) == (
        2,
        "",
        "error: empty holds no bundle\nhint: 'evalc compile CONFIG' makes one\n",
    )


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("plan.json", "{", "it is no JSON of evalc's"),
        ("plan.json", "[]", "it is no JSON of evalc's"),
        ("plan.json", "{}", "'name' is missing"),
        ("plan.json", '{"name": "x", "jobs": 3}', "it is no JSON of evalc's"),
        (
            "manifest.json",
            '{"schema_version": 1, "files": {"../x": {}}}',
            "it is no JSON of evalc's",
        ),
        ("manifest.json", "[" * 100_000, "it is no JSON of evalc's"),
    ],
)
def test_a_damaged_bundle(evalc: Run, good: Path, name: str, text: str, why: str) -> None:
    evalc("compile", good)
    (Path("build/good") / name).write_text(text)
    assert evalc("diff", good, "build/good") == (
        2,
        "",
        f"error: build/good is damaged ({why})\nhint: compile it anew; 'evalc compile --force'\n",
    )


def test_a_bundle_without_a_plan(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    Path("build/good/plan.json").unlink()
    result = evalc("diff", good, "build/good")
    assert result.code == 2
    assert result.err.startswith(
        "error: build/good is damaged (plan.json: No such file or directory)\n"
    )


def test_a_bundle_of_a_later_evalc(evalc: Run, good: Path) -> None:
    evalc("compile", good)
    path = Path("build/good/manifest.json")
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    result = evalc("diff", good, "build/good")
    assert result.code == 2
    assert "whose bundles this evalc does not know" in result.err


def test_json(evalc: Run, good: Path, more: Path) -> None:
    result = evalc("diff", good, more, "--format", "json")
    assert (result.code, result.err) == (1, "")
    found = json.loads(result.out)
    assert found["old"] == {"label": "good.yaml", "compiler": f"evalc {__version__}", "edited": []}
    assert found["changes"] == [
        {"of": "bundle", "what": "name", "kind": "changed", "before": "good", "after": "more",
         "names": [], "total": 0, "text": "name good → more"},
        {"of": "task", "what": "task", "kind": "added", "after": "bye", "names": [], "total": 0,
         "text": "task bye added"},
    ]  # fmt: skip
    files = {file.pop("path"): file for file in found["files"]}
    patch = files["bye/command.sh"].pop("patch")
    assert patch.startswith("diff --git a/bye/command.sh b/bye/command.sh\nnew file mode 100755\n")
    assert files["bye/command.sh"] == {"kind": "added", "added": 2, "removed": 0}
    brief = json.loads(evalc("diff", good, more, "--format", "json", "--brief").out)
    assert all("patch" not in file for file in brief["files"])
    assert json.loads(evalc("diff", good, good, "--format", "json").out)["changes"] == []


def test_github(evalc: Run, good: Path, more: Path) -> None:
    more.write_text(more.read_text().replace("echo bye", "'::error::echo %0A'"))
    result = evalc("diff", good, more, "--format", "github")
    first, group, stop, *rest = result.out.splitlines()
    assert first.startswith(
        "::notice title=evalc diff%3A good.yaml → more.yaml::name good → more%0Atask bye added%0A"
    )
    assert group == "::group::good.yaml → more.yaml"
    token = stop.removeprefix("::stop-commands::")
    assert rest[-2:] == [f"::{token}::", "::endgroup::"]
    # Commands in a file stand where the runner takes none.
    assert "+::error::echo %0A" in rest[:-2]
    assert evalc("diff", good, more, "--format", "github", "--brief").out == f"{first}\n"


HOSTILE = "`@all` ``x`` </details> [a](b) \\n"


def test_markdown(evalc: Run, good: Path, more: Path) -> None:
    more.write_text(more.read_text().replace("model_id: tiny", f"model_id: '{HOSTILE}'"))
    out = evalc("diff", good, more, "--format", "markdown").out
    assert out.startswith(
        "<!-- evalc diff -->\n### `good.yaml` → `more.yaml`\n\n"
        "- name `good` → `more`\n- task `bye` added\n"
    )
    assert f"- model `tiny` → ``` {HOSTILE} ``` of task `hello`\n" in out
    head, _, rest = out.partition("\n\n<details><summary>")
    assert rest.endswith("\n```\n\n</details>\n")
    assert "11 files differ" in rest.splitlines()[0]
    assert evalc("diff", good, more, "--format", "markdown", "--brief").out.startswith(head)


def test_a_comment_fits_into_a_pull_request_and_no_fence_is_left_early(
    evalc: Run, good: Path
) -> None:
    shutil.copy(good, "long.yaml")
    Path("x.md").write_text("```\n" * 50_000)
    text = Path("long.yaml").read_text().replace("echo hello", "echo hello\n      files: [x.md]")
    Path("long.yaml").write_text(text)
    out = evalc("diff", good, "long.yaml", "--format", "markdown").out
    assert len(out) < 65_536
    fences = [line for line in out.splitlines() if line.startswith("````")]
    assert fences == ["````diff", "````"]
    assert " more lines\n````\n" in out


def test_a_stream_that_knows_ascii_alone(process: Run, good: Path, more: Path) -> None:
    result = process("diff", good, more, "--brief", PYTHONIOENCODING="ascii")
    assert result.out.startswith(BRIEF.replace("→", "->"))
