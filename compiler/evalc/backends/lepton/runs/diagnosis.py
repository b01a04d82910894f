"""Whether a bundle for Lepton would find what it needs in the workspace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evalc.backends.lepton.runs.judge import Readiness, judge_endpoint
from evalc.backends.lepton.runs.platform import ClientBroken, NotLoggedIn, connect
from evalc.backends.running import Check, Inquiry, Unreachable, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from evalc.backends.base import Needs
    from evalc.backends.lepton.runs.platform import Platform
    from evalc.backends.running import Ran


def inquiry(bundle: Path, needs: Needs) -> Inquiry:
    """Of this machine its programs, of the workspace what the bundle names."""
    return Inquiry("", (), lambda answers: list(_judge(bundle, needs, answers)))


def _judge(bundle: Path, needs: Needs, answers: Mapping[str, Ran]) -> Iterator[Check]:
    for tool in needs.tools:
        if answers[f"tool {tool}"].code == 0:
            yield Check(Verdict.OK, f"{tool} is there")
        else:
            what = f"{tool} is not there, which submit_all.sh needs; evalc does without"
            yield Check(Verdict.UNSURE, what, f"install {tool}")
    try:
        platform = connect()
        yield Check(Verdict.OK, f"Lepton workspace {platform.greet()} can be reached")
    except (ClientBroken, NotLoggedIn) as error:
        yield Check(Verdict.WRONG, str(error), error.hint)
        return
    except Unreachable as error:
        yield Check(Verdict.WRONG, str(error), "lep workspace id")
        return
    whole = json.loads((bundle / "lepton.json").read_bytes())
    files = [bundle / one["folder"] / "job.json" for one in whole["jobs"]]
    files += [bundle / one["folder"] / "endpoint.json" for one in whole["endpoints"]]
    specs = [json.loads(file.read_bytes())["spec"] for file in files]
    yield from _named(platform, "node groups", _node_groups(specs), "lep node list")
    yield from _named(platform, "shapes", _shapes(specs), "lep node resource-shape")
    yield from _named(platform, "secrets", _secrets(specs), "lep secret create")
    for name in dict.fromkeys(one.get("deployment") or "" for one in whole["jobs"]):
        if name:
            yield _endpoint(platform, name)


def _named(platform: Platform, what: str, wanted: list[str], todo: str) -> Iterator[Check]:
    if not wanted:
        return
    try:
        there = {word for pair in platform.inquire(what) for word in pair}
    except Unreachable as error:
        yield Check(Verdict.UNSURE, f"the {what} of the workspace can't be told: {error}")
        return
    for name in wanted:
        one = what.removesuffix("s")
        if name in there:
            yield Check(Verdict.OK, f"{one} {name} is there")
        elif "@@{" in name:
            yield Check(Verdict.UNSURE, f"{one} {name} is known only when it is submitted")
        else:
            yield Check(Verdict.WRONG, f"the workspace has no {one} {name}", f"see '{todo}'")


def _endpoint(platform: Platform, name: str) -> Check:
    try:
        found = platform.endpoint(name)
    except Unreachable as error:
        return Check(Verdict.UNSURE, f"the endpoint {name} can't be told: {error}")
    if found is None:
        what = f"there is no endpoint {name} in the workspace"
        return Check(Verdict.WRONG, what, "see 'lep endpoint list'")
    readiness, word = judge_endpoint(found)
    if readiness is Readiness.READY:
        return Check(Verdict.OK, f"endpoint {name} is ready")
    return Check(Verdict.WRONG, f"endpoint {name} is {word}", "start it before you submit")


def _node_groups(specs: list[dict[str, Any]]) -> list[str]:
    found: dict[str, None] = {}
    for spec in specs:
        resources = spec.get("resource_requirement") or {}
        affinity = spec.get("affinity") or resources.get("affinity") or {}
        found |= dict.fromkeys(affinity.get("allowed_dedicated_node_groups") or ())
    return list(found)


def _shapes(specs: list[dict[str, Any]]) -> list[str]:
    every = (
        spec.get("resource_shape")
        or (spec.get("resource_requirement") or {}).get("resource_shape")
        or ""
        for spec in specs
    )
    return [name for name in dict.fromkeys(every) if name]


def _secrets(specs: list[dict[str, Any]]) -> list[str]:
    found: dict[str, None] = {}
    for spec in specs:
        for one in (*(spec.get("envs") or ()), *(spec.get("api_tokens") or ())):
            reference = one.get("value_from") or {}
            found |= dict.fromkeys(map(str, reference.values()))
    return list(found)
