"""A harness's settings as data: what ``nemo_evaluator_config`` says, and what follows from it."""

from __future__ import annotations

from typing import Any

from evalc.words import Literal, RuntimeEnv, Word, literal, literal_text

# The key that has them, of all tasks and of each.
SETTINGS = "nemo_evaluator_config"
# Where a container of the contract has its artifacts.
RESULTS = "/results"


def api_endpoint(settings: dict[str, Any]) -> dict[str, Any]:
    """What they say of the endpoint."""
    return block(settings, "target", "api_endpoint")


def block(settings: dict[str, Any], *path: str) -> dict[str, Any]:
    """A mapping of the settings; an empty one where there is none."""
    found: Any = settings
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def as_word(value: Any) -> Word | None:
    """A text as a word; None where there is none."""
    if value is None or value == "":
        return None
    return value if isinstance(value, tuple) else literal(str(value))


def known(word: Word) -> str | Word:
    """A word as the text that it is, where all of it is known."""
    text = literal_text(word)
    return word if text is None else text


def on_the_host(value: Any) -> Any:
    """Settings for a harness that runs in no container: paths below ``/results``, where a container
    has its artifacts, are below the folder that they are in."""
    if isinstance(value, dict):
        return {key: on_the_host(item) for key, item in value.items()}
    if isinstance(value, list):
        return [on_the_host(item) for item in value]
    if isinstance(value, str) and (value == RESULTS or value.startswith(f"{RESULTS}/")):
        rest = value[len(RESULTS) :]
        return (RuntimeEnv("RESULTS_DIR"), *([Literal(rest)] if rest else []))
    return value


def without_free_keys(value: Any) -> Any:
    """Without the user's own ``x-`` keys."""
    if isinstance(value, dict):
        return {k: without_free_keys(v) for k, v in value.items() if not k.startswith("x-")}
    return value


def merged(
    base: dict[str, Any], over: dict[str, Any], *, null_gives_way: bool = False
) -> dict[str, Any]:
    """``over`` on top of ``base``: mappings deeply, everything else replaced; with
    ``null_gives_way`` not by null."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = merged(old, value, null_gives_way=null_gives_way)
        elif value is not None or not null_gives_way or old is None:
            result[key] = value
    return result
