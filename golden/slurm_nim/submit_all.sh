#!/usr/bin/env bash
# slurm_nim: submits 1 task to Slurm.
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

_label=slurm_nim
_how=tasks
# Read from the environment; their values go into a file that only you can read.
_secrets=(NGC_API_KEY)
_needs=(NGC_API_KEY)
_tasks=(
  lm-evaluation-harness.ifeval:252c59651bb29640
)

evalc_submit_main "$@"
