"""What more than one of our backends has to refuse, or to warn of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalc.plan.problems import CannotCarry, Contradiction, NoEffect, NotGiven
from evalc.words import Literal, literal_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Problem
    from evalc.plan import Plan

# What exporters ask for before anything else, each with the variable that may say it.
_MUST_HAVE = (("mlflow", "tracking_uri", "MLFLOW_TRACKING_URI"), ("wandb", "project", ""))


def images(plan: Plan) -> Iterator[Problem]:
    """For engines that run containers: images that lack, and texts that can't name one."""
    for step in plan.steps:
        if step.image is None:
            path = plan.origin.task(step.id)
            yield NotGiven(
                key=".".join(str(part) for part in (*path, "container")),
                because=f"the task '{step.id}' runs in a container",
                location=plan.origin.at(*path, "name"),
            )
    found = [step.image for step in plan.steps] + [service.image for service in plan.services]
    for image in dict.fromkeys(found):
        text = literal_text(image) if image else None
        if text is not None and (text.startswith("-") or not text.isprintable() or " " in text):
            yield Contradiction(
                what="this can't be the name of a container image",
                location=plan.origin.locate(text),
            )


def output_dir(plan: Plan) -> Iterator[Problem]:
    """Folders for runs that no line of a list, journal or message could show."""
    text = "".join(part.text for part in plan.output_dir if isinstance(part, Literal))
    if not text.isprintable():
        yield CannotCarry(
            why="a path with a line break or another control character",
            key="execution.output_dir",
            location=plan.origin.at("execution", "output_dir"),
        )


def other_backends_keys(plan: Plan) -> Iterator[Problem]:
    """Keys that every backend's schema has and only one of them understands."""
    if plan.origin.given("target", "api_endpoint", "deployment_name"):
        yield Contradiction(
            what="an endpoint that is named by its deployment can only be looked up on Lepton",
            advice="give its 'url'",
            location=plan.origin.at("target", "api_endpoint", "deployment_name"),
        )
    if plan.origin.written("deployment", "lepton_config"):
        yield NoEffect(
            key="deployment.lepton_config",
            why="it is for the backend lepton",
            location=plan.origin.at("deployment", "lepton_config"),
        )


def auto_export(plan: Plan) -> Iterator[Problem]:
    """What a destination of ``execution.auto_export`` lacks, which would be found out when all has
    been evaluated."""
    block = plan.options.get("auto_export") or {}
    at = ("execution", "auto_export")
    if plan.export is None:
        if any(block.get(key) for key in block if not key.startswith("x-")):
            yield NoEffect(
                key="execution.auto_export",
                why="no 'destinations' are named",
                location=plan.origin.at(*at),
            )
        return
    variables = {var.name for var in plan.export.env}
    for destination, key, variable in _MUST_HAVE:
        if destination not in block["destinations"] or variable in variables:
            continue
        if not plan.origin.given("export", destination, key):
            instead = f" (or {variable} under export.env_vars)" if variable else ""
            yield NotGiven(
                key=f"export.{destination}.{key}",
                because=f"auto_export sends results to {destination}{instead}",
                location=plan.origin.at("export", destination, key),
            )
