"""Several bundles as one file, for a machine without a network.

The same bundles give the same bytes, on any machine: the archive (POSIX ustar with GNU's long
names) tells no time and no user, and gzip's stored blocks (RFC 1951, 3.2.4) are used, since how
well zlib compresses differs between its versions.
"""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import struct
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from evalc import __version__
from evalc.bundle.model import FILE_MODE, PROGRAM_MODE, File
from evalc.emit.environment import markdown_environment
from evalc.errors import EvalcError, UsageError
from evalc.resources import template_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalc.bundle.read import StoredBundle

# What lies beside the bundles in a pack, and what leads out of it: no names of bundles.
_TAKEN = ("README.md", "SHA256SUMS", "PROGRAMS", "status.sh", "verify.sh", "", ".", "..")
# 1980-01-01: old versions of tar warn of files from 1970.
_TIME = 315_532_800
# Of a stored block, in bytes.
_BLOCK = 0xFFFF


class EditedForPack(EvalcError):
    """A bundle that is to be packed is not as it was compiled."""

    exit_code = 1

    def __init__(self, path: Path, files: Sequence[str]) -> None:
        self.path = path
        self.files = tuple(files)
        self.hint = "--allow-edited packs it all the same; 'evalc compile --force' restores it"
        super().__init__(f"{path} was edited since it was compiled: {', '.join(files[:3])}")


class PackExists(EvalcError):
    """Another file is there already."""

    exit_code = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hint = "--force replaces it"
        super().__init__(f"{path} is there already, and holds something else")


@dataclass(frozen=True, slots=True)
class Pack:
    """An archive: its bytes, and how many files are in it."""

    data: bytes
    files: int

    @property
    def sha256(self) -> str:
        """The digest of its bytes, in hex digits."""
        return hashlib.sha256(self.data).hexdigest()


def pack(bundles: Sequence[StoredBundle], name: str, *, allow_edited: bool) -> Pack:
    """The archive of bundles; all of it is in the folder ``name``, each bundle in one of its own.

    Raises :class:`EditedForPack`, and :class:`~evalc.errors.UsageError` for two bundles of one
    name, or one whose name is taken.
    """
    files: dict[str, File] = {}
    bundles = sorted(bundles, key=lambda bundle: bundle.name)
    for bundle in bundles:
        if bundle.edited and not allow_edited:
            raise EditedForPack(bundle.path, bundle.edited)
        if bundle.name in _TAKEN or "/" in bundle.name:
            raise UsageError(f"{bundle.name!r} can't name a folder of the archive")
        if any(path.startswith(f"{bundle.name}/") for path in files):
            raise UsageError(f"two bundles are called '{bundle.name}'", "pack them apart")
        files |= {f"{bundle.name}/{path}": file for path, file in _files(bundle)}
    files["README.md"] = File(_readme(bundles, name).encode())
    for script in ("status.sh", "verify.sh"):
        files[script] = File((template_dir() / "pack" / script).read_bytes(), PROGRAM_MODE)
    programs = sorted(path for path, file in files.items() if file.mode == PROGRAM_MODE)
    files["PROGRAMS"] = File("".join(f"{path}\n" for path in programs).encode())
    sums = (f"{hashlib.sha256(file.data).hexdigest()}  {path}\n" for path, file in _sorted(files))
    files["SHA256SUMS"] = File("".join(sums).encode())
    return Pack(_gzip(_tar({f"{name}/{path}": file for path, file in files.items()})), len(files))


def _files(bundle: StoredBundle) -> Iterator[tuple[str, File]]:
    for path, mode in bundle.files.items():
        try:
            yield path, File((bundle.path / path).read_bytes(), mode)
        except OSError as error:
            raise UsageError(f"can't read {bundle.path / path}: {error.strerror}") from None


def _readme(bundles: Sequence[StoredBundle], name: str) -> str:
    def united(what: str) -> list[str]:
        return sorted({value for bundle in bundles for value in getattr(bundle.needs, what)})

    return (
        markdown_environment()
        .get_template("pack/README.md.j2")
        .render(
            name=name,
            version=__version__,
            bundles=[
                (bundle, f"cd {shlex.quote(bundle.name)} && {bundle.run_hint}")
                for bundle in bundles
            ],
            tools=united("tools"),
            images=united("images"),
            secrets=united("secrets"),
            variables=united("runtime_env"),
        )
    )


def _sorted(files: Mapping[str, File]) -> list[tuple[str, File]]:
    return sorted(files.items(), key=lambda item: item[0].encode())


def _tar(files: Mapping[str, File]) -> bytes:
    packed = io.BytesIO()
    made = set()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, file in _sorted(files):
            for parent in reversed(PurePosixPath(path).parents[:-1]):
                if parent not in made:
                    made.add(parent)
                    archive.addfile(_entry(str(parent), PROGRAM_MODE, tarfile.DIRTYPE))
            entry = _entry(path, file.mode if file.mode == PROGRAM_MODE else FILE_MODE)
            entry.size = len(file.data)
            archive.addfile(entry, io.BytesIO(file.data))
    return packed.getvalue()


def _entry(path: str, mode: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.mode, entry.type, entry.mtime = mode, kind, _TIME
    return entry


def _gzip(data: bytes) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc1952, with the time 0 and an unknown system."""
    parts = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        last = start + _BLOCK >= len(data)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ _BLOCK), block]
    parts.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)


def write_pack(made: Pack, path: Path, *, force: bool) -> str:
    """Write an archive, whole or not at all; ``written``, ``replaced`` or ``unchanged``.

    Raises :class:`PackExists`, and :class:`~evalc.errors.UsageError` when it can't be written.
    """
    try:
        before = path.read_bytes() if path.exists() else None
        if before == made.data:
            return "unchanged"
        if before is not None and not force:
            raise PackExists(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(made.data)
            Path(partial).chmod(FILE_MODE)
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink()
            raise
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror or error}") from None
    return "written" if before is None else "replaced"
