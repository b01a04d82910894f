"""A chain's journal, as ``templates/lib/journal.sh`` writes and reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from evalc.backends.running import whole_number


@dataclass(slots=True)
class Link:
    """An attempt: what its job said of it, or the next one found out.

    ``start`` is in seconds since 1970. ``kind`` is how it ended by its own word (``finished``,
    ``failed``, ``out-of-memory``, ``told``, ``interrupted``), empty when it said nothing; ``word``
    is Slurm's, where a later link has asked. ``ended`` is the time of the line that tells the end,
    ``elapsed`` how long the attempt took, in seconds. ``gpus`` is how many its job held, None
    where the line does not tell.
    """

    job: str
    restart: str
    node: str = ""
    start: float | None = None
    kind: str = ""
    word: str = ""
    reason: str = ""
    ended: str = ""
    elapsed: float | None = None
    gpus: int | None = None


@dataclass(slots=True)
class Chain:
    """What a journal tells of its last chain.

    ``ids`` are the jobs that were submitted for it, oldest first, ``noted`` is when the newest of
    them was, and ``earlier`` are the jobs of the chains before it. ``closed`` is ``done`` or
    ``stop``, with its reason and its time. ``attempts`` counts also those of which only a cut line
    is left. ``finished`` says that a job found nothing left to do.
    """

    ids: list[str] = field(default_factory=list)
    noted: str = ""
    earlier: frozenset[str] = frozenset()
    attempts: int = 0
    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    closed: str = ""
    reason: str = ""
    at: str = ""
    finished: bool = False

    @property
    def last(self) -> Link | None:
        """The newest attempt."""
        return next(reversed(self.links.values()), None)

    @property
    def began(self) -> float | None:
        """When the first attempt started, in seconds since 1970."""
        return next((link.start for link in self.links.values() if link.start), None)


def read(text: str) -> Chain:
    """The last chain of a journal. Lines that a crash has cut count as attempts at most."""
    return read_all(text)[-1]


def read_all(text: str) -> list[Chain]:
    """Every chain of a journal, the oldest first; one without anything where there is none."""
    chains = [Chain()]
    *lines, last = text.split("\n")
    for line in (*lines, f"{last}[cut]"):
        time, _, said = line.partition(" ")
        chain = chains[-1]
        if line.endswith("[cut]"):
            chain.attempts += said.startswith("attempt")
            continue
        said, _, reason = said.partition(" reason=")
        event, *pairs = said.split(" ")
        keys = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        after = _add(chain, event, time, keys, reason)
        if after is not chain:
            chains.append(after)
    return chains


def _add(chain: Chain, event: str, time: str, keys: dict[str, str], reason: str) -> Chain:
    """The chain after one more line; a new one where the line begins one."""
    job = keys.get("job", "")
    link = chain.links.get((job, keys.get("restart", "0")))
    match event:
        case "chain":
            # Who submits notes the ids before the first link says that it begins.
            if job in chain.ids:
                return Chain(chain.ids, chain.noted, chain.earlier)
            return Chain([job] if job else [], time, chain.earlier.union(chain.ids))
        case "submitted" | "successor" if job:
            chain.noted = time
            if job not in chain.ids:
                chain.ids.append(job)
        case "attempt":
            _add_attempt(chain, job, keys)
        case "end" | "previous":
            if link is not None:
                # Once, whether the link said it or the next one that asked what became of it.
                link.kind = link.kind or (keys.get("kind", "") if event == "end" else "")
                link.word = link.word or keys.get("state", "")
                link.reason = link.reason or reason
                link.ended = link.ended or time
                link.elapsed = link.elapsed or _number(keys, "elapsed")
        case "left":
            chain.finished |= reason == "everything is finished already"
        case "done" | "stop":
            chain.closed, chain.reason, chain.at = event, reason, time
    return chain


def _add_attempt(chain: Chain, job: str, keys: dict[str, str]) -> None:
    chain.attempts += 1
    # Somebody went on, whatever was said before.
    chain.closed = chain.reason = chain.at = ""
    link = Link(job, keys.get("restart", "0"), keys.get("node", ""), _number(keys, "start"))
    link.gpus = whole_number(keys.get("gpus", ""))
    chain.links[link.job, link.restart] = link
    if job and job not in chain.ids:
        chain.ids.append(job)


def seconds(time: str) -> float | None:
    """A journal's time in seconds since 1970; None for what is no time."""
    try:
        return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _number(keys: dict[str, str], key: str) -> float | None:
    return whole_number(keys.get(key, "")) or None
