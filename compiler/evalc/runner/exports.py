"""How exporting results by itself went: runs whose config asks for it write that down
(``logs/stage.export``, by ``templates/lib/export.sh``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.running import Unreachable
from evalc.errors import EvalcError
from evalc.runner.reaching import host_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalc.runner.database import Invocation

# Folders are on standard input, each ended by a NUL; a line for each.
_LOOK = """\
while IFS= read -r -d '' folder; do
  line=
  [ ! -r "$folder/logs/stage.export" ] || IFS= read -r line <"$folder/logs/stage.export" || :
  printf '%s\\n' "$line"
done
"""
_SECONDS = 60.0


def exports(known: Sequence[Invocation]) -> dict[str, str]:
    """By the id of each run that exports by itself, how that went, in words.

    Each host is asked once. Runs of a host that does not answer are left out.
    """
    groups: dict[tuple[str | None, ...], list[Invocation]] = {}
    for one in known:
        if one.run.exports:
            groups.setdefault(one.place, []).append(one)
    found: dict[str, str] = {}
    for group in groups.values():
        folders = "".join(f"{one.folder}\0" for one in group)
        try:
            host = host_of(group[0])
            ran = host.bash(_LOOK, stdin=folders.encode(errors="surrogateescape"), timeout=_SECONDS)
        except (Unreachable, EvalcError):
            continue
        lines = ran.out.splitlines()
        if ran.code == 0 and len(lines) == len(group):
            found.update((one.id, _words(line)) for one, line in zip(group, lines, strict=True))
    return found


def _words(line: str) -> str:
    """What stands in the file, for people: its time, an exit code or a word, and words."""
    time, _, rest = line.partition(" ")
    code, _, words = rest.partition(" ")
    if not words:
        return f"runs since {time}" if code else "nothing yet"
    if code == "queued":
        return f"queued {words}"
    return f"{words} ({time})" if code == "0" else f"FAILED: {words} ({time})"
