"""A bundle's ``plan.json`` and ``manifest.json`` as flat facts, which can be compared one by one.

Each job, task and server is a mapping from the name of a value to the value: nested settings have
dotted names, lists of named things (variables, mounts, files, options of a command) one name a
thing. What a plan says twice stands here once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from evalc.bundle.diff.change import MISSING, Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Part: TypeAlias = "dict[str, Any]"
# What tells a job that holds all tasks: its own name is the plan's, which may differ for no reason.
ALL_TASKS = "all tasks"
# Of a job, the keys of execution that it does not have in common with all others.
OWN = "options"
# Parts of run_config.yml that follow from the step, by the field that they follow from.
_FOLLOWS = {
    "config.type": "task",
    "config.params.limit_samples": "limit_samples",
    "target.api_endpoint.url": "model_url",
    "target.api_endpoint.model_id": "model_id",
    "target.api_endpoint.type": "endpoint_type",
    "target.api_endpoint.api_key_name": "api_key_name",
}
# Options of a server's command that follow from the server.
_COMMAND_FOLLOWS = {"--port": "port", "--served-model-name": "model_id"}
_NEEDS = {"images": "image", "secrets": "secret", "runtime_env": "variable", "tools": "tool"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a bundle means.

    ``gpu_hours`` is the worst case of all jobs: None when nothing limits it, MISSING when the
    backend can't tell. ``needs`` has the sets of ``image``, ``secret``, ``variable`` and ``tool``.
    ``order`` are the tasks in their order.
    """

    compiler: str
    bundle: Part
    gpu_hours: float | Missing | None
    needs: Mapping[str, frozenset[str]]
    execution: Part
    jobs: Mapping[str, Part]
    tasks: Mapping[str, Part]
    servers: Mapping[str, Part]
    order: tuple[str, ...]


def facts_of(plan: Mapping[str, Any], manifest: Mapping[str, Any]) -> Facts:
    """The facts of a bundle, from what its two files hold.

    Raises KeyError, TypeError, ValueError or AttributeError for files that are none of evalc's.
    """
    name = plan["name"]
    steps = [step for job in plan["jobs"] for step in job["steps"]]
    compiler = manifest["compiler"]
    needs = manifest["needs"]
    return Facts(
        compiler=f"{compiler['name']} {compiler['version']}",
        bundle={
            "name": name,
            "backend": plan["backend"],
            "engine": needs["engine"],
            "output_dir": shown(plan["output_dir"]),
        },
        gpu_hours=_gpu_hours(manifest["jobs"]),
        needs={one: frozenset(needs[many]) for many, one in _NEEDS.items()},
        execution={**dict(_flat(plan["options"])), **_export(plan.get("export"))},
        jobs={ALL_TASKS if job["id"] == name else job["id"]: _job(job) for job in plan["jobs"]},
        tasks={step["id"]: _task(step) for step in steps},
        servers={service["name"]: _server(service) for service in plan["services"]},
        order=tuple(step["id"] for step in steps),
    )


def _export(export: Mapping[str, Any] | None) -> Part:
    """What is exported by itself, beside what ``execution`` says of that: keys of ``export``, which
    is none of that block's."""
    if export is None:
        return {}
    found = {f"export.local.{k}": shown(value) for k, value in export.items() if k != "env"}
    found |= {f"export.env_vars.{v['name']}": shown(v["value"]) for v in export["env"]}
    return found


def _gpu_hours(jobs: Iterable[Mapping[str, Any]]) -> float | Missing | None:
    known = [job["gpu_hours"] for job in jobs if "gpu_hours" in job]
    if not known:
        return MISSING
    return None if None in known else round(sum(known), 2)


def _job(job: Mapping[str, Any]) -> Part:
    retry = {"failed": 0, "out_of_memory": 0, "idle": 0, "total": None, **job["retry"]}
    return {
        "gpus_per_node": None,
        **job["resources"],
        **retry,
        "servers": list(job["services"]),
        OWN: dict(_flat(job.get("options") or {})),
    }


def _task(step: Mapping[str, Any]) -> Part:
    found = _common(step, but=("id", "run_config", "command", "dataset"))
    found["command"] = None if step["command"] is None else step["command"]["shell"]
    for key, value in _flat(step["run_config"]):
        same = _FOLLOWS.get(key)
        if same is None or str(value) != str(found[same]):
            found[f"run_config.{key}"] = value
    if step["dataset"]:
        found["dataset"] = shown(step["dataset"]["source"])
        found["dataset.target"] = step["dataset"]["target"]
    return found


def _server(service: Mapping[str, Any]) -> Part:
    alone = {"nodes": 1, "instances": 1, "tasks": 1, "env_prefix": ""}
    commands = ("command", "head_command", "worker_command")
    found = {**alone, **_common(service, but=("name", "endpoints", *commands))}
    found |= {f"endpoints.{key}": value for key, value in service["endpoints"].items()}
    for name in commands:
        command = service.get(name)
        if command is None:
            continue
        if "shell" in command:
            found[name] = command["shell"]
            continue
        for option, value in _options(shown(word) for word in command["argv"]):
            same = _COMMAND_FOLLOWS.get(option)
            if same is None or str(value) != str(found[same]):
                found[f"{name} {option}".rstrip()] = value
    return found


def _common(part: Mapping[str, Any], but: tuple[str, ...]) -> Part:
    """The fields that are one value, and a name for each variable, mount and file."""
    lists = ("env", "mounts", "files")
    found = {name: shown(value) for name, value in part.items() if name not in (*but, *lists)}
    found |= {f"env.{variable['name']}": shown(variable["value"]) for variable in part["env"]}
    for mount in part["mounts"]:
        only = " (read only)" if mount["read_only"] else ""
        found[f"mount {mount['target']}"] = f"{shown(mount['source'])}{only}"
    for file in part["files"]:
        program = ", a program" if file["executable"] else ""
        found[f"file {file['path']}"] = f"sha256 {file['sha256'][:16]}{program}"
    return found


def _options(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """A command's options with their values, ``--name value`` and ``--name=value`` alike; what
    stands before the first is the program, without a name. One that is given twice counts on."""
    groups: list[tuple[str, list[str]]] = [("", [])]
    for word in words:
        if word.startswith("--") and len(word) > len("--"):
            name, equals, value = word.partition("=")
            groups.append((name, [value] if equals else []))
        else:
            groups[-1][1].append(word)
    seen: dict[str, int] = {}
    for name, values in groups:
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name} #{seen[name]}"), " ".join(values)


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted names, lists of mappings with the items' numbers. An empty mapping
    says as little as none."""
    for key, item in value.items():
        name = f"{above}{key}"
        if is_word(item):
            yield name, shown(item)
        elif isinstance(item, dict):
            yield from _flat(item, f"{name}.")
        elif isinstance(item, list) and any(isinstance(one, dict) for one in item):
            yield from _flat({str(number): one for number, one in enumerate(item)}, f"{name}.")
        else:
            yield name, item


def is_word(value: Any) -> bool:
    """Whether a value of ``plan.json`` is a text with parts that are known at run time only."""
    return (
        isinstance(value, dict) and value.keys() == {"parts"} and isinstance(value["parts"], list)
    )


def shown(value: Any) -> Any:
    """A word of ``plan.json`` as a config writes it: ``host:NAME`` for a secret that is all of it,
    ``${NAME}`` within a text. Any other value is given as it is."""
    if not is_word(value):
        return value
    parts = value["parts"]
    if len(parts) == 1 and isinstance(parts[0], dict) and "secret" in parts[0]:
        return f"{parts[0]['scope']}:{parts[0]['secret']}"
    return "".join(part if isinstance(part, str) else _reference(part) for part in parts)


def _reference(part: Mapping[str, Any]) -> str:
    name = part["env"] if "env" in part else part["secret"]
    default = f",{part['default']}" if "default" in part else ""
    return f"${{oc.env:{name}{default}}}"
