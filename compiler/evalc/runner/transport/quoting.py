r"""What a command is sent as: two texts, neither of which a shell can misread.

The *command line* is what the login shell there gets. It is always the same but for a number, and
has no character that sh, bash, dash, zsh, csh, tcsh and fish read differently between single quotes
(no quote, ``!``, backslash or line break). All it does is to have bash read the second text, whose
length it is told, from standard input.

The *program* holds everything else: the script, its arguments, its environment. Bash alone reads
it, and each word in it is quoted by :func:`word`. It is plain ASCII, so that a locale can't change
how many characters it has. Because its length is known, none of it is executed when the connection
breaks before all of it is there. It can't be too long for a command line, and what comes after it
is the script's standard input, untouched.
"""

from __future__ import annotations

import re

from evalc.errors import UsageError

# Bash reads these as they are between $' and '. All others are written as octal numbers.
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./:,@%+=-")
_AS_BASH = [chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in range(256)]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# --norc: Debian's bash reads ~/.bashrc once more, when it believes that sshd has started it.
_COMMAND_LINE = "exec bash --norc -c 'IFS= read -r -N {length} REPLY && eval \"$REPLY\"' evalc"

# What Slurm's commands would take for options, such as SQUEUE_FORMAT, goes; which cluster stays.
# The script runs in a shell of its own, so that the end is marked however it exits.
_PROGRAM = """\
unset REPLY CDPATH "${{!SBATCH_@}}" "${{!SQUEUE_@}}" "${{!SACCT_@}}" "${{!SINFO_@}}"
for REPLY in "${{!SLURM_@}}"; do
  case $REPLY in SLURM_CONF | SLURM_CLUSTERS) ;; *) unset "$REPLY" ;; esac
done
unset REPLY
{exports}set -- {arguments}
printf %s {begin}
printf %s {begin} >&2
(eval {script})
set -- "$?"
printf '%s%s;' {end} "$1"
printf '%s%s;' {end} "$1" >&2
exit "$1"
"""


def word(text: str) -> str:
    """``text`` as one literal word of bash, in plain ASCII, whatever it holds.

    Raises :class:`~evalc.errors.UsageError` for what no argument of a program can hold.
    """
    if "\0" in text:
        raise UsageError("a NUL character can't be passed to a program")
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UsageError(f"{text!a} is no text that can be passed to a program") from None
    return f"$'{''.join(_AS_BASH[byte] for byte in data)}'"


def program(script: str, arguments: tuple[str, ...], env: dict[str, str], token: str) -> bytes:
    """Has bash run ``script`` with ``arguments`` and, laid over what is there, ``env``.

    What it says on each of its two streams then stands between two marks made of ``token``, see
    :class:`~evalc.runner.transport.session.Marked`.
    """
    for name in env:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!a} is no name of an environment variable")
    text = _PROGRAM.format(
        exports="".join(f"export {name}={word(value)}\n" for name, value in env.items()),
        arguments=" ".join(word(argument) for argument in arguments),
        script=word(script),
        begin=begin_mark(token),
        end=end_mark(token),
    )
    return text.encode("ascii")


def begin_mark(token: str) -> str:
    """What comes before a script's first word."""
    return f"{token}begin"


def end_mark(token: str) -> str:
    """What comes after a script's last word; its exit code follows, and a semicolon."""
    return f"{token}end"


def command_line(program: bytes) -> str:
    """What a login shell, of whatever kind, is given so that this program runs."""
    return _COMMAND_LINE.format(length=len(program))
