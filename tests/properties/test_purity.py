"""The same config and version give the same bytes: whoever compiles, wherever, whenever.

Each test compiles all configs in a process of its own that differs in something that must not
matter, and compares every file and mode with what this process makes.
"""

from __future__ import annotations

import base64
import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from properties.fields import EVERY as CONFIGS
from properties.fields import ROOT

from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does

Made = dict[str, dict[str, tuple[int, bytes]]]

# Compiles the files in its arguments and prints all of every bundle, and where evalc was found.
# With a first argument of "watched" it ends when compiling asks for anything beyond reading.
PROGRAM = """
import base64, json, os, sys
from pathlib import Path
sys.dont_write_bytecode = True

def watch(event, args):
    said = " ".join(map(str, args))
    writes = event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    writes = writes and not isinstance(args[0], int)  # a pipe to bash
    changes = event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.utime")
    starts = event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.system")
    if event == "subprocess.Popen" and os.path.basename(args[0]) == "bash" and "-n" in args[1]:
        return  # reads a command of the user's, and runs nothing
    if writes or changes or starts or event.startswith(("socket.", "urllib.")):
        print(f"forbidden: {event} {said}", file=sys.stderr, flush=True)
        os._exit(9)

import evalc
from evalc.compiler import Request, compile  # noqa: A004 - it is what a compiler does
if sys.argv[1] == "watched":
    sys.addaudithook(watch)
made = {}
for name in sys.argv[2:]:
    files = compile(Request(Path(name))).bundle.files
    made[Path(name).stem] = {
        path: [file.mode, base64.b64encode(file.data).decode()] for path, file in files.items()
    }
print(json.dumps({"evalc": evalc.__file__, "made": made}))
"""


@lru_cache
def here() -> Made:
    """What this process makes of the configs."""
    bundles = {name: compile(Request(path)).bundle for name, path in CONFIGS.items()}
    return {
        name: {path: (file.mode, file.data) for path, file in bundle.files.items()}
        for name, bundle in bundles.items()
    }


def elsewhere(
    *before: str,
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
    configs: list[str] | None = None,
    mode: str = "free",
    umask: int = 0o022,
    found_in: Path = ROOT,
) -> Made:
    """What another process makes of them. ``before`` are words before its command."""
    done = subprocess.run(
        [*before, sys.executable, "-c", PROGRAM, mode, *(configs or map(str, CONFIGS.values()))],
        cwd=cwd,
        env={"PATH": os.environ["PATH"]} if env is None else env,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert Path(said["evalc"]).is_relative_to(found_in)
    return {
        name: {path: (mode, base64.b64decode(data)) for path, (mode, data) in files.items()}
        for name, files in said["made"].items()
    }


def test_twice_in_one_process() -> None:
    first = here()
    here.cache_clear()
    assert here() == first
    assert len(first) == len(CONFIGS) > 6


def test_another_user_place_time_zone_and_language(tmp_path: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "USER": "somebody",
        "LOGNAME": "somebody",
        "HOSTNAME": "another-host",
        "TZ": "Asia/Tokyo",
        "LANG": "tr_TR.UTF-8",
        "LC_ALL": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "1",
        "COLUMNS": "20",
        "TERM": "dumb",
        "TMPDIR": str(tmp_path),
    }
    assert elsewhere(cwd=tmp_path, env=env, umask=0o077) == here()


def test_an_empty_environment_and_plain_ascii(tmp_path: Path) -> None:
    for seed in ("0", "7", "4294967295"):
        env = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": seed, "LC_ALL": "POSIX"}
        env |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
        assert elsewhere(cwd=tmp_path, env=env, umask=0) == here()


def test_no_environment_at_all() -> None:
    assert elsewhere("env", "-i", f"PATH={os.environ['PATH']}") == here()


def test_without_assertions() -> None:
    assert elsewhere(env={"PATH": os.environ["PATH"], "PYTHONOPTIMIZE": "2"}) == here()


def test_from_another_checkout(tmp_path: Path) -> None:
    copy = tmp_path / "a copy with spaces"
    for folder in ("compiler", "templates", "schemas", "examples"):
        leave = shutil.ignore_patterns("__pycache__", "*.egg-info", "invalid")
        shutil.copytree(ROOT / folder, copy / folder, ignore=leave)
    configs = []
    for path in CONFIGS.values():
        if path.is_relative_to(ROOT / "examples"):
            configs.append(str(copy / path.relative_to(ROOT)))
        else:
            configs.append(shutil.copy(str(path), str(copy / path.name)))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(copy / "compiler")}
    assert elsewhere(cwd=tmp_path, env=env, configs=configs, found_in=copy) == here()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_way_that_a_config_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Absolute, relative, from elsewhere, through a link to its folder."""
    path = CONFIGS[name]
    (tmp_path / "link").symlink_to(path.parent)
    monkeypatch.chdir(path.parent)
    relative = os.path.relpath(path, tmp_path)
    ways = [Path(path.name), Path("..", path.parent.name, path.name), tmp_path / "link" / path.name]
    found = [compile(Request(way)).bundle.files for way in ways]
    monkeypatch.chdir(tmp_path)
    found.append(compile(Request(Path(relative))).bundle.files)
    assert all(files == found[0] for files in found)
    assert {path: (file.mode, file.data) for path, file in found[0].items()} == here()[name]


# What compiling may touch


def test_no_network_is_used() -> None:
    """In a network of its own that has nothing in it, where the system can make one."""
    alone = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False)
    before = ["unshare", "-n"] if alone.returncode == 0 else []
    assert elsewhere(*before, mode="watched") == here()


def test_nothing_is_written_or_started(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    assert elsewhere(cwd=closed, mode="watched") == here()
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize(
    "deed",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "open('x', 'w')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.mkdir('x')",
    ],
)
def test_the_watch_sees_it(tmp_path: Path, deed: str) -> None:
    program = PROGRAM.replace("made = {}", f"made = {{}}\n{deed}")
    done = subprocess.run(
        [sys.executable, "-c", program, "watched"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 9
    assert b"forbidden" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_never_read() -> None:
    """Every variable that a config names holds a mark, and no file has it."""
    texts = b"".join(data for files in here().values() for _, data in files.values())
    names = {name.decode() for name in re.findall(rb"\b[A-Z][A-Z0-9_]{3,}\b", texts)} - {"PATH"}
    assert {"HF_TOKEN", "NIM_CACHE", "EVAL_RESULTS", "RUN_TIME_VALUE"} <= names
    names |= {"HOME", "USER", "LOGNAME", "HOSTNAME", "LANG", "PWD", "TMPDIR", "EDITOR"}
    python = {name for name in names if name.startswith("PYTHON")}
    env = {name: f"MARKED-{name}" for name in names - python}
    made = elsewhere(env={**env, "PATH": os.environ["PATH"]})
    assert made == here()
    assert b"MARKED-" not in b"".join(data for files in made.values() for _, data in files.values())


def test_nothing_of_this_machine_or_moment_is_in_a_file() -> None:
    words = {str(ROOT), sys.prefix, socket.gethostname(), f"/home/{getpass.getuser()}", "/root/"}
    # What vLLM's example mounts is a path in the container.
    theirs = "/root/.cache/huggingface"
    moment = re.compile(
        r"\b20\d\d-[01]\d-[0-3]\d\b|\b\d\d:\d\d:\d\d\b|\b1[6-9]\d{8}\b|0x7f[0-9a-f]{6}"
    )
    for name, files in here().items():
        for path, (_, data) in files.items():
            text = re.sub(r"(walltime\"?: \"?|--time=)[0-9:-]+", "", data.decode())
            text = text.replace(theirs, "")
            assert [word for word in words if len(word) > 5 and word in text] == [], (name, path)
            assert moment.findall(text) == [], (name, path)
            assert "\r" not in text
