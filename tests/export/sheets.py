"""A stand-in for Google: the calls of its token, Drive and Sheets services that gspread makes here.

It keeps one spreadsheet a name, in memory. What it lacks: rights, quotas, formulas, formats, and
every other call, which it answers with 501. Numbers and texts come back as they were written.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Cells = list[list[Any]]


class Google(ThreadingHTTPServer):
    """Serves on loopback from its making on; ``calls`` are the requests that it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[str] = []
        self.books: dict[str, dict[str, Cells]] = {}
        self.broken = False
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def put(self, cells: Cells, place: str, values: Cells) -> None:
        """Writes values from a cell such as B3 on."""
        found = re.match(r"([A-Z]+)(\d+)", place)
        assert found is not None
        column = 0
        for letter in found[1]:
            column = column * 26 + ord(letter) - ord("A") + 1
        for down, line in enumerate(values):
            for right, value in enumerate(line):
                row, at = int(found[2]) - 1 + down, column - 1 + right
                while len(cells) <= row:
                    cells.append([])
                while len(cells[row]) <= at:
                    cells[row].append("")
                cells[row][at] = value


class _Handler(BaseHTTPRequestHandler):
    server: Google

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.server.calls.append(f"{method} {path}")
        if self.server.broken and path != "/token":
            self._send(429, {"error": {"code": 429, "message": "Quota exceeded", "status": "X"}})
            return
        if path == "/token":
            self._send(200, {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
            return
        assert self.headers["Authorization"] == "Bearer t"
        data = json.loads(body) if body else {}
        found = self._call(method, path, data, parse_qs(url.query))
        self._send(
            501 if found is None else 200, found or {"error": {"code": 501, "message": path}}
        )

    def _send(self, code: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _call(
        self, method: str, path: str, data: dict[str, Any], query: dict[str, list[str]]
    ) -> dict[str, Any] | None:
        books = self.server.books
        if path == "/drive/v3/files":
            if method == "POST":
                books[data["name"]] = {"Sheet1": []}
                return {"id": data["name"]}
            return {
                "files": [
                    {"id": n, "name": n, "createdTime": "", "modifiedTime": ""} for n in books
                ]
            }
        return self._of_book(method, path, data, query)

    def _of_book(
        self, method: str, path: str, data: dict[str, Any], query: dict[str, list[str]]
    ) -> dict[str, Any] | None:
        books = self.server.books
        match = re.fullmatch(
            r"/v4/spreadsheets/([^/:]+)(?::(batchUpdate)|/values(?::(\w+)|/(.+)))?", path
        )
        if match is None or match[1] not in books:
            return None
        book = books[match[1]]
        if match[2]:
            return {"replies": [self._change(book, one) for one in data["requests"]]}
        if match[3] == "batchUpdate":
            assert data["valueInputOption"] == "RAW"
            for one in data["data"]:
                sheet, place = one["range"].split("!")
                self.server.put(book[sheet.strip("'")], place, one["values"])
            return {}
        if match[4]:
            return self._values(method, book, match[4], data, query)
        return {
            "spreadsheetId": match[1],
            "properties": {"title": match[1]},
            "sheets": [{"properties": self._sheet(book, name)} for name in book],
        }

    def _values(
        self,
        method: str,
        book: dict[str, Cells],
        where: str,
        data: dict[str, Any],
        query: dict[str, list[str]],
    ) -> dict[str, Any]:
        sheet, _, place = where.partition("!")
        cells = book[sheet.strip("'")]
        if method == "GET":
            assert query["valueRenderOption"] == ["UNFORMATTED_VALUE"]
            return {"range": where, "values": cells}
        assert query["valueInputOption"] == ["RAW"]
        start = f"A{len(cells) + 1}" if place.endswith(":append") else place
        self.server.put(cells, start, data["values"])
        return {"updates": {}}

    def _sheet(self, book: dict[str, Cells], name: str) -> dict[str, Any]:
        columns = max([26, *map(len, book[name])])
        grid = {"rowCount": max(len(book[name]), 1), "columnCount": columns}
        return {
            "sheetId": list(book).index(name),
            "title": name,
            "index": 0,
            "gridProperties": grid,
        }

    def _change(self, book: dict[str, Cells], request: dict[str, Any]) -> dict[str, Any]:
        ((kind, what),) = request.items()
        if kind == "addSheet":
            name = what["properties"]["title"]
            book[name] = []
            return {"addSheet": {"properties": self._sheet(book, name)}}
        return {}
