"""Values that nobody should have to fear in a config, and what each is in the composed value."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

# Marks where a text gets the name of its field, so that it can be found again.
MARK = "§"


@dataclass(frozen=True)
class Kind:
    """A kind of hostile text: as it is written in a config, and what it means.

    ``meaning`` is None for a reference to nothing, which every field must refuse.
    """

    name: str
    written: str
    meaning: str | None

    def of(self, token: str) -> tuple[str, str | None]:
        """What to write, and what has to arrive."""
        meaning = None if self.meaning is None else self.meaning.replace(MARK, token)
        return self.written.replace(MARK, token), meaning


def _kinds() -> list[Kind]:
    texts = {
        "quotes": "it's \"§\" 'x'",
        "substitution": "$(touch PWNED)§",
        "short substitution": "§$(>PWNED)",
        "backticks": "`touch PWNED`§",
        "list": "; touch PWNED; echo §",
        "and": "x && touch PWNED || touch PWNED & §",
        "closing quotes": "'; touch PWNED; '\"; touch PWNED; \"§",
        "redirect": "> PWNED §",
        "pipe": "| tee PWNED §",
        "lines": "§\ntouch PWNED\n",
        "carriage return": "§\r\ntouch PWNED",
        "tab": "a\t§",
        "option": "--rm=§",
        "short option": "-rf§",
        "end of options": "-- §",
        "spaces": "  § two  spaces  ",
        "pattern": "§* ? [a-z] {a,b}",
        "home": "~/§",
        "mark": "@@{HOME}@@ @@{§}@@",
        "template": "{{ 7 * 7 }}{% raw %}{# § #}",
        "percent": "%s %n %% %(x)s §",
        "backslash": "\\ \\\\ \\n \\0 §\\",
        "variable": "$HOME $§ $1 $$ $? $'x'",
        "history": "!! !x §",
        "comment": "# § #",
        "unicode": "naïve ✓ 漢字 😀 \u202e§",
        "assignment": "A=B=§",
        "colon": "a: b:§",
        "yaml": "- [§, {y: z}] & *x !t | >",
        "replacement": "&\\1/§",
        "markup": "<b>&amp;§</b> **x** [y](z)",
        "control": "\x01§\x1b[31m\x7f",
        "separators": "§\u2028x\u0085",
        "nul": "§\0x",
        "long": "§" + "x" * 3000,
        "plain": "§",
    }
    kinds = [Kind(name, text, text) for name, text in texts.items()]
    kinds.append(Kind("escaped reference", "\\${HOME} §", "${HOME} §"))
    kinds.append(Kind("reference", "${HOME} §", None))
    return kinds


KINDS = {kind.name: kind for kind in _kinds()}
_ALPHABET = "§'\"`$\\;&|<>()[]{}*?~!#%@=:,-+ \t\nabc/0é漢"


def random_kind(seed: int) -> Kind:
    """Some hostile text, the same for the same number."""
    chosen = random.Random(seed)
    text = "".join(chosen.choice(_ALPHABET[1:]) for _ in range(chosen.randrange(1, 20)))
    # A reference is another matter, see above.
    text = text.replace("${", "$ {")
    cut = chosen.randrange(len(text) + 1)
    text = f"{text[:cut]}{MARK}{text[cut:]}".replace("${", "$ {")
    return Kind(f"random {seed}", text, text)


def has_control(text: str) -> bool:
    """Whether a line of a comment can't hold this."""
    return re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text) is not None
