"""Columns of text."""

from evalc.cli.report.table import columns


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "")]) == "a    bb  c\naaa  b"


def test_no_rows_are_no_text() -> None:
    assert columns([]) == ""


def test_east_asian_characters_take_two_columns() -> None:
    assert (
        columns([("漢字", "x"), ("abcde", "y"), ("e\u0301", "z")])
        == "漢字   x\nabcde  y\ne\u0301      z"
    )
