"""What ``templates/runner/slurm_look.sh`` prints, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from evalc.backends.running import whole_number

# What a job's command ends with when it follows another.
_AFTER = re.compile(r" --after [\d_]+$")
_ID = re.compile(r"\d+(_\d+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """A job, in the words of Slurm's controller or of its accounting.

    ``start`` and ``end`` are seconds since 1970; of a job that waits or runs, they are Slurm's
    expectation. ``nodes`` is a list in Slurm's form. ``place`` is the script's path, in the
    accounting the folder that it was submitted from.
    """

    id: str
    state: str
    start: float | None = None
    end: float | None = None
    nodes: str = ""
    reason: str = ""
    place: str = ""


@dataclass(slots=True)
class Seen:
    """Everything that was seen of a host's runs, which are known by their number.

    ``submitted`` is the exit code of ``submit_all.sh``, where that was run first. ``now`` is the
    host's time, in seconds since 1970. ``queue`` is what the controller knows, by the script that
    it runs, with ``#`` and its number for an array's element; ``unasked`` are the words in which
    the controller could not be asked. ``unaccounted`` are the same of the accounting, which was not
    needed when ``accounts`` is None; it tells of jobs by the folder that they were submitted from
    and by their ids. ``folders`` are the runs', as Slurm calls them; those of ``lost`` are not
    there, or can't be read. ``files`` are texts by the kind of file, the run and the task, which is
    empty for a file of the run's own.
    """

    submitted: int = 0
    now: float = 0.0
    unasked: str = ""
    queue: dict[str, list[Row]] = field(default_factory=dict)
    unaccounted: str = ""
    accounts: dict[str, dict[str, Row]] | None = None
    folders: dict[int, str] = field(default_factory=dict)
    shared: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    files: dict[tuple[str, int, str], str] = field(default_factory=dict)


def read(text: str) -> Seen:
    """Of what the script prints, all that can be understood."""
    seen = Seen()
    for title, content in _blocks(text):
        _take(seen, title.split(" "), content)
    return seen


def _blocks(text: str) -> list[tuple[str, str]]:
    """Titles with their contents, whose last line has no line break when the file's had none."""
    found: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        if line.startswith("\t") and found:
            found[-1][1].append(line[1:])
        elif line:
            found.append((line, []))
        elif found and found[-1][1]:
            found[-1][1].append("")
    return [(title, "\n".join(lines)) for title, lines in found]


def _take(seen: Seen, title: list[str], content: str) -> None:
    match title:
        case ["submitted", code]:
            seen.submitted = int(code)
        case ["now"]:
            seen.now = float(content)
        case ["queue", "0"]:
            for row in _rows(content):
                _, _, element = row.id.partition("_")
                key = f"{row.place}#{element}" if element else row.place
                seen.queue.setdefault(key, []).append(row)
        case ["queue", code]:
            seen.unasked = _words(content, code, "squeue")
        case ["accounting", "0"]:
            seen.accounts = _by_place(content)
        case ["accounting", code]:
            seen.unaccounted = _words(content, code, "sacct")
        case ["run", number, how]:
            seen.folders[int(number)] = content.rstrip("\n")
            seen.shared |= {int(number)} if how == "shared" else set()
            seen.lost |= {int(number)} if how == "gone" else set()
        case [kind, number, *task]:
            seen.files[kind, int(number), "".join(task)] = content


def _rows(content: str) -> list[Row]:
    """Jobs as squeue and sacct are asked to tell them. A site may print words of its own, too."""
    found = []
    for line in content.split("\n"):
        fields = line.split("|", 6)
        if len(fields) == 7 and _ID.fullmatch(fields[0]):
            id_, state, start, end, nodes, reason, place = fields
            times = _time(start), _time(end)
            found.append(Row(id_, state, *times, nodes, reason, _AFTER.sub("", place)))
    return found


def _by_place(content: str) -> dict[str, dict[str, Row]]:
    found: dict[str, dict[str, Row]] = {}
    for row in _rows(content):
        found.setdefault(row.place, {})[row.id] = row
    return found


def _words(content: str, code: str, command: str) -> str:
    """A command's last words, without its name."""
    if code == "124":
        return f"{command} did not answer in 20 s"
    if code == "127":
        return f"{command} is not in PATH there"
    lines = [line for line in content.split("\n") if line.strip()] or [f"it ended with {code}"]
    return re.sub(r"^\w+: (error: )?", "", lines[0])


def _time(text: str) -> float | None:
    return whole_number(text)
