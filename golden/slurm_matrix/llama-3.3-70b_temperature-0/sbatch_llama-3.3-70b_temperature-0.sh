#!/usr/bin/env bash
# llama-3.3-70b_temperature-0: 2 tasks in one job
# Compiled by evalc 0.1.0 from slurm_matrix. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_matrix.llama-3.3-70b_temperature-0
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --gpus-per-node=8
#SBATCH --time=8:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/llama-3.3-70b_temperature-0; do
  [ ! -f "$_home"/sbatch_llama-3.3-70b_temperature-0.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_llama-3.3-70b_temperature-0.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=llama-3.3-70b_temperature-0
_script=sbatch_llama-3.3-70b_temperature-0.sh
_from_files=1
_jobs=2
_tasks=(
  llama-3.3-70b_temperature-0.lm-evaluation-harness.ifeval:5e7178d87c0ee866
  llama-3.3-70b_temperature-0.simple_evals.gpqa_diamond:2b37d80d9d3b4b79
)
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
_walltime=28800
_max_walltime=86400
evalc_begin "$@"

# server: vllm, serving llama-3.3-70b
serve_llama-3.3-70b_temperature-0.model() {
  export \
    PORT=8000 \
    MODEL_ID=llama-3.3-70b \
    HF_TOKEN
  evalc_mount \
    /lustre/nlp/checkpoints/llama-3.3-70b-instruct:/checkpoint:ro
  exec srun --job-name=serve.llama-3.3-70b_temperature-0.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    --container-image=vllm/vllm-openai:v0.11.0 \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ALL_NODE_IPS,HF_TOKEN,MASTER_IP,MODEL_ID,NODES_PER_INSTANCE,PORT \
    vllm serve /checkpoint \
    --tensor-parallel-size=8 \
    --pipeline-parallel-size=1 \
    --data-parallel-size=1 \
    --port 8000 \
    --trust-remote-code \
    --served-model-name llama-3.3-70b \
    --gpu-memory-utilization 0.95
}
evalc_serve llama-3.3-70b_temperature-0.model --port 8000 \
  --health /health --ready-within 3600

# wait
evalc_wait_ready

# evaluate
evalc_evaluate

# done
evalc_finish
