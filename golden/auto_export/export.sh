#!/usr/bin/env bash
# auto_export: exports results to local, mlflow.
# Compiled by evalc 0.1.0. run_all.sh starts it when all has ended.
#
#   bash export.sh    what is finished; the same twice adds nothing
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/export.sh
. "$_bundle_dir/lib/export.sh"

_label=auto_export
_destinations=(local mlflow)
_tasks=(
  lm-evaluation-harness.ifeval:25784d79dab929d0
  simple_evals.gpqa_diamond:97c667c1d590747f
)
# Without these, evalc can't export.
_needs=(MLFLOW_TRACKING_TOKEN)
evalc_need_env HOME
# Files: where they are copied to, and which.
_output_dir="${HOME}"/exported
_copy_artifacts=1
_only_required=1
_copy_logs=1

call_evalc() {
  export \
    MLFLOW_TRACKING_TOKEN
  exec bash "$_bundle_dir/lib/call_evalc.sh" "$@"
}

evalc_export_main "$@"
