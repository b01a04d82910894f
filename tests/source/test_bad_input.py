"""Whatever a file holds: a located error, at once, and never a traceback."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalc.errors import ConfigError, Problem, Source, UsageError
from evalc.source import loader, parse, read_file
from evalc.source.nodes import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from evalc.source import Node

# In seconds of CPU; twice what it may be, since measuring coverage slows it down.
AT_ONCE = 4.0


@contextmanager
def at_once() -> Iterator[None]:
    begun = time.process_time()
    yield
    assert time.process_time() - begun < AT_ONCE


def refused(text: str) -> Problem:
    """The only problem of a text, which has a place in it."""
    with at_once(), pytest.raises(ConfigError) as caught:
        parse(Source("f", text))
    (problem,) = caught.value.problems
    located_in(problem, text)
    return problem


def located_in(problem: Problem, text: str) -> None:
    at = problem.location
    assert at
    lines = text.splitlines() or [""]
    assert 1 <= at.line <= len(lines)
    assert 1 <= at.column <= len(lines[at.line - 1]) + 1
    assert (at.line, at.column) <= (at.end_line, at.end_column)


def place(problem: Problem) -> tuple[int, int]:
    assert problem.location
    return problem.location.line, problem.location.column


@pytest.mark.parametrize(
    ("text", "line", "column", "said", "advice"),
    [
        ("a: b: c", 1, 5, "mapping values are not allowed", "need quotes?"),
        ("a: 1\n  b: 2", 2, 4, "mapping values are not allowed", "indented as it should be"),
        ("a: {b", 1, 6, "did not find expected ',' or '}'", ""),
        ("a: [1,\n\n\n", 3, 1, "did not find expected node content", ""),
        ('a: "x', 1, 6, "unexpected end of stream", ""),
        ("a: 'x\nb: 1", 2, 5, "unexpected end of stream", ""),
        ('a: "\\q"', 1, 5, "unknown escape character", ""),
        ('a: "\\ud800"', 1, 7, "invalid Unicode character escape code", ""),
        ("a: *b", 1, 4, "undefined alias", "needs quotes"),
        ("a: %x", 1, 4, "cannot start any token", "needs quotes"),
        ("a: @x", 1, 4, "cannot start any token", "needs quotes"),
        ("a: `x`", 1, 4, "cannot start any token", "needs quotes"),
        ("a:\n\tb: 1", 2, 1, "a tab can't indent YAML", "use spaces"),
        ("a: 1\n \tb: 2", 2, 4, "a tab can't indent YAML", "use spaces"),
        ("a: b\tc: d: e", 1, 7, "mapping values are not allowed", "need quotes?"),
        ("a: \x01", 1, 4, "control characters are not allowed", ""),
        ('ok: 1\na: "x\x1b[31m"', 2, 6, "control characters are not allowed", ""),
        ("a: x\0y", 1, 5, "control characters are not allowed", ""),
        ("a: é\0", 1, 5, "control characters are not allowed", ""),
        ("a: \ud800", 1, 4, "a byte of it is not UTF-8", ""),
        ("ok: 1\nab: x\udcff", 2, 6, "a byte of it is not UTF-8", ""),
        ("%YAML 2.0\n---\na: 1", 1, 1, "incompatible YAML document", ""),
        ("a: 1\n...\nb: 2\n", 3, 1, "expected <document start>", ""),
        ("a: &x [*x]", 1, 4, "inside the anchor", ""),
        ("a: &x {b: *x}", 1, 4, "inside the anchor", ""),
        ("a: &x {<<: *x}", 1, 4, "inside the anchor", ""),
        ("&a [&b [*a]]", 1, 1, "inside the anchor", ""),
        ("x" * 2000 + ": 1", 1, 2001, "mapping values are not allowed", ""),
    ],
)
def test_broken_yaml(text: str, line: int, column: int, said: str, advice: str) -> None:
    problem = refused(text)
    assert problem.code == "bad-yaml"
    assert said in problem.message
    assert advice in problem.label
    assert place(problem) == (line, column)


@pytest.mark.parametrize(
    ("text", "line", "column", "end_column", "first"),
    [
        ("a: 1\nb: 2\na: 3", 3, 1, 2, 1),
        ("{a: 1, 'a': 2}", 1, 8, 11, 1),
        ("x:\n  long key: 1\n  long key: 2", 3, 3, 11, 2),
        ("x: [{a: 1,\n     a: 2}]", 2, 6, 7, 1),
    ],
)
def test_a_key_given_twice(text: str, line: int, column: int, end_column: int, first: int) -> None:
    problem = refused(text)
    assert problem.code == "duplicate-key"
    assert problem.message.endswith("is given twice in one mapping")
    assert problem.label == f"first given on line {first}"
    assert problem.location
    assert place(problem) == (line, column)
    assert problem.location.end_column == end_column


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1: x", "the number 1"),
        ("1.5: x", "the number 1.5"),
        ("true: x", "the boolean true"),
        ("~: x", "the value ~"),
        ("? \n: x", "the value null"),
        ("[a]: x", "a list or a mapping"),
        ("{a: 1}: x", "a list or a mapping"),
    ],
)
def test_a_key_that_is_no_text(text: str, said: str) -> None:
    problem = refused(text)
    assert problem.code == "bad-key"
    assert said in problem.message
    assert problem.label == "put it in quotes"


def test_all_problems_of_a_file_are_told_at_once() -> None:
    text = "a: 1\na: 2\n3: x\nb: !what y\nc: {d: 1, d: 2}\n"
    with pytest.raises(ConfigError) as caught:
        parse(Source("f", text))
    found = [(place(problem)[0], problem.code) for problem in caught.value.problems]
    assert found == [(2, "duplicate-key"), (3, "bad-key"), (4, "bad-yaml"), (5, "duplicate-key")]


# Too much


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000,
        "[" * 10_000 + "]" * 10_000,
        "[" * 1_000_000,
        "{a: " * 10_000,
        "{a: " * 500_000,
        "- " * 10_000 + "x",
        "- " * 1_000_000 + "x",
        "? " * 1_000_000,
        "- ? " * 500_000,
        "".join(" " * n + "a:\n" for n in range(1000)),
        "".join(" " * n + "-\n" for n in range(1000)),
        "ok: [1, 2]\nx: " + "[" * 5000,
    ],
    ids=lambda text: f"{text[:12].strip()}... ({len(text)})",
)
def test_deep_nesting(text: str) -> None:
    """A million levels would overflow the stack of PyYAML's composer, and end the process."""
    problem = refused(text)
    assert (problem.code, problem.message) == ("too-large", "values are nested more than 100 deep")


def test_nesting_that_is_deep_enough_for_anybody() -> None:
    for text in ("[" * 100 + "]" * 100, "{a: " * 99 + "{}" + "}" * 99, "- " * 100 + "x"):
        parse(Source("f", text))


def test_many_brackets_are_not_deep() -> None:
    text = "a: [" + "[1, {b: 2}], " * 2000 + "]\nb: '" + "[" * 3000 + "'\n"
    node = parse(Source("f", text))
    assert node.plain()["b"] == "[" * 3000


def laughs(one: str, many: Callable[[str], str]) -> str:
    names = "abcdefghij"
    lines = [f"a: &a {one}"]
    lines += [f"{new}: &{new} {many(old)}" for old, new in itertools.pairwise(names)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        laughs("[x, x, x, x, x, x, x, x, x]", lambda n: f"[{', '.join([f'*{n}'] * 9)}]"),
        laughs("{x: y}", lambda n: "{" + ", ".join(f"k{i}: *{n}" for i in range(9)) + "}"),
        laughs("{x: y}", lambda n: f"{{<<: [{', '.join([f'*{n}'] * 9)}]}}"),
    ],
    ids=["lists", "mappings", "merges"],
)
def test_a_billion_laughs(text: str) -> None:
    problem = refused(text)
    assert problem.code == "too-large"
    assert problem.message == "aliases (*) repeat more than 100,000 values"


def test_aliases_within_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task of a large config may use a block that they have in common."""
    monkeypatch.setattr(loader, "MAX_COPIES", 100)
    items = "\n".join(f"k{n}: {{<<: *base, n: {n}, name: a task's own}}" for n in range(1000))
    node = parse(Source("f", f"base: &base {{a: 1, b: 2, c: [x, y]}}\n{items}\n"))
    last = walk(node, ("k999",))
    assert last
    assert last.plain() == {"n": 999, "name": "a task's own", "a": 1, "b": 2, "c": ["x", "y"]}


def test_more_values_than_a_config_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MAX_NODES", 100)
    assert refused("[" + "x, " * 200 + "]").message == "the file holds more than 100 values"


# Files


def test_a_file_of_10_mb(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("key: value\n" * 1_000_000)
    with at_once(), pytest.raises(ConfigError) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert (problem.code, place(problem)) == ("too-large", (1, 1))
    assert problem.message == "the file is larger than 8 MiB, which no config needs"


def test_a_file_just_small_enough_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * loader.MAX_BYTES)
    with at_once():
        assert parse(read_file(path)).plain() == {}


@pytest.mark.parametrize(
    ("data", "line", "column", "byte"),
    [
        (b"\xff", 1, 1, "0xff"),
        (b"a: 1\nb: \xe9t\xe9\n", 2, 4, "0xe9"),
        (b"a: \xc3", 1, 4, "0xc3"),
        ("a: b".encode("utf-16"), 1, 1, "0xff"),
        (b"a: \xed\xa0\x80", 1, 4, "0xed"),
    ],
)
def test_a_file_that_is_not_utf_8(
    tmp_path: Path, data: bytes, line: int, column: int, byte: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert problem.message == f"this is not valid YAML: the byte {byte} is not UTF-8"
    assert problem.label == "save the file as UTF-8"
    assert place(problem) == (line, column)


def test_a_byte_order_mark_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    source = read_file(path, shown="as given", kind="builtin")
    assert (source.text, source.name, source.kind) == ("a: 1\n", "as given", "builtin")
    assert source.directory == str(tmp_path)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    (server := socket.socket(socket.AF_UNIX)).bind(str(tmp_path / "socket"))
    for name, said in {
        "missing": "there is no file",
        "folder": "is a directory, not a config file",
        "loop": "can't be read: Too many levels of symbolic links",
        "file/x": "can't be read: Not a directory",
        "socket": "can't be read: No such device or address",
        "x" * 300: "can't be read: File name too long",
    }.items():
        with pytest.raises(UsageError) as caught:
            read_file(tmp_path / name)
        assert said in caught.value.message
        assert str(tmp_path / name) in caught.value.message
    server.close()


def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("a: 1")
    path.chmod(0)
    program = (
        "import os, sys; from pathlib import Path; from evalc.errors import UsageError\n"
        "from evalc.source import read_file\n"
        "if os.geteuid() == 0: os.setresuid(65534, 65534, 65534)\n"
        "try: read_file(Path(sys.argv[1]))\n"
        "except UsageError as error: print(error)\n"
    )
    for folder in (path.parent, *path.parent.parents[:3]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path} can't be read: Permission denied\n"


# Anything at all

fragments = st.sampled_from(
    [
        "a",
        ": ",
        "- ",
        "\n",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&x ",
        "*x",
        "!!str ",
        "!t ",
        "|",
        ">",
        "'",
        '"',
        "#",
        "?",
        "<<: ",
        "\t",
        "---\n",
        "...\n",
        "%",
        "\\",
        "\x00",
        "\x85",
        "\u2028",
        "\ufeff",
        "�",
        "é",
        "0x",
        "1e9",
        "~",
    ]
)


def refusal(read: Callable[[], Node]) -> tuple[Problem, ...] | None:
    """What is wrong with a text, None for one that is read."""
    try:
        read().plain()
    except ConfigError as error:
        return error.problems
    return None


@settings(max_examples=400)
@given(st.lists(fragments, max_size=25).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    problems = refusal(lambda: parse(Source("f", text)))
    assert problems is None or problems
    for problem in problems or ():
        assert problem.location
        assert problem.message
        assert isinstance(problem.label, str)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(data)
    problems = refusal(lambda: parse(read_file(path)))
    assert problems is None or problems
    assert all(problem.location for problem in problems or ())
