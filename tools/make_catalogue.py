#!/usr/bin/env python3
"""Makes ``compiler/evalc/catalog/tasks.json`` from a peer's catalogue. For maintainers.

    python tools/make_catalogue.py CATALOGUE.json

CATALOGUE.json lists what nemo-evaluator-launcher packages (``resources/all_tasks_irs.yaml``):

    {"source": text, "harnesses": [{name, container, container_digest, arch, url}, ...],
     "tasks": [{name, harness, endpoint_types, params[, required_capabilities]}, ...]}

The facts of the tasks are written. The harnesses' images are not: ``mapping.toml`` is reviewed by
hand, and each difference between it and the catalogue is printed for that review. Exit code 0 when
there is none, 1 when there is some, 2 when the catalogue contradicts itself (nothing is written
then).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CATALOG = Path(__file__).resolve().parents[1] / "compiler" / "evalc" / "catalog"
FACTS = ("name", "harness", "endpoint_types", "required_capabilities", "params")
# Our word for a fact of a harness -> the peer's.
HARNESS_FACTS = {
    "image": "container",
    "digest": "container_digest",
    "arch": "arch",
    "url": "url",
}


def contradictions(catalogue: dict[str, Any]) -> list[str]:
    """What makes the catalogue unusable, in words; empty when it is sound."""
    harnesses = {harness["name"] for harness in catalogue["harnesses"]}
    count = Counter((task["harness"], task["name"]) for task in catalogue["tasks"])
    found = [f"task {h}.{n} is listed {c} times" for (h, n), c in sorted(count.items()) if c > 1]
    for task in catalogue["tasks"]:
        where = f"task {task['harness']}.{task['name']}"
        if task["harness"] not in harnesses:
            found.append(f"{where}: there is no such harness")
        # A dot parts the harness from the task in what users write.
        if "." in task["name"] or "." in task["harness"]:
            found.append(f"{where}: a name has a dot")
        if not task["endpoint_types"]:
            found.append(f"{where}: no endpoint type")
    return found


def render(catalogue: dict[str, Any]) -> str:
    """The text of ``tasks.json``: one task a line, sorted, so that a diff shows what changed."""
    tasks = sorted(catalogue["tasks"], key=lambda task: (task["harness"], task["name"]))
    lines = [
        json.dumps({fact: task[fact] for fact in FACTS if fact in task}, ensure_ascii=False)
        for task in tasks
    ]
    source = json.dumps(catalogue["source"], ensure_ascii=False)
    return f'{{"source": {source},\n"tasks": [\n' + ",\n".join(lines) + "\n]}\n"


def differences(catalogue: dict[str, Any], mapping: dict[str, dict[str, Any]]) -> list[str]:
    """Where ``mapping.toml`` and the catalogue's harnesses part, in words."""
    theirs = {harness["name"]: harness for harness in catalogue["harnesses"]}
    found = [f"{name}: only in mapping.toml" for name in sorted(mapping.keys() - theirs.keys())]
    found += [f"{name}: not in mapping.toml" for name in sorted(theirs.keys() - mapping.keys())]
    for name in sorted(mapping.keys() & theirs.keys()):
        for ours, peers in HARNESS_FACTS.items():
            have, want = mapping[name].get(ours), theirs[name].get(peers)
            if have != want:
                found.append(f"{name}.{ours}: mapping.toml has {have!r}, the catalogue {want!r}")
    return found


def main(argv: list[str] | None = None) -> int:
    """Runs the tool; returns its exit code."""
    parser = argparse.ArgumentParser(description="Make the catalogue's tasks.json.")
    parser.add_argument("catalogue", type=Path, help="the peer's catalogue, JSON")
    parser.add_argument("--catalog-dir", type=Path, default=CATALOG, help="default: %(default)s")
    arguments = parser.parse_args(argv)

    catalogue = json.loads(arguments.catalogue.read_text(encoding="utf-8"))
    if wrong := contradictions(catalogue):
        sys.stderr.write("".join(f"{line}\n" for line in wrong))
        return 2
    target = arguments.catalog_dir / "tasks.json"
    target.write_text(render(catalogue), encoding="utf-8")
    sys.stdout.write(f"{target}: {len(catalogue['tasks'])} tasks\n")

    mapping = tomllib.loads((arguments.catalog_dir / "mapping.toml").read_text(encoding="utf-8"))
    differing = differences(catalogue, mapping)
    sys.stdout.write("".join(f"{line}\n" for line in differing))
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
