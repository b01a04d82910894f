"""The servers that a config asks for: its deployment, and the auxiliary ones."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from evalc.plan import auxiliary
from evalc.plan.env import name_fault
from evalc.plan.files import bundled_files
from evalc.plan.model import Argv, Command, Mount, Service, Shell
from evalc.plan.names import MAX_NAME, NAME
from evalc.plan.problems import Contradiction, NoEffect
from evalc.plan.reading import Reader, to_word
from evalc.source import Mapping, Scalar, Sequence
from evalc.source.nodes import MARK, scalar_text
from evalc.words import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.source import Path

_EITHER_MODEL = ("vllm", "sglang", "vllm_ray")
_DEPLOYMENT: Path = ("deployment",)
# How long a server may take to be ready where the config does not say, in seconds. On a cluster,
# models are larger and come from a file system that others use too.
_READY_IN = 600
_READY_IN_ON_CLUSTERS = 3600


class ServiceReader(Reader):
    """Reads the services of a config."""

    def services(self) -> tuple[Service, ...]:
        """Every server of a job: the model's first, then the auxiliary ones."""
        found = []
        if self._serves(_DEPLOYMENT):
            found.append(self._service(_DEPLOYMENT, "model", self._topology()))
        # Elsewhere they are an error, of which the backend tells.
        block = self.mapping("auxiliary_deployments") if self.on_cluster else None
        prefixes = {"": ""}
        for name, entry in block.entries.items() if block else ():
            path: Path = ("auxiliary_deployments", name)
            if isinstance(entry, Mapping) and not name.startswith("x-") and self._serves(path):
                self._check_service_name(name, path)
                prefix = self._prefix(name, path, prefixes)
                found.append(self._service(path, name, self._auxiliary_topology(path, prefix)))
        return tuple(found)

    def _serves(self, path: Path) -> bool:
        kind = self.text(*path, "type")
        entry = self.mapping(*path)
        if not kind and path != _DEPLOYMENT and entry and entry.entries:
            self.missing(*path, "type", because="it says what serves the model")
        return kind not in ("", "none")

    def _check_service_name(self, name: str, path: Path) -> None:
        at = self.at(*path)
        # What the model's server, its instances and a task's own process are called.
        taken = name in ("model", "client") or name.startswith("model-")
        if not NAME.fullmatch(name) or len(name) > MAX_NAME or taken:
            advice = (
                "take letters, digits, '.', '_' and '-', and not 'model', 'model-…' or 'client'"
            )
            what = f"{name!r} can't name an auxiliary deployment"
            self.problems.append(Contradiction(what=what, advice=advice, location=at))

    def _prefix(self, name: str, path: Path, taken: dict[str, str]) -> str:
        """What begins the variables with the addresses of an auxiliary deployment."""
        given = self.text(*path, "env_prefix")
        prefix = given or auxiliary.usual_prefix(name)
        at = self.at(*path, *(["env_prefix"] if given else []))
        why = name_fault(prefix)
        if prefix in auxiliary.RESERVED_PREFIXES:
            why = "variables that begin so mean something else"
        elif prefix in taken:
            why = f"those of '{taken[prefix]}' begin so"
        if why:
            what = f"the variables of '{name}' can't begin with '{prefix}': {why}"
            advice = "give it another 'env_prefix'"
            self.problems.append(Contradiction(what=what, advice=advice, location=at))
            return MARK
        taken.setdefault(prefix, name)
        return prefix

    def _topology(self) -> dict[str, Any]:
        """How many of the model's server there are, and where."""
        if not self.on_cluster:
            return {}
        nodes = self.count("execution", "nodes")
        return {
            "nodes": nodes,
            "instances": self.count("execution", "num_instances"),
            "tasks": self.count("execution", "deployment", "n_tasks", default=nodes),
        }

    def _auxiliary_topology(self, path: Path, prefix: str) -> dict[str, Any]:
        nodes = self.count(*path, "num_nodes")
        return {
            "nodes": nodes,
            "instances": self.count(*path, "num_instances"),
            "tasks": self.count(*path, "n_tasks", default=nodes),
            "env_prefix": prefix,
        }

    def _service(self, path: Path, name: str, topology: dict[str, Any]) -> Service:
        kind = self.text(*path, "type")
        because = f"deployment '{kind}' serves a model"
        if kind in _EITHER_MODEL:
            self._either_model(path, kind)
        engine = self.text("execution", "engine")
        image = self.word(*path, "image")
        # Whether there is a container is not known where the engine is not.
        if engine != "none" and not self.is_unknown("execution", "engine"):
            image = self.need(*path, "image", because=because)
        gpus = self.text(*path, "gpus")
        wait = _READY_IN_ON_CLUSTERS if self.on_cluster else _READY_IN
        timeout = self.number("execution", "endpoint_readiness_timeout")
        return Service(
            name=name,
            type=kind,
            image=image if engine != "none" else None,
            command=self._server_command(path, engine),
            pre_cmd=self.text(*path, "pre_cmd"),
            model_id=self.need(*path, "served_model_name", because=because),
            port=int(self.number(*path, "port") or 8000),
            health_path=self.text(*path, "endpoints", "health") or "/health",
            readiness_timeout=int(timeout or wait),
            endpoints=self._endpoints(path),
            gpus=gpus if gpus not in ("", "none", "0") else None,
            env=tuple(self.env(("env_vars",), (*path, "env_vars"))),
            mounts=tuple(self._server_mounts(path)) if engine != "none" else (),
            files=bundled_files(self.node(*path, "files"), self.base, self.problems),
            head_command=self._side_command(*path, "head_command"),
            worker_command=self._side_command(*path, "worker_command"),
            **topology,
        )

    def _either_model(self, path: Path, kind: str) -> None:
        checkpoint = self.word(*path, "checkpoint_path")
        handle = self.word(*path, "hf_model_handle")
        if checkpoint and handle:
            what = "'checkpoint_path' and 'hf_model_handle' both name the model"
            at = self.at(*path, "hf_model_handle")
            self.problems.append(Contradiction(what=what, advice="keep one", location=at))
        elif not checkpoint and not handle:
            block = ".".join(str(step) for step in path)
            because = f"deployment '{kind}' needs it, or '{block}.hf_model_handle'"
            self.missing(*path, "checkpoint_path", because=because)

    def _side_command(self, *path: str | int) -> Argv | None:
        """What runs beside a server of several nodes; None on a backend that has one node."""
        node = self.node(*path)
        if not self.on_cluster or not isinstance(node, Sequence) or not node.items:
            return None
        return Argv(tuple(to_word(item) or literal("") for item in node.items))

    def _server_command(self, path: Path, engine: str) -> Command:
        node = self.node(*path, "command")
        arguments = self._extra_args(path)
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
            # Where it says ${deployment.extra_args}, they have been put in, quoted anew.
            if arguments and shlex.join(arguments) not in node.value:
                why = "'command' is a text of its own; write ${…extra_args} into it"
                at = self.at(*path, "extra_args")
                key = ".".join(str(step) for step in (*path, "extra_args"))
                self.problems.append(NoEffect(key=key, why=why, location=at))
            return Shell(node.value)
        if not isinstance(node, Sequence) or not node.items:
            self.missing(*path, "command", because="it starts the server")
            return Argv(())
        words = [to_word(item) or literal("") for item in node.items]
        # There is no mount without a container: the server reads the checkpoint where it is.
        checkpoint = self.word(*path, "checkpoint_path")
        if engine == "none" and checkpoint:
            words = [checkpoint if word == literal("/checkpoint") else word for word in words]
        return Argv((*words, *map(literal, arguments)))

    def _extra_args(self, path: Path) -> list[str]:
        extra = self.node(*path, "extra_args")
        if not isinstance(extra, Scalar) or not isinstance(extra.value, str):
            return []
        try:
            return shlex.split(extra.value)
        except ValueError as error:
            what = f"'extra_args' can't be split into words: {error}"
            self.problems.append(Contradiction(what=what, location=extra.location))
            return []

    def _endpoints(self, path: Path) -> dict[str, str]:
        block = self.mapping(*path, "endpoints")
        found = {}
        for name, node in block.entries.items() if block else ():
            if name == "health" or name.startswith("x-"):
                continue
            if isinstance(node, Scalar) and node.value is not None:
                found[name] = scalar_text(node)
        return found

    def _server_mounts(self, path: Path) -> Iterator[Mount]:
        checkpoint = self.word(*path, "checkpoint_path")
        cache = self.word(*path, "cache_path")
        if checkpoint:
            yield Mount(checkpoint, "/checkpoint", read_only=True)
        if cache:
            yield Mount(cache, "/cache")
        kinds = ("deployment",) if path == _DEPLOYMENT else ("auxiliary", str(path[-1]))
        yield from self.mounts(*kinds)
