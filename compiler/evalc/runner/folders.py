"""Bundles on their way to a host, and results on their way back.

A host needs bash, GNU tar and gzip, and GNU find for results; nothing of evalc's. busybox would do
for the way there, but not for the way back: its find prints no times, its tar reads no names that
end with NUL.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, ClassVar, cast

from evalc.bundle.model import FILE_MODE, MANIFEST, PROGRAM_MODE
from evalc.errors import EvalcError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalc.backends.running import Host, Ran
    from evalc.runner.transport import StreamingHost

# What people want back of a run, as paths in its folder: '**' is anything, '*' is within a name.
RESULTS = ("*/artifacts/**",)
# What tells what the run is and how its tasks ended; a few kilobytes.
ABOUT = (
    "manifest.json",
    "plan.json",
    "config.yaml",
    "logs/journal",
    "*/logs/journal",
    "*/logs/stage.*",
    "*/logs/digest",
    "*/logs/image_digest",
    "logs/gpus",
    "*/logs/gpus",
    "*/logs/run_config.yml",
)
# Of the results, those that are read for scores.
SCORES = (
    "*/artifacts/results.yml",
    "*/artifacts/**results*.json",
    "*/artifacts/**samples*.jsonl",
)
LOGS = ("*/logs/**", "logs/**", "*/slurm-*.log", "slurm-*.log", "export-*.log")
_PRIVATE = 0o600
# In a folder that is fetched into: what has not come whole.
_PARTIAL = ".evalc-fetch.part"

# $1 becomes an absolute path, without its last slashes. Paths may hold anything, line breaks at
# their ends too, which $(…) would lose. Messages are in English: they are read below.
_FOLDER = """\
export LC_ALL=C
folder=$1
case $folder in '~') folder=$HOME ;; '~/'*) folder=$HOME/${folder#'~/'} ;; esac
[[ $folder == /* ]] || folder=$PWD/$folder
while [[ $folder == ?*/ ]]; do folder=${folder%/}; done
"""
# $2 is the SHA-256 of the bundle's manifest. All that is sent is unpacked with umask 077, so that
# what is private is so from its first byte on; the modes that the stream says are set afterwards.
_UPLOAD = f"""\
{_FOLDER}
if [[ -e $folder || -L $folder ]]; then
  there=$(sha256sum <"$folder/{MANIFEST}") || exit 74
  [[ ${{there%% *}} == "$2" ]] || exit 74
  printf 'there %s' "$folder"
  exit
fi
for tool in tar gzip; do
  command -v "$tool" >/dev/null || {{ echo "$tool" >&2; exit 72; }}
done
mkdir -p -- "${{folder%/*}}/" || exit 73
# What a host that went down in the middle has left; it may hold secrets.
for part in "$folder".part-??????; do
  [[ ! -d $part || -z $(find "$part" -prune -mmin +60) ]] || rm -rf -- "$part"
done
part=$(mktemp -d -- "$folder.part-XXXXXX") || exit 73
trap 'rm -rf -- "$part"' EXIT
trap 'exit 75' HUP INT PIPE TERM
(umask 077 && cd -- "$part" && tar -xzpomf -) || exit 75
chmod 755 -- "$part" || exit 75
# A folder that somebody else has made meanwhile is not replaced, unless it is empty.
mv -T -- "$part" "$folder" || exit 76
trap - EXIT
printf 'sent %s' "$folder"
"""
# Each file takes its place in one step: a job may be reading the old one.
_SEND = f"""\
{_FOLDER}
[[ -d $folder ]] || exit 71
for tool in tar gzip; do
  command -v "$tool" >/dev/null || {{ echo "$tool" >&2; exit 72; }}
done
umask 077
part=$(mktemp -d -- "$folder/.secrets.part-XXXXXX") || exit 73
trap 'rm -rf -- "$part"' EXIT
trap 'exit 75' HUP INT PIPE TERM
(cd -- "$part" && tar -xzpomf -) || exit 75
shift
for name in "$@"; do
  mv -fT -- "$part/$name" "$folder/$name" || exit 75
done
"""
_LIST = f"""\
{_FOLDER}
[[ -d $folder ]] || exit 71
cd -- "$folder" || exit 77
find --version 2>&1 | grep -q GNU || {{ echo 'GNU find' >&2; exit 72; }}
find . -name '.secrets.*' -prune -o '(' -type f -o -type l ')' -printf '%y %s %T@ %P\\0%l\\0'
"""
# With the exit code of tar, which is 1 when a file changed while it was read.
_PACK = f"""\
{_FOLDER}
cd -- "$folder" || exit 71
tar --version 2>&1 | grep -q GNU || {{ echo 'GNU tar' >&2; exit 72; }}
tar --create --format=gnu --hard-dereference --no-recursion --null --files-from=- | gzip -1
exit "${{PIPESTATUS[0]}}"
"""


class FolderProblem(EvalcError):
    """Something is wrong with a folder on a host; ``why`` is what was said there."""

    exit_code = 1
    says: ClassVar[str] = "can't be used"

    def __init__(self, host: str, folder: str, why: str) -> None:
        self.host = host
        self.folder = folder
        self.why = why
        super().__init__(f"{folder} on {host} {self.says}" + (f": {why}" if why else ""))


class NoSpace(FolderProblem):
    """A disk is full, or a quota used up."""

    says = "can't be written, there is no space left"


class NotWritable(FolderProblem):
    """The folder can't be made or written by this user."""

    says = "can't be written"
    hint = "set execution.output_dir to a folder of yours"


class FolderTaken(FolderProblem):
    """Something else is there than what was to be sent."""

    says = "holds something else already"


class NoFolder(FolderProblem):
    """The folder is not there."""

    says = "is not there"


class ToolMissing(FolderProblem):
    """A program that is needed is not there; ``why`` is its name."""

    says = "can't be reached without a program that is missing there"


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Where a bundle is: an absolute path. ``fresh`` when it was not there before."""

    folder: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """What fetching brought: paths in the folder, sorted, and how many bytes they have.

    ``unchanged`` counts files that were here already. ``refused`` are links that lead out of the
    folder, and files whose place here is behind a link. ``missing`` are files that went away
    meanwhile or can't be read there; ``said`` is what find and tar said of such.
    """

    files: tuple[str, ...]
    size: int
    unchanged: int
    refused: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    said: str = ""

    def with_part(self, part: Fetched, into: str) -> Fetched:
        """Both, as one: what came into the folder ``into`` of this one's target, too."""

        def named(paths: Sequence[str]) -> Iterator[str]:
            return (f"{into}/{path}" for path in paths)

        return Fetched(
            files=tuple(sorted({*self.files, *named(part.files)})),
            size=self.size + part.size,
            unchanged=self.unchanged + part.unchanged,
            refused=(*self.refused, *named(part.refused)),
            missing=(*self.missing, *named(part.missing)),
            said=self.said + part.said,
        )


def upload(host: Host, bundle_dir: Path, folder: str, private: Mapping[str, bytes]) -> Uploaded:
    """Brings the bundle in ``bundle_dir`` to a new ``folder`` on the host, all of it or nothing.

    ``private`` are more files, by their paths in it, which nobody else can read at any time.
    ``~`` before the first slash is the home there, and a relative path begins at it, too. When the
    same bundle is there already, nothing is done, with ``private`` neither. One round trip.

    Raises :class:`FolderProblem`, and :class:`~evalc.errors.UsageError` for a bundle that can't be
    read; :class:`~evalc.backends.running.Unreachable` as the host does, after which it can be
    called again.
    """
    stream, digest = _packed(bundle_dir, private)
    ran = host.bash(_UPLOAD, folder, digest, stdin=stream)
    _check(host, folder, ran)
    outcome, _, where = ran.out.partition(" ")
    return Uploaded(where, outcome == "sent")


def send_private(host: Host, folder: str, private: Mapping[str, bytes]) -> None:
    """Writes or replaces files that nobody else can read at any time, in a folder that is there.

    Each is replaced in one step. Raises as :func:`upload`, and :class:`NoFolder`.
    """
    stream = _pack({path: (data, _PRIVATE) for path, data in private.items()}, 0o700)
    _check(host, folder, host.bash(_SEND, folder, *sorted(private), stdin=stream))


def fetch(host: StreamingHost, folder: str, target: Path, *patterns: str) -> Fetched:
    """Brings files of a run's folder to ``target``: those that match ``patterns``, or all of
    :data:`RESULTS` and :data:`LOGS`.

    Only what is not here yet, by size and time of the last change, is sent. What has come whole
    stays when the connection breaks, so calling it again goes on from there. A file that is being
    written comes as it is at the moment, and again the next time. Secrets never come. Two round
    trips.

    Raises :class:`FolderProblem`, :class:`~evalc.errors.UsageError` for a target that can't be
    written, and :class:`~evalc.backends.running.Unreachable`.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            return _Fetch(host, folder, target).run(patterns or (*RESULTS, *LOGS))
    except OSError as error:
        raise UsageError(f"can't write {target}: {error.strerror or error}") from None


def _packed(bundle_dir: Path, private: Mapping[str, bytes]) -> tuple[bytes, str]:
    """A bundle and its private files as a stream, and the SHA-256 of its manifest."""
    try:
        manifest = (bundle_dir / MANIFEST).read_bytes()
        files = {
            path: ((bundle_dir / path).read_bytes(), int(file["mode"], 8))
            for path, file in json.loads(manifest)["files"].items()
        }
    except OSError as error:
        raise UsageError(f"can't read {error.filename}: {error.strerror}") from None
    files[MANIFEST] = (manifest, FILE_MODE)
    files.update({path: (data, _PRIVATE) for path, data in private.items()})
    return _pack(files, PROGRAM_MODE), hashlib.sha256(manifest).hexdigest()


def _pack(files: Mapping[str, tuple[bytes, int]], folder_mode: int) -> bytes:
    """A compressed archive of files with their modes: the same bytes for the same files."""
    packed = io.BytesIO()
    made = set()
    with (
        # Fast: scripts are as good as not there after the first level.
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as compressed,
        # Long names in the way of GNU tar, which busybox reads, too.
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path, (data, mode) in sorted(files.items()):
            # Else tar would make folders that only their owner can enter.
            for parent in reversed(PurePosixPath(path).parents[:-1]):
                if parent not in made:
                    made.add(parent)
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode = tarfile.DIRTYPE, folder_mode
                    archive.addfile(entry)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _check(host: Host, folder: str, ran: Ran) -> None:
    """Raises what a script's exit code and words mean."""
    if ran.code == 0:
        return
    lines = ran.err.strip().splitlines()
    # tar's last word is that it has said something before.
    why = lines[0] if lines else f"exit code {ran.code}"
    for line in lines:
        if line.endswith(("No space left on device", "Disk quota exceeded")):
            raise NoSpace(host.name, folder, line)
    if ran.code == 71:
        raise NoFolder(host.name, folder, "")
    if ran.code == 72:
        raise ToolMissing(host.name, folder, why)
    if ran.code in (74, 76):
        raise FolderTaken(host.name, folder, "")
    if ran.code in (73, 75):
        raise NotWritable(host.name, folder, why)
    raise FolderProblem(host.name, folder, why)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one evalc at a time fetch into ``folder``."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another evalc is fetching into {folder}") from None
        except OSError:
            pass  # some network file systems can't lock a folder
        yield
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file of a run's folder: its size in bytes, the time of its last change in nanoseconds, and
    where it leads when it is a link."""

    size: int
    changed: int
    link: str | None


class _Fetch:
    """One fetching into a folder."""

    def __init__(self, host: StreamingHost, folder: str, target: Path) -> None:
        self._host = host
        self._folder = folder
        self._target = target
        self._root = os.path.realpath(target)
        self._files: list[str] = []
        self._refused: list[str] = []
        self._size = 0
        self._said: list[str] = []

    def run(self, patterns: Sequence[str]) -> Fetched:
        matches = re.compile("|".join(map(_expression, patterns)), re.DOTALL).fullmatch
        listed = {path: file for path, file in self._list() if matches(path)}
        wanted = {path: file for path, file in listed.items() if not self._is_here(path, file)}
        plain = {path: file for path, file in wanted.items() if file.link is None}
        if plain:
            self._bring(plain)
        for path, file in wanted.items():
            if file.link is not None:
                self._link(path, file.link)
        done = {*self._files, *self._refused}
        return Fetched(
            files=tuple(sorted(self._files)),
            size=self._size,
            unchanged=len(listed) - len(wanted),
            refused=tuple(sorted(self._refused)),
            missing=tuple(sorted(path for path in wanted if path not in done)),
            said="".join(self._said),
        )

    def _list(self) -> Iterator[tuple[str, _Listed]]:
        with self._host.stream(_LIST, self._folder) as session:
            data = session.read()
            ran = session.finish()
        # It is 1 when a folder went away meanwhile, or can't be read; the others are told.
        if ran.code != 1:
            _check(self._host, self._folder, ran)
        self._said.append(ran.err)
        fields = os.fsdecode(data).split("\0")
        for about, link in zip(fields[::2], fields[1::2], strict=False):
            kind, size, changed, path = about.split(" ", 3)
            if all(part not in ("", ".", "..") for part in path.split("/")):
                seconds, _, fraction = changed.partition(".")
                nanoseconds = int(seconds) * 10**9 + int(f"{fraction:0<9}"[:9])
                yield path, _Listed(int(size), nanoseconds, link if kind == "l" else None)

    def _is_here(self, path: str, file: _Listed) -> bool:
        here = self._target / path
        try:
            found = here.lstat()
            if file.link is not None:
                return stat.S_ISLNK(found.st_mode) and str(here.readlink()) == file.link
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISREG(found.st_mode) and (
            (found.st_size, found.st_mtime_ns) == (file.size, file.changed)
        )

    def _bring(self, wanted: Mapping[str, _Listed]) -> None:
        names = b"".join(os.fsencode(f"./{path}") + b"\0" for path in wanted)
        with self._host.stream(_PACK, self._folder, stdin=names) as session:
            try:
                # All that tarfile does with it is to read.
                stream = cast("IO[bytes]", session)
                with tarfile.open(
                    fileobj=stream, mode="r|gz", encoding="utf-8", errors="surrogateescape"
                ) as archive:
                    for member in archive:
                        path = member.name.removeprefix("./")
                        content = archive.extractfile(member) if member.isreg() else None
                        # Only what was asked for: the names are the other side's words.
                        if content is not None and path in wanted:
                            self._put(path, content, wanted[path].changed)
            except (tarfile.TarError, EOFError, zlib.error):
                # The other side has not sent what it should have: it says why, or is gone.
                ran = session.finish()
                _check(self._host, self._folder, ran)
                raise FolderProblem(self._host.name, self._folder, "tar sent no archive") from None
            ran = session.finish()
        # Tar's own codes say that files have changed, gone or can't be read.
        if ran.code > 2:
            _check(self._host, self._folder, ran)
        self._said.append(ran.err)

    def _put(self, path: str, content: IO[bytes], changed: int) -> None:
        """Writes a file, which gets its name when it is whole.

        Its time is that of the listing: when it has changed since, it is fetched again some day.
        """
        if not self._has_place(path):
            return
        partial = self._target / _PARTIAL
        try:
            with partial.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
                self._size += file.tell()
            os.utime(partial, ns=(changed, changed))
            partial.replace(self._target / path)
        finally:
            partial.unlink(missing_ok=True)
        self._files.append(path)

    def _link(self, path: str, link: str) -> None:
        """Makes a link, unless it could lead out of the folder.

        '..' is followed only where it comes first, from a folder that is no link: so each step
        stays inside, through whatever other links it leads.
        """
        up, rest = 0, link.split("/")
        while rest and rest[0] == "..":
            up, rest = up + 1, rest[1:]
        if link.startswith("/") or ".." in rest or up > path.count("/"):
            self._refused.append(path)
            return
        if not self._has_place(path):
            return
        partial = self._target / _PARTIAL
        partial.unlink(missing_ok=True)
        partial.symlink_to(link)
        partial.replace(self._target / path)
        self._files.append(path)

    def _has_place(self, path: str) -> bool:
        """Makes the folder for a file; whether it is really in the target, and through no link."""
        parent = (self._target / path).parent
        place = os.path.normpath(Path(self._root, path).parent)
        # Looked at first, too: it must not be made at the other end of a link either.
        if os.path.realpath(parent) == place:
            parent.mkdir(parents=True, exist_ok=True)
            return True
        self._refused.append(path)
        return False


def _expression(pattern: str) -> str:
    """A pattern of paths as a regular expression."""
    known = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    return "".join(known.get(part, re.escape(part)) for part in parts)
