"""Problems as JSON."""

from __future__ import annotations

import json

from evalc.cli.report.as_json import dumps, render_all
from evalc.errors import Location, Source
from evalc.source.loader import BadYaml, DuplicateKey


def test_every_key_is_there() -> None:
    source = Source("a.yaml", "k: 1\nk: é\n")
    first = Location(source, 1, 1, 1, 2)
    place = Location(source, 2, 1, 2, 2)
    assert json.loads(render_all([DuplicateKey(key="k", first=first, location=place)])) == [
        {
            "code": "duplicate-key",
            "severity": "error",
            "message": "'k' is given twice in one mapping",
            "label": "first given on line 1",
            "help": "",
            "file": "a.yaml",
            "line": 2,
            "column": 1,
            "end_line": 2,
            "end_column": 2,
        }
    ]


def test_a_problem_without_a_place_has_nulls() -> None:
    (found,) = json.loads(render_all([BadYaml(what="no")]))
    places = ("file", "line", "column", "end_line", "end_column")
    assert {key: found[key] for key in places} == dict.fromkeys(places)


def test_an_override_is_named_by_its_key() -> None:
    place = Location(Source("-o", "a.b=c", "override"), 1, 5, 1, 6)
    (found,) = json.loads(render_all([BadYaml(what="no", location=place)]))
    assert (found["file"], found["line"], found["column"]) == ("-o a.b", 1, 5)


def test_nothing_is_an_empty_list() -> None:
    assert render_all([]) == "[]"


def test_any_stream_can_take_it() -> None:
    # The second is how Python spells a byte of a file name that is not UTF-8.
    assert dumps({"é": "\udcff🚀"}).isascii()
    assert json.loads(dumps({"é": "\udcff🚀"})) == {"é": "\udcff🚀"}
