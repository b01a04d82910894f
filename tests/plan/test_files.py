"""Files that a config names and the bundle carries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from plan.configs import Config, place

from evalc.plan import BundledFile
from evalc.plan.problems import BadFile

if TYPE_CHECKING:
    from evalc.errors import Problem

LIMIT = 10 * 1024 * 1024


def text(*names: str) -> str:
    quoted = ", ".join('"' + "".join(f"\\U{ord(c):08x}" for c in name) + '"' for name in names)
    return f"evaluation: {{tasks: [{{name: t, container: i, command: c, files: [{quoted}]}}]}}"


def carried(config: Config, *names: str) -> list[BundledFile]:
    (step,) = config.plan(text(*names)).steps
    return list(step.files)


def paths(config: Config, *names: str) -> list[str]:
    return [file.path for file in carried(config, *names)]


def refused(config: Config, *names: str) -> str:
    problem = config.problem(text(*names))
    assert isinstance(problem, BadFile)
    assert problem.code == "bad-file"
    assert (
        problem.message == f"the file '{problem.path}' can't be put into the bundle: {problem.why}"
    )
    assert place(problem).startswith('"')
    return problem.why


def put(config: Config, path: str, data: bytes = b"x", mode: int = 0o644) -> Path:
    file = config.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    file.chmod(mode)
    return file


def test_a_file_is_carried_with_its_bytes(hosted: Config) -> None:
    put(hosted, "deep/er/data.bin", bytes(range(256)))
    assert carried(hosted, "deep/er/data.bin") == [BundledFile("data.bin", bytes(range(256)))]


@pytest.mark.parametrize(
    ("mode", "executable"),
    [(0o644, False), (0o600, False), (0o755, True), (0o700, True), (0o744, True), (0o654, False)],
)
def test_only_the_owners_executable_bit_matters(
    hosted: Config, mode: int, executable: bool
) -> None:
    put(hosted, "tool.sh", mode=mode)
    assert [file.executable for file in carried(hosted, "tool.sh")] == [executable]


def test_a_folder_is_carried_whole_and_sorted(hosted: Config) -> None:
    for name in ("z.txt", "a.txt", "sub/b.txt", "sub/deep/.hidden", "B.txt", "é.txt"):
        put(hosted, f"data/{name}", name.encode())
    for left_out in ("data/__pycache__/x.pyc", "data/sub/.git/config"):
        put(hosted, left_out)
    found = carried(hosted, "data")
    assert [file.path for file in found] == [
        *(
            "data/B.txt",
            "data/a.txt",
            "data/sub/b.txt",
            "data/sub/deep/.hidden",
            "data/z.txt",
            "data/é.txt",
        ),
    ]
    assert found[1].data == b"a.txt"


@pytest.mark.parametrize("name", ["data/", "./data", "data/.", "data/sub/..", "../{folder}/data"])
def test_a_folder_has_the_name_it_is_called_by(hosted: Config, name: str) -> None:
    put(hosted, "data/x")
    put(hosted, "data/sub/y")
    name = name.format(folder=hosted.folder.name)
    assert [Path(path).parts[-1] for path in paths(hosted, name)] == ["y", "x"]
    assert {Path(path).parts[0] for path in paths(hosted, name)} == {"data"}


def test_files_outside_of_the_configs_folder(
    hosted: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """They are carried by their name alone, so that the bundle can go anywhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.txt"
    elsewhere.write_bytes(b"far")
    assert carried(hosted, str(elsewhere)) == [BundledFile("x.txt", b"far")]
    relative = os.path.relpath(elsewhere, hosted.folder)
    assert carried(hosted, relative) == [BundledFile("x.txt", b"far")]


def test_a_file_of_a_group_is_found_beside_the_group(hosted: Config) -> None:
    put(
        hosted,
        "deployment/mine.yaml",
        b"type: generic\nimage: i\nserved_model_name: m\ncommand: [x]\nfiles: [serve.py]\n",
    )
    put(hosted, "deployment/serve.py", b"beside the group")
    put(hosted, "serve.py", b"beside the config")
    plan = hosted.plan("defaults: [{deployment: mine}, _self_]\n" + text())
    assert [file.data for file in plan.services[0].files] == [b"beside the group"]


def test_a_file_of_an_override_is_found_beside_the_config(hosted: Config) -> None:
    put(hosted, "x.txt", b"here")
    (step,) = hosted.plan(text(), "evaluation.tasks.0.files=[x.txt]").steps
    assert [file.data for file in step.files] == [b"here"]


def test_links_to_files_are_followed(hosted: Config) -> None:
    put(hosted, "real.txt", b"real", 0o755)
    (hosted.folder / "data").mkdir()
    (hosted.folder / "data/link").symlink_to("../real.txt")
    (hosted.folder / "top").symlink_to("real.txt")
    (hosted.folder / "folder").symlink_to("data")
    assert carried(hosted, "top") == [BundledFile("top", b"real", executable=True)]
    assert carried(hosted, "data") == [BundledFile("data/link", b"real", executable=True)]
    assert carried(hosted, "folder") == [BundledFile("folder/link", b"real", executable=True)]


def test_a_link_to_a_folder_inside_of_a_folder_is_not_left_out_in_silence(hosted: Config) -> None:
    put(hosted, "data/x")
    (hosted.folder / "data/again").symlink_to(".")
    assert refused(hosted, "data") == "'again' in it is a link to a folder; name that folder itself"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "No such file or directory"),
        ("missing/deep", "No such file or directory"),
        ("dangling", "No such file or directory"),
        ("file/below", "Not a directory"),
        ("loop", "Too many levels of symbolic links"),
        ("pipe", "it is not a regular file"),
        ("/dev/null", "it is not a regular file"),
        ("empty", "there is no file in it"),
        ("hollow", "there is no file in it"),
        ("a\nb", "its name holds a control character"),
        ("a\0b", "its name holds a control character"),
        ("\x1b[31m", "its name holds a control character"),
        ("folder", "its name holds a control character"),
        ("odd", "its name is not UTF-8"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_no_bundle_can_carry(hosted: Config, name: str, why: str) -> None:
    put(hosted, "file")
    put(hosted, "a\nb")
    put(hosted, "\x1b[31m")
    put(hosted, "folder/a\rb")
    put(hosted, "odd/\udcff")
    (hosted.folder / "dangling").symlink_to("nowhere")
    (hosted.folder / "loop").symlink_to("loop")
    (hosted.folder / "empty").mkdir()
    (hosted.folder / "hollow/deep").mkdir(parents=True)
    os.mkfifo(hosted.folder / "pipe")
    assert refused(hosted, name) == why


def test_two_files_of_one_name(hosted: Config) -> None:
    put(hosted, "a/x.txt")
    put(hosted, "b/x.txt")
    problem: Problem = hosted.problem(text("a/x.txt", "b/x.txt"))
    assert problem.message.endswith("'x.txt' is already there")
    assert paths(hosted, "a", "b") == ["a/x.txt", "b/x.txt"]


def test_one_file_that_is_too_large(hosted: Config) -> None:
    put(hosted, "exactly", b"x" * LIMIT)
    assert paths(hosted, "exactly") == ["exactly"]
    with put(hosted, "huge").open("r+b") as file:
        file.truncate(1 << 40)
    assert refused(hosted, "huge") == "it is larger than 10 MiB; mount it instead"


def test_files_that_are_too_large_together(hosted: Config) -> None:
    for n in range(3):
        put(hosted, f"data/{n}", b"x" * (LIMIT // 2))
    assert refused(hosted, "data") == "together they are larger than 10 MiB; mount them instead"
    assert len(paths(hosted, "data/0", "data/1")) == 2


def test_a_whole_disk_is_not_read_before_it_is_refused(
    hosted: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(200):
        put(hosted, f"data/{n:03}", b"x" * 100_000)
    read: list[str] = []
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert refused(hosted, "data").startswith("together they are larger")
    assert len(read) < 110


def test_what_this_user_may_not_read(tmp_path: Path) -> None:
    """Root may read everything, so another user tries; folders that can't be listed are no less wrong."""
    (tmp_path / "data/closed").mkdir(parents=True)
    (tmp_path / "data/closed/x").touch()
    (tmp_path / "data/closed").chmod(0)
    (tmp_path / "secret").touch()
    (tmp_path / "secret").chmod(0)
    tmp_path.chmod(0o755)
    # That user may read neither evalc nor what is above tmp_path: the names are relative, and all
    # else is done before and after.
    program = (
        "import os\n"
        "from evalc.errors import Source\n"
        "from evalc.plan.files import bundled_files\n"
        "from evalc.source import parse\n"
        "names, problems, root = parse(Source('c', '[data, secret]')), [], os.geteuid() == 0\n"
        "if root: os.seteuid(65534)\n"
        "bundled_files(names, '.', problems)\n"
        "if root: os.seteuid(0)\n"
        "for problem in problems: print(problem.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "the file 'data' can't be put into the bundle: Permission denied",
        "the file 'secret' can't be put into the bundle: Permission denied",
    ]
    (tmp_path / "data/closed").chmod(0o755)
