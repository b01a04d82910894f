"""Results to a Google spreadsheet: a row for each score, in its worksheet ``evalc``.

Rows are found again by their first columns and only cells that differ are written; columns and rows
of other people stay as they are. A new spreadsheet belongs to the account, and is shared with
nobody.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from evalc.export.destinations.base import (
    COMMON,
    DestinationDown,
    MissingClient,
    Outcome,
    Status,
    finished,
    one_line,
)
from evalc.export.destinations.rows import COLUMNS, KEY, Row, as_text, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalc.export.model import RunResult

_NAME = "gsheets"
_SHEET = "evalc"


class GsheetsExporter:
    """See :class:`evalc.export.destinations.base.Exporter`."""

    name = _NAME
    description = "a Google spreadsheet"
    keys: Mapping[str, Any] = {
        "spreadsheet_name": "evalc results",
        "spreadsheet_id": "",
        "service_account_file": "",
        "oauth_file": "",
        # A spreadsheet holds no files: these are taken and do nothing.
        **COMMON,
    }

    def export(self, runs: Sequence[RunResult], settings: Mapping[str, Any]) -> Iterator[Outcome]:
        """See there. Everything goes in one request of each kind: Google allows few a minute."""
        try:
            import gspread  # noqa: PLC0415 - heavy, and an extra
            from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        except ImportError:
            raise MissingClient(_NAME, "gspread", _NAME) from None
        tasks = [
            (run, task, rows_of(run, task, scores))
            for run, task, scores in finished(runs, settings)
        ]
        rows = [row for _, _, found in tasks for row in found]
        try:
            sheet = _spreadsheet(gspread, settings)
            new, changed = _write(_worksheet(gspread, sheet), rows)
        except (gspread.exceptions.GSpreadException, GoogleAuthError, OSError, ValueError) as error:
            raise DestinationDown(_NAME, one_line(error)) from None
        for run, task, found in tasks:
            keys = set(map(_key, found))
            status = Status.UPDATED if keys & (new | changed) else Status.UNCHANGED
            status = Status.EXPORTED if keys and keys <= new else status
            yield Outcome(run.id, task.id, status, str(sheet.url))


def _spreadsheet(gspread: Any, settings: Mapping[str, Any]) -> Any:
    if settings["oauth_file"]:
        client = gspread.oauth(credentials_filename=settings["oauth_file"])
    elif settings["service_account_file"]:
        client = gspread.service_account(filename=settings["service_account_file"])
    else:
        client = gspread.service_account()
    if settings["spreadsheet_id"]:
        return client.open_by_key(settings["spreadsheet_id"])
    try:
        return client.open(settings["spreadsheet_name"])
    except gspread.SpreadsheetNotFound:
        return client.create(settings["spreadsheet_name"])


def _worksheet(gspread: Any, sheet: Any) -> Any:
    try:
        return sheet.worksheet(_SHEET)
    except gspread.WorksheetNotFound:
        return sheet.add_worksheet(_SHEET, rows=1, cols=len(COLUMNS))


def _key(row: Row) -> tuple[str, ...]:
    return tuple(as_text(row[name]) for name in KEY)


def _write(worksheet: Any, rows: Sequence[Row]) -> tuple[set[tuple[str, ...]], set[Any]]:
    """Writes rows that are not there, and cells that differ; the keys of both."""
    there = worksheet.get_values(value_render_option="UNFORMATTED_VALUE")
    head = [str(name) for name in there[0]] if there else []
    lacking = [name for name in COLUMNS if name not in head]
    if lacking:
        head += lacking
        if len(head) > worksheet.col_count:
            worksheet.add_cols(len(head) - worksheet.col_count)
        worksheet.update([head], "A1", raw=True)
    lines = {}
    for number, values in enumerate(there[1:], start=2):
        row = dict(zip(head, values, strict=False))
        lines[tuple(as_text(row.get(name)).lower() for name in KEY)] = number, row
    new, cells, changed = [], [], set()
    for row in rows:
        known = lines.get(tuple(text.lower() for text in _key(row)))
        if known is None:
            new.append(row)
            continue
        number, before = known
        for column, name in enumerate(head):
            if name in COLUMNS and not _same(before.get(name), row[name]):
                place = f"{_letters(column)}{number}"
                cells.append({"range": place, "values": [[_cell(row[name])]]})
                changed.add(_key(row))
    if cells:
        worksheet.batch_update(cells, raw=True)
    if new:
        values = [[_cell(row.get(name)) for name in head] for row in new]
        # RAW: what begins with '=' is a name, and no formula.
        worksheet.append_rows(values, value_input_option="RAW", table_range="A1")
    return {_key(row) for row in new}, changed


def _cell(value: Any) -> Any:
    """A value as a cell takes it; NaN is text."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _same(cell: Any, value: Any) -> bool:
    """Whether a cell has a value already; a whole number comes back without its point."""
    wanted = _cell(value)
    if isinstance(wanted, bool) or isinstance(cell, bool):
        return as_text(cell).lower() == as_text(wanted).lower()
    if isinstance(wanted, int | float) and isinstance(cell, int | float):
        return bool(cell == wanted)
    return as_text(cell) == as_text(wanted)


def _letters(column: int) -> str:
    """A column's name, A for 0."""
    name = ""
    column += 1
    while column:
        column, left = divmod(column - 1, 26)
        name = chr(ord("A") + left) + name
    return name
