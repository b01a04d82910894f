"""Evaluate a served model on one task of this folder, with lm-eval.

    evaluate.py TASK        TASK is the name of a .yaml file beside this one

The environment says what to evaluate:

    MODEL_URL       the chat completions endpoint, in full
    MODEL_ID        the model's name at that endpoint
    RESULTS_DIR     where the results go; made if it is missing
    LIMIT_SAMPLES   optional: ask only the first so many questions (below 1: that share of them)

It leaves in RESULTS_DIR the scores, `results.yml`, and lm-eval's own `lm_eval/results.json` and
`lm_eval/samples.jsonl` (every question with the model's answer). Each answer goes into `cache/` as
soon as it is there: run again after an interruption, it asks only the other questions.

Exit status: 0 done, 1 the evaluation failed, 2 wrong usage, 143 ended by SIGTERM, 130 by SIGINT.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from types import FrameType

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run the task that the command line names."""
    tasks = sorted(path.stem for path in HERE.glob("*.yaml"))
    if len(sys.argv) != 2 or sys.argv[1] not in tasks:
        fail(f"usage: evaluate.py TASK, one of: {', '.join(tasks)}", status=2)
    task = sys.argv[1]
    url, model = required("MODEL_URL"), required("MODEL_ID")
    results_dir = Path(required("RESULTS_DIR")).absolute()
    limit = sample_limit(os.environ.get("LIMIT_SAMPLES", ""))

    try:
        results_dir.mkdir(parents=True, exist_ok=True)
        # Inside RESULTS_DIR: even after a SIGKILL nothing stays behind elsewhere.
        with tempfile.TemporaryDirectory(
            dir=results_dir, prefix=".cache-", ignore_cleanup_errors=True
        ) as cache:
            stop_at_signals(cache)
            answers = results_dir / "cache" / "answers"
            results = evaluate(task, url, model, limit, cache=cache, answers=answers)
        write_results(results_dir, task, results)
    except OSError as error:
        fail(f"{task}: {error}")


def required(name: str) -> str:
    """Return an environment variable, which must be set and not empty."""
    value = os.environ.get(name)
    if not value:
        fail(f"{name} is not set", status=2)
    return value


def sample_limit(text: str) -> float | None:
    """Read LIMIT_SAMPLES: a number above 0, or nothing for all samples."""
    if not text:
        return None
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not 0 < limit < math.inf:
        fail(f"LIMIT_SAMPLES is not a number above 0: {text}", status=2)
    return limit


def stop_at_signals(cache: str) -> None:
    """Let SIGTERM and SIGINT remove the folder `cache` and end the process at once.

    An exception would not do: lm-eval and the libraries under it have places that catch them all.
    """

    def stop(received: int, _frame: FrameType | None) -> None:
        shutil.rmtree(cache, ignore_errors=True)
        os._exit(128 + received)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def evaluate(
    task: str, url: str, model: str, limit: float | None, *, cache: str, answers: Path
) -> dict[str, Any]:
    """Run lm-eval and return what its `simple_evaluate` returns.

    `cache` is an empty folder, for the caches of Hugging Face's libraries; `answers` is the path,
    without its ending, of the file in which lm-eval keeps the model's answers.
    """
    # These are read when the libraries are imported, so they come first.
    os.environ.update(
        HF_HOME=cache,
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        HF_DATASETS_DISABLE_PROGRESS_BARS="1",
        TOKENIZERS_PARALLELISM="false",
        TQDM_DISABLE="1",
        # lm-eval asks git for the commit of the working folder. That is not the commit of
        # anything evaluated here, and outside a repository git complains: let it find no git.
        PATH=cache,
    )
    # The tasks name their data files relative to this folder.
    os.chdir(HERE)
    try:
        import requests  # noqa: PLC0415
        from lm_eval import simple_evaluate  # noqa: PLC0415
        from lm_eval.tasks import TaskManager  # noqa: PLC0415
    except ImportError as error:
        fail(f"cannot load lm-eval ({error}); try: pip install 'lm-eval[api]'")

    try:
        return simple_evaluate(
            model="local-chat-completions",
            model_args={
                "model": model,
                "base_url": url,
                # One line an answer: without it lm-eval warns that it knows no end of text.
                "eos_string": "\n",
                "num_concurrent": 1,
                "max_retries": 3,
                "timeout": 60,
            },
            tasks=[task],
            # Without lm-eval's own tasks: reading those thousands of files takes most of a start.
            task_manager=TaskManager(include_path=str(HERE), include_defaults=False),
            apply_chat_template=True,
            use_cache=str(answers),
            limit=limit,
        )
    except requests.ConnectionError:
        fail(f"{task}: no server answers at {url}")
    except requests.RequestException as error:
        fail(f"{task}: {error}")


def write_results(results_dir: Path, task: str, results: dict[str, Any]) -> None:
    """Write lm-eval's results as they are, then `results.yml`, and print the scores."""
    import yaml  # noqa: PLC0415 - it comes with lm-eval, which was found by now

    own = results_dir / "lm_eval"
    own.mkdir(exist_ok=True)
    samples = results.pop("samples")[task]
    with (own / "samples.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(sample, default=plain) + "\n" for sample in samples)
    text = json.dumps(results, indent=2, default=plain) + "\n"
    (own / "results.json").write_text(text, encoding="utf-8")

    metrics = read_metrics(json.loads(text), task)
    # Last, and whole or not at all: a results.yml means that the task is done.
    partial = results_dir / "results.yml.partial"
    content = {"results": {"tasks": {task: {"metrics": metrics}}}}
    partial.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    partial.replace(results_dir / "results.yml")

    for metric, entry in metrics.items():
        for score, found in entry["scores"].items():
            count = found["stats"]["count"]
            print(f"{task}: {metric} ({score}) {found['value']:.3f}, {count} samples")


def read_metrics(results: dict[str, Any], task: str) -> dict[str, Any]:
    """Make the `metrics` of results.yml from lm-eval's results of `task`.

    lm-eval writes `"METRIC,FILTER": value` and `"METRIC_stderr,FILTER": value or "N/A"` side by
    side. Here a metric has one score for each filter.
    """
    values = results["results"][task]
    count = results["n-samples"][task]["effective"]
    metrics: dict[str, Any] = {}
    for metric in results["higher_is_better"][task]:
        scores = {}
        for key, value in values.items():
            name, _, filter_name = key.partition(",")
            if name != metric:
                continue
            stats = {"count": count}
            stderr = values.get(f"{metric}_stderr,{filter_name}")
            if isinstance(stderr, float) and math.isfinite(stderr):
                stats["stderr"] = stderr
            scores[filter_name] = {"value": value, "stats": stats}
        metrics[metric] = {"scores": scores}
    return metrics


def plain(value: object) -> object:
    """Turn what JSON does not know into what it knows: numpy's numbers, and else text."""
    return value.item() if hasattr(value, "item") else str(value)


def fail(reason: str, status: int = 1) -> NoReturn:
    """End the program with one line about the reason."""
    print(f"evaluate.py: {reason}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
