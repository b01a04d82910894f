"""JSON with marks: what is known arrives whole, what is not is a mark, and nothing else is one."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from emit.texts import hostile
from hypothesis import given
from hypothesis import strategies as st

from evalc.emit import jsontext
from evalc.emit.quoting import Refused
from evalc.resources import template_dir
from evalc.words import Literal, RuntimeEnv, Secret

if TYPE_CHECKING:
    from pathlib import Path

texts = hostile | st.text(alphabet='@{}\\"AB', max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_what_is_known_reads_as_it_was_and_holds_no_mark(value: Any) -> None:
    text = jsontext.dump(value)
    assert json.loads(text) == value
    assert "@@{" not in text


def test_keys_are_sorted_and_the_form_is_for_people() -> None:
    made = jsontext.dump({"b": [1, {}], "a": {"y": [], "x": None}})
    assert made == (
        '{\n  "a": {\n    "x": null,\n    "y": []\n  },\n  "b": [\n    1,\n    {}\n  ]\n}\n'
    )


def test_what_is_not_known_is_a_mark() -> None:
    word = (Literal('a "'), RuntimeEnv("NAME"), Literal("@@"), Literal("{X}@@"))
    assert jsontext.dump(word) == '"a \\"@@{NAME}@@@@\\u007bX}@@"\n'
    assert jsontext.plain({"a": [word]}) == {"a": ['a "@@{NAME}@@@@{X}@@']}


def test_a_secret_is_no_mark() -> None:
    with pytest.raises(Refused):
        jsontext.dump([(Secret("KEY"),)])


@given(
    st.lists(
        texts.map(Literal) | st.just(RuntimeEnv("ONE")) | st.just(RuntimeEnv("TWO")),
        min_size=1,
        max_size=5,
    )
)
def test_filling_in_by_hand_gives_what_was_meant(parts: list[Any]) -> None:
    """As lepton.json's readers do: from left to right, never looking at a value again."""
    values = {"ONE": 'v"1 @@{TWO}@@', "TWO": "v\\2"}
    text, done = jsontext.dump(tuple(parts)), ""
    while "@@{" in text:
        before, _, rest = text.partition("@@{")
        name, _, text = rest.partition("}@@")
        done += before + json.dumps(values[name])[1:-1]
    meant = "".join(p.text if isinstance(p, Literal) else values[p.name] for p in parts)
    assert json.loads(done + text) == meant


def test_the_shell_library_fills_in_the_same(tmp_path: Path) -> None:
    value = {
        "name": (Literal("a-"), RuntimeEnv("ID")),
        "other": "@@{ID}@@",
        "x": (RuntimeEnv("V"),),
    }
    (tmp_path / "t.json").write_text(jsontext.dump(value))
    script = '. "$1/lib/common.sh"; ID=k3 V=$2; evalc_fill t.json out.json ID V'
    hard = 'it\'s "x" \\ \n @@{ID}@@ é'
    subprocess.run(
        ["bash", "-euc", script, "bash", str(template_dir()), hard], cwd=tmp_path, check=True
    )
    found = json.loads((tmp_path / "out.json").read_text())
    assert found == {"name": "a-k3", "other": "@@{ID}@@", "x": hard}
