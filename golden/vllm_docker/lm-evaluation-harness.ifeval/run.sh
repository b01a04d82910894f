#!/usr/bin/env bash
# lm-evaluation-harness.ifeval: evaluates qwen3-4b with lm-evaluation-harness
# Compiled by evalc 0.1.0 from vllm_docker
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
# shellcheck source-path=SCRIPTDIR source=../services/model.sh
. "$_bundle_dir"/services/model.sh

_task=lm-evaluation-harness.ifeval
_digest=cc7ecf9dd592464b
_engine=docker
_services=(model)
# These must be set in the environment.
_needs=(HF_TOKEN)

evaluate() {
  exec docker run --name "${_container[client]}" \
    --network host --shm-size 100g \
    --volume "$_artifacts":/results \
    --volume "$_task_dir":/evalc/task:ro \
    --volume "$_bundle_dir"/lib:/evalc/lib:ro \
    --env RESULTS_DIR=/results \
    --env RUN_CONFIG=/evalc/task/run_config.yml \
    --env MODEL_URL=http://127.0.0.1:8000/v1/chat/completions \
    --env MODEL_ID=qwen3-4b \
    --env ENDPOINT_TYPE=chat \
    --env HF_TOKEN \
    nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03 \
    bash /evalc/lib/step.sh /evalc/task
}

evalc_begin "$@"
evaluate </dev/null >"$_logs/client_stdout.log" 2>&1 &
evalc_end $!
