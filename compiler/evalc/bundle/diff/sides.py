"""What is compared: a bundle in a folder, or one that was compiled just now."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalc.bundle.diff.facts import Facts, facts_of
from evalc.bundle.model import FILE_MODE, MANIFEST, PLAN, PROGRAM_MODE, SCHEMA_VERSION, File
from evalc.bundle.read import NotABundle, cause, manifest_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evalc.bundle.model import Bundle


@dataclass(frozen=True, slots=True)
class Side:
    """One of two bundles that are compared.

    ``label`` is what the user called it. ``edited`` are files that are not, or no longer, as its
    manifest says; what the bundle means is read from its plan, so a change of a script by hand is
    seen in the text alone.
    """

    label: str
    files: Mapping[str, File]
    facts: Facts
    edited: tuple[str, ...] = ()


def side_of(bundle: Bundle, label: str) -> Side:
    """A bundle that was compiled just now."""
    plan, manifest = json.loads(bundle.files[PLAN].data), json.loads(bundle.files[MANIFEST].data)
    return Side(label, bundle.files, facts_of(plan, manifest))


def read_side(path: Path, label: str) -> Side:
    """The bundle in a folder: the files that its manifest lists, as they are there.

    What runs have left in the folder is not part of it. Of a file's mode only whether it is a
    program is kept, as git does. Raises :class:`~evalc.bundle.read.NotABundle`.
    """
    data = manifest_data(path)
    try:
        manifest = json.loads(data)
        version = manifest["schema_version"]
        listed: dict[str, Mapping[str, str]] = manifest["files"]
        if version != SCHEMA_VERSION:
            compiler = str(manifest["compiler"]["version"])
            raise NotABundle(
                path,
                f"was compiled by evalc {compiler}, whose bundles this evalc does not know",
                "compile it anew with this evalc",
            )
        files, edited = _files(path, listed)
        files[MANIFEST] = File(data)
        plan = json.loads((path / PLAN).read_bytes())
        return Side(label, dict(sorted(files.items())), facts_of(plan, manifest), edited)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise NotABundle(
            path, f"is damaged ({cause(error)})", "compile it anew; 'evalc compile --force'"
        ) from None


def _files(
    path: Path, listed: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, File], tuple[str, ...]]:
    files: dict[str, File] = {}
    edited = []
    for name, file in listed.items():
        if not name or any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError(name)
        there = path / name
        # What a link leads to is no part of a bundle, and may be nobody's business.
        if there.is_symlink() or not there.is_file():
            edited.append(name)
            continue
        mode = PROGRAM_MODE if there.stat().st_mode & 0o111 else FILE_MODE
        files[name] = File(there.read_bytes(), mode)
        digest = hashlib.sha256(files[name].data).hexdigest()
        if (digest, f"{mode:04o}") != (file["sha256"], file["mode"]):
            edited.append(name)
    return files, tuple(edited)
