#!/usr/bin/env bash
# slurm_shared: submits 4 tasks to Slurm as one job.
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

_label=slurm_shared
_how=shared
# Read from the environment; their values go into a file that only you can read.
_secrets=(HF_TOKEN)
_needs=(HF_TOKEN)
_tasks=(
  lm-evaluation-harness.ifeval:d3fa5951df567fc5
  lm-evaluation-harness.mmlu_pro_instruct:0e2374313a932955
  lm-evaluation-harness.mgsm_cot_chat:abeca558c0d7c2b3
  simple_evals.gpqa_diamond:8f7295ec06383bdc
)

evalc_submit_main "$@"
