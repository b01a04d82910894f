"""What runs have written, read where it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from evalc.backends.running import Unreachable
from evalc.bundle.read import FETCHED
from evalc.runner import folders
from evalc.runner.reaching import HostLost, host_of, runs_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from evalc.runner.database import Invocation

_CHUNK = 1 << 16
# $1 is the folder, $2 how many lines, $3 'follow' or nothing; then patterns, which only an unquoted
# word is taken for. tail names the files when there are several.
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
tail -n "$lines" ${follow:+-F} -- "${files[@]/#/./}" 2>/dev/null
"""


def follow_logs(
    invocation: Invocation, jobs: Sequence[str], what: str, *, tail: int, follow: bool
) -> Iterator[bytes]:
    """The last ``tail`` lines (0: all) of logs, and what is added to them, piece by piece.

    ``what`` is as in :meth:`evalc.backends.running.Runs.logs`. Nothing when there is no such log.
    Raises :class:`~evalc.runner.reaching.HostLost`.
    """
    runs = runs_for(invocation.backend)
    # Jobs may share a log.
    patterns = dict.fromkeys(
        pattern for job in jobs for pattern in runs.logs(invocation.run, job, what)
    )
    arguments = (invocation.folder, str(tail), "follow" if follow else "", *patterns)
    try:
        with host_of(invocation).stream(_TAIL, *arguments) as session:
            while piece := session.read(_CHUNK):
                yield piece
    except Unreachable as error:
        raise HostLost(invocation.id, error) from None


def fetch_run(invocation: Invocation, target: Path, *, logs: bool) -> folders.Fetched:
    """Brings a run's results, and its logs, into the folder ``target``.

    Raises :class:`~evalc.runner.folders.FolderProblem` and
    :class:`~evalc.runner.reaching.HostLost`.
    """
    return fetch_results(invocation, target, logs=logs, whole=True)


def fetch_results(
    invocation: Invocation, target: Path, *, logs: bool, whole: bool
) -> folders.Fetched:
    """Brings what tells of a run's results into ``target``; with ``whole``, all its artifacts.

    The folder says whose it is, in ``.evalc-run.json``. Raises as :func:`fetch_run`.
    """
    patterns = (
        *folders.ABOUT,
        *(folders.RESULTS if whole else folders.SCORES),
        *(folders.LOGS if logs else ()),
    )
    try:
        fetched = folders.fetch(host_of(invocation), invocation.folder, target, *patterns)
    except Unreachable as error:
        raise HostLost(invocation.id, error) from None
    about = json.dumps({"invocation": invocation.id}) + "\n"
    (target / FETCHED).write_text(about, encoding="utf-8")
    return fetched
