"""Where evalc's own data is: package data in an installed evalc, the repository's top in a clone.

``templates/`` and ``schemas/`` stand at the repository's top for people, and go into the wheel as
package data. This module is a leaf.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent


def template_dir() -> Path:
    """The folder of the Jinja templates and of the static shell libraries."""
    return _find("templates")


def read_template(name: str) -> str:
    """The text of the file ``name`` in :func:`template_dir`."""
    return (template_dir() / name).read_text(encoding="utf-8")


def schema_dir() -> Path:
    """The folder of the JSON Schemas."""
    return _find("schemas")


def read_schema(name: str) -> dict[str, Any]:
    """The JSON Schema ``name.schema.json``, parsed anew."""
    import json

    text = (schema_dir() / f"{name}.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _find(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parents[1] / name
