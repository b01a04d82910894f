"""The container images of bundles: who uses them, and how to carry them over."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalc.plan.images import DOCKER_HUB, Reference, is_file, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOOLS = ("docker", "podman", "skopeo", "enroot", "apptainer")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that a bundle needs, as the bundle writes it.

    ``source`` is its name where it comes from, and ``reference`` what that says: None for a file of
    the cluster's, and where the name is known only when the job runs. ``users`` are the tasks
    (``task NAME``) and servers (``server NAME``) that run in it, or ``exporting results``.
    """

    text: str
    source: str
    users: tuple[str, ...]

    @property
    def reference(self) -> Reference | None:
        """What the name says that it has where it comes from."""
        return parse(self.source)

    @property
    def is_file(self) -> bool:
        """Whether the bundle names a file on the machine where it is run."""
        return is_file(self.text)


def images_of(plan: Mapping[str, Any], manifest: Mapping[str, Any]) -> tuple[Image, ...]:
    """The images of a bundle, from what its two files hold, sorted.

    Raises KeyError, TypeError or AttributeError for files that are none of evalc's.
    """
    users: dict[str, list[str]] = {text: [] for text in manifest["needs"]["images"]}
    sources = {}
    for text, source, user in _uses(plan, frozenset(users)):
        users.setdefault(text, []).extend(user)
        sources[text] = source
    return tuple(
        Image(text, sources.get(text, text), tuple(dict.fromkeys(users[text])))
        for text in sorted(users)
    )


def _uses(plan: Mapping[str, Any], needed: frozenset[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Each image, its source, and who uses it; ``needed`` are those that the bundle needs."""
    parts = [("server", service["name"], service) for service in plan["services"]]
    parts += [("task", step["id"], step) for job in plan["jobs"] for step in job["steps"]]
    for kind, name, part in parts:
        if part["image"] is not None:
            source = part.get("mirrored", part["image"])
            yield _as_in_manifest(part["image"]), _as_in_manifest(source), [f"{kind} {name}"]
    for block, key, user in (
        ("proxy", "image", []),
        ("auto_export", "export_image", ["exporting results"]),
    ):
        part = plan["options"].get(block) or {}
        image = _as_in_manifest(part[key]) if part.get(key) is not None else None
        # One that the config names, and the bundle has no use for, is not there.
        if image in needed:
            yield image, _as_in_manifest(part.get("mirrored", image)), user


def _as_in_manifest(image: Any) -> str:
    """An image as the manifest writes it, where a variable is ``$NAME``."""
    if isinstance(image, str):
        return image
    return "".join(
        part if isinstance(part, str) else f"${part.get('env') or part['secret']}"
        for part in image["parts"]
    )


def commands(image: Image, tool: str, registry: str) -> list[str]:
    """Lines of bash that carry an image over with ``tool``: to where the bundle names it when that
    is another place than it comes from, else into ``registry``; with ``enroot`` and ``apptainer``
    into a file, here if the bundle names none. There are no lines for what is no image of a
    registry, nor for a tool that can't make what the bundle names.

    ``enroot`` takes a tag and no digest (``docker://[USER@][REGISTRY#]IMAGE[:TAG]``), so it has no
    line for an image that has only that. ``docker push`` makes a digest of its own out of an image
    for several platforms; ``skopeo`` keeps the digest.
    """
    reference = image.reference
    if reference is None:
        return []
    source = f"docker://{reference.exact}"
    mirrored = image.text != image.source
    target = image.text if mirrored else reference.in_registry(registry)
    target = target.partition("@")[0].replace("#", "/", 1)
    if mirrored and not _can_make(tool, image):
        return []
    file = target if mirrored else reference.file_stem + (".sqsh" if tool == "enroot" else ".sif")
    if tool == "skopeo":
        lines = [["skopeo", "copy", "--all", "--preserve-digests", source, f"docker://{target}"]]
    elif tool == "enroot":
        lines = list(_import_with_enroot(reference, file))
    elif tool == "apptainer":
        lines = [["apptainer", "build", file, source]]
    else:
        pull = [tool, "pull", reference.exact]
        lines = [pull, [tool, "tag", reference.exact, target], [tool, "push", target]]
    return [shlex.join(line) for line in lines]


def _can_make(tool: str, image: Image) -> bool:
    """Whether a tool makes what the bundle names: a name in a registry, or a file of its kind."""
    ending = {"enroot": ".sqsh", "apptainer": ".sif"}.get(tool)
    if ending is None or not image.is_file:
        return ending is None and not image.is_file
    return image.text.endswith(ending) or not image.text.endswith((".sqsh", ".sif"))


def _import_with_enroot(reference: Reference, file: str) -> Iterator[list[str]]:
    if reference.digest and not reference.tag:
        return
    registry = "" if reference.registry == DOCKER_HUB else f"{reference.registry}#"
    name = f"docker://{registry}{reference.name}{reference.tag and ':' + reference.tag}"
    yield ["enroot", "import", "--output", file, name]
