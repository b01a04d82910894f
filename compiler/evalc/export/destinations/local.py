"""Results as files: one table of all runs that were exported to a folder, and their files.

The table (``processed_results.json``, ``.csv`` or ``.parquet``) has a row for each score. A task
that is exported again replaces its rows, so the same twice gives the same bytes.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalc.export.destinations.base import (
    COMMON,
    BadSettings,
    DestinationDown,
    MissingClient,
    Outcome,
    Status,
    files_of,
    finished,
)
from evalc.export.destinations.rows import COLUMNS, Row, as_json, as_text, rows_of, sort_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from evalc.export.model import RunResult

_NAME = "local"
_VERSION = 1


class LocalExporter:
    """See :class:`evalc.export.destinations.base.Exporter`."""

    name = _NAME
    description = "files: JSON, CSV or Parquet, and copies of what harnesses left"
    keys: Mapping[str, Any] = {
        "output_dir": "./exported-results",
        "format": "json",
        "output_filename": "",
        **COMMON,
    }

    def export(self, runs: Sequence[RunResult], settings: Mapping[str, Any]) -> Iterator[Outcome]:
        """See there."""
        form = settings["format"]
        if form not in _FORMS:
            known = ", ".join(_FORMS)
            raise BadSettings(_NAME, f"there is no format '{form}'", f"the formats are {known}")
        read, write = _FORMS[form]
        folder = Path(settings["output_dir"]).expanduser()
        name = settings["output_filename"] or f"processed_results.{form}"
        if Path(name).name != name:
            raise BadSettings(_NAME, f"'output_filename' must be a name, not a path: {name}")
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                before = read(path) if path.exists() else []
                yield from _merge(path, before, runs, settings, write)
        except OSError as error:
            raise DestinationDown(_NAME, f"{error.filename or path}: {error.strerror}") from None


def _merge(
    path: Path,
    before: list[Row],
    runs: Sequence[RunResult],
    settings: Mapping[str, Any],
    write: Callable[[list[Row]], bytes],
) -> Iterator[Outcome]:
    outcomes = []
    rows = before
    for run, task, scores in finished(runs, settings):
        old = [row for row in rows if (row["run"], row["task"]) == (run.id, task.id)]
        new = rows_of(run, task, scores)
        same = [*map(_texts, old)] == [*map(_texts, new)]
        try:
            copied = _copy(path.parent / run.id / task.id, files_of(task, settings))
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
            outcomes.append(Outcome(run.id, task.id, Status.FAILED, why))
            continue
        if not same:
            rows = [row for row in rows if (row["run"], row["task"]) != (run.id, task.id)]
            rows += new
        status = Status.UPDATED if old else Status.EXPORTED
        if same and not copied:
            status = Status.UNCHANGED
        outcomes.append(Outcome(run.id, task.id, status, str(path)))
    if rows is not before:
        _replace(path, write(sorted(rows, key=sort_key)))
    # Said when it is true of all.
    yield from outcomes


def _texts(row: Row) -> list[str]:
    return [as_text(row.get(name)) for name in COLUMNS]


def _copy(folder: Path, files: Iterator[tuple[Path, str]]) -> int:
    """Copies files that are not there yet, or have changed; how many those were."""
    count = 0
    for source, name in files:
        target, about = folder / name, source.stat()
        if target.is_file():
            there = target.stat()
            if (there.st_size, there.st_mtime_ns) == (about.st_size, about.st_mtime_ns):
                continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        shutil.copy2(source, partial)
        partial.replace(target)
        count += 1
    return count


def _replace(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one export at a time into a folder; others wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _foreign(path: Path) -> DestinationDown:
    return DestinationDown(
        _NAME,
        f"{path} is there and is no table of evalc's; nothing was changed in it. Give another "
        "output_filename or output_dir",
    )


def _checked(path: Path, rows: Any) -> list[Row]:
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and row.get("run") and row.get("task") for row in rows
    ):
        raise _foreign(path)
    return rows


def _read_json(path: Path) -> list[Row]:
    try:
        content = json.loads(path.read_bytes())
        if content["schema_version"] != _VERSION:
            raise _foreign(path)
        rows = content["scores"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _foreign(path) from None
    return _checked(path, rows)


def _write_json(rows: list[Row]) -> bytes:
    content = {"schema_version": _VERSION, "scores": [as_json(row) for row in rows]}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _read_csv(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            if not {"run", "task"} <= {*(reader.fieldnames or ())}:
                raise _foreign(path)
    except (ValueError, csv.Error):
        raise _foreign(path) from None
    return _checked(path, rows)


def _write_csv(rows: list[Row]) -> bytes:
    # Columns that somebody has added stay.
    more = {name: None for row in rows for name in row if name and name not in COLUMNS}
    names = [*COLUMNS, *more]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([as_text(row.get(name)) for name in names] for row in rows)
    return text.getvalue().encode()


def _arrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - heavy, and an extra
    except ImportError:
        raise MissingClient("Parquet", "pyarrow", "parquet") from None
    return pyarrow


def _read_parquet(path: Path) -> list[Row]:
    arrow = _arrow()
    try:
        rows = arrow.parquet.read_table(path).to_pylist()
    except (arrow.ArrowException, ValueError):
        raise _foreign(path) from None
    return _checked(path, rows)


def _write_parquet(rows: list[Row]) -> bytes:
    arrow = _arrow()
    kinds = {str: arrow.string(), bool: arrow.bool_(), float: arrow.float64(), int: arrow.int64()}
    columns = [(name, kinds[kind]) for name, kind in COLUMNS.items()]
    # Columns that somebody has added stay.
    more = {name: None for row in rows for name in row if name not in COLUMNS}
    columns += [(name, arrow.infer_type([row.get(name) for row in rows])) for name in more]
    schema = arrow.schema(columns)
    sink = io.BytesIO()
    arrow.parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()


_FORMS: Mapping[
    str, tuple[Callable[[Path], list[Row]], Callable[[list[Row]], bytes]]
] = {
    "json": (_read_json, _write_json),
    "csv": (_read_csv, _write_csv),
    "parquet": (_read_parquet, _write_parquet),
}  # fmt: skip
