"""What docker and podman make of ``docker_args``, and what the scripts can't have there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.words import Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evalc.words import Word

# Options of 'docker run' and 'podman run' that have no value; every other one takes a word.
_FLAGS = {
    *("detach", "disable-content-trust", "env-host", "help", "http-proxy", "init", "interactive"),
    *("no-healthcheck", "no-hostname", "no-hosts", "oom-kill-disable", "passwd", "privileged"),
    *("publish-all", "quiet", "read-only", "read-only-tmpfs", "replace", "rm", "rmi", "rootfs"),
    *("sig-proxy", "tls-verify", "tty", "unsetenv-all"),
}
# Letters for those of them that have one, and for what else the scripts must know.
_LETTERS = {
    "a": "attach",
    "d": "detach",
    "i": "interactive",
    "P": "publish-all",
    "q": "quiet",
    "t": "tty",
}
_WAITS = "the script waits for the container's end"
_LOGS = "all that the container says goes into a log, and nobody types"
_REMOVES = "the script asks the container why it ended, and removes it then"
# Those that break what the scripts do, and why.
OWN = {
    "attach": _LOGS,
    "cidfile": "only one container could be started: the file may not be there yet",
    "detach": _WAITS,
    "entrypoint": "the script says what runs in the container",
    "help": "no container would be started",
    "interactive": _LOGS,
    "name": "the script names the container, so that it can find and stop it",
    "restart": _WAITS,
    "rm": _REMOVES,
    "rmi": _REMOVES,
    "tty": _LOGS,
}


def options(arguments: Sequence[Word]) -> Iterator[tuple[int, str]]:
    """The options among these words, each with the index of its word, by its long name where it is
    known here. A word that begins with a value of the run's is not looked into."""
    index = 0
    while index < len(arguments):
        at, word = index, arguments[index]
        index += 1
        first = word[0] if word else Literal("")
        if not isinstance(first, Literal):
            continue
        names, ends = _names(first.text)
        for name in names:
            yield at, name
        # The value is the next word where this one has none.
        if names and ends and len(word) == 1 and names[-1] not in _FLAGS:
            index += 1


def _names(text: str) -> tuple[list[str], bool]:
    """The options of a word, of which there are several in ``-dit``, and whether it ends with the
    last one's name."""
    if text.startswith("--"):
        name, equals, _ = text[2:].partition("=")
        return [name], not equals
    names: list[str] = []
    if not text.startswith("-"):
        return names, True
    for place, letter in enumerate(text[1:], 2):
        names.append(_LETTERS.get(letter, letter))
        if names[-1] not in _FLAGS or text[place : place + 1] == "=":
            return names, place == len(text)
    return names, True
