#!/usr/bin/env bash
# context-256.facts: evaluates SmolLM2-135M-Instruct with its own command
# Compiled by evalc 0.1.0 from matrix
#
#   bash run.sh            evaluate; a finished task is skipped
#   bash run.sh --force    evaluate again; the old results move to artifacts.old
#
# Results are in artifacts/, logs in logs/. The exit code is the harness's; ../README.md has the rest.
set -euo pipefail
_task_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
_bundle_dir=$(dirname -- "$_task_dir")
# shellcheck source-path=SCRIPTDIR source=../lib/local.sh
. "$_bundle_dir/lib/local.sh"
# shellcheck source-path=SCRIPTDIR source=../services/context-256.model.sh
. "$_bundle_dir"/services/context-256.model.sh

_task=context-256.facts
_digest=8ebaf370d424c2bd
_engine=none
_services=(context-256.model)
# These are put into run_config.yml when it runs.
_fill=(RESULTS_DIR)
RESULTS_DIR=$_task_dir/artifacts

evaluate() {
  export \
    RESULTS_DIR="$_artifacts" \
    RUN_CONFIG="$_task_dir"/logs/run_config.yml \
    MODEL_URL=http://127.0.0.1:18424/v1/chat/completions \
    MODEL_ID=SmolLM2-135M-Instruct \
    ENDPOINT_TYPE=chat \
    FILES_DIR="$_task_dir"/files
  cd "$_artifacts"
  exec bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}

evalc_begin "$@"
evaluate </dev/null >"$_logs/client_stdout.log" 2>&1 &
evalc_end $!
