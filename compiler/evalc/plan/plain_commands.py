"""Whether a command is bash beyond doubt, found out without bash.

Starting bash takes four milliseconds, which for a thousand commands is more than all the rest of
compiling them, and most commands are plain: words and quotes, one after the other. What can't be
proven right here is left to bash, which alone says what is wrong.
"""

from __future__ import annotations

import re

# Of what an unquoted word may be made, and what quotes may hold: nothing that bash takes for more.
_SAFE = r"[A-Za-z0-9_@%+=:,./-]"
_CONTROL = r"\x00-\x08\x0b-\x1f\x7f"
_VARIABLE = r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})"
_SINGLE = rf"'[^'{_CONTROL}]*'"
_DOUBLE = rf'"(?:[^"$`\\{_CONTROL}]|{_VARIABLE})*"'
_WORD = rf"(?:{_SAFE}|{_SINGLE}|{_DOUBLE}|{_VARIABLE})+"
# A backslash at a line's end must have a blank before it: else it joins two parts of one word.
_BLANK = r"[ \t]+(?:\\\n[ \t]*)*"
_REDIRECTION = rf"[0-9]?(?:>&[0-9]|(?:>>|>|<)[ \t]*{_WORD})"
_RESERVED = (
    r"(?!(?:case|coproc|do|done|elif|else|esac|fi|for|function|if|in|select|then|time|until|while)"
    r"(?:[ \t\n;&|]|\Z))"
)
_COMMAND = rf"{_RESERVED}{_WORD}(?:{_BLANK}(?:{_REDIRECTION}|{_WORD}))*"
_NEXT = r"[ \t]*(?:&&|\|\||[|;\n])(?:[ \t\n]|\\\n)*"
# Not compiled here: it takes milliseconds, and most configs have no commands.
PLAIN = rf"[ \t\n]*{_COMMAND}(?:{_NEXT}{_COMMAND})*[ \t]*;?[ \t\n]*"


def is_plain(text: str) -> bool:
    """Whether ``text`` is proven to be commands that bash can read.

    False proves nothing: it may be right all the same.
    """
    return re.fullmatch(PLAIN, text) is not None
