#!/usr/bin/env bash
# slurm_matrix: submits 8 tasks to Slurm, a job for each cell of the matrix.
# Compiled by evalc 0.1.0.
#
#   bash submit_all.sh              submit what is not there yet; run it as often as you like
#   bash submit_all.sh --dry-run    print what it would do
#   bash submit_all.sh --test-only  ask Slurm whether it takes the scripts
#   bash submit_all.sh --again      submit also what has stopped without being finished
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/submit_cells.sh
. "$_bundle_dir/lib/submit_cells.sh"

_label=slurm_matrix
_how=tasks
# Read from the environment; their values go into a file that only you can read.
_secrets=(HF_TOKEN)
_needs=(HF_TOKEN)
# Each cell of the matrix, which is a job, with its tasks.
_cells=(
  'qwen3-4b_temperature-0 qwen3-4b_temperature-0.lm-evaluation-harness.ifeval:1eb50275bc268075'
  'qwen3-4b_temperature-0 qwen3-4b_temperature-0.simple_evals.gpqa_diamond:a12424cb7b6bd230'
  'qwen3-4b_temperature-0.6 qwen3-4b_temperature-0.6.lm-evaluation-harness.ifeval:82522f4803b115bf'
  'qwen3-4b_temperature-0.6 qwen3-4b_temperature-0.6.simple_evals.gpqa_diamond:a5cef8bdfd20da1d'
  'llama-3.3-70b_temperature-0 llama-3.3-70b_temperature-0.lm-evaluation-harness.ifeval:5e7178d87c0ee866'
  'llama-3.3-70b_temperature-0 llama-3.3-70b_temperature-0.simple_evals.gpqa_diamond:2b37d80d9d3b4b79'
  'qwen3-4b_long qwen3-4b_long.lm-evaluation-harness.ifeval:a40f9573593666d5'
  'qwen3-4b_long qwen3-4b_long.simple_evals.gpqa_diamond:481e7600041685a4'
)

evalc_read_cells
evalc_submit_main "$@"
