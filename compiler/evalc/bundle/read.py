"""Directory -> what a bundle is: read, and held against its manifest.

The runner learns from here all that it knows of a bundle. Nothing of it is compiled again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalc.backends.base import Needs
from evalc.backends.running import Job
from evalc.bundle.model import FILE_MODE, MANIFEST, PLAN, SCHEMA_VERSION
from evalc.errors import EvalcError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What 'evalc fetch' leaves in a folder that it fills: {"invocation": ID}.
FETCHED = ".evalc-run.json"


class NotABundle(EvalcError):
    """A folder holds no bundle, or none that this evalc understands."""

    exit_code = 2

    def __init__(self, path: Path, why: str, hint: str) -> None:
        self.path = path
        self.why = why
        self.hint = hint
        super().__init__(f"{path} {why}")


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A bundle on disk.

    ``digest`` is the SHA-256 of its manifest, and so of every file in it. ``files`` maps paths to
    permission bits. ``options`` and ``output_dir`` are the plan's; the latter may have parts that
    the environment tells. ``secrets`` are the environment variables whose values are taken along
    when it is submitted, each with whether there is no default for it. ``edited`` are files that
    are not as the manifest says.
    """

    path: Path
    name: str
    backend: str
    compiler: str
    digest: str
    files: Mapping[str, int]
    jobs: tuple[Job, ...]
    run_hint: str
    needs: Needs
    options: Mapping[str, Any]
    output_dir: Any
    secrets: Mapping[str, bool]
    edited: tuple[str, ...]


def read(path: Path) -> StoredBundle:
    """The bundle in the folder ``path``. Raises :class:`NotABundle`."""
    data = manifest_data(path)
    try:
        manifest = json.loads(data)
        version = manifest["schema_version"]
        if version == SCHEMA_VERSION:
            return _bundle(path, data, manifest)
        compiler = manifest["compiler"]["version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise NotABundle(
            path, f"is damaged ({cause(error)})", "compile it anew; 'evalc compile --force'"
        ) from None
    raise NotABundle(
        path,
        f"was compiled by evalc {compiler}, whose bundles this evalc does not know",
        "compile it with this evalc, or submit it with that one",
    )


def manifest_data(path: Path) -> bytes:
    """The text of the manifest of the bundle in a folder. Raises :class:`NotABundle`."""
    try:
        return (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        why = "holds no bundle" if path.is_dir() else "is no folder with a bundle"
        raise NotABundle(path, why, "'evalc compile CONFIG' makes one") from None
    except OSError as error:
        raise NotABundle(path, f"can't be read: {error.strerror}", "") from None


def cause(error: Exception) -> str:
    """Why reading a bundle's own files failed, in words."""
    if isinstance(error, OSError):
        return f"{Path(str(error.filename)).name}: {error.strerror}"
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return "it is no JSON of evalc's"


def _bundle(path: Path, data: bytes, manifest: Mapping[str, Any]) -> StoredBundle:
    listed: Mapping[str, Mapping[str, str]] = manifest["files"]
    for name in listed:
        if not name or any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError(name)
    plan = json.loads((path / PLAN).read_bytes())
    ids = [job["id"] for job in manifest["jobs"]]
    if ids != [job["id"] for job in plan["jobs"]] or len(set(ids)) != len(ids) or not ids:
        raise ValueError("it lists other jobs than the plan has")
    for text in (manifest["name"], manifest["backend"], manifest["run"], *ids):
        if not isinstance(text, str) or not text.isprintable():
            raise ValueError(f"{text!r} is no name")
    return StoredBundle(
        path=path,
        name=manifest["name"],
        backend=manifest["backend"],
        compiler=manifest["compiler"]["version"],
        digest=hashlib.sha256(data).hexdigest(),
        files={
            MANIFEST: FILE_MODE,
            **{name: int(file["mode"], 8) for name, file in listed.items()},
        },
        jobs=tuple(Job(job["id"], tuple(job["steps"])) for job in manifest["jobs"]),
        run_hint=manifest["run"],
        needs=_needs(manifest["needs"]),
        options=plan["options"],
        output_dir=plan["output_dir"],
        secrets=secrets_of(plan),
        edited=tuple(_edited(path, listed)),
    )


def _needs(needs: Mapping[str, Any]) -> Needs:
    return Needs(
        images=tuple(needs["images"]),
        secrets=tuple(needs["secrets"]),
        runtime_env=tuple(needs["runtime_env"]),
        tools=tuple(needs["tools"]),
        engine=needs["engine"],
    )


def _edited(path: Path, listed: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name, file in listed.items():
        there = path / name
        try:
            same = hashlib.sha256(there.read_bytes()).hexdigest() == file[
                "sha256"
            ] and there.stat().st_mode & 0o777 == int(file["mode"], 8)
        except OSError:
            same = False
        if not same:
            yield name


def secrets_of(plan: Any) -> dict[str, bool]:
    """The secrets of the submitting machine's that stand anywhere in a ``plan.json``, by name; each
    with whether it must be there, since it has no default."""
    found: dict[str, bool] = {}
    todo = [plan]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if value.get("scope") == "host" and isinstance(value.get("secret"), str):
                name = value["secret"]
                found[name] = found.get(name, False) or "default" not in value
            else:
                todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return dict(sorted(found.items()))
