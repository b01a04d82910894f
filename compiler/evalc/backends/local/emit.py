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
# What run.sh sets itself.
_PROVIDED = frozenset(("RESULTS_DIR",))


def emit(plan: Plan) -> Emission:
    """See :meth:`evalc.backends.base.Backend.emit`."""
    return _Emitter(plan).emission()


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.options = Options.of(plan.options)
        self.shell = shell_environment()
        self.run_template = self.shell.get_template("local/run.sh.j2")
        self.words = scripts.OpenWords(plan)
        self.exporting = Exporting(plan)
        self.digests: dict[str, str] = {}

    def emission(self) -> Emission:
        services = [list(self._service(service)) for service in self.plan.services]
        served = hashlib.sha256(b"".join(file.data for files in services for file in files))
        artifacts = [
            *scripts.library(_LIBRARY),
            *(file for files in services for file in files),
            *(
                file
                for job in self.plan.jobs
                for step in job.steps
                for file in self._task(step, job, served.digest())
            ),
            *self._run_all(),
            *self._export(),
        ]
        needs = self._needs()
        artifacts.append(self._readme(needs))
        return Emission(tuple(artifacts), needs, "bash run_all.sh")

    # Tasks

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
            paths=self._paths([step], job.services),
        )
        yield Artifact(f"{step.id}/run.sh", text.encode(), executable=True)
        yield from files

    # Services

    def _service(self, service: Service) -> Iterator[Artifact]:
        text = self.shell.get_template("local/service.sh.j2").render(
            service=service,
            model=quoting.show(service.model_id),
            version=__version__,
            commands=[command_line(lines) for lines in serve(service, self.options)],
        )
        yield Artifact(f"services/{service.name}.sh", text.encode())
        yield from scripts.service_scripts(service, direct=is_direct(service))

    # The whole

    def _run_all(self) -> Iterator[Artifact]:
        shared = [s.name for s in self.plan.services] if self._shares() else []
        words = self.words.services if shared else []
        every = _inputs(
            [
                *words,
                *(w for words in self.words.steps.values() for w in words),
                *self.words.export,
                *self.options.docker_args,
            ]
        )
        own = _inputs([*words, *self.options.docker_args])
        text = self.shell.get_template("local/run_all.sh.j2").render(
            plan=self.plan,
            count=sum(1 for _ in self.plan.steps),
            version=__version__,
            engine=self.options.engine,
            jobs=self.options.jobs,
            services=shared,
            one_by_one=bool(self.plan.services) and not shared,
            needs=every.required,
            defaults=own.defaults,
            paths=self._paths(self.plan.steps, self.plan.services),
            exports=self.plan.export is not None,
        )
        yield Artifact("run_all.sh", text.encode(), executable=True)
        sequential = self.shell.get_template("local/run_all.sequential.sh.j2")
        text = sequential.render(plan=self.plan, version=__version__)
        yield Artifact("run_all.sequential.sh", text.encode(), executable=True)

    def _export(self) -> Iterator[Artifact]:
        if self.plan.export is None:
            return
        commands = [*self.exporting.variables(), [["exec", *CALL]]]
        yield from self.exporting.artifacts(self.digests, commands, "run_all.sh")
        yield from scripts.library(["export_after.sh"])

    def _paths(self, steps: Iterable[Step], services: Iterable[Service]) -> list[tuple[str, Word]]:
        """The relative paths that these read, each with its key."""
        found = list(paths.of_services(self.plan, services))
        for step in steps:
            found += paths.of_step(self.plan, step, in_container=self.options.engine != "none")
        return [(show_path(key), path) for key, path in dict.fromkeys(found)]

    def _shares(self) -> bool:
        """Whether one server serves several tasks, so that run_all.sh starts it."""
        return any(job.services and len(job.steps) > 1 for job in self.plan.jobs) or (
            len(self.plan.jobs) == 1 and bool(self.plan.jobs[0].services)
        )

    def _needs(self) -> Needs:
        inputs = _inputs([*self.words.all(), *self.options.docker_args])
        engine = self.options.engine
        tools = ["bash"]
        tools += [engine] if engine != "none" else []
        tools += ["curl"] if self.plan.services else []
        return scripts.needs(self.plan, inputs, engine=engine, tools=tools)

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
                shared=self._shares(),
                version=__version__,
                show=quoting.show,
                exporting=self.exporting.for_readme(
                    "When all tasks have ended, `run_all.sh` exports the results of those that are "
                    "finished.",
                    "on this machine",
                ),
                relative=sorted(
                    {key for key, _ in self._paths(self.plan.steps, self.plan.services)}
                ),
            )
        )
        return Artifact("README.md", text.encode())


def _inputs(words: Iterable[Word]) -> scripts.Inputs:
    return scripts.Inputs(words, _PROVIDED)
