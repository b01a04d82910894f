#!/usr/bin/env bash
# slurm_array: submits 6 tasks to Slurm as one array.
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

_label=slurm_array
_how=array
_array_limit=4
# Read from the environment; their values go into a file that only you can read.
_secrets=(INFERENCE_KEY)
_needs=(INFERENCE_KEY)
_tasks=(
  lm-evaluation-harness.ifeval:50c11978bb12f8a5
  lm-evaluation-harness.mgsm_cot_chat:108e1319036be57e
  simple_evals.gpqa_diamond:04c7b27969fb67d9
  simple_evals.humaneval:35d8be271514b883
  mbpp-chat:39e6eaedba4fa73e
  livecodebench.codegeneration_release_v6:b89a25be646803bf
)

evalc_submit_main "$@"
