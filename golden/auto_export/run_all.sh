#!/usr/bin/env bash
# auto_export: evaluates 2 tasks.
# Compiled by evalc 0.1.0.
#
#   bash run_all.sh                 evaluate all, 1 at a time; finished tasks are skipped
#   bash run_all.sh --only TASK     only this task (can be repeated)
#   bash run_all.sh --jobs N        N tasks at a time
#   bash run_all.sh --force         evaluate again
#
# When all has ended it exports what is finished, by export.sh, whose faults are not its own.
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/local.sh
. "$_bundle_dir/lib/local.sh"
# shellcheck source-path=SCRIPTDIR source=lib/export_after.sh
. "$_bundle_dir/lib/export_after.sh"

_label=auto_export
_engine=docker
_jobs=1
# These must be set in the environment.
_needs=(HOME MLFLOW_TRACKING_TOKEN NGC_API_KEY)
_tasks=(
  lm-evaluation-harness.ifeval
  simple_evals.gpqa_diamond
)

evalc_all_main "$@"
