"""Exporting to a spreadsheet, with gspread itself, over loopback to a stand-in for Google."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from export.made import bundle, ended, results_yml
from export.sheets import Google

from evalc.cli import main
from evalc.export.reading import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore")
HOSTS = ("https://sheets.googleapis.com", "https://www.googleapis.com")
TOLD = ["--dest", "gsheets", "-o", "export.gsheets.service_account_file=key.json"]


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from google.auth.transport.requests import AuthorizedSession

    monkeypatch.chdir(tmp_path)
    server = Google()
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "client_email": "me@test",
        "token_uri": f"{server.address}/token",
        "private_key": key.decode(),
    }
    (tmp_path / "key.json").write_text(json.dumps(account))
    real = AuthorizedSession.request

    def to_loopback(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        for host in HOSTS:
            url = url.replace(host, server.address)
        return real(self, method, url, *args, **kwargs)

    monkeypatch.setattr(AuthorizedSession, "request", to_loopback)
    yield server
    server.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = bundle(tmp_path / "run", ["h.one", "h.two"])
    results_yml(
        folder / "h.one", {"one": {"acc": {"acc": (1.0, {"count": 40})}, "=1+1": {"x": (0.5, {})}}}
    )
    results_yml(folder / "h.two", {"two": {"acc": {"acc": (float("nan"), {})}}})
    for task in ("h.one", "h.two"):
        ended(folder / task)
    return folder


def rows(google: Google, book: str = "evalc results") -> list[dict[str, Any]]:
    head, *lines = google.books[book]["evalc"]
    return [dict(zip(head, line, strict=False)) for line in lines]


def test_twice_makes_one_row_of_each_score(
    run: Path, google: Google, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", *TOLD]) == 0
    assert capsys.readouterr().out.count(" exported: ") == 2
    before = json.dumps(google.books)
    google.calls.clear()
    assert main(["export", "run", *TOLD]) == 0
    assert capsys.readouterr().out.count(" unchanged: ") == 2
    assert json.dumps(google.books) == before
    assert not [call for call in google.calls if call.startswith("PUT") or "append" in call]
    found = rows(google)
    assert [(row["task"], row["metric"], row["value"]) for row in found] == [
        ("h.one", "=1+1", 0.5),
        ("h.one", "acc", 1.0),
        ("h.two", "acc", "nan"),
    ]
    assert found[0]["bundle_digest"] == read_run(run).bundle_digest
    assert google.books["evalc results"]["Sheet1"] == []


def test_only_what_differs_is_written(
    run: Path, google: Google, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "run", *TOLD]) == 0
    # Somebody has added a column, a row, and put another order into the rows.
    cells = google.books["evalc results"]["evalc"]
    cells[0].append("remark")
    cells[1:] = [*reversed(cells[1:]), ["by hand"]]
    cells[1].append("looks odd")
    results_yml(
        run / "h.one", {"one": {"acc": {"acc": (0.75, {"count": 40})}, "new": {"x": (2.5, {})}}}
    )
    capsys.readouterr()
    google.calls.clear()
    assert main(["export", "run", *TOLD]) == 0
    said = capsys.readouterr().out
    assert "h.one updated" in said
    assert "h.two unchanged" in said
    found = {(row["task"], row.get("metric")): row for row in rows(google) if row.get("task")}
    assert found["h.one", "acc"]["value"] == 0.75
    assert found["h.one", "new"]["value"] == 2.5
    assert found["h.two", "acc"]["remark"] == "looks odd"
    assert ["by hand"] in cells
    # One request of each kind, however many rows.
    assert sum("batchUpdate" in call for call in google.calls) == 1
    assert sum("append" in call for call in google.calls) == 1


def test_another_spreadsheet_by_its_name_and_by_its_id(run: Path, google: Google) -> None:
    assert main(["export", "run", *TOLD, "-o", "export.gsheets.spreadsheet_name=nightly"]) == 0
    assert main(["export", "run", *TOLD, "-o", "export.gsheets.spreadsheet_id=nightly"]) == 0
    assert list(google.books) == ["nightly"]
    assert len(rows(google, "nightly")) == 3
    assert run.is_dir()


def test_what_google_refuses_is_one_line(
    run: Path, google: Google, capsys: pytest.CaptureFixture[str]
) -> None:
    google.broken = True
    assert main(["export", "run", *TOLD]) == 1
    said = capsys.readouterr().err
    assert "Quota exceeded" in said
    assert "not exported to gsheets: " in said
    google.broken = False
    assert main(["export", "run", *TOLD]) == 0
    (run.parent / "key.json").unlink()
    capsys.readouterr()
    assert main(["export", "run", *TOLD]) == 1
    assert "key.json" in capsys.readouterr().err
