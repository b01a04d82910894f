#!/usr/bin/env bash
# hosted_endpoint: evaluates 3 tasks.
# Compiled by evalc 0.1.0.
#
#   bash run_all.sh                 evaluate all, 2 at a time; finished tasks are skipped
#   bash run_all.sh --only TASK     only this task (can be repeated)
#   bash run_all.sh --jobs N        N tasks at a time
#   bash run_all.sh --force         evaluate again
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/local.sh
. "$_bundle_dir/lib/local.sh"

_label=hosted_endpoint
_engine=docker
_jobs=2
# These must be set in the environment.
_needs=(HF_TOKEN NGC_API_KEY)
_tasks=(
  lm-evaluation-harness.ifeval
  simple_evals.gpqa_diamond
  mbpp-chat
)

evalc_all_main "$@"
