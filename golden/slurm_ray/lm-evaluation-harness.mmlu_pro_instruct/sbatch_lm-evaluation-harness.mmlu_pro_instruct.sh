#!/usr/bin/env bash
# lm-evaluation-harness.mmlu_pro_instruct: evaluates deepseek-v3.2 with lm-evaluation-harness
# Compiled by evalc 0.1.0 from slurm_ray. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_ray.lm-evaluation-harness.mmlu_pro_instruct
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=2
#SBATCH --gpus-per-node=8
#SBATCH --time=08:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/lm-evaluation-harness.mmlu_pro_instruct; do
  [ ! -f "$_home"/sbatch_lm-evaluation-harness.mmlu_pro_instruct.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_lm-evaluation-harness.mmlu_pro_instruct.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=lm-evaluation-harness.mmlu_pro_instruct
_script=sbatch_lm-evaluation-harness.mmlu_pro_instruct.sh
_tasks=(lm-evaluation-harness.mmlu_pro_instruct:22746892800fad75)

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=6
_max_failed=0
_max_out_of_memory=0
_max_idle=2
_walltime=28800
_max_walltime=432000
evalc_begin "$@"

# server: vllm_ray, serving deepseek-v3.2
serve_model() {
  export \
    PORT=8000 \
    MODEL_ID=deepseek-v3.2 \
    VLLM_ENGINE_READY_TIMEOUT_S=3600 \
    VLLM_USE_RAY_COMPILED_DAG_CHANNEL_TYPE=shm
  evalc_mount "$_bundle_dir/services/model:$_bundle_dir/services/model:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro" \
    /lustre/nlp/checkpoints/deepseek-v3.2:/checkpoint:ro
  exec srun --job-name=serve.model --overlap --export=ALL \
    --nodes=2 --ntasks=2 --nodelist="$1" --kill-on-bad-exit=1 --label \
    --container-image=vllm/vllm-openai:v0.11.0 \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ALL_NODE_IPS,MASTER_IP,MODEL_ID,NODES_PER_INSTANCE,PORT,VLLM_ENGINE_READY_TIMEOUT_S,VLLM_USE_RAY_COMPILED_DAG_CHANNEL_TYPE \
    bash "$_bundle_dir/lib/serve.sh" "$_bundle_dir/services/model"
}
evalc_serve model --port 8000 \
  --health /health --ready-within 5400 \
  --nodes 2

# wait
evalc_wait_ready

# evaluate
evaluate() {
  export \
    RESULTS_DIR=/results \
    RUN_CONFIG="$_task_dir"/run_config.yml \
    MODEL_URL=http://127.0.0.1:8000/v1/chat/completions \
    MODEL_ID=deepseek-v3.2 \
    ENDPOINT_TYPE=chat
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro"
  exec srun --job-name=evaluate.lm-evaluation-harness.mmlu_pro_instruct --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    --container-image='nvcr.io#nvidia/eval-factory/lm-evaluation-harness:26.03' \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ENDPOINT_TYPE,MODEL_ID,MODEL_URL,RESULTS_DIR,RUN_CONFIG \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
