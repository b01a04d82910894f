#!/usr/bin/env bash
# simple_evals.gpqa_diamond: evaluates qwen3-4b with simple_evals
# Compiled by evalc 0.1.0 from slurm_auto_export. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_auto_export.simple_evals.gpqa_diamond
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --gres=gpu:8
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
_tasks=(simple_evals.gpqa_diamond:cf0ad08718fb3c84)
# Read from the run's own file; submitted by hand, from the environment.
_secrets=(HF_TOKEN)
# Nothing starts unless these are set.
_needs=(HF_TOKEN)

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=10
_max_failed=0
_max_out_of_memory=0
_max_idle=2
_walltime=14400
_max_walltime=432000
evalc_begin "$@"

# server: vllm, serving qwen3-4b
serve_model() {
  export \
    PORT=8000 \
    MODEL_ID=qwen3-4b \
    HF_TOKEN
  _mounts=
  exec srun --job-name=serve.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    --container-image=vllm/vllm-openai:latest \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ALL_NODE_IPS,HF_TOKEN,MASTER_IP,MODEL_ID,NODES_PER_INSTANCE,PORT \
    vllm serve Qwen/Qwen3-4B-Instruct-2507 \
    --tensor-parallel-size=1 \
    --pipeline-parallel-size=1 \
    --data-parallel-size=1 \
    --port 8000 \
    --trust-remote-code \
    --served-model-name qwen3-4b \
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
    MODEL_ID=qwen3-4b \
    ENDPOINT_TYPE=chat
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro"
  exec srun --job-name=evaluate.simple_evals.gpqa_diamond --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    --container-image='nvcr.io#nvidia/eval-factory/simple-evals:26.03' \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ENDPOINT_TYPE,MODEL_ID,MODEL_URL,RESULTS_DIR,RUN_CONFIG \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
