"""Builds the container image of the tests, without a network and without a registry.

The image is made of the machine's own files: bash, the usual commands, the Python that runs the
tests with its standard library, and every shared library these load. To that come the two
stand-ins of this folder, as ``nemo-evaluator`` and ``model-server`` in PATH.

``python image.py FILE`` writes the image as a tar file that ``docker import`` and ``podman import``
read. ``python image.py FILE VENV`` puts a virtual environment into it instead of the stand-in for
``nemo-evaluator``, at its own path, with the programs of that name in PATH.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What a compiled script, a `pre_cmd` or a test may call inside a container.
COMMANDS = """
    awk basename bash cat chmod cp cut date dd df diff dirname du echo env expr false find grep gzip
    head hostname id kill ln ls mkdir mktemp mv nproc printf ps pwd readlink rm sed seq sh sha256sum
    sleep sort stat tail tar tee test timeout touch tr true uname uniq wc xargs haproxy
""".split()  # noqa: SIM905 - a list would be a line for each
_PATH = "/usr/bin:/bin:/usr/sbin"

# Parts of the standard library that no container of the tests needs; they are half its size.
_UNUSED_FOLDERS = {
    "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "dist-packages", "test",
    "tests", "tkinter", "turtledemo",
}  # fmt: skip
_UNUSED_FILES = ("_test", "_tkinter.", "turtle.")

_HERE = Path(__file__).resolve().parent
_STAND_INS = {"nemo-evaluator": "nemo_evaluator.py", "model-server": "model_server.py"}
_STAND_IN_FOLDER = "/usr/local/lib/evalc-test"
# The programs of the containers' contract that an environment brings, and what they call.
_PROGRAMS = ("nemo-evaluator", "eval-factory", "lm-eval", "python")


def build(target: Path, environment: Path | None = None) -> None:
    """Writes the image to ``target``, whole or not at all; with a virtual environment or without."""
    python = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    # Looked up in the system's folders alone: a virtual environment may shadow a command.
    commands = [found for name in COMMANDS if (found := shutil.which(name, path=_PATH))]
    files = [Path(command) for command in commands]
    files += [python, *_standard_library()]
    brought = set(_below(environment)) if environment else set()
    executables = [*commands, str(python)]
    executables += [str(f) for f in (*files, *brought) if f.suffix == ".so"]
    # Wheels bring libraries of their own, which load each other.
    files += [f for f in _libraries(executables) if f.resolve() not in brought]

    partial = target.with_name(f"{target.name}.{os.getpid()}")
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT, dereference=True) as tar:
        for name in ("dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/local/bin", "var/tmp"):
            _directory(tar, name, 0o1777 if name.endswith("tmp") else 0o755)
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path(f"/{name}").is_symlink():
                _directory(tar, f"usr/{name}", 0o755)
                _symlink(tar, name, f"usr/{name}")
        for place, file in {_real_place(file): file for file in files}.items():
            _file(tar, place, file)
        _symlink(tar, "usr/bin/python3", str(python))
        _text(tar, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
        _text(tar, "etc/group", "root:x:0:\n")
        # PyYAML without its C part, beside the stand-ins, where they find it.
        for module in Path(yaml.__file__).parent.glob("*.py"):
            _file(tar, f"{_STAND_IN_FOLDER}/yaml/{module.name}", module)
        for file in sorted(brought):
            _put(tar, file)
        for command in _PROGRAMS if environment else ():
            _symlink(tar, f"usr/local/bin/{command}", f"{environment}/bin/{command}")
        for command, script in _STAND_INS.items():
            if environment and command in _PROGRAMS:
                continue
            _file(tar, f"{_STAND_IN_FOLDER}/{script}", _HERE / script, 0o755)
            _symlink(tar, f"usr/local/bin/{command}", f"{_STAND_IN_FOLDER}/{script}")
    partial.rename(target)


def _standard_library() -> Iterator[Path]:
    for folder, subfolders, names in os.walk(Path(os.__file__).parent):
        subfolders[:] = [
            name
            for name in subfolders
            if name not in _UNUSED_FOLDERS and not name.startswith("config-")
        ]
        # Compiled modules come along: without them each container would compile at its start.
        yield from (
            Path(folder, name)
            for name in names
            if not name.startswith(_UNUSED_FILES) and ".opt-" not in name
        )


def _below(folder: Path) -> Iterator[Path]:
    """The files and links of a virtual environment, without what was compiled and pip."""
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("__pycache__", "pip")]
        yield from (Path(top, name) for name in names)
        yield from (Path(top, name) for name in folders if Path(top, name).is_symlink())


def _put(tar: tarfile.TarFile, file: Path) -> None:
    """Stores a file or a link of an environment under its own path."""
    if file.is_symlink():
        # What leads out of the environment is its Python, which the image has under its real name.
        to = file.readlink()
        _symlink(tar, str(file).lstrip("/"), str(file.resolve() if to.is_absolute() else to))
    else:
        _file(tar, str(file), file)


def _libraries(executables: Iterable[str]) -> set[Path]:
    """The shared libraries that ``executables`` load, the dynamic loader included."""
    # ldd fails when one of the files is a script; what it says of the others still holds.
    said = subprocess.run(["ldd", *executables], capture_output=True, text=True, check=False).stdout
    words = (word for line in said.splitlines() if not line.endswith(":") for word in line.split())
    return {Path(word) for word in words if word.startswith("/")}


def _real_place(file: Path) -> str:
    """Where the image holds ``file``: at its own path, but through no symbolic link."""
    return str(file.parent.resolve() / file.name)


def _file(tar: tarfile.TarFile, name: str, source: Path, mode: int | None = None) -> None:
    try:
        info = tar.gettarinfo(source, name.lstrip("/"))
    except FileNotFoundError:  # a dangling link in the standard library
        return
    # One inode may be in the image under two names; each is stored as a file of its own.
    info.type, info.size = tarfile.REGTYPE, source.stat().st_size
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mode = mode or info.mode
    with source.open("rb") as content:
        tar.addfile(info, content)


def _text(tar: tarfile.TarFile, name: str, text: str) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(text)
    tar.addfile(info, io.BytesIO(text.encode()))


def _directory(tar: tarfile.TarFile, name: str, mode: int) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)


def _symlink(tar: tarfile.TarFile, name: str, destination: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, destination
    tar.addfile(info)


if __name__ == "__main__":
    build(Path(sys.argv[1]), *map(Path, sys.argv[2:3]))
