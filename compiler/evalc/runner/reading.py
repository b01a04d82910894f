"""What runs have written, read where it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from evalc.backends.running import Elsewhere, Unreachable, remote_of
from evalc.bundle.read import FETCHED
from evalc.errors import UsageError
from evalc.runner import folders
from evalc.runner.merging import beside_each_other, one_after_another
from evalc.runner.reaching import HostLost, host_of, runs_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from evalc.backends.running import Remote
    from evalc.runner.database import Invocation

_CHUNK = 1 << 16
# $1 is the folder, $2 how many lines, $3 'follow' or nothing; then patterns, which only an unquoted
# word is taken for. tail names the files when there are several. sshd tells a command without a
# terminal of no lost connection, and a tail that has nothing to write does not notice that nobody
# reads. So somebody waits for the end of standard input, which goes with evalc or the connection.
_TAIL = """\
cd -- "$1" 2>/dev/null || exit 71
lines=$2 follow=$3
shift 3
shopt -s nullglob
IFS=
files=()
for pattern in "$@"; do
  # shellcheck disable=SC2206 # patterns of evalc's own
  files+=($pattern)
done
[ ${#files[@]} -gt 0 ] || exit 0
[ "$lines" -gt 0 ] || lines=+1
[ -n "$follow" ] || exec tail -n "$lines" -- "${files[@]/#/./}" 2>/dev/null
exec 3<&0
tail -n "$lines" -F -- "${files[@]/#/./}" 3<&- 2>/dev/null &
tail=$!
{ read -r -u 3; kill "$tail"; } >/dev/null 2>&1 &
wait "$tail"
kill $! 2>/dev/null
"""


def follow_logs(
    invocation: Invocation, jobs: Sequence[str], what: str, *, tail: int, follow: bool
) -> Iterator[bytes]:
    """The last ``tail`` lines (0: all) of logs, and what is added to them, piece by piece.

    ``what`` is as in :meth:`evalc.backends.running.Runs.logs`. Nothing when there is no such log.
    Raises :class:`~evalc.runner.reaching.HostLost`.
    """
    runs = runs_for(invocation.backend)
    remote = remote_of(runs)
    if remote is not None:
        yield from _told(remote, invocation, jobs, what, tail=tail, follow=follow)
        return
    # Jobs may share a log.
    patterns = dict.fromkeys(
        pattern for job in jobs for pattern in runs.logs(invocation.run, job, what)
    )
    arguments = (invocation.folder, str(tail), "follow" if follow else "", *patterns)
    try:
        with host_of(invocation).stream(_TAIL, *arguments, held=follow) as session:
            while piece := session.read(_CHUNK):
                yield piece
    except Unreachable as error:
        raise HostLost(invocation.id, error) from None


def _told(
    remote: Remote,
    invocation: Invocation,
    jobs: Sequence[str],
    what: str,
    *,
    tail: int,
    follow: bool,
) -> Iterator[bytes]:
    """The same, from where a platform keeps them; named, where there are several."""
    try:
        host = host_of(invocation)
        logs = {
            job: remote.told(host, invocation.run, job, what, tail=tail, follow=follow)
            for job in jobs
        }
        if len(logs) == 1:
            yield from next(iter(logs.values()))
        elif follow:
            yield from beside_each_other(logs)
        else:
            yield from one_after_another(logs)
    except Unreachable as error:
        raise HostLost(invocation.id, error) from None


def has_all_in_folder(invocation: Invocation) -> bool:
    """Whether nothing of a run's results is kept elsewhere than in its folder."""
    return remote_of(runs_for(invocation.backend)) is None


def fetch_run(invocation: Invocation, target: Path, *, logs: bool) -> folders.Fetched:
    """Brings a run's results, and its logs, into the folder ``target``.

    Raises :class:`~evalc.runner.folders.FolderProblem`, :class:`~evalc.runner.reaching.HostLost`,
    and :class:`~evalc.errors.UsageError` for a folder that can't be written or has files of
    something else, which might be overwritten.
    """
    return fetch_results(invocation, target, logs=logs, whole=True)


def fetch_results(
    invocation: Invocation, target: Path, *, logs: bool, whole: bool
) -> folders.Fetched:
    """Brings what tells of a run's results into ``target``; with ``whole``, all its artifacts.

    The folder says whose it is, in ``.evalc-run.json``. Raises as :func:`fetch_run`.
    """
    try:
        _claim(target, invocation.id)
    except OSError as error:
        raise UsageError(f"can't write {target}: {error.strerror or error}") from None
    patterns = (
        *folders.ABOUT,
        *(folders.RESULTS if whole else folders.SCORES),
        *(folders.LOGS if logs else ()),
    )
    # The same in a task's folder.
    inside = tuple(one.removeprefix("*/") for one in patterns if one.startswith("*/"))
    remote = remote_of(runs_for(invocation.backend))
    try:
        host = host_of(invocation)
        other = remote.elsewhere(host, invocation.run) if remote is not None else Elsewhere()
        fetched = folders.fetch(host, invocation.folder, target, *patterns)
        for place, into in other.places:
            part = folders.fetch(host, place, target / into, *inside)
            fetched = fetched.with_part(part, into)
    except Unreachable as error:
        raise HostLost(invocation.id, error) from None
    return replace(fetched, missing=(*fetched.missing, *other.missing))


def _claim(target: Path, invocation: str) -> None:
    """Makes the folder ``target`` that of a run, if it is nobody's."""
    mark = target / FETCHED
    if mark.exists():
        owner = _owner(mark)
        if owner != invocation:
            raise UsageError(f"{target} holds what was fetched of {owner}", _ELSEWHERE)
        return
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"{target} is not empty, and nothing was fetched into it yet", _ELSEWHERE)
    target.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"invocation": invocation}) + "\n", encoding="utf-8")


def _owner(mark: Path) -> str:
    try:
        return str(json.loads(mark.read_text(encoding="utf-8", errors="replace"))["invocation"])
    except (ValueError, LookupError, TypeError):
        return "another run"


_ELSEWHERE = "name another folder with --to"
