"""Proves the containers' contract with the real harness: ``make contract``.

A config is compiled by evalc, and its bundle runs ``nemo-evaluator run_eval --run_config`` with
``nvidia-lm-eval`` against SmolLM2: with ``engine: none``, and in a docker container whose image
is made of this machine's own files. Adapters and the caching interceptor are on. Each run is
killed (``SIGKILL``, no time to save anything) when half of the samples are answered, and run
again; a proxy before the model counts the requests that really reach it. What lm-eval caches by
itself is taken away in between, so that what is reused are the interceptor's responses.

It takes minutes and a gigabyte, which is why it is no test of every run. Needs root, for docker.

Exit status: 0 when the contract held, 1 when it did not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from engines import IMAGE, running  # noqa: E402 - the path is set above

if TYPE_CHECKING:
    from collections.abc import Iterator

HARNESS = ROOT / "build" / "contract"
SERVER = ROOT / "build" / "contract-server"
SAMPLES = 24
PATIENCE = 300  # seconds for any one step
TASK = """\
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: sums.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "What is {{question}}? Answer with a number."
doc_to_target: "{{answer}}"
generation_kwargs: {do_sample: false, max_gen_toks: 16, until: ["\\n"]}
filter_list:
  - name: last_number
    filter:
      - {function: regex, regex_pattern: '(-?[0-9]+)', group_select: -1}
      - {function: take_first}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""
CONFIG = """\
defaults:
  - execution: local
  - deployment: none
  - _self_

execution:
  engine: %(engine)s
  output_dir: out

target:
  api_endpoint:
    url: http://127.0.0.1:%(port)d/v1/chat/completions
    model_id: SmolLM2-135M-Instruct

evaluation:
  env_vars:
    HF_HUB_OFFLINE: lit:1
    HF_DATASETS_OFFLINE: lit:1
    HF_HOME: lit:/tmp/evalc-contract
    NEMO_EVALUATOR_TELEMETRY_LEVEL: lit:0
  nemo_evaluator_config:
    config:
      params:
        limit_samples: %(samples)d
        parallelism: 1
        request_timeout: 120
    target:
      api_endpoint:
        adapter_config:
          interceptors:
            - name: system_message
              config: {system_message: You are good at sums.}
            - name: request_logging
              config: {max_requests: 1}
            - name: caching
              config:
                cache_dir: /results/cache
                reuse_cached_responses: true
                save_responses: true
                save_requests: true
            - name: endpoint
            - name: response_stats
  tasks:
    - name: lm-evaluation-harness.gsm8k_cot_instruct
      %(container)s
      files: [sums.yaml, sums.jsonl]
      # The data set's path in sums.yaml counts from here.
      pre_cmd: cd "$FILES_DIR"
      nemo_evaluator_config:
        config:
          params:
            task: sums
            max_new_tokens: 16
            extra:
              num_fewshot: 0
              args: --include_path .
"""


class Counting(ThreadingHTTPServer):
    """A proxy before the model that counts the questions that it passes on."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.target = target
        self.count = 0
        self.systems: set[str] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of who was killed while it waited for an answer."""

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.server_address[1])


class _Forward(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Counting)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.count += 1
        server.systems |= {
            message["content"]
            for message in json.loads(body)["messages"]
            if message["role"] == "system"
        }
        request = urllib.request.Request(
            server.target + self.path, body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            said = answer.read()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> int:
    """Run the proof for each engine that is named (by default both), and say what came out."""
    engines = sys.argv[1:] or ["none", "docker"]
    with tempfile.TemporaryDirectory(prefix="evalc-contract-") as name:
        folder = Path(name)
        (folder / "sums.yaml").write_text(TASK, encoding="utf-8")
        pairs = [(n * 7 % 23 + 1, n * 5 % 19 + 2) for n in range(SAMPLES)]
        lines = (json.dumps({"question": f"{a} + {b}", "answer": str(a + b)}) for a, b in pairs)
        (folder / "sums.jsonl").write_text("".join(f"{line}\n" for line in lines))
        with model() as url:
            held = "none" not in engines or prove(folder, "none", url, _with_harness(), None)
            if "docker" in engines:
                with _docker(folder) as env:
                    held &= prove(folder, "docker", url, env, IMAGE)
    print("the contract held" if held else "the contract did NOT hold")
    return 0 if held else 1


def _with_harness() -> dict[str, str]:
    return {"PATH": f"{HARNESS / 'bin'}:{os.environ['PATH']}"}


@contextmanager
def _docker(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a docker whose image has the real harness."""
    began = time.monotonic()
    image = folder / "image.tar"
    program = ROOT / "tests" / "testbed" / "image.py"
    subprocess.run([sys.executable, program, image, HARNESS], check=True)
    size = image.stat().st_size / 1e6
    with running("docker", image) as docker:
        image.unlink()
        took = time.monotonic() - began
        print(f"docker: image of {size:.0f} MB made and imported in {took:.0f} s")
        yield dict(docker.env)


@contextmanager
def model() -> Iterator[str]:
    """SmolLM2 behind HTTP for the time of the block."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    serve = ROOT / "examples" / "quickstart" / "serve.py"
    command: list[str | Path] = [SERVER / "bin" / "python", serve, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: _healthy(url), "the model's server is ready")
            yield url
        finally:
            process.terminate()


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def wait_until(condition: object, what: str) -> None:
    """Wait until a callable says so. Raises TimeoutError after :data:`PATIENCE` seconds."""
    assert callable(condition)
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.02)


def prove(folder: Path, engine: str, url: str, env: dict[str, str], image: str | None) -> bool:
    """Kill a run in its middle, run again, and tell whether nothing was asked twice."""
    proxy = Counting(url)
    container = f"container: {image}" if image else ""
    values = {"engine": engine, "port": proxy.port, "samples": SAMPLES, "container": container}
    config = folder / f"{engine}.yaml"
    config.write_text(CONFIG % values, encoding="utf-8")
    bundle = folder / engine
    evalc: list[str | Path] = [
        sys.executable,
        "-m",
        "evalc",
        "compile",
        config,
        "--out",
        bundle,
        "--quiet",
    ]
    subprocess.run(evalc, check=True)
    task = next(bundle.glob("*gsm8k*"))
    artifacts = task / "artifacts"

    began = time.monotonic()
    process = _run(bundle, env)
    wait_until(
        lambda: proxy.count > SAMPLES // 2 or process.poll() is not None, "half of it is answered"
    )
    if process.poll() is not None:
        print(f"{engine}: it ended by itself, with {process.returncode}:\n{_log(task)}")
        return False
    _kill(process, engine, env)
    first, first_took = proxy.count, time.monotonic() - began
    early = (artifacts / "results.yml").exists()
    for database in artifacts.glob("lm_cache*"):
        shutil.rmtree(database) if database.is_dir() else database.unlink()

    began = time.monotonic()
    code = _run(bundle, env).wait(PATIENCE)
    second, second_took = proxy.count - first, time.monotonic() - began
    proxy.shutdown()
    if code:
        print(f"{engine}: run again, it ended with {code}:\n{_log(task)}")
        return False
    results = yaml.safe_load((artifacts / "results.yml").read_text(encoding="utf-8"))
    (score,) = results["results"]["tasks"]["sums"]["metrics"].values()
    print(
        f"{engine}: killed after {first} requests ({first_took:.1f} s); run again it sent {second}"
    )
    print(
        f"{engine}: of {SAMPLES} samples, {SAMPLES - second} came from the cache; "
        f"{second_took:.1f} s"
    )
    print(f"{engine}: system prompt of the adapter at the model: {sorted(proxy.systems)}")
    print(f"{engine}: results.yml: {json.dumps(score)}")
    # The one that was under way when it was killed is asked again.
    return not early and first < SAMPLES and SAMPLES <= first + second <= SAMPLES + 1


def _log(task: Path) -> str:
    return (task / "logs" / "client_stdout.log").read_text(encoding="utf-8")[-3000:]


def _run(bundle: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["bash", bundle / "run_all.sh"],
        env={**os.environ, **env},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )


def _kill(process: subprocess.Popen[bytes], engine: str, env: dict[str, str]) -> None:
    """Kill all of a run at once, its container too."""
    if engine == "docker":
        whole = {**os.environ, **env}
        listed = subprocess.run(
            ["docker", "ps", "--quiet"], env=whole, capture_output=True, text=True, check=True
        )
        subprocess.run(
            ["docker", "kill", *listed.stdout.split()],
            env=whole,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    for pid in [*_descendants(process.pid), process.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def _descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs; its own children first."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text(encoding="utf-8").split()):
            found += [child, *_descendants(child)]
    return found


if __name__ == "__main__":
    sys.exit(main())
