"""Plans for clusters without a network: images from elsewhere, programs that do not look for it.

``execution.image_mirror`` maps what an image's name begins with, or a whole name, to what stands
for it on the other side; ``execution.offline`` sets the variables by which hubs and telemetry are
off.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evalc.plan.images import is_file, parse
from evalc.plan.model import EnvVar
from evalc.plan.problems import Contradiction, NoEffect
from evalc.source import Scalar
from evalc.source.nodes import scalar_text
from evalc.words import literal, literal_text

if TYPE_CHECKING:
    from evalc.plan.model import Plan, Service, Step
    from evalc.plan.reading import Reader

# Read by huggingface_hub, datasets, transformers, evaluate, nemo-evaluator and vLLM. A program that
# has what it needs in its cache starts without asking anybody.
OFFLINE = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "NEMO_EVALUATOR_TELEMETRY_LEVEL": "0",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
# Stands for every image that no other key is for.
ANY = "*"
_MIRROR = ("execution", "image_mirror")


def for_airgap(plan: Plan, config: Reader) -> Plan:
    """The plan as ``execution.image_mirror`` and ``execution.offline`` want it."""
    if config.text("execution", "offline") == "true":
        plan = _changed(plan, _offline)
    mirror = _Mirror(config)
    if mirror.entries:
        plan = _changed(plan, mirror.applied)
        plan = replace(plan, options=mirror.options(plan.options))
        mirror.report_unused()
    return plan


def _changed(plan: Plan, change: Any) -> Plan:
    """The plan with every server and task changed, each once: jobs share their servers."""
    services = {service.name: change(service) for service in plan.services}
    return replace(
        plan,
        jobs=tuple(
            replace(
                job,
                services=tuple(services[service.name] for service in job.services),
                steps=tuple(change(step) for step in job.steps),
            )
            for job in plan.jobs
        ),
    )


def _offline(part: Service | Step) -> Service | Step:
    """What the config itself sets is kept, and stands where it stood."""
    given = {var.name for var in part.env}
    more = (EnvVar(name, literal(value)) for name, value in OFFLINE.items() if name not in given)
    return replace(part, env=(*part.env, *more))


class _Mirror:
    """The mapping, and which of its keys were of use."""

    def __init__(self, config: Reader) -> None:
        self.config = config
        block = config.mapping(*_MIRROR)
        self.entries = {
            key: scalar_text(node)
            for key, node in (block.entries.items() if block else ())
            if isinstance(node, Scalar) and not key.startswith("x-")
        }
        self.engine = config.text("execution", "engine")
        self.used: set[str] = set()

    def applied(self, part: Service | Step) -> Service | Step:
        """The server or task with what stands for its image, if something does."""
        text = literal_text(part.image) if part.image else None
        target = text and self._text(text)
        if not target or target == text:
            return part
        return replace(part, image=literal(target), mirrored=part.image)

    def options(self, options: Any) -> Any:
        """The backend's own options, which may name the image of a load balancer, and of what
        exports results."""
        several = options.get("num_instances") not in (None, 1)
        for block, key, used in (
            ("proxy", "image", several),
            ("auto_export", "export_image", True),
        ):
            found = options.get(block) or {}
            image = found.get(key)
            if isinstance(image, str) and used:
                new = {**found, key: self._text(image), "mirrored": image}
                options = {**options, block: new}
        return options

    def _text(self, text: str) -> str:
        reference = parse(text)
        if reference is None:
            return text
        full = reference.full
        parts = full.split("/")
        # The longest beginning wins: a whole name, a registry's folder, the registry's own name.
        starts = ["/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]
        known = [key for key in (text, full, *starts, ANY) if key in self.entries]
        self.used.update(known)
        if not known:
            return text
        if known[0] in (text, full):
            return self._target(known[0])
        taken = 1 if known[0] == ANY else known[0].count("/") + 1
        return self._joined(known[0], "/".join(parts[taken:]))

    def _target(self, key: str) -> str:
        target = self.entries[key]
        if is_file(target) and self.engine in ("docker", "podman"):
            what = f"{self.engine} takes an image from a registry, and not from a file"
            self._wrong(key, what, "name a registry, or load the file and give the image's name")
        return target

    def _joined(self, key: str, rest: str) -> str:
        target = self.entries[key]
        if is_file(target):
            what = f"a file stands for one image, and '{key}' for all of a registry"
            self._wrong(key, what, "write the image's whole name")
        return f"{target.rstrip('/')}/{rest}"

    def _wrong(self, key: str, what: str, advice: str) -> None:
        at = self.config.value_at(*_MIRROR, key)
        self.config.problems.append(Contradiction(what=what, advice=advice, location=at))

    def report_unused(self) -> None:
        """Warn of keys that no image of the config begins with."""
        for key in self.entries:
            if key not in self.used and key != ANY:
                why = "no image of this config is called or begins so"
                at = self.config.at(*_MIRROR, key)
                name = f"execution.image_mirror.{key}"
                self.config.problems.append(NoEffect(key=name, why=why, location=at))
