"""Plan -> the Slurm backend's files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from evalc import __version__
from evalc.backends import scripts
from evalc.backends.base import Artifact, Emission, Needs
from evalc.backends.slurm import cost
from evalc.backends.slurm.commands import balance, evaluate, is_direct, serve
from evalc.backends.slurm.directives import array_directives, directives
from evalc.backends.slurm.export_job import ExportJob
from evalc.backends.slurm.options import Options, provided_variables, proxy_ports
from evalc.emit import quoting
from evalc.emit.commands import command_line
from evalc.emit.environment import markdown_environment, shell_environment
from evalc.plan.auxiliary import url_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalc.emit.commands import CommandLines
    from evalc.plan import Job, Plan, Service, Step
    from evalc.words import Word

_LIBRARY = (
    "common.sh",
    "inside.sh",
    "journal.sh",
    "resume.sh",
    "serve.sh",
    "slurm.sh",
    "states.sh",
    "step.sh",
    "submit.sh",
    "turn.sh",
    "work.sh",
)
# Of a matrix whose tasks share a job by cells.
_OF_CELLS = "submit_cells.sh"
_ALL = "sbatch_all.sh"
_ARRAY = "sbatch_array.sh"
_STRATEGY = {
    "self": (
        "A job that a time-out, a preemption or a lost node ended is followed by another, which it "
        "queued itself at\nits start; finished tasks are skipped, and the harness goes on from its "
        "cache. "
    ),
    "prequeued": (
        "`submit_all.sh` queues the jobs that go on where one before was ended by a time-out, a "
        "preemption or a lost\nnode; finished tasks are skipped, and the harness goes on from its "
        "cache. "
    ),
}


def emit(plan: Plan) -> Emission:
    """See :meth:`evalc.backends.base.Backend.emit`."""
    return _Emitter(plan).emission()


class _Cell:
    """What is of one cell of a matrix: its jobs and servers. Without one, all of the plan's."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.options = Options.of(plan.options)
        self.shell = shell_environment()
        self.provided = provided_variables(plan)
        self.ports = proxy_ports(plan, self.options)
        self.words = scripts.OpenWords(plan)
        self.words.services += [self.options.proxy.image] if self.ports else []
        # All its jobs have the same servers.
        self.services = [self._service(service) for service in plan.services]
        self.shared = len(plan.jobs) == 1 and plan.jobs[0].id == (plan.cell or plan.name)
        self.digests: dict[str, str] = {}

    def artifacts(self) -> Iterator[Artifact]:
        """The files of its servers, and of its jobs."""
        served = [file for service in self.plan.services for file in self._service_files(service)]
        known = hashlib.sha256(repr(self.services).encode())
        for file in served:
            known.update(file.data)
        yield from served
        for job in self.plan.jobs:
            yield from self._job(job, known.digest())

    # Jobs

    def _job(self, job: Job, served: bytes) -> Iterator[Artifact]:
        evaluations = []
        for step in job.steps:
            files, text = self._task(step, served)
            evaluations.append(text)
            yield from files
        # The job of all there is stands at the top; that of all tasks of a cell has a folder.
        at_top = self.shared and not self.plan.cell
        script = _ALL if at_top else f"sbatch_{job.id}.sh"
        if self.shared:
            for step, text in zip(job.steps, evaluations, strict=True):
                yield self._task_file(step, text, script)
        inputs = self.inputs(job.steps)
        step = job.steps[0]
        text = self._render(
            "sbatch.sh.j2",
            id=job.id,
            title=f"{len(job.steps)} tasks in one job" if self.shared else scripts.title(step),
            directives=directives(self.plan, job, self.options),
            at_top=at_top,
            shared=self.shared,
            script=script,
            lib="lib" if at_top else "../lib",
            lost=f"submit this from the folder that it is in: sbatch {script}",
            parallelism=self.options.parallelism,
            tasks=[f"{step.id}:{self.digests[step.id]}" for step in job.steps],
            secrets=sorted(inputs.host),
            needs=inputs.required,
            defaults=inputs.defaults,
            chain=self._chain(job),
            setup=bool(self.options.setup.strip()),
            services=self.services,
            urls=[
                (url_variable(service, endpoint), service.name, path)
                for service in self.plan.services
                if service.env_prefix
                for endpoint, path in service.endpoints.items()
            ],
            evaluation="" if self.shared else evaluations[0].rstrip("\n"),
        )
        path = script if at_top else f"{job.id}/{script}"
        yield Artifact(path, text.encode(), executable=True)

    def _chain(self, job: Job) -> dict[str, Any]:
        retry = job.retry
        return {
            "_strategy": self.options.strategy,
            "_max_attempts": retry.attempts,
            "_max_failed": retry.failed,
            "_max_out_of_memory": retry.out_of_memory,
            "_max_idle": retry.idle,
            "_walltime": _or_empty(job.resources.walltime),
            "_max_walltime": _or_empty(retry.total),
        }

    def _task(self, step: Step, served: bytes) -> tuple[list[Artifact], str]:
        run_config, fill = scripts.run_config(step)
        files = [
            Artifact(f"{step.id}/run_config.yml", run_config.encode()),
            *scripts.step_scripts(step),
        ]
        commands = _lines(evaluate(step, self.options, filled=bool(fill)))
        self.digests[step.id] = scripts.digest(served, commands, files)
        return files, self._render("evaluate.sh.j2", fill=fill, commands=commands)

    def _task_file(self, step: Step, text: str, script: str) -> Artifact:
        made = self._render(
            "task.sh.j2",
            id=step.id,
            title=scripts.title(step),
            script=script,
            evaluation=text.rstrip("\n"),
        )
        return Artifact(f"{step.id}/evaluate.sh", made.encode())

    # Servers

    def _service(self, service: Service) -> dict[str, Any]:
        port = self.ports.get(service.name)
        proxy = self.options.proxy
        health = service.health_path
        if port and not service.env_prefix and proxy.health_path:
            health = proxy.health_path
        start: CommandLines = [
            ["evalc_serve", service.name, "--port", str(service.port)],
            ["--health", health, "--ready-within", str(service.readiness_timeout)],
            ["--nodes", str(service.nodes)] if service.nodes > 1 else [],
            ["--instances", str(service.instances)] if port else [],
            ["--proxy", str(port), "--status", str(proxy.health_status)] if port else [],
        ]
        return {
            "name": service.name,
            "title": f"{service.type}, serving {quoting.show(service.model_id)}",
            "commands": _lines(serve(service, self.options)),
            "balance": _lines(balance(self.options)) if port else [],
            "start": command_line(start, indent=2),
        }

    def _service_files(self, service: Service) -> Iterator[Artifact]:
        folder = f"services/{service.name}"
        yield from scripts.service_scripts(service, direct=is_direct(service))
        if service.head_command:
            yield scripts.script(f"{folder}/head.sh", scripts.as_shell(service.head_command).text)
        if service.worker_command:
            yield scripts.script(
                f"{folder}/worker.sh", scripts.as_shell(service.worker_command).text
            )

    def inputs(self, steps: tuple[Step, ...]) -> scripts.Inputs:
        """What some of its tasks, with their servers, read of the environment."""
        return scripts.Inputs(self.open_words(steps), self.provided)

    def open_words(self, steps: Iterable[Step]) -> list[Word]:
        """The same as words."""
        of_steps = [word for step in steps for word in self.words.steps[step.id]]
        return [*of_steps, *self.words.services]

    def _render(self, template: str, **values: Any) -> str:
        return _render(self.plan, template, **values)


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cells = [_Cell(cell) for cell in plan.cells]
        # Those that every cell has in common are read here alone.
        self.options = self.cells[0].options
        self.shared = self.cells[0].shared
        self.exporting = ExportJob(plan, self.options)

    @property
    def digests(self) -> dict[str, str]:
        """By their ids, the digests of all tasks."""
        return {id_: digest for cell in self.cells for id_, digest in cell.digests.items()}

    @property
    def in_cells(self) -> bool:
        """Whether there is a job for each cell of a matrix, for all its tasks."""
        return self.shared and bool(self.plan.parts)

    def emission(self) -> Emission:
        library = scripts.library(sorted((*_LIBRARY, _OF_CELLS)) if self.in_cells else _LIBRARY)
        made = [file for cell in self.cells for file in cell.artifacts()]
        # Servers come before all jobs.
        artifacts = [*library, *(file for file in made if file.path.startswith("services/"))]
        if self.options.setup.strip():
            artifacts.append(scripts.script("setup.sh", self.options.setup))
        artifacts += [file for file in made if not file.path.startswith("services/")]
        if self.options.array:
            artifacts.append(self._array())
        artifacts.append(self._submit_all())
        artifacts += self.exporting.artifacts(self.digests)
        needs = self._needs()
        artifacts.append(self._readme(needs))
        return Emission(
            tuple(artifacts),
            needs,
            "bash submit_all.sh",
            gpu_hours={job.id: cost.gpu_hours(job) for job in self.plan.jobs},
        )

    def _array(self) -> Artifact:
        ids = [step.id for step in self.plan.steps]
        text = _render(
            self.plan, "array.sh.j2", ids=ids, directives=array_directives(self.plan, self.options)
        )
        return Artifact(_ARRAY, text.encode(), executable=True)

    def _submit_all(self) -> Artifact:
        how, text = "tasks", ", a job each"
        if self.shared and not self.in_cells:
            how, text = "shared", " as one job"
        elif self.options.array:
            how, text = "array", " as one array"
        elif self.in_cells:
            text = ", a job for each cell of the matrix"
        inputs = self._inputs()
        digests = self.digests
        made = _render(
            self.plan,
            "submit_all.sh.j2",
            count=len(digests),
            how=how,
            how_text=text,
            array_limit=self.options.array_limit or 0,
            links=self._links(),
            secrets=sorted(inputs.host | self.exporting.secrets),
            needs=[name for name in inputs.required if name in inputs.host],
            tasks=[f"{id_}:{digest}" for id_, digest in digests.items()],
            cells=[
                (job.id, [f"{s.id}:{digests[s.id]}" for s in job.steps]) for job in self.plan.jobs
            ]
            if self.in_cells
            else [],
            exports=self.plan.export is not None,
        )
        return Artifact("submit_all.sh", made.encode(), executable=True)

    def _links(self) -> int:
        """How many jobs are queued beforehand for one chain."""
        if self.options.strategy != "prequeued":
            return 1
        # One too many ends by itself.
        return max(map(cost.attempts, self.plan.jobs))

    def _inputs(self) -> scripts.Inputs:
        words = [word for cell in self.cells for word in cell.open_words(cell.plan.steps)]
        return scripts.Inputs(words, self._provided())

    def _provided(self) -> frozenset[str]:
        """The variables that jobs set themselves."""
        return frozenset().union(*(cell.provided for cell in self.cells))

    def _needs(self) -> Needs:
        words = [word for cell in self.cells for word in cell.words.all()]
        inputs = scripts.Inputs(words, self._provided())
        engine = self.options.engine
        images = []
        tools = ["bash", "sbatch", "srun"]
        tools += ["curl"] if self.plan.services else []
        tools += ["apptainer"] if engine == "apptainer" else []
        balancing = [cell for cell in self.cells if cell.ports]
        if balancing and engine == "none":
            tools.append("haproxy")
        elif balancing:
            images += [cell.options.proxy.image for cell in balancing]
        images += self.exporting.images
        return scripts.needs(self.plan, inputs, engine=engine, tools=tools, images=images)

    def _readme(self, needs: Needs) -> Artifact:
        first = self.plan.jobs[0].id
        what = "cell" if self.in_cells else "task"
        by_hand = [f"cd {first} && sbatch sbatch_{first}.sh      # one {what} by itself"]
        if self.shared and not self.in_cells:
            by_hand = [f"sbatch {_ALL}            # the same, by hand"]
        elif self.options.array:
            by_hand.append(f"sbatch {_ARRAY}          # all, as one array")
        total = cost.total(self.plan.jobs)
        retry = self.plan.jobs[0].retry
        totals = {job.retry.total for job in self.plan.jobs}
        bounds = (
            f"At most {retry.attempts} attempts"
            + (
                f", {cost.hours_text(retry.total)} in all"
                if retry.total and len(totals) == 1
                else ""
            )
            + f"; {retry.idle} in a row without progress end it."
        )
        text = (
            markdown_environment()
            .get_template("slurm/README.md.j2")
            .render(
                plan=self.plan,
                version=__version__,
                by_hand=by_hand,
                gpu_hours=cost.text(total),
                reckoning=cost.reckoning(self.plan.jobs),
                needs=needs,
                services=self.plan.services,
                steps=list(self.plan.steps),
                strategy=(
                    _STRATEGY[self.options.strategy] + bounds
                    if self.options.strategy in _STRATEGY
                    else "A job that is ended is not followed by another; submit it again to go on."
                ).split("\n"),
                show=quoting.show,
                exporting=self.exporting.for_readme(),
            )
        )
        return Artifact("README.md", text.encode())


def _render(plan: Plan, template: str, **values: Any) -> str:
    found = shell_environment().get_template(f"slurm/{template}")
    return found.render(plan=plan, version=__version__, **values)


def _lines(commands: list[CommandLines]) -> list[str]:
    return [command_line(lines) for lines in commands]


def _or_empty(seconds: int | None) -> int | str:
    return "" if seconds is None else seconds
