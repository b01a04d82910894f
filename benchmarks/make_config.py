"""Configs as users have them, of any size, for the benchmarks.

    python benchmarks/make_config.py TASKS [slurm] > config.yaml

Execution is local, or on a Slurm cluster; the model is served elsewhere, and each task overrides
some of its harness's parameters and names its environment: about 500 bytes of YAML a task. Tasks
are drawn evenly from those of the catalogue that ask a chat endpoint, since all ask the same URL.
The same number of tasks gives the same text.

Up to as many tasks as there are, no two are alike, and nemo-evaluator-launcher takes the config as
it is. Beyond, tasks come again under an ``id`` of their own, a key that is only evalc's.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from evalc import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

# The config refers to these by `host:`; nemo-evaluator-launcher wants them set even for a dry run.
HOST_ENV = ("BENCH_API_KEY", "BENCH_HF_TOKEN", "BENCH_JUDGE_KEY")

HEAD = """\
# {count} tasks of the catalogue against one endpoint.
defaults:
  - execution: {group}
  - deployment: none
  - _self_

execution:
{execution}
target:
  api_endpoint:
    url: https://models.example.org/v1/chat/completions
    model_id: example/model-8b-instruct
    api_key_name: BENCH_API_KEY

evaluation:
  env_vars:
    HF_TOKEN: host:BENCH_HF_TOKEN
  nemo_evaluator_config:
    config:
      params:
        request_timeout: 3600
        parallelism: 8
  tasks:
"""

LOCAL = """\
  output_dir: ./results
  mode: sequential
"""

# Such a cluster is neither there nor asked: compiling and dry runs reach none.
SLURM = """\
  hostname: cluster.example.org
  username: someone
  account: research
  output_dir: /results
  walltime: "04:00:00"
"""

TASK = """\
    - name: {name}
{id}      env_vars:
        JUDGE_API_KEY: host:BENCH_JUDGE_KEY
        HF_HOME: "lit:/cache/huggingface/{number}"
      nemo_evaluator_config:
        config:
          params:
{params}        target:
          api_endpoint:
            adapter_config:
              max_logged_requests: {logged}
"""


def config(count: int, *, slurm: bool = False) -> str:
    """The YAML text of a config with ``count`` tasks, to run here or on a Slurm cluster."""
    known = catalog.load().tasks(endpoint_type="chat")
    lines = []
    for number in range(count):
        # Evenly over the whole list while it lasts, so that few tasks are not all of one harness.
        at = number * len(known) // count if count <= len(known) else number % len(known)
        task = known[at]
        again = number // len(known)
        identity = f"      id: {task.qualified_name}.{again}\n" if again else ""
        lines.append(
            TASK.format(
                name=task.qualified_name,
                id=identity,
                params=_params(task.params, number),
                number=number,
                logged=5 + number % 20,
            )
        )
    group, execution = ("slurm/default", SLURM) if slurm else ("local", LOCAL)
    return HEAD.format(count=count, group=group, execution=execution) + "".join(lines)


def _params(defaults: Mapping[str, Any], number: int) -> str:
    """Overrides of some of a task's own parameters, as lines of YAML."""
    chosen = {
        "limit_samples": 50 + number % 450,
        "max_new_tokens": 1024 * (1 + number % 16),
        "max_retries": 5 + number % 4,
        "parallelism": 1 + number % 32,
        "request_timeout": 600 + 60 * (number % 30),
        "temperature": number % 10 / 10,
        "top_p": 0.95,
    }
    # Every harness can be limited; the others are only overridden where it knows them.
    kept = {k: v for k, v in chosen.items() if k == "limit_samples" or k in defaults}
    lines = [f"            {key}: {value}\n" for key, value in kept.items()]
    extra = {k: v for k, v in defaults["extra"].items() if _is_plain(v)}
    if extra:
        lines.append("            extra:\n")
        lines += [f"              {k}: {json.dumps(v)}\n" for k, v in list(extra.items())[:3]]
    return "".join(lines)


def _is_plain(value: object) -> bool:
    """Whether it is a number, a truth value or a word: what `floor.py` can write unquoted."""
    return value.isidentifier() if isinstance(value, str) else isinstance(value, (bool, int))


if __name__ == "__main__":
    sys.stdout.write(config(int(sys.argv[1]), slurm=sys.argv[2:] == ["slurm"]))
