#!/usr/bin/env python3
"""A stand-in for ``nemo-evaluator``, with no benchmark in it. For tests alone.

It keeps the contract between a launcher and an evaluation container: ``nemo-evaluator run_eval
--run_config FILE`` reads the run's configuration, sends real chat (or completion) requests to
``target.api_endpoint.url``, and leaves ``results.yml`` and a copy of the configuration in
``config.output_dir`` (default ``/results``). SIGTERM makes it write ``.nemo_evaluator_interrupted``
there and exit 0, without results, as the real one does. Every answer goes into ``cache/`` there at
once, a file named by the sha256 of the request's body; a request whose answer is in there already is
not sent again.

Of ``config.params`` it honours ``limit_samples`` (how many requests, default 3) and, under
``extra``, which are its own and not the real program's:

``sleep``
    Seconds to wait after the first request, so that a test can interrupt it or kill its server.
``wait_for``
    A file: after the first request it waits until that exists.
``exit_code``
    What to exit with at the end.
``no_results``
    When true, ``results.yml`` is not written.

``target.api_endpoint.api_key_name`` names the environment variable with the key to send. A request
that fails ends it with code 1.

In the image of the tests it is ``nemo-evaluator``; on the host run this file with a Python that has
PyYAML.
"""

# ruff: noqa: T201 - a program prints

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml


def main() -> int:
    parser = argparse.ArgumentParser(description="A stand-in for nemo-evaluator, for tests.")
    run_eval = parser.add_subparsers(required=True, dest="command").add_parser("run_eval")
    run_eval.add_argument("--run_config", type=Path, required=True)
    file = parser.parse_args().run_config

    run = yaml.safe_load(file.read_text(encoding="utf-8"))
    config, endpoint = run["config"], run["target"]["api_endpoint"]
    params = config.get("params") or {}
    extra = params.get("extra") or {}
    output = Path(config.get("output_dir") or "/results")
    output.mkdir(parents=True, exist_ok=True)

    def interrupted(*_: object) -> None:
        (output / ".nemo_evaluator_interrupted").touch()
        sys.exit(0)

    signal.signal(signal.SIGTERM, interrupted)

    copy = output / "run_config.yml"
    if not (copy.exists() and copy.samefile(file)):
        shutil.copyfile(file, copy)
    samples = int(params.get("limit_samples") or 3)
    right = 0
    for number in range(samples):
        try:
            prompt = f"Say only this number: {number}"
            right += _ask(endpoint, prompt, output / "cache") == str(number)
        except (OSError, ValueError, LookupError) as problem:
            print(f"request {number + 1} of {samples} failed: {problem}", file=sys.stderr)
            return 1
        print(f"request {number + 1} of {samples} answered", flush=True)
        if number == 0:
            time.sleep(float(extra.get("sleep") or 0))
            while extra.get("wait_for") and not Path(extra["wait_for"]).exists():
                time.sleep(0.05)
    if not extra.get("no_results"):
        score = {"value": right / samples, "stats": {"count": samples}}
        task = {"metrics": {"accuracy": {"scores": {"accuracy": score}}}}
        results = {"config": config, "target": run["target"]}
        results["results"] = {"tasks": {str(config["type"]): task}}
        (output / "results.yml").write_text(yaml.safe_dump(results), encoding="utf-8")
    return int(extra.get("exit_code") or 0)


def _ask(endpoint: dict[str, Any], prompt: str, cache: Path) -> str:
    """The model's answer. Raises OSError, ValueError or LookupError for any but a good answer."""
    chat = endpoint.get("type", "chat") == "chat"
    question = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
    body = json.dumps({"model": endpoint["model_id"], **question}).encode()
    known = cache / hashlib.sha256(body).hexdigest()
    if known.exists():
        answer = known.read_bytes()
    else:
        answer = _send(endpoint, body)
        cache.mkdir(exist_ok=True)
        # Whole or not at all, however this ends.
        new = known.with_suffix(".new")
        new.write_bytes(answer)
        new.replace(known)
    choice = json.loads(answer)["choices"][0]
    return str(choice["message"]["content"] if chat else choice["text"])


def _send(endpoint: dict[str, Any], body: bytes) -> bytes:
    """The body of the answer. Raises OSError, or ValueError for a bad URL."""
    headers = {"Content-Type": "application/json"}
    if endpoint.get("api_key_name"):
        headers["Authorization"] = f"Bearer {os.environ[endpoint['api_key_name']]}"
    request = urllib.request.Request(endpoint["url"], body, headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: bytes = response.read()
    return answer


if __name__ == "__main__":
    sys.exit(main())
