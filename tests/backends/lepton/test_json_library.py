"""lib/json.sh: what bash makes of JSON is what JSON says."""

from __future__ import annotations

import json
import resource
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalc.resources import template_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ = r"""
. "$1/lib/json.sh"
file=$2
shift 2
evalc_json "$file" "$@" || exit 1
for i in ${_json_paths[@]+"${!_json_paths[@]}"}; do
  printf '%s\0%s\0' "${_json_paths[i]}" "${_json_values[i]}"
done
"""


def read(path: Path, text: str | bytes, *patterns: str) -> list[tuple[str, str]] | None:
    """The paths and values that the library finds; None when it refuses."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run(
        ["bash", "-uc", READ, "bash", str(template_dir()), str(path), *(patterns or ("*",))],
        capture_output=True,
        check=False,
        timeout=180,
    )
    assert done.stderr == b""
    if done.returncode:
        return None
    words = done.stdout.decode().split("\0")[:-1]
    return list(zip(words[::2], words[1::2], strict=True))


def scalars(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from scalars(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from scalars(item, f"{path}/{index}")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)


keys = st.text(alphabet="abcXYZ-_.", max_size=5)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(value=documents, ascii_only=st.booleans(), indent=st.none() | st.just(2))
def test_it_reads_what_python_writes(
    tmp_path_factory: pytest.TempPathFactory, value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert read(tmp_path_factory.mktemp("json") / "x", text) == list(scalars(value))


NO_JSON = r"""
{ [ {"a"} {"a":1,} {,} [1~2] [1,] [,1] {"a":1}} {"a":1] [1} <html> "abc 'a' {"a"~"b"} {a:~1} truex
[truefalse] 01 1. .5 +1 1e --1 nan {"a":1}~{"b":2} [1]] {"a": ] } , : " [1:2] {"a",1} {1:2}
{"jobs":~[{"metadata":~{"id":~"x" null~null
"""


@pytest.mark.parametrize("text", ["", " ", *NO_JSON.replace("\n", " ").split()])
def test_it_refuses_what_is_no_json(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "x", text.replace("~", " ")) is None


def test_escapes(tmp_path: Path) -> None:
    text = r'["\u0041\u00e9\u20ac\ud83d\ude00\ud83d.", "\"\\\/\b\f\n\r\t", "\u0000"]'
    found = read(tmp_path / "x", text)
    assert found == [("/0", "Aé€😀\ufffd."), ("/1", '"\\/\b\f\n\r\t'), ("/2", "\ufffd")]


def test_only_what_was_asked_for(tmp_path: Path) -> None:
    text = json.dumps({"jobs": [{"metadata": {"id": "a", "labels": {"a/b": 1}}, "status": {}}]})
    assert read(tmp_path / "x", text, "*/metadata/id") == [("/jobs/0/metadata/id", "a")]
    assert read(tmp_path / "x", text, "*/a~1b") == [("/jobs/0/metadata/labels/a~1b", "1")]
    assert read(tmp_path / "x", text, "/none") == []


def test_bytes_that_are_no_text_pass(tmp_path: Path) -> None:
    assert read(tmp_path / "x", b'{"id": "x", "log": "\xff\xfe"}', "/id") == [("/id", "x")]


def test_five_hundred_jobs_take_seconds(tmp_path: Path) -> None:
    spec = {"container": {"command": ["bash", "-c", 'line "x" \\ \n' * 1500]}}
    jobs = [{"metadata": {"id": f"n-{i}"}, "spec": spec} for i in range(500)]
    begun = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    found = read(tmp_path / "x", json.dumps({"jobs": jobs}), "*/metadata/id")
    assert found == [(f"/jobs/{i}/metadata/id", f"n-{i}") for i in range(500)]
    # Of its own time: others may be at work. Were each character looked at, it would be minutes.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun < 30
