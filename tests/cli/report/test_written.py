"""What ``evalc compile`` says."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalc.backends.base import Needs
from evalc.cli.report.written import FOLDERS, TREE_LINES, Written, amount, as_text


def result(
    *files: tuple[str, int],
    needs: Needs | None = None,
    out: str = "build/a",
    outcome: str = "written",
) -> Written:
    return Written(
        config="a.yaml",
        name="a",
        out=Path(out),
        outcome=outcome,
        files=tuple((path, size, 0o644) for path, size in sorted(files)),
        needs=needs or Needs(),
        run="bash run_all.sh",
        gpu_hours={},
        warnings=(),
    )


def test_a_small_bundle_is_shown_as_a_tree_folders_last() -> None:
    shown = as_text(
        result(
            ("b/logs/x", 1),
            ("b/run.sh", 2345),
            ("a.b/run.sh", 20_000),
            ("a/run.sh", 999_499),
            ("run_all.sh", 999),
            ("manifest.json", 1_500_000),
            needs=Needs(
                images=("one:1", "two:2"),
                secrets=("HF_TOKEN", "KEY"),
                runtime_env=("HOME",),
                tools=("bash", "curl"),
                engine="docker",
            ),
        ),
        tree=True,
    )
    assert shown == (
        "a.yaml: written build/a (6 files, 2.5 MB)\n"
        "\n"
        "  manifest.json  1.5 MB\n"
        "  run_all.sh     999 B\n"
        "  a/\n"
        "    run.sh       999 kB\n"
        "  a.b/\n"
        "    run.sh       20 kB\n"
        "  b/\n"
        "    run.sh       2.3 kB\n"
        "    logs/\n"
        "      x          1 B\n"
        "\n"
        "  engine     docker\n"
        "  images     one:1\n"
        "             two:2\n"
        "  secrets    HF_TOKEN, KEY\n"
        "  variables  HOME\n"
        "  tools      bash, curl\n"
        "  run        cd build/a && bash run_all.sh"
    )


def test_a_large_bundle_is_shown_by_its_folders() -> None:
    files = [(f"task{n:04}/{name}", 600) for n in range(1000) for name in ("run.sh", "x.yml")]
    shown = as_text(result(("run_all.sh", 10), *files), tree=True).splitlines()
    assert shown[0] == "a.yaml: written build/a (2,001 files, 1.2 MB)"
    assert shown[2:5] == [
        "  run_all.sh  10 B",
        "  task0000/   2 files, 1.2 kB",
        "  task0001/   2 files, 1.2 kB",
    ]
    assert shown[2 + FOLDERS + 1] == "  ... and 990 more folders"
    assert len(shown) < TREE_LINES


def test_one_folder_too_many() -> None:
    files = [(f"{n:02}/{name}", 1) for n in range(FOLDERS + 1) for name in "abcd"]
    assert "  ... and 1 more folder" in as_text(result(*files), tree=True).splitlines()


def test_several_configs_are_shown_without_trees() -> None:
    shown = as_text(result(("x", 1), needs=Needs(engine="none")), tree=False)
    assert shown == (
        "a.yaml: written build/a (1 file, 1 B)\n"
        "  engine  none\n"
        "  run     cd build/a && bash run_all.sh"
    )


def test_an_unchanged_bundle_needs_no_tree() -> None:
    shown = as_text(result(("x", 1), outcome="unchanged"), tree=True)
    assert shown == (
        "a.yaml: unchanged build/a (1 file, 1 B)\n\n  run  cd build/a && bash run_all.sh"
    )


def test_a_folder_is_quoted_for_the_shell() -> None:
    assert "run  cd 'a b'\"'\"'c' && bash" in as_text(result(out="a b'c"), tree=False)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (123_456_789, "123 MB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert amount(size) == text
