"""Templates: quoted by default, strict about everything."""

from __future__ import annotations

import subprocess

import jinja2
import pytest
from emit.texts import hostile
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from evalc.emit.environment import markdown_environment, shell_environment
from evalc.emit.quoting import Refused
from evalc.words import Literal, RuntimeEnv, Secret


def shell(template: str, **values: object) -> str:
    return shell_environment().from_string(template).render(values)


def markdown(template: str, **values: object) -> str:
    return markdown_environment().from_string(template).render(values)


@settings(max_examples=60)
@given(st.lists(hostile, min_size=2, max_size=6))
def test_a_value_is_one_word_through_every_way_that_jinja_has(texts: list[str]) -> None:
    """Printed, set, given to a macro, looped over, chosen, joined by hand and by the filter."""
    script = shell(
        "{% macro show(value) %}printf '%s\\0' {{ value }}{% endmacro %}"
        "{% set first = texts[0] %}"
        "printf '%s\\0' {{ texts[0] }} {{ first }} {{ texts[0] if texts else '' }}\n"
        "{{ show(texts[1]) }}\n"
        "{% for text in texts %}{{ show(text) }}\n{% endfor %}"
        "printf '%s\\0' {{ texts | words }}\n"
        "printf '%s\\0' {{ 'a constant: $HOME' }}\n"
        "# {{ 'safe' | comment }}\n",
        texts=texts,
    )
    done = subprocess.run(["bash", "-eu"], input=script.encode(), capture_output=True, check=True)
    expected = [texts[0]] * 3 + [texts[1], *texts, *texts, "a constant: $HOME"]
    assert done.stdout.decode().split("\0")[:-1] == expected


def test_numbers_and_words_have_a_shell_form() -> None:
    word = (Literal("a b"), RuntimeEnv("HOME"))
    assert shell("{{ a }} {{ b }} {{ c }} {{ d }}", a=3, b=0.5, c=word, d=Markup("|")) == (
        "3 0.5 'a b'\"${HOME}\" |"
    )


@pytest.mark.parametrize("value", [None, True, False, [], ["a"], {}, {"a": 1}, b"x", object()])
def test_what_is_no_word_is_a_mistake_of_the_template(value: object) -> None:
    for render in (shell, markdown):
        with pytest.raises(TypeError, match=type(value).__name__):
            render("{{ value }}", value=value)


def test_a_float_has_no_place_in_a_readme() -> None:
    assert markdown("{{ n }}", n=3) == "3"
    with pytest.raises(TypeError, match="float"):
        markdown("{{ n }}", n=0.5)


def test_a_missing_value_is_a_mistake_too() -> None:
    for render in (shell, markdown):
        with pytest.raises(jinja2.UndefinedError, match="nothing"):
            render("{{ nothing }}")


@pytest.mark.parametrize(
    "name", ["e", "escape", "forceescape", "safe", "striptags", "tojson", "urlize", "xmlattr"]
)
def test_filters_for_html_are_gone(name: str) -> None:
    for render in (shell, markdown):
        with pytest.raises(jinja2.TemplateAssertionError, match=f"No filter named '{name}'"):
            render(f"{{{{ 'x' | {name} }}}}")


def test_raw_text_has_to_be_asked_for() -> None:
    assert shell("{{ a | raw_shell }} {{ a }}", a="$X;") == '$X; "\\$X;"'


def test_markdown_shows_code() -> None:
    assert markdown("{{ a }}", a="a `b`") == "`` a `b` ``"


def test_what_can_not_be_carried_is_refused_with_the_value() -> None:
    for template in ("{{ a }}", "{{ [a] | words }}", "{{ a | comment }}"):
        with pytest.raises(Refused) as caught:
            shell(template, a="\0")
        assert caught.value.value == "\0"
    with pytest.raises(Refused, match="secret"):
        shell("{{ a }}", a=(Secret("TOKEN"),))
