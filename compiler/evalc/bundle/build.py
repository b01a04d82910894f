"""A backend's artifacts, the plan and the config -> a bundle with its manifest."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalc import __version__
from evalc.bundle.model import (
    FILE_MODE,
    MANIFEST,
    PLAN,
    PROGRAM_MODE,
    SCHEMA_VERSION,
    Bundle,
    File,
)
from evalc.errors import EvalcError
from evalc.plan.serialise import plan_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalc.backends.base import Emission
    from evalc.plan import Plan

CONFIG = "config.yaml"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BadEmission(EvalcError):
    """A backend made a file that a bundle can't hold: the backend is at fault."""

    def __init__(self, backend: str, path: str, why: str) -> None:
        self.backend = backend
        self.path = path
        self.why = why
        super().__init__(f"the backend '{backend}' made the file {path!r}: {why}")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a bundle was compiled from.

    ``files`` maps each config file's name (without the folder it happened to be in) to the SHA-256
    of its content; the rest is what the command line said.
    """

    files: tuple[tuple[str, str], ...]
    overrides: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


def build(plan: Plan, emission: Emission, config: str, inputs: Inputs) -> Bundle:
    """The bundle of a plan. ``config`` is the text of the composed config.

    Raises :class:`BadEmission` for a file that would be outside of the bundle or in the place of
    another one.
    """
    files = {PLAN: File(plan_text(plan).encode()), CONFIG: File(config.encode())}
    taken, folders = {MANIFEST, *files}, set[str]()
    for artifact in emission.artifacts:
        why = _fault(artifact.path, taken, folders)
        if why:
            raise BadEmission(plan.backend, artifact.path, why)
        taken.add(artifact.path)
        mode = PROGRAM_MODE if artifact.executable else FILE_MODE
        files[artifact.path] = File(artifact.data, mode)
    files[MANIFEST] = File(_manifest(plan, emission, inputs, files))
    return Bundle(
        plan.name,
        dict(sorted(files.items())),
        emission.needs,
        emission.run_hint,
        emission.gpu_hours,
    )


def _fault(path: str, taken: set[str], folders: set[str]) -> str:
    """Why there can't be a file at ``path``, or an empty text. Notes the folders above it."""
    if _CONTROL.search(path):
        return "its path holds a control character"
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "its path is not inside of the bundle"
    above = {"/".join(parts[:length]) for length in range(1, len(parts))}
    folders |= above
    if path in taken:
        return "there is one of that name"
    if path in folders or above & taken:
        return "there is a folder where a file should be"
    return ""


def _manifest(plan: Plan, emission: Emission, inputs: Inputs, files: Mapping[str, File]) -> bytes:
    needs, hours = emission.needs, emission.gpu_hours
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "compiler": {"name": "evalc", "version": __version__},
        "name": plan.name,
        "backend": plan.backend,
        "run": emission.run_hint,
        "needs": {
            "engine": needs.engine,
            "images": list(needs.images),
            "runtime_env": list(needs.runtime_env),
            "secrets": list(needs.secrets),
            "tools": list(needs.tools),
        },
        "inputs": {
            "files": [{"name": name, "sha256": digest} for name, digest in inputs.files],
            "overrides": list(inputs.overrides),
            "tasks": list(inputs.tasks),
        },
        "jobs": [
            {
                "id": job.id,
                "services": [service.name for service in job.services],
                "steps": [step.id for step in job.steps],
                **({"gpu_hours": hours[job.id]} if job.id in hours else {}),
            }
            for job in plan.jobs
        ],
        "files": {},
    }
    text = _json(manifest).decode()
    # One line a file, so that a diff of two manifests names the files that differ.
    lines = ",\n".join(
        f"    {json.dumps(path)}: "
        f'{{"mode": "{file.mode:04o}", "sha256": "{hashlib.sha256(file.data).hexdigest()}"}}'
        for path, file in sorted(files.items())
    )
    return text.replace('"files": {}\n}\n', f'"files": {{\n{lines}\n  }}\n}}\n').encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
