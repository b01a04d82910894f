#!/usr/bin/env bash
# lm-evaluation-harness.ifeval: evaluates meta/llama-3.2-3b-instruct with lm-evaluation-harness
# Compiled by evalc 0.1.0 from auto_export
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

_task=lm-evaluation-harness.ifeval
_digest=25784d79dab929d0
_engine=docker
# These must be set in the environment.
_needs=(NGC_API_KEY)

evaluate() {
  exec docker run --name "${_container[client]}" \
    --network host --shm-size 100g \
    --volume "$_artifacts":/results \
    --volume "$_task_dir":/evalc/task:ro \
    --volume "$_bundle_dir"/lib:/evalc/lib:ro \
    --env RESULTS_DIR=/results \
    --env RUN_CONFIG=/evalc/task/run_config.yml \
    --env MODEL_URL=https://integrate.api.nvidia.com/v1/chat/completions \
    --env MODEL_ID=meta/llama-3.2-3b-instruct \
    --env ENDPOINT_TYPE=chat \
    --env API_KEY_NAME=NGC_API_KEY \
    --env NGC_API_KEY \
    nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03 \
    bash /evalc/lib/step.sh /evalc/task
}

evalc_begin "$@"
evaluate </dev/null >"$_logs/client_stdout.log" 2>&1 &
evalc_end $!
