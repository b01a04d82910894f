#!/usr/bin/env bash
# spelling: evaluates my model (nightly) with its own command
# Compiled by evalc 0.1.0 from own_harness
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

_task=spelling
_digest=e21f59faf32ea13c
_engine=docker

evaluate() {
  exec docker run --name "${_container[client]}" \
    --network host --shm-size 100g \
    --ulimit nofile=65536 \
    --volume "$_artifacts":/results \
    --volume "$_task_dir":/evalc/task:ro \
    --volume "$_bundle_dir"/lib:/evalc/lib:ro \
    --volume '/data/spelling v2':/datasets:ro \
    --env RESULTS_DIR=/results \
    --env RUN_CONFIG=/evalc/task/run_config.yml \
    --env MODEL_URL=http://127.0.0.1:8000/v1/chat/completions \
    --env MODEL_ID='my model (nightly)' \
    --env ENDPOINT_TYPE=chat \
    --env LIMIT_SAMPLES=100 \
    --env FILES_DIR=/evalc/task/files \
    --env NEMO_EVALUATOR_DATASET_DIR=/datasets \
    --env GREETING="it costs \$5, isn't that \`cheap\`?" \
    python:3.12-slim \
    bash /evalc/lib/step.sh /evalc/task
}

evalc_begin "$@"
evaluate </dev/null >"$_logs/client_stdout.log" 2>&1 &
evalc_end $!
