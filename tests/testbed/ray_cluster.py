#!/usr/bin/env python3
"""Stand-ins for ``ray`` and ``vllm``, with neither in them. For tests alone.

``ray start --head --port=N`` leaves a process that other nodes can join, and returns; ``ray start
--block --address=HOST:N`` joins it and stays, or fails when nobody is there yet; as the real one
does. ``vllm serve MODEL --port N …`` waits until as many nodes as NODES_PER_INSTANCE says have
joined, and becomes the stand-in for a model server. What it was called with goes to standard error.
"""

# ruff: noqa: T201 - a program prints

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

HEAD_PORT = 6379


def main() -> int:
    name = Path(sys.argv[0]).name
    print(name, *sys.argv[1:], f"on {socket.gethostname()}", file=sys.stderr, flush=True)
    if name == "vllm":
        return _vllm()
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["start", "head"])
    parser.add_argument("--head", action="store_true")
    parser.add_argument("--block", action="store_true")
    parser.add_argument("--address")
    parser.add_argument("--port", type=int, default=HEAD_PORT)
    known, _ = parser.parse_known_args()
    if known.command == "head":
        return _keep_head(known.port)
    if known.head:
        with subprocess.Popen(
            [sys.executable, __file__, "head", f"--port={known.port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as started:
            assert started.stdout is not None
            started.stdout.readline()  # it listens
            os._exit(0)  # and stays
    host, _, port = known.address.partition(":")
    with socket.create_connection((host, int(port))) as joined:
        joined.sendall(b"join\n")
        joined.recv(1)  # until the head ends
    return 0


def _keep_head(port: int) -> int:
    joined: list[socket.socket] = []
    with socket.create_server(("0.0.0.0", port)) as server:
        print("listening", flush=True)
        while True:
            connection, _ = server.accept()
            if connection.makefile().readline() == "join\n":
                joined.append(connection)
            else:
                connection.sendall(f"{len(joined) + 1}\n".encode())
                connection.close()


def _vllm() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model")
    parser.add_argument("--port")
    known, _ = parser.parse_known_args()
    wanted = int(os.environ["NODES_PER_INSTANCE"])
    while _nodes() < wanted:
        time.sleep(0.1)
    server = Path(__file__).resolve().with_name("model_server.py")
    os.execv(
        sys.executable, [sys.executable, str(server), "--host", "0.0.0.0", "--port", known.port]
    )


def _nodes() -> int:
    with socket.create_connection(("127.0.0.1", HEAD_PORT)) as asked:
        asked.sendall(b"how many\n")
        return int(asked.makefile().readline())


if __name__ == "__main__":
    sys.exit(main())
