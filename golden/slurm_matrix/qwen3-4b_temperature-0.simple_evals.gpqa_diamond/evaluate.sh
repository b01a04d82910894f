# shellcheck shell=bash
# qwen3-4b_temperature-0.simple_evals.gpqa_diamond: evaluates qwen3-4b with simple_evals
# Compiled by evalc 0.1.0; sourced by sbatch_qwen3-4b_temperature-0.sh.
: "${_bundle_dir:?}" "${_task_dir:?}" "${_artifacts:?}" "${_node:?}"
evaluate() {
  export \
    RESULTS_DIR=/results \
    RUN_CONFIG="$_task_dir"/run_config.yml \
    MODEL_URL=http://127.0.0.1:8000/v1/chat/completions \
    MODEL_ID=qwen3-4b \
    ENDPOINT_TYPE=chat \
    HF_TOKEN
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro"
  exec srun --job-name=evaluate.qwen3-4b_temperature-0.simple_evals.gpqa_diamond --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    --container-image='nvcr.io#nvidia/eval-factory/simple-evals:26.03' \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ENDPOINT_TYPE,HF_TOKEN,MODEL_ID,MODEL_URL,RESULTS_DIR,RUN_CONFIG \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
