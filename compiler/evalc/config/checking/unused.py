"""Keys of a deployment that are there for its command to refer to, and that nothing refers to."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

from evalc.errors import Problem
from evalc.source import Mapping, Scalar
from evalc.source.nodes import scalar_text, scalars, show_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalc.source import Node, Path

_KEYS = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "gpu_memory_utilization",
    "max_model_len",
    "nim_model_name",
    "distributed_executor_backend",
)
# How the servers call it, where a built-in command does not refer to it.
_OPTIONS = {
    ("vllm", "max_model_len"): "--max-model-len",
    ("vllm_ray", "max_model_len"): "--max-model-len",
    ("sglang", "max_model_len"): "--context-length",
    ("sglang", "gpu_memory_utilization"): "--mem-fraction-static",
    ("trtllm", "max_model_len"): "--max_seq_len",
}


class Unreferred(Problem):
    """A value for commands to refer to, to which none does."""

    code: ClassVar[str] = "no-effect"
    severity: ClassVar[str] = "warning"
    key: str
    option: str = ""
    value: str = ""

    @property
    def message(self) -> str:
        return f"'{self.key}' has no effect: no command refers to it"

    @property
    def label(self) -> str:
        if self.option:
            return f"write extra_args: {self.option} {self.value}"
        return f"write ${{{self.key}}} into the command, or remove it"


def find_unused(unresolved: Mapping) -> Iterator[Problem]:
    """A warning for each of these keys that the user gave and that no text of the config refers to.

    ``unresolved`` is the composed config, with its references.
    """
    blocks: list[tuple[Path, Node | None]] = [(("deployment",), unresolved.get("deployment"))]
    auxiliary = unresolved.get("auxiliary_deployments")
    if isinstance(auxiliary, Mapping):
        blocks += [(("auxiliary_deployments", name), b) for name, b in auxiliary.entries.items()]
    for path, block in blocks:
        if not isinstance(block, Mapping):
            continue
        given = {key: node for key in _KEYS if _is_given(node := block.get(key))}
        kind = block.get("type")
        type_ = scalar_text(kind) if isinstance(kind, Scalar) else ""
        if not given or type_ in ("", "none"):
            continue
        for key, node in given.items():
            # Of this block, or beside the text.
            block_name = re.escape(str(path[-1]))
            reference = re.compile(
                rf"\$\{{[^}}]*(?:\b{block_name}\b[^}}]*\W|(?<=[{{:,])\.+){key}\b"
            )
            if not any(reference.search(text) for text in _texts(unresolved, block)):
                assert isinstance(node, Scalar)
                yield Unreferred(
                    key=show_path((*path, key)),
                    option=_OPTIONS.get((type_, key), ""),
                    value=scalar_text(node),
                    location=block.keys[key].location,
                )


def _is_given(node: object) -> bool:
    return (
        isinstance(node, Scalar)
        and node.source.kind != "builtin"
        and node.value not in (None, "", "???")
    )


def _texts(root: Mapping, block: Mapping) -> Iterator[str]:
    """The texts with references; those of a ``base_command`` only where it is what is run."""
    base, command = block.get("base_command"), block.get("command")
    is_run = command is None or any("base_command" in text for text in _references(command))
    idle = [] if base is None or is_run else list(_references(base))
    # Most often it is one of the block's own; a config may have ten thousand others.
    return (text for text in chain(_references(block), _references(root)) if text not in idle)


def _references(node: Node) -> Iterator[str]:
    for _path, scalar in scalars(node):
        if isinstance(scalar.value, str) and "${" in scalar.value:
            yield scalar.value
