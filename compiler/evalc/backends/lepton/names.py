"""What jobs and endpoints are called, and what the platform takes as names.

The rules are those of leptonai 0.47.1 (``api/v2/job_validation.py`` and ``api/v2/spec_utils.py``),
which its models do not state.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from evalc.words import Literal, RuntimeEnv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalc.words import Word

INVOCATION = "EVALC_INVOCATION"
SUBMISSION = "EVALC_SUBMISSION"
# In characters, of which a digest and an invocation's id take 18 with their hyphens.
MAX_NAME = 36
MAX_SLUG = 18
_DIGITS = 8
NAME = re.compile(r"[a-z][a-z0-9-]*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_MAX_LABEL = 63
RESERVED_VARIABLES = frozenset(
    (
        "LEPTON_WORKSPACE_ID",
        "LEPTON_DEPLOYMENT_NAME",
        "LEPTON_JOB_NAME",
        "LEPTON_RESOURCE_ACCELERATOR_TYPE",
        "LEPTON_WORKSPACE_ORIGIN_URL",
    )
)
_SYSTEM = frozenset(
    """
    / /bin /boot /dev /etc /lib /lib64 /media /opt /proc /run /sbin /srv /sys /usr /usr/bin /usr/lib
    /usr/local /usr/sbin /var /sys/fs/cgroup /sys/kernel/security /proc/sys /proc/bus
    """.split()  # noqa: SIM905 - a table of paths reads best as one
)


def slug(text: str) -> str:
    """The beginning of a name, made of any text: what it is called after its last dot."""
    words = re.findall(r"[a-z0-9]+", text.rpartition(".")[2].lower())
    made = "-".join(words)
    if not made[:1].isalpha():
        made = f"t-{made}"
    return made[:MAX_SLUG].strip("-")


def name(start: str, digest: str, taken: Iterable[str] = ()) -> str:
    """A name without the invocation's id, which is none of ``taken``."""
    digits = int(digest[:_DIGITS], 16)
    while (made := f"{start}-{digits:0{_DIGITS}x}") in taken:
        digits = (digits + 1) % 16**_DIGITS
    return made


def of_invocation(start: str) -> Word:
    """The whole name."""
    return (Literal(f"{start}-"), RuntimeEnv(INVOCATION))


def results(folder: str | Word, step_id: str) -> Word:
    """A task's folder below that of all results."""
    start = (Literal(folder),) if isinstance(folder, str) else folder
    return (*start, Literal("/"), RuntimeEnv(INVOCATION), Literal(f"/{step_id}"))


def deployment_fault(text: str) -> str:
    """Why there can't be an endpoint of this name, or an empty text."""
    if not NAME.fullmatch(text):
        return "it is made of small letters, digits and '-', and begins with a letter"
    if len(text) > MAX_NAME:
        return f"it has at most {MAX_NAME} characters"
    return "it does not end with '-'" if text.endswith("-") else ""


def label_fault(key: str) -> str:
    """Why a label can't have this key, or an empty text."""
    if not _LABEL.fullmatch(key):
        return "it is made of letters, digits, '.', '_' and '-', a letter or digit at both ends"
    return f"it has at most {_MAX_LABEL} characters" if len(key) > _MAX_LABEL else ""


def mount_path_fault(path: str) -> str:
    """Why nothing can be mounted at this path of a container, or an empty text."""
    if not path.startswith("/"):
        return "it does not begin with '/'"
    return "Lepton keeps it for the system; a folder below it can be taken" * (
        normal(path) in _SYSTEM
    )


def normal(path: str) -> str:
    """The one way to write an absolute path."""
    return "/" + posixpath.normpath(path).lstrip("/")


def volume_fault(volume: str) -> str:
    """Why this can't be the volume of a mount, or an empty text."""
    if volume == "node-local" or not volume.startswith("node-"):
        return "" if volume.strip() else "it is empty"
    kind, _, storage = volume.removeprefix("node-").partition(":")
    if kind.strip() and storage.strip() and ":" not in storage:
        return ""
    return "it is 'node-local' or 'node-<type>:<storage name>', such as node-nfs:my-nfs"
