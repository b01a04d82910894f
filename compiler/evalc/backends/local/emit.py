"""Plan -> the local backend's files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from evalc import __version__
from evalc.backends import scripts
from evalc.backends.base import Artifact, Emission, Needs
from evalc.backends.exporting import CALL, Exporting
from evalc.backends.local import paths
from evalc.backends.local.commands import evaluate, is_direct, serve
from evalc.backends.local.options import Options
from evalc.emit import quoting
from evalc.emit.commands import command_line
from evalc.emit.environment import markdown_environment, shell_environment
from evalc.source.nodes import show_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from evalc.plan import Job, Plan, Service, Step
    from evalc.words import Word

_LIBRARY = ("common.sh", "inside.sh", "local.sh", "serve.sh", "step.sh", "work.sh")
# Of a matrix, whose cells have servers of their own.
_IN_TURN = "cells.sh"
# What run.sh sets itself.
_PROVIDED = frozenset(("RESULTS_DIR",))


def emit(plan: Plan) -> Emission:
    """See :meth:`evalc.backends.base.Backend.emit`."""
    return _Emitter(plan).emission()


class _Cell:
    """What is of one cell of a matrix: its tasks and servers. Without one, those of the plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.options = Options.of(plan.options)
        self.shell = shell_environment()
        self.run_template = self.shell.get_template("local/run.sh.j2")
        self.words = scripts.OpenWords(plan)
        self.digests: dict[str, str] = {}

    def servers(self) -> list[Artifact]:
        """The files of its servers."""
        return [file for service in self.plan.services for file in self._service(service)]

    def tasks(self, servers: Iterable[Artifact]) -> Iterator[Artifact]:
        """The files of its tasks."""
        served = hashlib.sha256(b"".join(file.data for file in servers)).digest()
        for job in self.plan.jobs:
            for step in job.steps:
                yield from self._task(step, job, served)

    def _task(self, step: Step, job: Job, served: bytes) -> Iterator[Artifact]:
        run_config, fill = scripts.run_config(step)
        files = [
            Artifact(f"{step.id}/run_config.yml", run_config.encode()),
            *scripts.step_scripts(step),
        ]
        commands = [
            command_line(lines) for lines in evaluate(step, job, self.options, filled=bool(fill))
        ]
        inputs = _inputs(
            [*self.words.steps[step.id], *self.words.services, *self.options.docker_args]
        )
        self.digests[step.id] = scripts.digest(served, commands, files)
        text = self.run_template.render(
            plan=self.plan,
            step=step,
            title=scripts.title(step),
            version=__version__,
            digest=self.digests[step.id],
            engine=self.options.engine,
            services=[service.name for service in job.services],
            needs=inputs.required,
            defaults=inputs.defaults,
            fill=fill,
            commands=commands,
            paths=_keyed(self.paths([step], job.services)),
        )
        yield Artifact(f"{step.id}/run.sh", text.encode(), executable=True)
        yield from files

    def _service(self, service: Service) -> Iterator[Artifact]:
        text = self.shell.get_template("local/service.sh.j2").render(
            service=service,
            model=quoting.show(service.model_id),
            version=__version__,
            commands=[command_line(lines) for lines in serve(service, self.options)],
        )
        yield Artifact(f"services/{service.name}.sh", text.encode())
        yield from scripts.service_scripts(service, direct=is_direct(service))

    def paths(self, steps: Iterable[Step], services: Iterable[Service]) -> Iterator[paths.Relative]:
        """The relative paths that these read."""
        yield from paths.of_services(self.plan, services)
        for step in steps:
            yield from paths.of_step(self.plan, step, in_container=self.options.engine != "none")

    @property
    def shares(self) -> bool:
        """Whether one server serves several tasks, so that run_all.sh starts it."""
        jobs = self.plan.jobs
        if self.plan.cell:
            return any(job.services and job.id == self.plan.cell for job in jobs)
        return any(job.services and len(job.steps) > 1 for job in jobs) or (
            len(jobs) == 1 and bool(jobs[0].services)
        )

    def open_words(self) -> list[Word]:
        """Words of its servers, and those of the engine's arguments."""
        return [*(self.words.services if self.shares else ()), *self.options.docker_args]


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cells = [_Cell(cell) for cell in plan.cells]
        # Those that every cell has in common are read here alone.
        self.options = self.cells[0].options
        self.shell = shell_environment()
        self.shared = any(cell.shares for cell in self.cells)
        self.exporting = Exporting(plan)

    def emission(self) -> Emission:
        servers = [cell.servers() for cell in self.cells]
        artifacts = [
            *scripts.library(_LIBRARY if not self._in_turn() else sorted((*_LIBRARY, _IN_TURN))),
            *(file for files in servers for file in files),
            *(
                file
                for cell, files in zip(self.cells, servers, strict=True)
                for file in cell.tasks(files)
            ),
            *self._run_all(),
            *self._export(),
        ]
        needs = self._needs()
        artifacts.append(self._readme(needs))
        return Emission(tuple(artifacts), needs, "bash run_all.sh")

    def _in_turn(self) -> bool:
        """Whether run_all.sh starts the servers of one cell after the other."""
        return self.shared and bool(self.plan.parts)

    def _run_all(self) -> Iterator[Artifact]:
        own = [word for cell in self.cells for word in cell.open_words()]
        of_tasks = [w for cell in self.cells for ws in cell.words.steps.values() for w in ws]
        every = [*own, *of_tasks, *self.cells[0].words.export]
        services = [service.name for service in self.plan.services] if self.shared else []
        text = self.shell.get_template("local/run_all.sh.j2").render(
            plan=self.plan,
            count=sum(1 for _ in self.plan.steps),
            version=__version__,
            engine=self.options.engine,
            jobs=self.options.jobs,
            services=services,
            in_turn=[
                (
                    cell.plan.cell,
                    [s.name for s in cell.plan.services],
                    [s.id for s in cell.plan.steps],
                )
                for cell in self.cells
            ]
            if self._in_turn()
            else [],
            one_by_one=bool(self.plan.services) and not services,
            needs=_inputs(every).required,
            defaults=_inputs(own).defaults,
            paths=self._paths(),
            exports=self.plan.export is not None,
        )
        yield Artifact("run_all.sh", text.encode(), executable=True)
        sequential = self.shell.get_template("local/run_all.sequential.sh.j2")
        text = sequential.render(plan=self.plan, version=__version__)
        yield Artifact("run_all.sequential.sh", text.encode(), executable=True)

    def _export(self) -> Iterator[Artifact]:
        if self.plan.export is None:
            return
        digests = {id_: digest for cell in self.cells for id_, digest in cell.digests.items()}
        commands = [*self.exporting.variables(), [["exec", *CALL]]]
        yield from self.exporting.artifacts(digests, commands, "run_all.sh")
        yield from scripts.library(["export_after.sh"])

    def _paths(self) -> list[tuple[str, Word]]:
        found = [cell.paths(cell.plan.steps, cell.plan.services) for cell in self.cells]
        return _keyed(path for paths_ in found for path in paths_)

    def _needs(self) -> Needs:
        words = [w for cell in self.cells for w in (*cell.words.all(), *cell.options.docker_args)]
        engine = self.options.engine
        tools = ["bash"]
        tools += [engine] if engine != "none" else []
        tools += ["curl"] if self.plan.services else []
        return scripts.needs(self.plan, _inputs(words), engine=engine, tools=tools)

    def _readme(self, needs: Needs) -> Artifact:
        text = (
            markdown_environment()
            .get_template("local/README.md.j2")
            .render(
                plan=self.plan,
                steps=list(self.plan.steps),
                services=self.plan.services,
                needs=needs,
                options=self.options,
                shared=self.shared,
                version=__version__,
                show=quoting.show,
                relative=sorted({key for key, _ in self._paths()}),
                exporting=self.exporting.for_readme(
                    "When all tasks have ended, `run_all.sh` exports the results of those that are "
                    "finished.",
                    "on this machine",
                ),
            )
        )
        return Artifact("README.md", text.encode())


def _keyed(found: Iterable[paths.Relative]) -> list[tuple[str, Word]]:
    """Each path once, with its key."""
    return [(show_path(key), path) for key, path in dict.fromkeys(found)]


def _inputs(words: Iterable[Word]) -> scripts.Inputs:
    return scripts.Inputs(words, _PROVIDED)
