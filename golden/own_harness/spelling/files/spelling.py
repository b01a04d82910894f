"""The smallest harness: asks the model to spell words, and writes what evalc reads as results."""

from __future__ import annotations

import argparse
import json
import os
import urllib.request
from pathlib import Path


def ask(word: str) -> str:
    """The model's spelling of ``word``."""
    body = {
        "model": os.environ["MODEL_ID"],
        "messages": [{"role": "user", "content": f"Spell the word {word}, letters only."}],
        "temperature": 0,
    }
    request = urllib.request.Request(
        os.environ["MODEL_URL"],
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(json.load(response)["choices"][0]["message"]["content"])


def main() -> None:
    """Evaluate the words of ``words.txt`` in the data set's folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, required=True)
    args = parser.parse_args()
    words = (args.data / "words.txt").read_text().split()[: args.limit]
    right = sum(ask(word).replace(" ", "").lower() == word for word in words)
    results = {
        "results": {
            "tasks": {
                "spelling": {
                    "metrics": {"accuracy": {"scores": {"accuracy": {"value": right / len(words)}}}}
                }
            }
        }
    }
    # JSON is YAML.
    Path(os.environ["RESULTS_DIR"], "results.yml").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
