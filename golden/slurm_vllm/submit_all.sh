#!/usr/bin/env bash
# slurm_vllm: submits 2 tasks to Slurm, a job each.
# Compiled by evalc 0.1.0.
#
#   bash submit_all.sh              submit what is not there yet; run it as often as you like
#   bash submit_all.sh --dry-run    print what it would do
#   bash submit_all.sh --test-only  ask Slurm whether it takes the scripts
#   bash submit_all.sh --again      submit also what has stopped without being finished
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/submit.sh
. "$_bundle_dir/lib/submit.sh"

_label=slurm_vllm
_how=tasks
# Read from the environment; their values go into a file that only you can read.
_secrets=(HF_TOKEN)
_needs=(HF_TOKEN)
_tasks=(
  lm-evaluation-harness.ifeval:4023580bd4f506e7
  simple_evals.gpqa_diamond:16b7e878c0cdd9f1
)

evalc_submit_main "$@"
