#!/usr/bin/env bash
# AA-LCR.aa_lcr: evaluates qwen3-8b with AA-LCR
# Compiled by evalc 0.1.0 from slurm_judge. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_judge.AA-LCR.aa_lcr
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=2
#SBATCH --gpus-per-node=8
#SBATCH --time=04:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/AA-LCR.aa_lcr; do
  [ ! -f "$_home"/sbatch_AA-LCR.aa_lcr.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_AA-LCR.aa_lcr.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=AA-LCR.aa_lcr
_script=sbatch_AA-LCR.aa_lcr.sh
_tasks=(AA-LCR.aa_lcr:67dad1dd2d513b27)

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=10
_max_failed=0
_max_out_of_memory=0
_max_idle=2
_walltime=14400
_max_walltime=432000
evalc_begin "$@"

# server: vllm, serving qwen3-8b
serve_model() {
  export \
    PORT=8000 \
    MODEL_ID=qwen3-8b
  evalc_mount \
    /lustre/nlp/huggingface:/root/.cache/huggingface
  exec srun --job-name=serve.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    --container-image=vllm/vllm-openai:latest \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ALL_NODE_IPS,MASTER_IP,MODEL_ID,NODES_PER_INSTANCE,PORT \
    vllm serve Qwen/Qwen3-8B \
    --tensor-parallel-size=1 \
    --pipeline-parallel-size=1 \
    --data-parallel-size=1 \
    --port 8000 \
    --trust-remote-code \
    --served-model-name qwen3-8b \
    --gpu-memory-utilization 0.95
}
evalc_serve model --port 8000 \
  --health /health --ready-within 3600

# server: vllm, serving qwen3-235b
serve_judge() {
  export \
    PORT=8000 \
    MODEL_ID=qwen3-235b
  evalc_mount \
    /lustre/nlp/huggingface:/root/.cache/huggingface
  exec srun --job-name=serve.judge --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    --container-image=vllm/vllm-openai:latest \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ALL_NODE_IPS,MASTER_IP,MODEL_ID,NODES_PER_INSTANCE,PORT \
    vllm serve Qwen/Qwen3-235B-A22B-Instruct-2507 \
    --tensor-parallel-size=8 \
    --pipeline-parallel-size=1 \
    --data-parallel-size=1 \
    --port 8000 \
    --trust-remote-code \
    --served-model-name qwen3-235b \
    --gpu-memory-utilization 0.95
}
evalc_serve judge --port 8000 \
  --health /health --ready-within 3600

# wait
evalc_wait_ready
JUDGE_CHAT_URL=$(evalc_url judge)/v1/chat/completions
JUDGE_COMPLETIONS_URL=$(evalc_url judge)/v1/completions
JUDGE_EMBEDDING_URL=$(evalc_url judge)/v1/embeddings
JUDGE_RANKING_URL=$(evalc_url judge)/v1/ranking

# evaluate
# These are put into run_config.yml when it runs.
_fill=(JUDGE_CHAT_URL)
evaluate() {
  export \
    RESULTS_DIR=/results \
    RUN_CONFIG="$_task_dir"/logs/run_config.yml \
    MODEL_URL=http://127.0.0.1:8000/v1/chat/completions \
    MODEL_ID=qwen3-8b \
    ENDPOINT_TYPE=chat \
    JUDGE_MODEL_ID=qwen3-235b \
    JUDGE_CHAT_URL \
    JUDGE_COMPLETIONS_URL \
    JUDGE_EMBEDDING_URL \
    JUDGE_RANKING_URL
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro"
  exec srun --job-name=evaluate.AA-LCR.aa_lcr --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    --container-image='nvcr.io#nvidia/eval-factory/aa-lcr:26.03' \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ENDPOINT_TYPE,JUDGE_CHAT_URL,JUDGE_COMPLETIONS_URL,JUDGE_EMBEDDING_URL,JUDGE_MODEL_ID,JUDGE_RANKING_URL,MODEL_ID,MODEL_URL,RESULTS_DIR,RUN_CONFIG \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
