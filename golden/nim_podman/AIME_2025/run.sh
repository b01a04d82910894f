#!/usr/bin/env bash
# AIME_2025: evaluates meta/llama-3.1-8b-instruct with simple_evals
# Compiled by evalc 0.1.0 from nim_podman
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

_task=AIME_2025
_digest=aad497725e14e827
_engine=podman
_services=(model)
# These must be set in the environment.
_needs=(NGC_API_KEY)
[ -n "${NIM_CACHE+set}" ] || NIM_CACHE=/srv/nim-cache

evaluate() {
  evalc_hide
  export JUDGE_API_KEY="${NGC_API_KEY}"
  evalc_unhide
  exec podman run --name "${_container[client]}" \
    --network host --shm-size 100g \
    --volume "$_artifacts":/results \
    --volume "$_task_dir":/evalc/task:ro \
    --volume "$_bundle_dir"/lib:/evalc/lib:ro \
    --env RESULTS_DIR=/results \
    --env RUN_CONFIG=/evalc/task/run_config.yml \
    --env MODEL_URL=http://127.0.0.1:8000/v1/chat/completions \
    --env MODEL_ID=meta/llama-3.1-8b-instruct \
    --env ENDPOINT_TYPE=chat \
    --env JUDGE_API_KEY \
    nvcr.io/nvidia/eval-factory/simple-evals:26.03 \
    bash /evalc/lib/step.sh /evalc/task
}

evalc_begin "$@"
evaluate </dev/null >"$_logs/client_stdout.log" 2>&1 &
evalc_end $!
