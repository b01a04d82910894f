"""YAML 1.2 text -> values with places: what each kind of text means, and where it stands."""

from __future__ import annotations

import math

import pytest

from evalc.errors import ConfigError, Location, Problem, Source
from evalc.source import Mapping, Scalar, Sequence, parse
from evalc.source.nodes import (
    Node,
    empty_mapping,
    key_location,
    scalar_text,
    scalars,
    show_path,
    walk,
)
from evalc.words import Literal, RuntimeEnv


def read(text: str) -> Node:
    return parse(Source("file.yaml", text))


def value(text: str) -> object:
    return read(text).plain()


def refused(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value.problems


def span(location: Location | None) -> str:
    assert location
    return f"{location.line}:{location.column}-{location.end_line}:{location.end_column}"


# What scalars mean: https://yaml.org/spec/1.2.2/#103-core-schema

CORE = {
    "null": ["null", "Null", "NULL", "~", ""],
    "true": ["true", "True", "TRUE"],
    "false": ["false", "False", "FALSE"],
}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [(text, None) for text in CORE["null"]]
    + [(text, True) for text in CORE["true"]]
    + [(text, False) for text in CORE["false"]]
    + [
        ("0", 0),
        ("-19", -19),
        ("+12", 12),
        ("0777", 777),
        ("0o17", 15),
        ("0x3A", 58),
        ("0xff", 255),
        ("9" * 999, int("9" * 999)),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000.0),
        ("-2E+05", -200000.0),
        ("1e-07", 1e-07),
        ("1.5", 1.5),
        (".inf", float("inf")),
        ("-.Inf", float("-inf")),
        ("+.INF", float("inf")),
        ("1e999", float("inf")),
    ],
)
def test_the_core_schema_of_yaml_1_2(text: str, meaning: object) -> None:
    found = value(f"a: {text}")
    assert found == {"a": meaning}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(meaning)


def test_nan_is_a_number() -> None:
    for text in (".nan", ".NaN", ".NAN"):
        found = walk(read(f"a: {text}"), ("a",))
        assert isinstance(found, Scalar)
        assert isinstance(found.value, float)
        assert math.isnan(found.value)


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "Yes",
        "no",
        "NO",
        "on",
        "off",
        "y",
        "n",
        "4:00:00",
        "1:30",
        "190:20:30.15",
        "1_000",
        "0b101",
        "0o8",
        "0xg",
        "0o",
        "0x",
        "-0x1",
        "+0o7",
        "1e",
        "1e+",
        ".",
        "+.",
        "-",
        "+",
        ".e1",
        "2001-12-14",
        "2001-12-14T21:59:43Z",
        "nULL",
        "tRUE",
        ".iNF",
        "+.nan",
        "1.2.3",
        "1,5",
        "١٢",
        "１２",  # noqa: RUF001 - digits, but not YAML's
        "=",
        "685.230_15e+03",
        "~x",
    ],
)
def test_what_is_text_in_yaml_1_2(text: str) -> None:
    """Most of it is something else in YAML 1.1: a number of seconds, a boolean, a date."""
    if text == "-":  # an entry of a list, where a value is wanted
        refused(f"a: {text}")
    else:
        assert value(f"a: {text}") == {"a": text}
    assert value(f"a: '{text}'") == {"a": text}


@pytest.mark.parametrize(
    "text", ["9" * 1000, "9" * 5000, "-" + "1" * 1000, "0x" + "f" * 5000, "0o" + "7" * 9999]
)
def test_a_number_that_python_would_not_write_is_text(text: str) -> None:
    assert value(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a: !!str 1", "1"),
        ("a: !!str true", "true"),
        ("a: !!str", ""),
        ("a: &x !!str 1", "1"),
        ("a: !!str &x 1", "1"),
        ("a: !!str\n  1", "1"),
        ("a: !!int 3", 3),
        ('a: !!int "3"', 3),
        ("a: !!float 3", 3),
        ("a: !!float 3.5", 3.5),
        ("a: !!bool 'true'", True),
        ("a: !!null ~", None),
        ("a: !!map {}", {}),
        ("a: !!seq []", []),
        ('a: ! "x"', "x"),
        ("a: !<tag:yaml.org,2002:str> 1", "1"),
    ],
)
def test_tags_of_the_core_schema(text: str, meaning: object) -> None:
    assert value(text) == {"a": meaning}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !custom 1", "the tag !custom has no meaning here"),
        ("a: !custom {b: 1}", "the tag !custom has no meaning here"),
        ("a: !custom [1]", "the tag !custom has no meaning here"),
        ("a: !!binary aGk=", "the tag !!binary has no meaning here"),
        ("a: !!set {x}", "the tag !!set has no meaning here"),
        ("a: !!omap [x: 1]", "the tag !!omap has no meaning here"),
        ("a: !!timestamp 2001-12-14", "the tag !!timestamp has no meaning here"),
        ("a: !!str {b: 1}", "the tag !!str has no meaning here"),
        (
            "a: !!python/object/apply:os.system [x]",
            "the tag !!python/object/apply:os.system has no meaning here",
        ),
        ("a: !!int x", "'x' is not what the tag !!int says"),
        ("a: !!int true", "'true' is not what the tag !!int says"),
        ("a: !!float true", "'true' is not what the tag !!float says"),
        ("a: !!bool yes", "'yes' is not what the tag !!bool says"),
        ("a: !!null x", "'x' is not what the tag !!null says"),
    ],
)
def test_other_tags_are_refused(text: str, said: str) -> None:
    (problem,) = refused(text)
    assert (problem.code, problem.message) == ("bad-yaml", f"this is not valid YAML: {said}")
    assert span(problem.location).startswith("1:4-")


# Structure


@pytest.mark.parametrize(
    "text", ["", "\n", "  \n \n", "# a comment\n# another\n", "---\n", "---\n# x\n...\n", "\ufeff"]
)
def test_a_text_of_nothing_is_an_empty_mapping(text: str) -> None:
    node = read(text)
    assert node.plain() in ({}, None)


def test_an_empty_mapping_has_a_place() -> None:
    node = empty_mapping(Source("f", ""))
    assert (node.plain(), span(node.location)) == ({}, "1:1-1:1")


def test_line_ends_of_every_system() -> None:
    for end in ("\n", "\r\n", "\r"):
        node = read(f"a: 1{end}b:{end}  - x{end}  - y{end}c: |{end}  one{end}  two{end}")
        assert node.plain() == {"a": 1, "b": ["x", "y"], "c": "one\ntwo\n"}
        assert span(key_location(node, ("c",))) == "5:1-5:2"


def test_one_document_only() -> None:
    assert value("%YAML 1.2\n---\na: 1\n...\n") == {"a": 1}
    (problem,) = refused("a: 1\n---\nb: 2\n")
    assert "another document" in problem.message
    assert span(problem.location) == "2:1-2:2"


def test_the_top_need_not_be_a_mapping() -> None:
    assert value("- a\n- b\n") == ["a", "b"]
    assert value("just text") == "just text"


def test_anchors_and_aliases() -> None:
    assert value("a: &x {b: [1, 2]}\nc: *x\nd: &y text\ne: *y\n") == {
        "a": {"b": [1, 2]},
        "c": {"b": [1, 2]},
        "d": "text",
        "e": "text",
    }


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("y: {<<: {a: 1}, b: 2}", {"b": 2, "a": 1}),
        ("y: {<<: {a: 1, b: 1}, b: 2}", {"b": 2, "a": 1}),
        ("y: {b: 2, <<: {a: 1, b: 1}}", {"b": 2, "a": 1}),
        ("y: {<<: [{a: 1}, {a: 2, c: 3}]}", {"a": 1, "c": 3}),
        ("y: {<<: []}", {}),
        ("y: {'<<': 1}", {"<<": 1}),
        ("y: {<<: {<<: {a: 1}, b: 2}}", {"b": 2, "a": 1}),
    ],
)
def test_merge_keys(text: str, meaning: object) -> None:
    assert value(text) == {"y": meaning}


def test_a_merged_value_stands_where_it_was_written() -> None:
    node = read("base: &b\n  a: 1\nuse:\n  <<: *b\n  c: 3\n")
    assert span(key_location(node, ("use", "a"))) == "2:3-2:4"
    assert span(key_location(node, ("use", "c"))) == "5:3-5:4"


@pytest.mark.parametrize("text", ["y: {<<: 3}", "y: {<<: [{a: 1}, 2]}", "y: {<<: text}"])
def test_only_mappings_are_merged(text: str) -> None:
    (problem,) = refused(text)
    assert problem.message == "this is not valid YAML: '<<' merges mappings, and this is none"
    assert span(problem.location).startswith("1:9-")


# Places


def test_every_kind_of_node_knows_its_place() -> None:
    node = read(
        "plain: word\n"  # 1
        "'quoted': \"two words\"\n"  # 2
        "block: |\n"  # 3
        "  one\n"  # 4
        "  two\n"  # 5
        "flow: {a: [1, 22]}\n"  # 6
        "list:\n"  # 7
        "  - x\n"  # 8
        "  - k: v\n"  # 9
        "none:\n"  # 10
        "é😀: naïve 漢字 end\n"  # 11
    )
    spans = {
        ("plain",): ("1:1-1:6", "1:8-1:12"),
        ("quoted",): ("2:1-2:9", "2:11-2:22"),
        ("block",): ("3:1-3:6", "3:8-6:1"),
        ("flow",): ("6:1-6:5", "6:7-6:19"),
        ("flow", "a"): ("6:8-6:9", "6:11-6:18"),
        ("flow", "a", 1): ("6:15-6:17", "6:15-6:17"),
        ("list",): ("7:1-7:5", "8:3-10:1"),
        ("list", 1, "k"): ("9:5-9:6", "9:8-9:9"),
        ("none",): ("10:1-10:5", "10:6-10:6"),
        ("é😀",): ("11:1-11:3", "11:5-11:17"),
    }
    for path, expected in spans.items():
        found = walk(node, path)
        assert found
        assert (span(key_location(node, path)), span(found.location)) == expected, path


def test_a_place_says_which_file() -> None:
    source = Source("some/file.yaml", "a: {b: c}", "file", "some")
    node = walk(parse(source), ("a", "b"))
    assert node
    assert str(node.location) == "some/file.yaml:1:8"
    assert node.location.source is source
    assert source.line(1) == "a: {b: c}"
    assert source.line(0) == source.line(2) == ""


def test_what_is_not_there_is_placed_above() -> None:
    node = read("a:\n  b: 1\nlist: [x]\n")
    assert span(key_location(node, ("a", "missing"))) == "1:1-1:2"
    assert span(key_location(node, ("a", "missing", "deeper"))) == "1:1-1:2"
    assert span(key_location(node, ("list", 7))) == "3:1-3:5"
    assert span(key_location(node, ("nothing",))) == span(node.location)
    assert span(key_location(node, ())) == span(node.location)
    assert (
        walk(node, ("list", 7)) is walk(node, ("a", "b", "c")) is walk(node, ("list", "x")) is None
    )


# Reading nodes


def test_scalars_come_in_order_with_their_paths() -> None:
    node = read("a: {b: [1, {c: x}]}\nd: ~\n")
    found = [(show_path(path), scalar.value) for path, scalar in scalars(node)]
    assert found == [("a.b[0]", 1), ("a.b[1].c", "x"), ("d", None)]
    assert show_path((0, "a")) == "[0].a"


def test_a_scalar_as_the_text_that_a_program_is_given() -> None:
    texts = "v: [1.10, 0777, true, False, ~, text, '', 1e3, 0x10]"
    node = walk(read(texts), ("v",))
    assert isinstance(node, Sequence)
    found = [scalar_text(item) for item in node.items if isinstance(item, Scalar)]
    assert found == ["1.10", "0777", "true", "false", "", "text", "", "1e3", "0x10"]


def test_an_interpolated_number_is_not_its_reference() -> None:
    node = walk(read("a: ${b}"), ("a",))
    assert isinstance(node, Scalar)
    assert scalar_text(node.replaced(3)) == "3"
    assert scalar_text(node.replaced((Literal("x"), RuntimeEnv("Y")))) == ""


def test_a_replaced_scalar_remembers() -> None:
    node = walk(read("a: old"), ("a",))
    assert isinstance(node, Scalar)
    new = node.replaced("new")
    assert (new.value, new.previous, new.location) == ("new", node, node.location)
    assert node.previous is None


def test_mappings_are_read_by_key() -> None:
    node = read("a: 1")
    assert isinstance(node, Mapping)
    found = node.get("a")
    assert found
    assert found.plain() == 1
    assert node.get("b") is None
