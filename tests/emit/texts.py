"""Texts that a careless program would trip over, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

# What shells, YAML, JSON, Jinja and Markdown read specially.
SPECIAL = "'\"$`\\!*?[]{}()~#;&|<>@%^=:,-+ \t\r\n"

any_character = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
hostile_character = st.one_of(st.sampled_from(SPECIAL), any_character)
snippets = st.sampled_from(
    (
        "$(touch PWNED)",
        "`touch PWNED`",
        "${HOME}",
        "$HOME",
        "'; touch PWNED; '",
        '"; touch PWNED; "',
        "\ntouch PWNED\n",
        "@@{HOME}@@",
        "{{ 7 * 7 }}",
        "{% raw %}",
        "%s%n",
        "\\",
        "\\\\",
        "\\n",
        "--help",
        "# no",
        "~/x",
        "a b",
        "$'\\x41'",
        "!!",
        "{a,b}",
    )
)
# No surrogates: UTF-8 has none. No NUL: no program can be given one.
hostile = st.lists(st.one_of(snippets, st.text(hostile_character, max_size=8)), max_size=5).map(
    "".join
)
