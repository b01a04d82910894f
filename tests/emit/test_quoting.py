"""What quoting writes, real bash and a real Markdown reader read back."""

from __future__ import annotations

import html
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from emit.texts import SPECIAL, hostile
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from evalc.emit import quoting
from evalc.emit.commands import Assign, CommandLines, Raw, command_line, is_open, join
from evalc.emit.quoting import Refused
from evalc.words import Literal, RuntimeEnv, Secret, Word, literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VALUE = "EVALC_TEST_VALUE"


def bash(script: str, value: str = "", locale: str = "C.UTF-8") -> list[str]:
    """What a script prints, separated by NUL; it may read ``VALUE``."""
    done = subprocess.run(
        ["bash", "--norc", "-eu", "-o", "pipefail", "-s"],
        input=script.encode(),
        capture_output=True,
        check=True,
        env={
            b"PATH": os.environb[b"PATH"],
            b"LC_ALL": locale.encode(),
            VALUE.encode(): value.encode(),
        },
    )
    assert done.stderr == b""
    return [part.decode() for part in done.stdout.split(b"\0")[:-1]]


@settings(max_examples=60)
@given(st.lists(hostile, min_size=1, max_size=12), st.sampled_from(("C", "C.UTF-8")))
def test_a_word_arrives_whole_wherever_a_script_has_one(texts: list[str], locale: str) -> None:
    """As an argument, behind an option, in an assignment, in an export, in a function."""
    show = "printf '%s\\0'"
    words = [quoting.shell_word(text) for text in texts]
    script = [f"{show} {word}" for word in words]
    script += [f"{show} --env={word}" for word in words]
    script += [f'unset X; [ -n "${{X+set}}" ] || X={word}; {show} "$X"' for word in words]
    script += [f'export Y={word}; {show} "$Y"' for word in words]
    script.append(f"f() {{\n  {show} \\\n    {words[0]} \\\n    end\n}}\nf")
    expected = [*texts, *(f"--env={text}" for text in texts), *texts, *texts, texts[0], "end"]
    assert bash("\n".join(script) + "\n", locale=locale) == expected


@settings(max_examples=40)
@given(st.lists(hostile, min_size=1, max_size=12))
def test_a_list_holds_its_words(texts: list[str]) -> None:
    # Bash itself puts a \\x01 before each of these in a list; only names stand in lists.
    texts = [re.sub(r"[\x01\x7f]", "", text) for text in texts]
    words = " ".join(map(quoting.shell_word, texts))
    assert bash(f"_list=({words})\nprintf '%s\\0' \"${{_list[@]}}\"\n") == texts


@pytest.mark.parametrize("one", [chr(n) for n in range(1, 256)] + [*SPECIAL])
def test_every_single_character_is_quoted_once(one: str) -> None:
    word = quoting.shell_word(one)
    # A carriage return is written as $'\r'.
    quoted = word.removeprefix("$")
    assert word == one or quoted[0] == quoted[-1] in "'\""


def test_every_single_character_arrives() -> None:
    texts = [chr(n) for n in range(1, 0x300)] + [f"a{chr(n)}b" for n in range(1, 0x300)]
    words = " ".join(map(quoting.shell_word, texts))
    assert bash(f"printf '%s\\0' {words}\n") == texts


def test_words_look_as_a_person_would_write_them() -> None:
    shown = {
        "plain-1.0/x=y": "plain-1.0/x=y",
        "": "''",
        "two words": "'two words'",
        "it's": '"it\'s"',
        "$5": '"\\$5"',
        "`x`": '"\\`x\\`"',
        'say "x"': "'say \"x\"'",
        'it\'s "x"': '"it\'s \\"x\\""',
        "~": "'~'",
        "naïve": "'naïve'",
    }
    assert {text: quoting.shell_word(text) for text in shown} == shown


def test_a_nul_is_refused() -> None:
    with pytest.raises(Refused, match="NUL") as caught:
        quoting.shell_word("a\0b")
    assert caught.value.value == "a\0b"


# Words of several parts

parts = st.one_of(hostile.map(Literal), st.just(RuntimeEnv(VALUE)))


@settings(max_examples=80)
@given(
    st.lists(st.lists(parts, min_size=1, max_size=4).map(tuple), min_size=1, max_size=8), hostile
)
def test_a_run_time_value_arrives_whole(words: list[Word], value: str) -> None:
    script = "".join(f"printf '%s\\0' {quoting.shell(word)}\n" for word in words)
    assert bash(script, value) == [meaning(word, value) for word in words]


def meaning(word: Word, value: str) -> str:
    return "".join(part.text if isinstance(part, Literal) else value for part in word)


def test_a_word_of_nothing_is_an_empty_word() -> None:
    assert quoting.shell(()) == "''"


def test_a_secret_is_never_part_of_a_script() -> None:
    with pytest.raises(Refused, match="the secret TOKEN"):
        quoting.shell((Literal("x"), Secret("TOKEN")))


def test_show_is_for_people() -> None:
    assert quoting.show((Literal("a b/"), RuntimeEnv("X"), Secret("Y"))) == "a b/$X$Y"


# Commands

arguments = st.lists(hostile, min_size=1, max_size=5)


@settings(max_examples=60)
@given(st.lists(arguments, min_size=1, max_size=5), hostile)
def test_a_command_arrives_with_all_its_words(lines: list[list[str]], value: str) -> None:
    """Laid out over lines, with words of every kind in it."""
    command: CommandLines = [["printf", Raw("'%s\\0'")]]
    expected: list[str] = []
    for line in lines:
        command.append([*line, literal(line[0]), join(Raw(f'"${VALUE}"'), ":", line[-1])])
        expected += [*line, line[0], f"{value}:{line[-1]}"]
    assert bash(command_line(command) + "\n", value) == expected


@given(st.lists(hostile, min_size=1, max_size=4), hostile)
@settings(max_examples=40)
def test_assigned_values_arrive_and_secrets_are_read_by_name(texts: list[str], value: str) -> None:
    names = [f"NAME_{n}" for n in range(len(texts))]
    command: CommandLines = [
        ["export"],
        [Assign(name, literal(text)) for name, text in zip(names, texts, strict=True)],
        [Assign("SECRET", (Secret(VALUE),)), Assign("MIXED", (Literal("x="), Secret(VALUE)))],
    ]
    show = " ".join(f'"${name}"' for name in (*names, "SECRET", "MIXED"))
    printed = bash(f"{command_line(command)}\nprintf '%s\\0' {show}\n", value)
    assert printed == [*texts, value, f"x={value}"]


def test_a_command_is_laid_out_for_people() -> None:
    lines: CommandLines = [
        ["exec"],
        ["docker", "run"],
        [],
        ["--name", "a b"],
        [("x" and literal("i"))],
    ]
    assert command_line(lines) == "exec docker run \\\n    --name 'a b' \\\n    i"


def test_what_is_not_known_now_is_a_secret_to_scripts() -> None:
    assert not is_open(literal("x"))
    assert is_open((Literal("x"), RuntimeEnv("Y")))
    assert is_open((Secret("Y"),))


# Comments


@settings(max_examples=60)
@given(st.lists(hostile, min_size=1, max_size=10))
def test_a_comment_stays_one_or_is_refused(texts: list[str]) -> None:
    script, kept = "", 0
    for text in texts:
        if re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", text):
            with pytest.raises(Refused) as refused:
                quoting.comment(text)
            assert refused.value.value == text
        else:
            script += f"# {quoting.comment(text)}\nprintf '%s\\0' {kept}\n"
            kept += 1
    assert bash(script) == [str(n) for n in range(kept)]


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\x1b[31m", "\x85", "\u2028", "\0", "\x7f"])
def test_what_would_end_or_hide_a_line_is_refused(text: str) -> None:
    for context in (quoting.comment, quoting.code_span):
        with pytest.raises(Refused, match="control character"):
            context(text)


# Markdown


def shown_code(markdown: str) -> str:
    found = re.fullmatch(r"<p>x <code>(.*)</code> y</p>\n", MarkdownIt().render(f"x {markdown} y"))
    assert found, MarkdownIt().render(f"x {markdown} y")
    return html.unescape(found[1])


@settings(max_examples=200)
@given(hostile)
def test_a_readme_shows_text_as_it_is(text: str) -> None:
    try:
        span = quoting.code_span(text)
    except Refused:
        return
    assert shown_code(span) == (text or "  ")


@pytest.mark.parametrize(
    "text",
    [
        "`",
        "``",
        "`a",
        "a`",
        "a``b`c",
        " ",
        " a ",
        "  a  ",
        " `",
        "\\`",
        "*a*",
        "<b>",
        "&amp;",
        "[x](y)",
    ],
)
def test_the_hard_cases_of_markdown(text: str) -> None:
    assert shown_code(quoting.code_span(text)) == text


def test_the_stand_in_for_templates_is_real(tmp_path: Path) -> None:
    """That these tests would see an injection: unquoted text does run."""
    mark = tmp_path / "PWNED"
    values: Sequence[str] = bash(f"printf '%s\\0' $(touch {mark})x\n")
    assert (list(values), mark.exists()) == (["x"], True)
