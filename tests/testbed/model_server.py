#!/usr/bin/env python3
"""A stand-in for a model server, with no model in it. For tests alone.

It speaks enough of OpenAI's HTTP interface (``/v1/chat/completions``, ``/v1/completions``,
``/v1/models``, ``/health``) to be served, watched and evaluated. Its answer is the last word of the
prompt. With its options it misbehaves as real servers do: late, never ready, dead in the middle.

In the image of the tests it is ``model-server``; on the host run this file with any Python.
"""

# ruff: noqa: T201 - a program prints

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIED = 13  # the exit code of --die-after


class Server(ThreadingHTTPServer):
    """Serves until a signal; ready at ``ready_at`` (monotonic seconds), never when that is None."""

    def __init__(self, host: str, port: int, ready_at: float | None) -> None:
        self.ready_at = ready_at
        super().__init__((host, port), Handler)

    @property
    def ready(self) -> bool:
        return self.ready_at is not None and time.monotonic() >= self.ready_at


class Handler(BaseHTTPRequestHandler):
    """One request. The log goes to standard error, a line a request, as real servers log."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            self._reply(200 if self.server.ready else 503, {"ready": self.server.ready})
        elif self.path == "/v1/models":
            self._reply(200, {"object": "list", "data": [{"id": "stand-in", "object": "model"}]})
        else:
            self._reply(404, {"error": {"message": f"no such path: {self.path}"}})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path not in {"/v1/chat/completions", "/v1/completions"}:
            self._reply(404, {"error": {"message": f"no such path: {self.path}"}})
            return
        if not self.server.ready:
            self._reply(503, {"error": {"message": "the model is not loaded yet"}})
            return
        try:
            request = json.loads(body)
            chat = self.path == "/v1/chat/completions"
            prompt = request["messages"][-1]["content"] if chat else request["prompt"]
            answer = (str(prompt).split() or [""])[-1]
        except (ValueError, LookupError, TypeError) as problem:
            self._reply(400, {"error": {"message": f"bad request: {problem!r}"}})
            return
        text = {"message": {"role": "assistant", "content": answer}} if chat else {"text": answer}
        self._reply(
            200,
            {
                "id": "stand-in",
                "object": "chat.completion" if chat else "text_completion",
                "created": int(time.time()),
                "model": request.get("model", "stand-in"),
                "choices": [{"index": 0, "finish_reason": "stop", **text}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            },
        )

    def _reply(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for a model server, for tests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--ready-after", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--never-ready", action="store_true")
    parser.add_argument("--die-after", type=float, metavar="SECONDS")
    options = parser.parse_args()

    # Explicit, since the kernel gives pid 1 of a container no default action for these.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    ready_at = None if options.never_ready else time.monotonic() + options.ready_after
    server = Server(options.host, options.port, ready_at)
    print(f"listening on {options.host}:{options.port}", file=sys.stderr, flush=True)
    if options.die_after is not None:
        timer = threading.Timer(options.die_after, _die)
        timer.daemon = True
        timer.start()
    server.serve_forever(poll_interval=0.05)


def _die() -> None:
    print("out of memory: the model server dies, as it was told", file=sys.stderr, flush=True)
    os._exit(DIED)


if __name__ == "__main__":
    main()
