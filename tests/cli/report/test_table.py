"""Columns of text."""

from evalc.cli.report.table import columns


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert columns([("a", "bb", "c"), ("aaa", "b", "")]) == "a    bb  c\naaa  b"


def test_no_rows_are_no_text() -> None:
    assert columns([]) == ""
