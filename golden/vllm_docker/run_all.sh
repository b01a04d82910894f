#!/usr/bin/env bash
# vllm_docker: evaluates 2 tasks, with one server for all.
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
# shellcheck source-path=SCRIPTDIR source=services/model.sh
. "$_bundle_dir"/services/model.sh

_label=vllm_docker
_engine=docker
_jobs=1
_services=(model)
# These must be set in the environment.
_needs=(HF_TOKEN)
_tasks=(
  lm-evaluation-harness.ifeval
  lm-evaluation-harness.gpqa
)

evalc_all_main "$@"
