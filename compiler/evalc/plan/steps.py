"""The evaluation tasks of a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalc import catalog
from evalc.plan import auxiliary
from evalc.plan.files import bundled_files
from evalc.plan.model import EnvVar, Mount, Shell, Step
from evalc.plan.names import MAX_NAME, NAME, RESERVED_IDS
from evalc.plan.problems import (
    AmbiguousTask,
    BadEnvName,
    BadTaskName,
    DuplicateTask,
    NoEffect,
    NotGiven,
    UnknownTask,
)
from evalc.plan.selecting import names_of, unknown_selections
from evalc.plan.settings import (
    RESULTS,
    SETTINGS,
    api_endpoint,
    block,
    known,
    merged,
    on_the_host,
    without_free_keys,
)
from evalc.plan.targets import TargetReader
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import MARK, StandIn, scalar_text
from evalc.words import RuntimeEnv, Secret, Word, literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.errors import Location
    from evalc.plan.model import Service
    from evalc.source import Path

# Of a task of whose name this is said, nothing else can be known.
_OF_IDENTITY = (AmbiguousTask, BadTaskName, DuplicateTask, UnknownTask)


class StepReader(TargetReader):
    """Reads the tasks of a config, or of a matrix's ``cell``.

    ``left_out`` are steps whose task is not known, or has another's name; ``selectable`` are the
    names by which ``-t`` may pick tasks.
    """

    def __init__(self, root: Mapping, base: str, cell: str) -> None:
        super().__init__(root, base, [])
        self.cell = cell
        # What all tasks have in common is read once.
        self.common_env = self._common_env()
        common = self.mapping("evaluation", SETTINGS)
        self.common_settings = without_free_keys(common.plain()) if common else {}
        if self.is_unknown("evaluation", SETTINGS):
            self.common_settings = {"target": MARK}
        self.evaluation_mounts = tuple(self.mounts("evaluation"))
        # What tells every step where its auxiliary services are; known when those are.
        self.told: tuple[EnvVar, ...] = ()
        self.left_out: list[Step] = []
        self.selectable: frozenset[str] = frozenset()

    def _common_env(self) -> list[EnvVar]:
        """The variables that all tasks have; later blocks win."""
        top, evaluation = ("env_vars",), ("evaluation", "env_vars")
        if not self.on_lepton:
            return self.env(top, evaluation, bare_is_host=True)
        platform = self.env(top, ("execution", "lepton_platform", "tasks", "env_vars"))
        found = {var.name: var for var in platform}
        found.update((var.name, var) for var in self.env(evaluation, bare_is_host=True))
        return list(found.values())

    def steps(self, services: tuple[Service, ...]) -> Iterator[Step]:
        """Every task, with the servers that all have in common."""
        self.told = auxiliary.variables(services)
        tasks = self.node("evaluation", "tasks")
        items = tasks.items if isinstance(tasks, Sequence) else []
        taken: dict[str, Location] = {}
        for index, item in enumerate(items):
            if isinstance(item, Mapping):
                before = len(self.problems)
                step = self._step(("evaluation", "tasks", index), item, services)
                key = step.id.casefold()
                where = (item.get("id") or item.get("name") or item).location
                if key in taken:
                    twice = DuplicateTask(name=step.id, first=taken[key], location=where)
                    self.problems.append(twice)
                taken.setdefault(key, where)
                if any(isinstance(p, _OF_IDENTITY) for p in self.problems[before:]):
                    self.left_out.append(step)
                yield step

    def _step(self, path: Path, item: Mapping, services: tuple[Service, ...]) -> Step:
        name = _text(item, "name")
        step_id = _text(item, "id") or name
        self._check_id(step_id, (item.get("id") or item.get("name") or item).location)
        command = _text(item, "command")
        found = None if command.strip() else self._find(path, name)
        settings = auxiliary.resolved(self._settings(item), services)
        endpoint_type = (
            _text(item, "endpoint_type")
            or api_endpoint(settings).get("type")
            or (found.endpoint_types[0] if found and found.endpoint_types else "chat")
        )
        url, model = self.target(settings, endpoint_type, services)
        key_name = self.key_name(settings)
        self._check_results(path)
        params = block(settings, "config", "params")
        limit = params.get("limit_samples")
        return Step(
            id=step_id,
            task=found.name if found else name,
            harness=found.harness.name if found else None,
            image=self._image(path, found),
            command=Shell(command) if command.strip() else None,
            pre_cmd=_text(item, "pre_cmd") or self.text("evaluation", "pre_cmd"),
            post_cmd=_text(item, "post_cmd") or self.text("evaluation", "post_cmd"),
            endpoint_type=endpoint_type,
            model_url=url,
            model_id=model,
            api_key_name=key_name,
            limit_samples=None if limit is None else str(limit),
            run_config=self._run_config(
                settings,
                found.name if found else name,
                endpoint_type,
                url=url,
                model=model,
                key_name=key_name,
            ),
            dataset=self._dataset(path),
            env=self._step_env(path, key_name),
            mounts=self.evaluation_mounts,
            files=bundled_files(item.get("files"), self.base, self.problems),
        )

    def _check_id(self, step_id: str, at: Location) -> None:
        why = ""
        if not step_id:
            return  # the schema asks for a name
        if not NAME.fullmatch(step_id):
            why = "only letters, digits, '.', '_' and '-' go into one, and a letter or digit first"
        elif len(step_id) > MAX_NAME:
            why = f"it is longer than {MAX_NAME} characters"
        elif step_id.casefold() in RESERVED_IDS:
            why = "a bundle has something of that name"
        if why:
            self.problems.append(BadTaskName(name=step_id, why=why, location=at))

    def _find(self, path: Path, name: str) -> catalog.Task | None:
        try:
            return catalog.load().find(name)
        except catalog.AmbiguousTask as error:
            at = self.value_at(*path, "name")
            self.problems.append(AmbiguousTask(task=name, choices=error.choices, location=at))
        except catalog.UnknownTask as error:
            # A container of the user's may hold tasks that the catalogue has never heard of.
            if name and not self.word(*path, "container"):
                at = self.value_at(*path, "name")
                harness = name.partition(".")[0] if "." in name else ""
                known = [h.image for h in catalog.load().harnesses if h.name == harness]
                unknown = UnknownTask(
                    task=name,
                    suggestions=error.suggestions,
                    image="".join(known),
                    location=at,
                )
                self.problems.append(unknown)
        return None

    def _image(self, path: Path, found: catalog.Task | None) -> Word | None:
        if self.text("execution", "engine") == "none":
            return None
        return self.word(*path, "container") or (literal(found.image) if found else None)

    def _settings(self, item: Mapping) -> dict[str, Any]:
        own = item.get(SETTINGS)
        if isinstance(own, StandIn):
            return {**self.common_settings, "target": MARK}
        if not isinstance(own, Mapping):
            return self.common_settings
        return merged(self.common_settings, without_free_keys(own.plain()))

    def _run_config(
        self,
        settings: dict[str, Any],
        task: str,
        endpoint_type: str,
        *,
        url: Word,
        model: Word,
        key_name: str | None,
    ) -> dict[str, Any]:
        """What the harness is given: the user's settings over what follows from the config."""
        config: dict[str, Any] = {"output_dir": RESULTS, "type": task}
        if self.on_lepton or self.text("execution", "engine") == "none":
            config["output_dir"] = (RuntimeEnv("RESULTS_DIR"),)
            settings = on_the_host(settings)
        endpoint: dict[str, Any] = {
            "url": known(url),
            "model_id": known(model),
            "type": endpoint_type,
        }
        if key_name:
            endpoint["api_key_name"] = key_name
        made = {"config": config, "target": {"api_endpoint": endpoint}}
        whole = merged(made, settings, null_gives_way=True)
        if isinstance(whole["config"], dict):
            whole["config"]["output_dir"] = config["output_dir"]
        return whole

    def _check_results(self, path: Path) -> None:
        """Warn of a folder of the user's for results, which would be lost with the container."""
        for above in (path, ("evaluation",)):
            key = (*above, SETTINGS, "config", "output_dir")
            if self.word(*key) not in (None, literal("/results")):
                why = "results are kept where evalc looks for them ('execution.output_dir')"
                shown = ".".join(str(step) for step in key)
                self.problems.append(NoEffect(key=shown, why=why, location=self.at(*key)))

    def _dataset(self, path: Path) -> Mount | None:
        source = self.word(*path, "dataset_dir")
        if source is None:
            return None
        if self.text("execution", "engine") == "none" and self.word(*path, "dataset_mount_path"):
            why = "without a container nothing is mounted; the data set is used where it is"
            warning = NoEffect(
                key="dataset_mount_path", why=why, location=self.at(*path, "dataset_mount_path")
            )
            self.problems.append(warning)
        return Mount(source, self.text(*path, "dataset_mount_path") or "/datasets", read_only=True)

    def _step_env(self, path: Path, key_name: str | None) -> tuple[EnvVar, ...]:
        own = self.env((*path, "env_vars"), bare_is_host=True)
        found = {var.name: var for var in (*self.common_env, *own)}
        given = frozenset(found)
        for var in self.told:
            if var.name in given:
                at = self._env_at(path, var.name)
                why = "it tells tasks where an auxiliary deployment is"
                self.problems.append(BadEnvName(name=var.name, why=why, location=at))
            found[var.name] = var
        if key_name and key_name not in found:
            scope = "runtime" if self.on_lepton else "host"
            found[key_name] = EnvVar(key_name, (Secret(key_name, scope),))
        return tuple(found.values())

    def _env_at(self, path: Path, name: str) -> Location:
        blocks: tuple[Path, ...] = ((*path, "env_vars"), ("evaluation", "env_vars"), ("env_vars",))
        place = next((b for b in blocks if self.node(*b, name)), blocks[0])
        return self.at(*place, name)

    def select(self, steps: list[Step], selected: tuple[str, ...]) -> list[Step]:
        """Those that ``-t`` picks; all, when it picks none."""
        if not selected:
            if not steps and not self._has_unknown_tasks():
                at = self.at("evaluation", "tasks")
                because = "there is nothing to evaluate"
                self.problems.append(NotGiven(key="evaluation.tasks", because=because, location=at))
            return steps
        names = {id(step): names_of(step, self.cell) for step in steps}
        self.selectable = frozenset(name for found in names.values() for name in found)
        if not self.cell and not self._has_unknown_tasks():
            self.problems += unknown_selections(selected, self.selectable)
        return [step for step in steps if not names[id(step)].isdisjoint(selected)]

    def _has_unknown_tasks(self) -> bool:
        """Whether a stand-in may be any task."""
        tasks = self.node("evaluation", "tasks")
        items = tasks.items if isinstance(tasks, Sequence) else []
        return self.is_unknown("evaluation", "tasks") or any(
            self.is_unknown("evaluation", "tasks", index, key)
            for index in range(len(items))
            for key in ("id", "name")
        )


def _text(item: Mapping, key: str) -> str:
    node = item.entries.get(key)
    return scalar_text(node) if isinstance(node, Scalar) and node.value is not None else ""
