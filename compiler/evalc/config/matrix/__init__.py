"""``matrix``: several configs from one, a cell each.

    matrix:
      model:                                      # a free name: each value sets several keys
        - name: qwen3-4b
          deployment.hf_model_handle: Qwen/Qwen3-4B-Instruct-2507
          deployment.served_model_name: qwen3-4b
        - {name: llama-70b, deployment: {...}, execution: {nodes: 2}}
      evaluation.nemo_evaluator_config.config.params.temperature: [0, 0.6]      # a key
      exclude:
        - {model: llama-70b, evaluation.nemo_evaluator_config.config.params.temperature: 0.6}
      include:
        - {model: llama-70b, execution.walltime: 8:00:00}

The meaning of ``include`` and ``exclude`` is that of GitHub's ``strategy.matrix``
(https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix).
"""

from __future__ import annotations

KEY = "matrix"
# The keys of the block, and of its items, that are no axes and no keys of the config.
INCLUDE, EXCLUDE, NAME, VALUE = "include", "exclude", "name", "value"
# What ``${matrix.cell}`` stands for.
CELL = "cell"
