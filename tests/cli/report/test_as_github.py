"""Problems as annotations of a GitHub workflow."""

from __future__ import annotations

from evalc.cli.report.as_github import render, render_all
from evalc.errors import Location, Source
from evalc.source.loader import BadYaml, DuplicateKey


def test_a_problem_is_one_line_with_its_place() -> None:
    source = Source("examples/a.yaml", "key: 1\nkey: 2\n")
    first = Location(source, 1, 1, 1, 4)
    problem = DuplicateKey(key="key", first=first, location=Location(source, 2, 1, 2, 4))
    assert render(problem) == (
        "::error file=examples/a.yaml,line=2,endLine=2,col=1,endColumn=3,"
        "title=evalc%3A duplicate-key"
        "::'key' is given twice in one mapping%0Afirst given on line 1"
    )


def test_a_span_over_several_lines_has_no_columns() -> None:
    place = Location(Source("a.yaml", "a\nb"), 1, 2, 2, 1)
    assert render(BadYaml(what="x", location=place)) == (
        "::error file=a.yaml,line=1,endLine=2,title=evalc%3A bad-yaml::this is not valid YAML: x"
    )


def test_text_can_not_end_the_annotation_or_start_another() -> None:
    place = Location(Source("a,b:c%\n.yaml", "x"), 1, 1, 1, 1)
    problem = BadYaml(what="100%\r\n::error::x", advice="a, b: c", location=place)
    assert render(problem) == (
        "::error file=a%2Cb%3Ac%25%0A.yaml,line=1,endLine=1,col=1,endColumn=1,"
        "title=evalc%3A bad-yaml"
        "::this is not valid YAML: 100%25%0D%0A::error::x%0Aa, b: c"
    )


def test_what_is_in_no_file_is_named_in_the_message() -> None:
    place = Location(Source("-o", "a=b", "override"), 1, 1, 1, 2)
    assert render(BadYaml(what="x", location=place)) == (
        "::error title=evalc%3A bad-yaml::-o a: this is not valid YAML: x"
    )
    assert render(BadYaml(what="x")) == (
        "::error title=evalc%3A bad-yaml::this is not valid YAML: x"
    )


def test_one_annotation_a_line() -> None:
    assert render_all([BadYaml(what="x"), BadYaml(what="y")]).count("\n") == 1
    assert render_all([]) == ""
