#!/usr/bin/env bash
# older_keys: evaluates 2 tasks.
# Compiled by evalc 0.1.0.
#
#   bash run_all.sh                 evaluate all, 1 at a time; finished tasks are skipped
#   bash run_all.sh --only TASK     only this task (can be repeated)
#   bash run_all.sh --jobs N        N tasks at a time
#   bash run_all.sh --force         evaluate again
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/local.sh
. "$_bundle_dir/lib/local.sh"

_label=older_keys
_engine=docker
_jobs=1
# These must be set in the environment.
_needs=(HF_TOKEN INFERENCE_KEY)
_tasks=(
  lm-evaluation-harness.mmlu
  hellaswag
)

evalc_all_main "$@"
