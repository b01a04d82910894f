"""What an exporter is told: by the config of the run, by a file, by the command line."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from evalc.errors import ConfigError, UsageError, did_you_mean
from evalc.export.destinations.base import BadSettings
from evalc.source import parse, read_file, scalar_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evalc.export.destinations.base import Exporter

_CONFIG = "config.yaml"
_VARIABLE = re.compile(r"\$\{oc\.env:([A-Za-z_]\w*)(?:,([^{}]*))?\}")
# What a text refers to by its path from the config's top; no chain of references is longer.
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w-]*(?:\.[\w-]+)+)\}")
_LONGEST_CHAIN = 8
# Older names of keys.
_ALIASES = {"log_logs": "copy_logs", "log_artifacts": "copy_artifacts"}


def config_of_run(folder: Path, name: str) -> dict[str, Any]:
    """The config that a run's bundle was compiled from; empty where there is none.

    ``name`` is the exporter that asks. Raises :class:`BadSettings` when it can't be read.
    """
    path = folder / _CONFIG
    if not path.is_file():
        return {}
    try:
        content = parse(read_file(path)).plain()
    except (UsageError, ConfigError) as error:
        raise BadSettings(name, f"{path} can't be read: {error}") from None
    return content if isinstance(content, dict) else {}


def block_of(content: Any, name: str) -> dict[str, Any]:
    """What a config says under ``export.<name>``, with what it refers to elsewhere in the config;
    the references that lead to nothing stay."""
    block = _at(content, ("export", name))
    return {k: _filled(v, content) for k, v in block.items()} if isinstance(block, dict) else {}


def _at(content: Any, path: Sequence[str]) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _filled(value: Any, content: Any, depth: int = 0) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, content, depth) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, content, depth) for one in value]
    if not isinstance(value, str) or "${" not in value or depth > _LONGEST_CHAIN:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        found = _at(content, whole[1].split("."))
        return value if found is None else _filled(found, content, depth + 1)

    def text(reference: re.Match[str]) -> str:
        found = _filled(_at(content, reference[1].split(".")), content, depth + 1)
        return str(found) if isinstance(found, str | int | float) else reference[0]

    return _REFERENCE.sub(text, value)


def block_of_file(path: Path, name: str) -> dict[str, Any]:
    """The same of a config file.

    Raises :class:`~evalc.errors.UsageError` or :class:`~evalc.errors.ConfigError`.
    """
    return block_of(parse(read_file(path)).plain(), name)


def override(text: str) -> tuple[str, str, Any]:
    """``export.DEST.KEY=VALUE`` taken apart; the value is YAML. Raises UsageError."""
    path, equals, value = text.partition("=")
    words = path.lstrip("+").split(".")
    if not equals or len(words) < 3 or words[0] != "export" or not all(words):
        raise UsageError(
            f"'{text}' is no setting of an exporter", "write -o export.mlflow.experiment_name=NAME"
        )
    found: Any
    if value[:1] in {"[", "{"}:
        from evalc.errors import Source  # noqa: PLC0415 - most values are words

        found = parse(Source(f"-o {path}", value, "override")).plain()
    else:
        found = scalar_value(value)
    for word in reversed(words[3:]):
        found = {word: found}
    return words[1], words[2], found


def complete(exporter: Exporter, blocks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All settings of an exporter: the later blocks win, what is in none has its default.

    Raises :class:`BadSettings` for what it does not know, or a value of another kind.
    """
    settings: dict[str, Any] = dict(exporter.keys)
    for block in blocks:
        for written, given in block.items():
            key = _ALIASES.get(written, written)
            if key.startswith("x-"):
                continue
            if key not in settings:
                hint = did_you_mean(key, exporter.keys)
                hint = hint or f"its keys are {', '.join(exporter.keys)}"
                raise BadSettings(exporter.name, f"there is no key '{key}'", hint)
            value = _resolved(exporter.name, key, given)
            if value is None:
                value = exporter.keys[key]
            elif isinstance(value, dict) and isinstance(settings[key], dict):
                value = {**settings[key], **value}
            _check(exporter, key, value)
            settings[key] = str(value) if isinstance(exporter.keys[key], str) else value
    return {key: None if value == "" else value for key, value in settings.items()}


def _check(exporter: Exporter, key: str, value: Any) -> None:
    wanted = exporter.keys[key]
    kind = type(wanted)
    # A number is as good as text where text is wanted: names may be numbers.
    fits = isinstance(value, kind) or (kind is str and isinstance(value, int | float))
    if not fits or (kind is not bool and isinstance(value, bool)):
        words = {str: "a text", bool: "true or false", list: "a list", dict: "a mapping"}
        expected = words.get(kind, "a number")
        raise BadSettings(exporter.name, f"'{key}' must be {expected}, not {value!r}")


def _resolved(name: str, key: str, value: Any) -> Any:
    """A value with what the environment tells in it."""
    if isinstance(value, dict):
        return {k: _resolved(name, key, one) for k, one in value.items()}
    if isinstance(value, list):
        return [_resolved(name, key, one) for one in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    text = _VARIABLE.sub(lambda found: _environment(name, key, found), value)
    if "${" in text:
        hint = f"give the value itself: -o export.{name}.{key}=VALUE"
        raise BadSettings(name, f"'{key}' refers to another key: {value}", hint)
    return text


def _environment(name: str, key: str, found: re.Match[str]) -> str:
    value = os.environ.get(found[1], found[2])
    if value is None:
        raise BadSettings(
            name, f"'{key}' needs the environment variable {found[1]}", f"export {found[1]}=..."
        )
    return value
