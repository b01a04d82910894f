"""Images by digest instead of by tag: ``execution.pin_images``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalc import catalog
from evalc.plan.problems import UnpinnedImage
from evalc.plan.settings import as_word
from evalc.words import literal, literal_text

if TYPE_CHECKING:
    from evalc.errors import Location, Problem
    from evalc.plan.model import Plan
    from evalc.source import Path
    from evalc.words import Word

# Images that are files on the cluster have no tag that could move.
_FILES = (".sqsh", ".sqfs", ".sif")


def pinned(plan: Plan) -> tuple[Plan, list[Problem]]:
    """The plan with the catalogue's images by their digests, and a problem for each image that has
    none and is not the catalogue's."""
    pinning = _Pinning(plan)
    jobs = tuple(
        replace(
            job,
            steps=tuple(
                replace(
                    step,
                    image=pinning.image(step.image, (*plan.origin.task(step.id), "container")),
                )
                for step in job.steps
            ),
            services=tuple(
                replace(
                    service,
                    image=pinning.image(
                        service.image,
                        ("auxiliary_deployments", service.name, "image")
                        if service.env_prefix
                        else ("deployment", "image"),
                    ),
                )
                for service in job.services
            ),
        )
        for job in plan.jobs
    )
    proxy = (plan.options.get("proxy") or {}).get("image")
    if proxy and any(service.instances > 1 for service in plan.services):
        pinning.image(literal(str(proxy)), ("execution", "proxy", "image"))
    exporting = as_word((plan.options.get("auto_export") or {}).get("export_image"))
    if exporting and plan.export is not None:
        pinning.image(exporting, ("execution", "auto_export", "export_image"))
    return replace(plan, jobs=jobs), pinning.problems


class _Pinning:
    def __init__(self, plan: Plan) -> None:
        self.origin = plan.origin
        self.problems: list[Problem] = []
        self.known = {h.image: literal(h.pinned) for h in catalog.load().harnesses}
        self.reported: set[Word] = set()

    def image(self, image: Word | None, path: Path) -> Word | None:
        """The image by its digest; itself where that is not known, which is reported once."""
        if image is None or image in self.reported:
            return image
        text = literal_text(image)
        if text in self.known:
            return self.known[text]
        is_file = text is not None and (text.startswith(("/", "./")) or text.endswith(_FILES))
        if text is None or not ("@sha256:" in text or is_file):
            self.reported.add(image)
            shown = "that is known at run time only" if text is None else f"'{text}'"
            self.problems.append(UnpinnedImage(image=shown, location=self._at(text, path)))
        return image

    def _at(self, text: str | None, path: Path) -> Location:
        found = self.origin.locate(text) if text else None
        written = found is not None and found.source.kind != "builtin"
        return found if found is not None and written else self.origin.at(*path)
