"""Whether a bundle of the local backend would find what it needs on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.backends.running import Check, Inquiry, Verdict
from evalc.resources import read_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalc.backends.base import Needs
    from evalc.backends.running import Ran

_START = {
    "docker": "start its daemon, or ask to be let use it",
    "podman": "try 'podman ps' there",
}


def inquiry(needs: Needs) -> Inquiry:
    """The engine, the images and the programs of a bundle."""
    script = read_template("runner/local_doctor.sh")
    images = () if needs.engine == "none" else needs.images
    return Inquiry(
        script, (needs.engine, *images), lambda answers: list(_judge(needs, images, answers))
    )


def _judge(needs: Needs, images: Sequence[str], answers: Mapping[str, Ran]) -> Iterator[Check]:
    for tool in needs.tools:
        if answers[f"tool {tool}"].code == 0:
            yield Check(Verdict.OK, f"{tool} is there")
        else:
            yield Check(Verdict.WRONG, f"{tool} is not there", f"install {tool}")
    engine = answers.get("engine")
    if engine is None:
        return
    if engine.code != 0:
        # What it says about images would be the same.
        said = engine.out.strip().rpartition("\n")[2]
        what = f"{needs.engine} does not answer: {said or 'no word in 20 s'}"
        yield Check(Verdict.WRONG, what, _START.get(needs.engine, ""))
        return
    yield Check(Verdict.OK, f"{needs.engine} answers")
    for number, image in enumerate(images):
        if answers[f"image {number}"].code == 0:
            yield Check(Verdict.OK, f"image {image} is there")
        elif "$" in image:
            yield Check(Verdict.UNSURE, f"image {image} is known only when it runs")
        else:
            what = f"image {image} is not here yet"
            yield Check(Verdict.UNSURE, what, "it is pulled at the first run")
