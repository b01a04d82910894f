"""The language of overrides: read as Hydra reads it."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException

from evalc.config.composing.overrides import Override, parse_overrides
from evalc.config.composing.problems import Unsupported
from evalc.errors import ConfigError, Problem


def read(text: str) -> Override:
    (override,) = parse_overrides([text])
    return override


def value(text: str) -> Any:
    node = read(f"key={text}").value
    assert node is not None
    return node.plain()


def refused(text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parse_overrides([text])
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "action", "key", "package"),
    [
        ("a=1", "set", "a", None),
        ("a.b-c.0.$d=1", "set", "a.b-c.0.$d", None),
        ("+a.b=1", "add", "a.b", None),
        ("++a.b=1", "force", "a.b", None),
        ("~a.b", "delete", "a.b", None),
        ("~a.b=1", "delete", "a.b", None),
        ("execution=slurm/default", "set", "execution", None),
        ("+a/b=c", "add", "a/b", None),
        ("deployment@judge.x=vllm", "set", "deployment", "judge.x"),
        ("group@=x", "set", "group", ""),
    ],
)
def test_keys(text: str, action: str, key: str, package: str | None) -> None:
    override = read(text)
    assert (override.action, override.key, override.package) == (action, key, package)
    assert override.text == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("text", "text"),
        ("two  words", "two  words"),
        (" padded ", "padded"),
        ("4:00:00", "4:00:00"),
        ("1-12:00:00", "1-12:00:00"),
        ("http://host:8000/v1?x", "http://host:8000/v1?x"),
        ("/a/b-c.d", "/a/b-c.d"),
        ("--flag", "--flag"),
        ("12", 12),
        ("-12", -12),
        ("1_000", 1000),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("inf", math.inf),
        ("-INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("on", "on"),
        ("null", None),
        ("NULL", None),
        ("nullable", "nullable"),
        ("???", "???"),
        ("'quoted, \"text\" = x'", 'quoted, "text" = x'),
        ('"it\'s"', "it's"),
        (r"'it\'s'", "it's"),
        (r"'a\\'", "a\\"),
        (r"'a\b'", r"a\b"),
        ("'12'", "12"),
        ("''", ""),
        (r"a\,b\=c\ ", "a,b=c "),
        ("${a.b}", "${a.b}"),
        ("x ${a} ${b:c,d}", "x ${a} ${b:c,d}"),
        ("[]", []),
        ("[1,two words,'x, y',[null,{}]]", [1, "two words", "x, y", [None, {}]]),
        ("{}", {}),
        ("{a: 1, b-c:{d: [e]}, f g:http://x}", {"a": 1, "b-c": {"d": ["e"]}, "f g": "http://x"}),
        ("'line one\nline two'", "line one\nline two"),
    ],
)
def test_values(text: str, expected: Any) -> None:
    got = value(text)
    assert got == expected
    assert type(got) is type(expected)


def test_not_a_number_is_one() -> None:
    assert math.isnan(value("nan"))


def test_quoted_text_is_not_plain() -> None:
    node = read("a='1'").value
    assert node is not None
    assert not node.plain_style  # type: ignore[attr-defined]


def test_a_huge_number_is_text() -> None:
    assert value("9" * 5000) == "9" * 5000


@pytest.mark.parametrize(
    ("text", "columns", "message", "label"),
    [
        ("a", (1, 2), "'a' is given no value", "a=VALUE"),
        ("", (1, 2), "an override starts with a key", "write KEY=VALUE"),
        ("=1", (1, 2), "an override starts with a key", "write KEY=VALUE"),
        ("a b=1", (1, 4), "'a b' is not a key", "write KEY=VALUE"),
        ("a..b=1", (1, 5), "'a..b' is not a key", "write KEY=VALUE"),
        ("a.01=1", (1, 5), "'a.01' is not a key", "write KEY=VALUE"),
        ("a=b=c", (4, 5), "'=' has no meaning here", "a text with it needs quotes"),
        ("a=x#y", (4, 5), "'#' has no meaning here", "a text with it needs quotes"),
        ("a='x", (3, 4), "''' has no meaning here", "a text with it needs quotes"),
        ("a='x'y", (6, 7), "'y' has no meaning here", "a text with it needs quotes"),
        ("a=[1", (5, 6), "the value ends too early", ""),
        ("a=[1,]", (6, 7), "']' has no meaning here", ""),
        ("a={b}", (5, 6), "'}' has no meaning here", ""),
        ("a={1: b}", (4, 5), "a key must be text, and 1 is not", ""),
        ("a={b: 1, b: 2}", (10, 11), "'b' is given twice in one mapping", ""),
        ("a=(x)", (3, 4), "'(' has no meaning here", ""),
        ("a=${b.${c}}", (11, 12), "'}' has no meaning here", ""),
    ],
)
def test_what_can_not_be_read(
    text: str, columns: tuple[int, int], message: str, label: str
) -> None:
    problem = refused(text)
    assert problem.code == "bad-override"
    assert problem.message == message
    assert label in problem.label
    at = problem.location
    assert at is not None
    assert (at.source.name, at.source.text, at.line) == ("-o", text, 1)
    assert (at.column, at.end_column) == columns


def test_a_place_on_a_later_line() -> None:
    at = refused("a=['one\ntwo', #]").location
    assert at is not None
    assert (at.line, at.column) == (2, 7)


def test_deep_nesting_is_refused() -> None:
    assert refused(f"a={'[' * 5000}").message == "values are nested more than 100 deep"


def test_all_problems_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_overrides(["a=1", "b", "c=(", "d=2"])
    assert len(caught.value.problems) == 2


# --- against Hydra's own parser -------------------------------------------------------------------

KEYS = (
    *("a", "a.b", "a.0", "a.b-c", "$a", "a.$b", "a/b", "a/b/c", "a@b", "a/b@c.d", "a@", "_a", "0"),
    *("0.a", "a.01", "a..b", "a.", ".a", "a b", "A9", "a.1_0", "a@b@c", "a/", "/a", "a.b/c"),
)
ATOMS = (
    *("a", "ab", "x-y", "_", "0", "1", "12", "007", "1_000", "1__0", "3.5", ".5", "5.", "1e3"),
    *("1e-3", "1.e2", "inf", "-inf", "nan", "NaN", "true", "FALSE", "null", "NULL", "nulls", "-"),
    *("+", "--", "/", "\\", "\\\\", "\\,", "\\ ", "\\=", "\\:", "\\(", "\\[", "\\}", "\\'", '\\"'),
    *("'", '"', "''", '""', "'a b'", '"x,y"', "'it\\'s'", '"\\\\"', "'\\\\\\''", ":", " : ", ","),
    *(" , ", " ", "  ", "\t", "[", "]", "{", "}", "(", ")", "[]", "{}", "${a.b}", "${", "${}"),
    *("${x:y,z}", "$", "%", "*", "@", "?", "???", "|", ".", "=", "~", "4:00:00", "#", "&", "é"),
    *("\n", "a:", "{a:1}", "[1,2]", "f("),
)
ACTIONS = {
    OverrideType.CHANGE: "set",
    OverrideType.ADD: "add",
    OverrideType.FORCE_ADD: "force",
    OverrideType.DEL: "delete",
}


def random_override(rng: random.Random) -> str:
    sign = rng.choice(("", "", "", "+", "++", "~"))
    key = rng.choice(KEYS) if rng.random() < 0.3 else "a.b"
    text = "".join(rng.choice(ATOMS) for _ in range(rng.randint(0, 6)))
    return f"{sign}{key}{rng.choice(('=', '=', '=', '= ', ''))}{text}"


def typed(data: Any) -> Any:
    """The data with the types of its values, which ``1 == 1.0 == True`` hides."""
    if isinstance(data, dict):
        return [(typed(key), typed(item)) for key, item in data.items()]
    if isinstance(data, list):
        return [typed(item) for item in data]
    return type(data).__name__, repr(data)


def has_only_text_keys(data: Any) -> bool:
    if isinstance(data, dict):
        return all(isinstance(k, str) and has_only_text_keys(v) for k, v in data.items())
    return not isinstance(data, list) or all(has_only_text_keys(item) for item in data)


@pytest.mark.parametrize("seed", range(4))
def test_random_overrides_are_read_as_by_hydra(seed: int) -> None:
    rng = random.Random(seed)
    parser = OverridesParser.create()
    agreed = 0
    for _ in range(1000):
        text = random_override(rng)
        try:
            theirs = parser.parse_override(text)
        except HydraException:
            assert refused(text).location is not None, text
            continue
        if theirs.is_sweep_override():
            assert isinstance(refused(text), Unsupported), text
            continue
        data = theirs.value()
        try:
            ours = read(text)
        except ConfigError as error:
            (problem,) = error.problems
            # Keys are text, and none comes twice: as in files.
            twice = "twice" in problem.message
            assert twice or not has_only_text_keys(data), f"{text!r}: {problem.message}"
            continue
        assert (ours.action, ours.key, ours.package) == (
            ACTIONS[theirs.type],
            theirs.key_or_group,
            theirs.package,
        ), text
        got = None if ours.value is None else ours.value.plain()
        assert typed(got) == typed(data), text
        agreed += 1
    assert agreed > 200
