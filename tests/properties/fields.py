"""Every string field of every local example: what may be in it, and where its value arrives.

:data:`FIELDS` tells for each path of a config (``*`` stands for an index or a name) which values are
refused, and how to find what arrived. A field that is in no row fails the tests, so a new example or
a new key has to say how it is carried.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from properties.hostile import has_control

from evalc import config as configs
from evalc.backends.local.arguments import OWN, options
from evalc.compiler import _added_groups, _schema_for
from evalc.source import read_file
from evalc.words import Literal

if TYPE_CHECKING:
    from properties.standins import Call, Run

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
MORE = sorted((Path(__file__).resolve().parent / "configs").glob("*.yaml"))
EVERY = {path.stem: path for path in (*EXAMPLES, *MORE)}
# Those of the local backend, which the table is about, of Slurm (test_hostile_slurm.py), and of Lepton
# (test_hostile_lepton.py).
SLURM = {name: path for name, path in EVERY.items() if name.startswith("slurm_")}
LEPTON = {name: path for name, path in EVERY.items() if name.startswith("lepton_")}
CONFIGS = {name: path for name, path in EVERY.items() if name not in {**SLURM, **LEPTON}}

Steps = tuple[str | int, ...]
Plain = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What compiling and running made of a config: what is looked at to find a value again."""

    bundle: Mapping[str, str]
    run: Run
    cwd: str

    @property
    def plan(self) -> Any:
        """``plan.json``."""
        return json.loads(self.bundle["plan.json"])

    @property
    def steps(self) -> list[Any]:
        """The steps of the plan, in the order of the config's tasks."""
        return [step for job in self.plan["jobs"] for step in job["steps"]]

    def step(self, path: Steps) -> Any:
        """The step of the task that a path leads into, else the first."""
        index = path[2] if path[:2] == ("evaluation", "tasks") else 0
        assert isinstance(index, int)
        return self.steps[index]

    def evaluation(self, path: Steps) -> Call:
        """How the step of :meth:`step` was evaluated."""
        folder = f"/{self.step(path)['id']}"
        for call in self.run.evaluations:
            run_config = call.env.get("RUN_CONFIG", "")
            if f"{folder}/" in run_config or any(
                a.endswith(f"{folder}:/evalc/task:ro") for a in call.args
            ):
                return call
        raise AssertionError(f"{folder} was not evaluated")

    @property
    def server(self) -> Call:
        """How the server was started first."""
        return next(self.run.servers)


Arrived = Callable[[Outcome, Steps, str], bool]
Check = Callable[[str], bool]


# Where a value can arrive


def mount(check: Callable[[str], Arrived], form: str = "{}") -> Arrived:
    """As a path of the host, which counts from where the script is run."""
    return lambda outcome, path, value: check(form)(outcome, path, host_path(value, outcome.cwd))


def host_path(value: str, cwd: str) -> str:
    """A path of the host as the engines are told it."""
    return value if value.startswith("/") else f"{cwd}/{value}"


def argument(form: str = "{}") -> Arrived:
    """As a word of the command that evaluates."""
    return lambda outcome, path, value: form.replace("{}", value) in outcome.evaluation(path).args


def start_of_argument(form: str) -> Arrived:
    """As the start of a word of the command that evaluates."""
    return lambda outcome, path, value: any(
        word.startswith(form.replace("{}", value)) for word in outcome.evaluation(path).args
    )


def server_argument(form: str = "{}") -> Arrived:
    """As a word of the command that starts the server."""
    return lambda outcome, _path, value: form.replace("{}", value) in outcome.server.args


def everywhere(outcome: Outcome, path: Steps, value: str) -> bool:
    """As a word of every container's command."""
    calls = [*outcome.run.evaluations, *outcome.run.servers]
    return argument()(outcome, path, value) and all(value in call.args for call in calls)


def variable(name: str | None = None, form: str = "{}") -> Arrived:
    """In the environment of the evaluation; by default under the name that the config gives."""
    return lambda outcome, path, value: (
        outcome.evaluation(path).variable(name or str(path[-1])) == form.replace("{}", value)
    )


def server_variable(name: str | None = None) -> Arrived:
    """In the environment of the server."""
    return lambda outcome, path, value: outcome.server.variable(name or str(path[-1])) == value


def setting(*where: str, form: str = "{}") -> Arrived:
    """In the run_config.yml that the harness read; by default where the config has it."""

    def arrived(outcome: Outcome, path: Steps, value: str) -> bool:
        found = yaml.safe_load(outcome.evaluation(path).run_config or "")
        for step in where or path[path.index("nemo_evaluator_config") + 1 :]:
            found = found[step]
        return bool(found == form.replace("{}", value))

    return arrived


def health_check(outcome: Outcome, _path: Steps, value: str) -> bool:
    """As the end of the URL that curl asks."""
    asked = {call.args[-1] for call in outcome.run.calls if call.name == "curl"}
    return all(re.fullmatch(r"http://127\.0\.0\.1:\d+" + re.escape(value), url) for url in asked)


def url_of_the_server(outcome: Outcome, path: Steps, value: str) -> bool:
    """As the path of the URL of every step that asks for this."""
    asked = [step for step in outcome.steps if step["endpoint_type"] == path[-1]]
    return all(step["model_url"].endswith(value) for step in asked) and all(
        (call.variable("MODEL_URL") or "").startswith("http://") for call in outcome.run.evaluations
    )


def planned(*where: str) -> Arrived:
    """In the plan only: the scripts have no use for it."""

    def arrived(outcome: Outcome, _path: Steps, value: str) -> bool:
        found = outcome.plan
        for step in where:
            found = found[step]
        return bool(found == value)

    return arrived


def planned_endpoint(outcome: Outcome, path: Steps, value: str) -> bool:
    """In the plan, for a task that would ask for it."""
    return bool(outcome.plan["services"][0]["endpoints"][path[-1]] == value)


def carried(outcome: Outcome, path: Steps, value: str) -> bool:
    """As the name of a file in the bundle."""
    service = outcome.plan["services"][0]["name"] if path[0] != "evaluation" else ""
    folder = f"services/{service}" if service else outcome.step(path)["id"]
    return f"{folder}/files/{value}" in outcome.bundle


def nowhere(_outcome: Outcome, _path: Steps, _value: str) -> bool:
    """Nowhere but in config.yaml, which is looked at for every field."""
    return True


def both(*checks: Arrived) -> Arrived:
    """In all of these places."""
    return lambda outcome, path, value: all(check(outcome, path, value) for check in checks)


# What a field refuses


def nothing(_value: str) -> bool:
    return False


def anything(_value: str) -> bool:
    """All but a few words or a pattern, which no hostile text is."""
    return True


def nul(value: str) -> bool:
    return "\0" in value


def own_argument(value: str) -> bool:
    """An option of the engines' that the scripts can't have among their arguments."""
    return nul(value) or any(name in OWN for _, name in options([(Literal(value),)]))


def unprintable(value: str) -> bool:
    return not value.isprintable()


def no_url(value: str) -> bool:
    return re.search(r"[\s\x00-\x1f\x7f]", value) is not None


def colon(value: str) -> bool:
    """What the engines' ``--volume`` can't carry."""
    return nul(value) or ":" in value


def no_source(value: str) -> bool:
    """What can't be a mount's source, which is a key, where no reference is filled in."""
    return colon(value) or "${" in value


def no_image(value: str) -> bool:
    return nul(value) or value.startswith("-") or not value.isprintable() or " " in value


def no_file_name(value: str) -> bool:
    return re.search(r"[\x00-\x1f\x7f]", value) is not None or len(value.encode()) > 255


def no_variable(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", value) is None


def no_folder(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value) is None or len(value) > 100


@dataclass(frozen=True)
class Field:
    """A row of the table.

    ``shape`` makes of a hostile text what the field's form asks for, ``value`` what of it arrives.
    ``read_in`` is true for what stands in run_config.yml: where values are put into that at run
    time, it can't hold their mark. ``executed`` is false where another value would only keep the
    scripts from running, or other values from arriving. ``on_disk`` is true for a path that has to
    be there when the scripts run, so that each of its names may have 255 bytes.
    """

    refuses: Check
    arrives: Arrived = nowhere
    shape: Callable[[str], str] = str
    value: Callable[[str], str] = str
    read_in: bool = False
    executed: bool = True
    on_disk: bool = False

    def runs_with(self, meaning: str) -> bool:
        """Whether the scripts can be run with a text that the config may hold."""
        return not self.on_disk or all(len(part.encode()) < 256 for part in meaning.split("/"))

    def takes(self, name: str, meaning: str | None) -> bool:
        """Whether the config ``name`` may hold a text; None is a reference to nothing."""
        if meaning is None or (self.read_in and name in FILLED and "@@{" in meaning):
            return False
        return not self.refuses(self.value(meaning))


def words_of(arrives: Arrived, refuses: Check = nul) -> Field:
    """Arguments in one text, split as a shell splits them."""
    return Field(refuses, arrives, shape=shlex.quote)


def path_of(refuses: Check, arrives: Arrived, *, read_in: bool = False) -> Field:
    """A text that has to start with a slash."""
    return Field(refuses, arrives, shape="/{}".format, value="/{}".format, read_in=read_in)


def literal(arrives: Arrived) -> Field:
    """A visible value of an environment variable."""
    return Field(nul, arrives, shape="lit:{}".format)


def mounted(check: Callable[[str], Arrived]) -> Arrived:
    """A mount's target; its source is the key."""
    return lambda outcome, path, value: check(f"{path[-1]}:{{}}")(outcome, path, value)


def exported(outcome: Outcome, _path: Steps, value: str) -> bool:
    """As the folder that results are copied to."""
    return Path(host_path(value, outcome.cwd)).is_dir()


CHOICE = Field(anything)
WORD = Field(nul, server_argument())
MODEL = both(variable("MODEL_ID"), setting("target", "api_endpoint", "model_id"))

FIELDS: dict[str, Field] = {
    "execution.type": CHOICE,
    "execution.engine": CHOICE,
    "execution.mode": CHOICE,
    "execution.sharing": CHOICE,
    "execution.memory_limit": CHOICE,
    "execution.shm_size": CHOICE,
    "execution.output_dir": Field(unprintable, planned("output_dir")),
    "execution.docker_args.*": Field(own_argument, everywhere),
    "execution.extra_docker_args": words_of(everywhere, own_argument),
    "execution.env_vars.evaluation.*": literal(variable()),
    "execution.mounts.deployment.*": path_of(colon, mounted(server_argument)),
    "execution.mounts.evaluation.*": path_of(colon, mounted(argument)),
    "execution.auto_export.destinations.*": CHOICE,
    "env_vars.*": literal(both(variable(), server_variable())),
    "target.api_endpoint.url": Field(
        no_url,
        both(variable("MODEL_URL"), setting("target", "api_endpoint", "url")),
        shape="http://x/{}".format,
        value="http://x/{}".format,
        read_in=True,
    ),
    "target.api_endpoint.model_id": Field(has_control, MODEL, read_in=True),
    "target.api_endpoint.api_key_name": Field(no_variable, executed=False),
    "deployment.type": CHOICE,
    "deployment.gpus": CHOICE,
    "deployment.image": Field(no_image, server_argument()),
    "deployment.served_model_name": Field(
        has_control, both(MODEL, server_variable("MODEL_ID")), read_in=True
    ),
    "deployment.hf_model_handle": WORD,
    "deployment.checkpoint_path": Field(
        colon, mount(server_argument, "{}:/checkpoint:ro"), on_disk=True
    ),
    "deployment.cache_path": Field(colon, mount(server_argument, "{}:/cache"), on_disk=True),
    "deployment.extra_args": words_of(server_argument()),
    "deployment.endpoints.chat": path_of(nul, url_of_the_server, read_in=True),
    "deployment.endpoints.completions": path_of(nul, url_of_the_server),
    "deployment.endpoints.health": path_of(nul, health_check),
    "deployment.endpoints.embedding": path_of(nothing, planned_endpoint),
    "deployment.endpoints.ranking": path_of(nothing, planned_endpoint),
    "deployment.env_vars.*": literal(server_variable()),
    "deployment.command.*": WORD,
    "deployment.base_command.*": WORD,
    "deployment.files.*": Field(
        no_file_name, carried, lambda t: t.replace("/", "|"), lambda t: t.replace("/", "|")
    ),
    "evaluation.env_vars.*": literal(variable()),
    "evaluation.nemo_evaluator_config.**": Field(nothing, setting(), read_in=True),
    "evaluation.tasks.*.nemo_evaluator_config.**": Field(nothing, setting(), read_in=True),
    "evaluation.tasks.*.id": Field(no_folder, lambda o, p, v: bool(o.step(p)["id"] == v)),
    "evaluation.tasks.*.name": CHOICE,
    "evaluation.tasks.*.container": Field(no_image, argument()),
    "evaluation.tasks.*.dataset_dir": Field(
        colon, mount(argument, "{}:/datasets:ro"), on_disk=True
    ),
    "evaluation.tasks.*.dataset_mount_path": path_of(nul, variable("NEMO_EVALUATOR_DATASET_DIR")),
    "evaluation.tasks.*.env_vars.*": literal(variable()),
    "evaluation.tasks.*.files.*": Field(
        no_file_name, carried, lambda t: t.replace("/", "|"), lambda t: t.replace("/", "|")
    ),
}

# What is exported, and by whom: evalc reads these from config.yaml, but for the files' place.
FIELDS |= {
    "export.env_vars.*": literal(nowhere),
    "export.local.output_dir": Field(has_control, exported, on_disk=True),
    "export.mlflow.description": Field(nothing),
    "export.mlflow.experiment_name": Field(nothing),
    "export.mlflow.tracking_uri": Field(nothing),
}
# The configs whose run_config.yml is completed at run time.
FILLED = ("containers", "host", "matrix", "quickstart")
# What single configs carry in another way: a task with an id, and one that the catalogue does not
# have, may be called anything that can be written, or that a folder can be called.
NAME = setting("config", "type")
PROGRAM = Field(nul, executed=False)
EXCEPTIONS: dict[tuple[str, Steps], Field] = {
    ("containers", ("evaluation", "tasks", 0, "name")): Field(nothing, NAME, read_in=True),
    ("containers", ("evaluation", "tasks", 1, "name")): Field(no_folder, NAME),
    ("containers", ("evaluation", "tasks", 0, "dataset_dir")): Field(
        colon, mount(start_of_argument, "{}:/"), on_disk=True
    ),
    ("own_harness", ("evaluation", "tasks", 0, "name")): Field(no_folder, NAME),
    ("quickstart", ("evaluation", "tasks", 0, "name")): Field(no_folder, NAME),
    ("quickstart", ("evaluation", "tasks", 1, "name")): Field(no_folder, NAME),
    ("host", ("evaluation", "tasks", 0, "name")): Field(no_folder, NAME),
    ("host", ("evaluation", "tasks", 2, "name")): Field(nothing, NAME, read_in=True),
    ("host", ("evaluation", "tasks", 0, "container")): Field(nothing),
    ("host", ("evaluation", "tasks", 0, "dataset_dir")): Field(
        nul, mount(lambda form: variable("NEMO_EVALUATOR_DATASET_DIR", form)), on_disk=True
    ),
    ("host", ("deployment", "checkpoint_path")): WORD,
    # What containers alone take is left out without them; so are the arguments of bash text.
    ("host", ("execution", "extra_docker_args")): words_of(nowhere, nothing),
    ("quickstart", ("execution", "extra_docker_args")): words_of(nowhere, nothing),
    ("quickstart", ("deployment", "extra_args")): words_of(nowhere, nothing),
    # The two forms of these arguments are not to be mixed.
    ("own_harness", ("execution", "extra_docker_args")): CHOICE,
    # The value of an option may look like any other.
    ("own_harness", ("execution", "docker_args", 1)): Field(nul, everywhere),
    # No task asks for these.
    ("nim_podman", ("deployment", "endpoints", "completions")): path_of(nothing, planned_endpoint),
    ("quickstart", ("deployment", "endpoints", "completions")): path_of(nothing, planned_endpoint),
    ("host", ("deployment", "endpoints", "completions")): path_of(nothing, planned_endpoint),
    ("containers", ("deployment", "endpoints", "completions")): path_of(nothing, planned_endpoint),
    ("containers", ("deployment", "endpoints", "chat")): path_of(nothing, planned_endpoint),
    # This one holds the reference that brings hf_model_handle.
    ("vllm_docker", ("deployment", "base_command", 2)): Field(nul, executed=False),
    ("host", ("deployment", "command", 0)): PROGRAM,
    ("host", ("deployment", "command", 1)): PROGRAM,
    # This one stands for the checkpoint.
    ("host", ("deployment", "command", 3)): PROGRAM,
}
# It differs from the quickstart in its matrix alone.
EXCEPTIONS |= {
    ("matrix", path): row for (name, path), row in EXCEPTIONS.items() if name == "quickstart"
}
# Fields that are commands, and the files that they become.
COMMANDS = {
    "deployment.command": "services/{service}/command.sh",
    "deployment.pre_cmd": "services/{service}/pre_cmd.sh",
    "execution.auto_export.launcher_install_cmd": "export_install.sh",
    "evaluation.pre_cmd": "{id}/pre_cmd.sh",
    "evaluation.post_cmd": "{id}/post_cmd.sh",
    "evaluation.tasks.*.command": "{id}/command.sh",
    "evaluation.tasks.*.pre_cmd": "{id}/pre_cmd.sh",
    "evaluation.tasks.*.post_cmd": "{id}/post_cmd.sh",
}


@lru_cache
def _composed(name: str) -> str:
    loaded = configs.load(
        read_file(EVERY[name]),
        overrides=(),
        config_dirs=(),
        schema=_schema_for,
        added=_added_groups,
    )
    return json.dumps(loaded.unresolved.plain())


def composed(name: str) -> Plain:
    """A config, put together from its parts, to be changed."""
    found: Plain = json.loads(_composed(name))
    return found


def strings(value: Any, path: Steps = ()) -> Iterator[Steps]:
    """The paths of all strings in a composed config."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, (*path, index))


def pattern(path: Steps) -> str:
    """The row of the table for a path."""
    if "nemo_evaluator_config" in path:
        above = path[: path.index("nemo_evaluator_config") + 1]
        return f"{pattern(above[:-1])}.{above[-1]}.**"
    steps = ["*" if isinstance(step, int) else step for step in path]
    if "env_vars" in path or path[:2] == ("execution", "mounts"):
        steps[-1] = "*"  # a name that the user gives
    return ".".join(steps)


def field(name: str, path: Steps) -> Field | None:
    """How a string of a config is carried; None for a command."""
    row = pattern(path)
    return None if row in COMMANDS else EXCEPTIONS.get((name, path)) or FIELDS[row]


def at(value: Any, path: Steps) -> Any:
    """What is at a path."""
    for step in path:
        value = value[step]
    return value


def put(value: Plain, path: Steps, new: str) -> None:
    """Change what is at a path."""
    at(value, path[:-1])[path[-1]] = new
