"""What is asked of the files that tell what a bundle is, with errors in people's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evalc.bundle.images import images_of
from evalc.bundle.model import PLAN
from evalc.bundle.read import NotABundle, cause, manifest_data

if TYPE_CHECKING:
    from pathlib import Path

    from evalc.bundle.images import Image


def images_in(path: Path) -> tuple[Image, ...]:
    """The images of the bundle in a folder. Raises :class:`~evalc.bundle.read.NotABundle`."""
    data = manifest_data(path)
    try:
        plan: Any = json.loads((path / PLAN).read_bytes())
        return images_of(plan, json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise NotABundle(
            path, f"is damaged ({cause(error)})", "compile it anew; 'evalc compile --force'"
        ) from None
