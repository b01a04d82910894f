#!/usr/bin/env bash
# lm-evaluation-harness.mmlu: evaluates base-model with lm-evaluation-harness
# Compiled by evalc 0.1.0 from older_keys
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

_task=lm-evaluation-harness.mmlu
_digest=49876524034e23dd
_engine=docker
# These must be set in the environment.
_needs=(HF_TOKEN INFERENCE_KEY)

evaluate() {
  exec docker run --name "${_container[client]}" \
    --network host --shm-size 100g \
    --label 'team=model quality' \
    --volume "$_artifacts":/results \
    --volume "$_task_dir":/evalc/task:ro \
    --volume "$_bundle_dir"/lib:/evalc/lib:ro \
    --env RESULTS_DIR=/results \
    --env RUN_CONFIG=/evalc/task/run_config.yml \
    --env MODEL_URL=https://inference.example.com/v1/completions \
    --env MODEL_ID=base-model \
    --env ENDPOINT_TYPE=completions \
    --env API_KEY_NAME=INFERENCE_KEY \
    --env LIMIT_SAMPLES=50 \
    --env HF_TOKEN \
    --env HF_HOME=/results/hf \
    --env INFERENCE_KEY \
    nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03 \
    bash /evalc/lib/step.sh /evalc/task
}

evalc_begin "$@"
evaluate </dev/null >"$_logs/client_stdout.log" 2>&1 &
evalc_end $!
