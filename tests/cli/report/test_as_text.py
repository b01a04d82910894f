"""The rustc-like report, to the character."""

from __future__ import annotations

import time
from textwrap import dedent
from typing import ClassVar

import click
import pytest

from evalc.cli.output import Page
from evalc.cli.report.as_text import count, render, render_all, summary, visible
from evalc.errors import ConfigError, Location, Problem, Source
from evalc.source import parse

PAGE = Page(width=120)


class Wrong(Problem):
    """A problem that says what it is told to."""

    code: ClassVar[str] = "wrong"
    what: str = "this is wrong"
    beside: str = ""
    advice: str = ""

    @property
    def message(self) -> str:
        return self.what

    @property
    def label(self) -> str:
        return self.beside

    @property
    def help(self) -> str:
        return self.advice


class Odd(Wrong):
    """A warning."""

    code: ClassVar[str] = "odd"
    severity: ClassVar[str] = "warning"


class Hidden(Wrong):
    """A problem whose line may hold a secret."""

    code: ClassVar[str] = "hidden"
    sensitive: ClassVar[bool] = True


def at(
    text: str, line: int, column: int, end_column: int, *, end_line: int = 0, name: str = "a.yaml"
) -> Location:
    return Location(Source(name, text), line, column, end_line or line, end_column)


def expected(text: str) -> str:
    return dedent(text).strip("\n")


def snippet(problem: Problem, page: Page = PAGE) -> list[str]:
    """The source line and the carets below it, without the margin."""
    lines = render(problem, page).splitlines()
    return [line.partition("| ")[2] for line in lines[3:5]]


def test_the_form_of_the_issue() -> None:
    text = "\n" * 13 + "  partiton: gpu\n"
    what = "'partiton' is not a key of execution (slurm)"
    place = at(text, 14, 3, 11, name="examples/cluster.yaml")
    problem = Wrong(what=what, beside="did you mean 'partition'?", location=place)
    assert render(problem, PAGE) == expected(
        """
        error[wrong]: 'partiton' is not a key of execution (slurm)
          --> examples/cluster.yaml:14:3
           |
        14 |   partiton: gpu
           |   ^^^^^^^^ did you mean 'partition'?
        """
    )


@pytest.mark.parametrize(("line", "margin"), [(1, ""), (10, " "), (123, "  ")])
def test_the_gutter_is_as_wide_as_the_line_number(line: int, margin: str) -> None:
    problem = Wrong(advice="do that", location=at("\n" * (line - 1) + "key: 1", line, 1, 4))
    assert render(problem, PAGE).splitlines() == [
        "error[wrong]: this is wrong",
        f"{margin} --> a.yaml:{line}:1",
        f"{margin}  |",
        f"{line} | key: 1",
        f"{margin}  | ^^^",
        f"{margin}  |",
        f"{margin}  = help: do that",
    ]


def test_help_of_several_lines_is_aligned() -> None:
    problem = Wrong(advice="do this\nor that", location=at("key: 1", 1, 1, 4))
    assert render(problem, PAGE).splitlines()[-2:] == [
        "  = help: do this",
        "          or that",
    ]


def test_a_warning_says_so() -> None:
    problem = Odd(location=at("key: 1", 1, 6, 7))
    assert render(problem, PAGE) == expected(
        """
        warning[odd]: this is wrong
         --> a.yaml:1:6
          |
        1 | key: 1
          |      ^
        """
    )


def test_the_caret_of_several_lines_goes_to_the_end_of_the_first() -> None:
    text = "tasks: [a,   \n  b]\n"
    problem = Wrong(beside="here", location=at(text, 1, 8, 5, end_line=2))
    assert snippet(problem) == ["tasks: [a,", "       ^^^ here"]


def test_an_empty_span_has_one_caret() -> None:
    assert snippet(Wrong(location=at("key:", 1, 5, 5))) == ["key:", "    ^"]


def test_a_span_behind_the_end_of_its_line() -> None:
    assert snippet(Wrong(location=at("key", 1, 40, 41))) == ["key", "   ^"]


def test_a_line_that_is_not_there() -> None:
    problem = Wrong(location=at("key: 1\n", 9, 1, 2))
    assert render(problem, PAGE) == expected(
        """
        error[wrong]: this is wrong
         --> a.yaml:9:1
          |
        9 |
          | ^
        """
    )


def test_tabs_take_four_columns() -> None:
    assert snippet(Wrong(location=at("\tkey:\tx", 1, 7, 8))) == ["    key:    x", " " * 12 + "^"]


@pytest.mark.parametrize(
    ("line", "column", "end", "carets"),
    [
        # Each of these characters takes two columns.
        ("模型: 坏", 5, 6, "      ^^"),
        ("🚀🚀: x", 1, 3, "^^^^"),
        # Full-width form.
        ("\uff21: x", 4, 5, "    ^"),
        # An accent of its own takes none.
        ("cafe\u0301: x", 8, 9, "      ^"),
        # A syllable in three parts, as macOS spells it, takes two.
        ("\u1112\u1161\u11ab: x", 6, 7, "    ^"),
        # Latin letters take one, accent or not.
        ("é: x", 4, 5, "   ^"),
    ],
)
def test_carets_stand_below_wide_characters(line: str, column: int, end: int, carets: str) -> None:
    assert snippet(Wrong(location=at(line, 1, column, end))) == [line, carets]


def test_what_can_not_be_seen_is_shown_as_an_escape() -> None:
    line = "a\u00a0b\x1b[31m\u202e: x"
    assert snippet(Wrong(location=at(line, 1, 2, 3))) == [r"a\xa0b\x1b[31m\u202e: x", " ^^^^"]


def test_messages_and_names_can_not_steer_the_terminal() -> None:
    place = at("k", 1, 1, 2, name="a\x1b[2J.yaml")
    problem = Wrong(what="'\x1b]0;x\x07'", beside="\r", advice="\x1b", location=place)
    assert render(problem, PAGE) == expected(
        r"""
        error[wrong]: '\x1b]0;x\x07'
         --> a\x1b[2J.yaml:1:1
          |
        1 | k
          | ^ \r
          |
          = help: \x1b
        """
    )


def test_an_ascii_page_shows_other_characters_as_escapes_and_keeps_aligned() -> None:
    problem = Wrong(location=at("é模: x", 1, 5, 6))
    assert snippet(problem, Page(ascii=True)) == [r"\xe9\u6a21: x", " " * 12 + "^"]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("start", [1, 2, 300, 5_000, 9_991])
def test_a_long_line_is_cut_around_the_caret(width: int, start: int) -> None:
    line = "".join(f" {number:>9}" for number in range(1000))
    place = at(line, 1, start, start + 10)
    shown, carets = snippet(Wrong(location=place), Page(width=width))
    assert len(shown) <= width - len("1 | ")
    pointed_at = shown[carets.index("^") : len(carets)]
    assert pointed_at == line[start - 1 : start + 9]
    assert shown.startswith("...") == (start > width)
    assert shown.endswith("...") == (start < 9_900)


def test_a_long_span_is_cut_too() -> None:
    shown, carets = snippet(Wrong(location=at("k: " + "x" * 500, 1, 4, 504)), Page(width=60))
    assert len(shown) <= 56
    assert len(carets) <= 56
    assert carets.strip() == "^" * len(carets.strip())
    assert len(carets.strip()) == shown.count("x")


def test_a_long_line_of_wide_characters_is_cut_by_columns() -> None:
    shown, carets = snippet(Wrong(location=at("模" * 300, 1, 150, 151)), Page(width=60))
    assert shown == "..." + "模" * 25 + "..."
    assert carets == " " * (3 + 2 * 12) + "^^"


def test_a_sensitive_problem_does_not_show_its_line() -> None:
    place = at("token: hf_abcdef", 1, 8, 17)
    problem = Hidden(beside="name it", advice="write host:HF_TOKEN", location=place)
    assert render(problem, PAGE) == expected(
        """
        error[hidden]: this is wrong
         --> a.yaml:1:8
          = note: name it
          = help: write host:HF_TOKEN
        """
    )


def test_a_file_without_text_has_no_snippet() -> None:
    problem = Wrong(beside="save it as UTF-8", location=at("", 1, 1, 2))
    assert render(problem, PAGE) == expected(
        """
        error[wrong]: this is wrong
         --> a.yaml:1:1
          = note: save it as UTF-8
        """
    )


def test_a_problem_without_a_place() -> None:
    assert render(Wrong(), PAGE) == "error[wrong]: this is wrong"
    assert render(Wrong(beside="so"), PAGE) == "error[wrong]: this is wrong\n = note: so"


def test_an_override_is_named_by_its_key() -> None:
    place = Location(Source("-o", "a.b=hf_secret", "override"), 1, 5, 1, 14)
    assert render(Hidden(location=place), PAGE).splitlines()[1] == " --> -o a.b"
    assert render(Wrong(location=place), PAGE) == expected(
        """
        error[wrong]: this is wrong
         --> -o a.b
          |
        1 | a.b=hf_secret
          |     ^^^^^^^^^
        """
    )


def test_lines_are_counted_as_yaml_does() -> None:
    # A form feed ends no line of YAML, unlike for str.splitlines; U+2028 does.
    source = Source("a.yaml", "# a\x0cb\r\n# c\u2028k: 1\nk: 2\n")
    with pytest.raises(ConfigError) as raised:
        parse(Source("a.yaml", source.text.replace("\x0c", " ")))
    location = raised.value.problems[0].location
    assert location is not None
    moved = Location(source, location.line, location.column, location.end_line, location.end_column)
    assert snippet(Wrong(location=moved)) == ["k: 2", "^"]


def test_colour_changes_nothing_but_colour() -> None:
    problem = Wrong(beside="here", advice="do that", location=at("key: 1", 1, 1, 4))
    coloured = render(problem, Page(colour=True))
    assert click.style("error[wrong]", fg="bright_red", bold=True) in coloured
    assert click.style("^^^ here", fg="bright_red", bold=True) in coloured
    assert click.unstyle(coloured) == render(problem, PAGE)
    assert click.style("warning[odd]", fg="bright_yellow", bold=True) in render(
        Odd(), Page(colour=True)
    )


def test_problems_are_set_apart() -> None:
    assert render_all([], PAGE) == ""
    assert render_all([Wrong(), Odd()], PAGE) == (
        "error[wrong]: this is wrong\n\nwarning[odd]: this is wrong"
    )


def test_the_last_line_counts() -> None:
    first, second = at("a", 1, 1, 2, name="a.yaml"), at("b", 1, 1, 2, name="b.yaml")
    assert summary([], 1) == "1 config is fine"
    assert summary([], 3) == "3 configs are fine"
    assert summary([Odd(location=first)], 3) == "1 warning in 1 file"
    problems = [Wrong(location=first), Odd(location=first), Wrong(location=second)]
    assert summary(problems, 3) == "2 errors, 1 warning in 2 files"


def test_numbers_of_things() -> None:
    assert [count(n, "file") for n in (0, 1, 2, 10_000)] == [
        "0 files",
        "1 file",
        "2 files",
        "10,000 files",
    ]


def test_visible_keeps_what_can_be_seen() -> None:
    assert visible("模型 é: 'x'") == "模型 é: 'x'"
    assert visible("a\nb\t\udcff") == r"a\nb\t\udcff"


def test_ten_thousand_problems_of_a_large_file_take_no_quadratic_time() -> None:
    source = Source("a.yaml", "key: value\n" * 10_000)
    problems = [Wrong(location=Location(source, n + 1, 1, n + 1, 4)) for n in range(10_000)]
    start = time.process_time()
    render_all(problems, PAGE)
    # Splitting the text once a problem takes minutes.
    assert time.process_time() - start < 5
