#!/usr/bin/env bash
# slurm_auto_export: submits 2 tasks to Slurm, a job each.
# Compiled by evalc 0.1.0.
#
#   bash submit_all.sh              submit what is not there yet; run it as often as you like
#   bash submit_all.sh --dry-run    print what it would do
#   bash submit_all.sh --test-only  ask Slurm whether it takes the scripts
#   bash submit_all.sh --again      submit also what has stopped without being finished
#
# Behind all that, it queues sbatch_export.sh, which exports the results.
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/submit.sh
. "$_bundle_dir/lib/submit.sh"
# shellcheck source-path=SCRIPTDIR source=lib/export_queue.sh
. "$_bundle_dir/lib/export_queue.sh"

_label=slurm_auto_export
_how=tasks
# Read from the environment; their values go into a file that only you can read.
_secrets=(HF_TOKEN WANDB_API_KEY)
_needs=(HF_TOKEN)
_tasks=(
  lm-evaluation-harness.ifeval:ffb5bdfea844f4af
  simple_evals.gpqa_diamond:cf0ad08718fb3c84
)

evalc_submit_main "$@"
