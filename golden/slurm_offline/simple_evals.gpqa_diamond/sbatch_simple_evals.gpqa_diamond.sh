#!/usr/bin/env bash
# simple_evals.gpqa_diamond: evaluates qwen3-8b with simple_evals
# Compiled by evalc 0.1.0 from slurm_offline. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_offline.simple_evals.gpqa_diamond
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --gpus-per-node=4
#SBATCH --time=4:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/simple_evals.gpqa_diamond; do
  [ ! -f "$_home"/sbatch_simple_evals.gpqa_diamond.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_simple_evals.gpqa_diamond.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=simple_evals.gpqa_diamond
_script=sbatch_simple_evals.gpqa_diamond.sh
_tasks=(simple_evals.gpqa_diamond:5cd366ccf5acc40b)

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=10
_max_failed=0
_max_out_of_memory=0
_max_idle=2
_walltime=14400
_max_walltime=43200
evalc_begin "$@"

# server: vllm, serving qwen3-8b
serve_model() {
  export \
    PORT=8000 \
    MODEL_ID=qwen3-8b \
    DO_NOT_TRACK=1 \
    HF_DATASETS_OFFLINE=1 \
    HF_EVALUATE_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    HF_HUB_OFFLINE=1 \
    NEMO_EVALUATOR_TELEMETRY_LEVEL=0 \
    TRANSFORMERS_OFFLINE=1 \
    VLLM_NO_USAGE_STATS=1
  evalc_mount \
    /lustre/nlp/checkpoints/qwen3-8b:/checkpoint:ro
  exec srun --job-name=serve.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    --container-image=/lustre/images/vllm-openai-v0.11.0.sqsh \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ALL_NODE_IPS,DO_NOT_TRACK,HF_DATASETS_OFFLINE,HF_EVALUATE_OFFLINE,HF_HUB_DISABLE_TELEMETRY,HF_HUB_OFFLINE,MASTER_IP,MODEL_ID,NEMO_EVALUATOR_TELEMETRY_LEVEL,NODES_PER_INSTANCE,PORT,TRANSFORMERS_OFFLINE,VLLM_NO_USAGE_STATS \
    vllm serve /checkpoint \
    --tensor-parallel-size=4 \
    --pipeline-parallel-size=1 \
    --data-parallel-size=1 \
    --port 8000 \
    --trust-remote-code \
    --served-model-name qwen3-8b \
    --gpu-memory-utilization 0.95
}
evalc_serve model --port 8000 \
  --health /health --ready-within 3600

# wait
evalc_wait_ready

# evaluate
evaluate() {
  export \
    RESULTS_DIR=/results \
    RUN_CONFIG="$_task_dir"/run_config.yml \
    MODEL_URL=http://127.0.0.1:8000/v1/chat/completions \
    MODEL_ID=qwen3-8b \
    ENDPOINT_TYPE=chat \
    HF_HOME=/root/.cache/huggingface \
    DO_NOT_TRACK=1 \
    HF_DATASETS_OFFLINE=1 \
    HF_EVALUATE_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    HF_HUB_OFFLINE=1 \
    NEMO_EVALUATOR_TELEMETRY_LEVEL=0 \
    TRANSFORMERS_OFFLINE=1 \
    VLLM_NO_USAGE_STATS=1
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro" \
    /lustre/nlp/huggingface:/root/.cache/huggingface
  exec srun --job-name=evaluate.simple_evals.gpqa_diamond --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    --container-image='registry.example.org#nvcr/nvidia/eval-factory/simple-evals:26.03' \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=DO_NOT_TRACK,ENDPOINT_TYPE,HF_DATASETS_OFFLINE,HF_EVALUATE_OFFLINE,HF_HOME,HF_HUB_DISABLE_TELEMETRY,HF_HUB_OFFLINE,MODEL_ID,MODEL_URL,NEMO_EVALUATOR_TELEMETRY_LEVEL,RESULTS_DIR,RUN_CONFIG,TRANSFORMERS_OFFLINE,VLLM_NO_USAGE_STATS \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
