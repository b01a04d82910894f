"""Plan -> the Lepton backend's files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from evalc import __version__
from evalc.backends import scripts
from evalc.backends.base import Artifact, Emission, Needs
from evalc.backends.lepton import inside, names
from evalc.backends.lepton.specs import Objects, asks_for_endpoint, components
from evalc.emit import jsontext, quoting
from evalc.emit.environment import markdown_environment, shell_environment
from evalc.plan.model import words_of
from evalc.plan.names import ENDPOINT_URL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from evalc.backends.lepton.specs import EndpointObject, JobObject
    from evalc.plan import Plan
    from evalc.words import Word

_LIBRARY = ("journal.sh", "json.sh", "lepton.sh", "lepton_submit.sh")
# Set by who submits, and not read from the environment.
_PROVIDED = frozenset((ENDPOINT_URL, inside.RESULTS_DIR, names.INVOCATION, names.SUBMISSION))
_SCHEMA_VERSION = 1  # of lepton.json


def emit(plan: Plan) -> Emission:
    """See :meth:`evalc.backends.base.Backend.emit`."""
    return _Emitter(plan).emission()


class _Emitter:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.objects = Objects(plan)
        self.words = scripts.OpenWords(plan)
        bodies = [job.body for job in self.objects.jobs]
        bodies += [endpoint.body for endpoint in self.objects.endpoints]
        self.words.services += words_of(bodies)
        self.inputs = scripts.Inputs(self.words.all(), _PROVIDED)

    def emission(self) -> Emission:
        artifacts = list(scripts.library(sorted((*_LIBRARY, *inside.LIBRARY))))
        for endpoint in self.objects.endpoints:
            artifacts += self._endpoint(endpoint)
        for job in self.objects.jobs:
            artifacts += self._job(job)
        made = [file.data for file in artifacts if file.path.endswith(".json")]
        digest = hashlib.sha256(b"\0".join(made)).hexdigest()[:16]
        artifacts += [self._index(digest), self._submit_all()]
        needs = self._needs()
        artifacts.append(self._readme(needs))
        return Emission(tuple(artifacts), needs, "bash submit_all.sh")

    def _endpoint(self, endpoint: EndpointObject) -> Iterator[Artifact]:
        folder = f"{endpoint.folder}/" if endpoint.folder else ""
        yield _json(f"{folder}endpoint.json", endpoint.body)
        yield _json(f"{folder}endpoint.spec.json", endpoint.spec)
        yield _json(f"{folder}endpoint.components.json", components(endpoint))
        if endpoint.script:
            yield Artifact(f"{folder}endpoint.sh", endpoint.script.encode(), executable=True)

    def _job(self, job: JobObject) -> Iterator[Artifact]:
        yield _json(f"{job.step.id}/job.json", job.body)
        yield _json(f"{job.step.id}/job.spec.json", job.spec)
        yield Artifact(f"{job.step.id}/job.sh", job.script.text.encode(), executable=True)
        yield from job.script.files

    # The whole

    def _index(self, digest: str) -> Artifact:
        index = {
            "schema_version": _SCHEMA_VERSION,
            "digest": digest,
            "needs": [name for name in self.inputs.required if name in self.inputs.plain],
            "defaults": self.inputs.defaults,
            "endpoints": [
                {
                    "name": names.of_invocation(endpoint.name),
                    "folder": endpoint.folder,
                    "readiness_timeout": endpoint.readiness_timeout,
                    "jobs": [j.step.id for j in self.objects.jobs if j.endpoint is endpoint],
                }
                for endpoint in self.objects.endpoints
            ],
            "jobs": [
                {
                    "id": job.step.id,
                    "name": names.of_invocation(job.name),
                    "folder": job.step.id,
                    "digest": job.script.digest,
                    "results": _results(job),
                    "timeout": job.options.tasks.timeout,
                    "ttl": job.options.tasks.ttl,
                    **self._talks_to(job),
                }
                for job in self.objects.jobs
            ],
        }
        return _json("lepton.json", index)

    def _talks_to(self, job: JobObject) -> dict[str, Any]:
        if job.endpoint:
            return {"endpoint": names.of_invocation(job.endpoint.name)}
        return {"deployment": job.options.deployment} if self._runs_already(job) else {}

    def _runs_already(self, job: JobObject) -> bool:
        """Whether a job talks to an endpoint whose URL is looked up."""
        return not job.endpoint and asks_for_endpoint(job)

    def _submit_all(self) -> Artifact:
        tasks = []
        for job in self.objects.jobs:
            target = "-"
            if job.endpoint:
                target = job.endpoint.name
            elif self._runs_already(job):
                target = f"running:{job.options.deployment}"
            tasks.append(f"{job.step.id} {job.name} {target}")
        text = (
            shell_environment()
            .get_template("lepton/submit_all.sh.j2")
            .render(
                plan=self.plan,
                version=__version__,
                count=len(tasks),
                tasks=tasks,
                servers=len(self.objects.endpoints),
                endpoints=[
                    f"{one.name} {one.folder or '.'} {one.readiness_timeout}"
                    for one in self.objects.endpoints
                ],
                marks=sorted(self.inputs.plain),
                needs=[name for name in self.inputs.required if name in self.inputs.plain],
                defaults=self.inputs.defaults,
            )
        )
        return Artifact("submit_all.sh", text.encode(), executable=True)

    def _needs(self) -> Needs:
        return scripts.needs(self.plan, self.inputs, engine="lepton", tools=("bash", "curl"))

    def _readme(self, needs: Needs) -> Artifact:
        jobs, endpoints = self.objects.jobs, self.objects.endpoints
        tokens = {
            _shown(token["value_from"]["token_name_ref"])
            for one in endpoints
            for token in one.spec["api_tokens"]
        }
        text = (
            markdown_environment()
            .get_template("lepton/README.md.j2")
            .render(
                plan=self.plan,
                version=__version__,
                needs=needs,
                endpoints=[
                    {
                        "name": one.name,
                        "path": f"{one.folder}/logs/endpoint.spec.json".lstrip("/"),
                        "replicas": _replicas(one.spec["resource_requirement"]),
                    }
                    for one in endpoints
                ],
                jobs=[
                    {
                        "name": job.name,
                        "path": f"{job.step.id}/logs/job.spec.json",
                        "whole": f"{job.step.id}/logs/job.json",
                        "ttl": job.options.tasks.ttl,
                        "visibility": job.options.tasks.visibility,
                    }
                    for job in jobs
                ],
                marked=bool(endpoints) or any(map(self._runs_already, jobs)),
                labels=any(job.options.tasks.labels for job in jobs),
                tokens=sorted(tokens),
                services=self.plan.services,
                shared=jobs[0].options.shared,
                deployments=_each(job.options.deployment for job in jobs),
                steps=[(job.step, job.options.tasks.timeout) for job in jobs],
                results=_each(job.options.tasks.results for job in jobs),
                show_path=_shown,
                show=quoting.show,
            )
        )
        return Artifact("README.md", text.encode())


def _shown(value: str | Word) -> str:
    """A text that may be known at submit time only, for people."""
    return value if isinstance(value, str) else quoting.show(value)


def _results(job: JobObject) -> Any:
    folder = job.options.tasks.results
    return names.results(folder, job.step.id) if folder else ""


def _each(values: Iterable[Any]) -> list[Any]:
    """Those that are given, each once."""
    return list(dict.fromkeys(value for value in values if value))


def _replicas(resources: Mapping[str, Any]) -> str:
    """The options of ``lep endpoint create`` for them: without any it puts 1 in the file's place,
    and ``-r`` sets both bounds."""
    low, high = resources["min_replicas"], resources["max_replicas"]
    return f"-r {low}" if low == high else f"--min-replicas {low} --max-replicas {high}"


def _json(path: str, value: Any) -> Artifact:
    return Artifact(path, jsontext.dump(value).encode())
