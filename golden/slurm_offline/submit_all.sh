#!/usr/bin/env bash
# slurm_offline: submits 2 tasks to Slurm, a job each.
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

_label=slurm_offline
_how=tasks
_tasks=(
  lm-evaluation-harness.ifeval:66ba5dc49505e62c
  simple_evals.gpqa_diamond:5cd366ccf5acc40b
)

evalc_submit_main "$@"
