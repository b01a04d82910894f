"""The public side of an endpoint: a port of 127.0.0.1 that leads to the one of its container."""

from __future__ import annotations

import http.client
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.lepton.workspace import Endpoint

_PATIENCE = 300.0
_HOP = frozenset(("connection", "transfer-encoding", "keep-alive", "content-length"))


class Ingress(ThreadingHTTPServer):
    """Answers 401 without one of the endpoint's tokens, and 503 when nothing listens.

    An answer is passed on when it is whole: what a server streams does not come piece by piece.
    """

    daemon_threads = True

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = endpoint
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Ingress
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Says nothing: the container's own log tells what it was asked."""

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        endpoint = self.server.endpoint
        tokens = endpoint.tokens
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if tokens and given not in tokens:
            self._reply(401, b'{"error": "unauthorized"}')
            return
        if endpoint.current is None or endpoint.state not in ("Ready", "Starting", "Not Ready"):
            self._reply(503, b'{"error": "no replica"}')
            return
        connection = http.client.HTTPConnection("endpoint")
        try:
            connection.sock = endpoint.current.container.connect(endpoint.port, 5)
            connection.sock.settimeout(_PATIENCE)
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in _HOP
            }
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            self._reply(503, b'{"error": "the replica does not answer"}')
            return
        finally:
            connection.close()
        self._reply(answer.status, data, answer.getheader("Content-Type", "application/json"))

    def _reply(self, code: int, data: bytes, kind: str = "application/json") -> None:
        with suppress(ConnectionError):
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
