"""What yamltext writes, PyYAML (YAML 1.1) and evalc's own reader (1.2) read as the same value."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from emit.texts import hostile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalc.emit import yamltext
from evalc.errors import Source
from evalc.source import parse

# Lines as people write commands: the ones that get a block of their own.
line = st.text("abc $\"'\\#:-{}[]&*!|>%@`?,\u00e9", max_size=12)
lines = st.lists(line, min_size=2, max_size=4).map("\n".join)
words = st.sampled_from(
    [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "Y",
        "N",
        "true",
        "False",
        "NULL",
        "null",
        "~",
        "1",
        "0x1f",
        "0o17",
        "0777",
        "1_000",
        "1e3",
        "1.5",
        ".5",
        "-1",
        "+1",
        ".inf",
        "-.INF",
        ".nan",
        "4:00:00",
        "1:30",
        "190:20:30.15",
        "2001-12-14",
        "2001-12-14t21:59:43.10-05:00",
        "=",
        "<<",
        "-",
        "--",
        "---",
        "...",
        "?",
        ":",
        "#",
        "[]",
        "{}",
        "[a]",
        "{a:",
        "b}",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "'a'",
        '"a"',
        "a:",
        "a:b:",
        "a",
        "#b",
        "a#",
        "|-",
        ">",
        "0b101",
        "0.",
        "1.",
        "12e03",
        "-2E+05",
    ]
)
text = st.one_of(hostile, lines, lines.map(lambda t: t + "\n"), words, st.just(""))
number = st.one_of(
    st.integers(-(10**20), 10**20),
    st.integers(-9, 9).map(lambda n: n * 10**900),
    st.floats(),
    st.sampled_from(
        (1e-07, 1e16, 1e22, 5e-324, 1.7976931348623157e308, -0.0, 0.1, 1e-5, 123456789.0)
    ),
)
scalar = st.one_of(st.none(), st.booleans(), number, text)
value = st.recursive(
    scalar,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=15,
)


def same(one: Any, other: Any) -> bool:
    """Equal, of the same types, in the same order, and with NaN equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or repr(one) == repr(other)
    return bool(one == other)


def check(written: str, meant: Any) -> None:
    assert same(yaml.load(written, yaml.SafeLoader), meant), written
    assert same(yaml.load(written, yaml.CSafeLoader), meant), written
    assert same(parse(Source("f", written)).plain(), meant), written


@settings(max_examples=300)
@given(value.filter(lambda v: v is not None))
@example({"a": [{"b": [[1, {"c": "x\ny\n"}]]}, [[]], {}, ""]})
@example([["a", ["b\nc", {"d": "e\nf"}]]])
@example({"k" * 2000: {"k" * 1001: "v"}, "\n" * 600: [1]})
def test_every_value_is_read_back(value: Any) -> None:
    check(yamltext.dump(value), value)


@settings(max_examples=100)
@given(st.lists(value, max_size=3), st.dictionaries(text, value, max_size=3))
def test_also_below_a_header(items: list[Any], block: dict[str, Any]) -> None:
    header = "# one line\n# another: [\n"
    written = yamltext.dump({"items": items, "block": block}, header=header)
    assert written.startswith(header)
    check(written, {"items": items, "block": block})


@settings(max_examples=100)
@given(hostile)
def test_text_that_must_be_quoted_is(text: str) -> None:
    written = yamltext.dump({"a": yamltext.Quoted(text)})
    assert written.startswith('a: "')
    assert written.endswith('"\n')
    check(written, {"a": text})


@settings(max_examples=50)
@given(lines)
def test_a_command_keeps_its_lines(command: str) -> None:
    body = "\n".join(line.rstrip() for line in f"first\n{command}\nlast".splitlines())
    for text in (body, body + "\n"):
        written = yamltext.dump({"deep": {"command": text}})
        head = "  command: |\n" if text.endswith("\n") else "  command: |-\n"
        assert head in written
        assert all(line == "" or f"    {line}" in written.split("\n") for line in text.split("\n"))
        check(written, {"deep": {"command": text}})


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({}, "{}\n"),
        ([], "[]\n"),
        ({"a": {}, "b": []}, "a: {}\nb: []\n"),
        ({"a": {"b": 1}, "c": [1, "x"]}, "a:\n  b: 1\nc:\n  - 1\n  - x\n"),
        ([{"a": 1, "b": 2}], "- a: 1\n  b: 2\n"),
        ([[1, [2]]], "- - 1\n  - - 2\n"),
        ({"a": "meta/llama-3.1"}, "a: meta/llama-3.1\n"),
        ({"a": "http://x:1/y"}, "a: http://x:1/y\n"),
        ({"a": "two words"}, 'a: "two words"\n'),
        ({"a": "no"}, 'a: "no"\n'),
        ({"a": True, "b": None, "c": 1.5, "d": 1e-07}, "a: true\nb: null\nc: 1.5\nd: 1.0e-07\n"),
        ({"a": "x\ny"}, "a: |-\n  x\n  y\n"),
        ({"a": " x\ny"}, 'a: " x\\ny"\n'),
        ({"a": "\u2028"}, 'a: "\\u2028"\n'),
    ],
)
def test_it_is_written_for_people(value: Any, written: str) -> None:
    assert yamltext.dump(value) == written


@pytest.mark.parametrize("value", [b"x", {1}, object(), ("a",)])
def test_what_yaml_has_no_form_for_is_a_mistake(value: object) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        yamltext.dump({"a": value})
