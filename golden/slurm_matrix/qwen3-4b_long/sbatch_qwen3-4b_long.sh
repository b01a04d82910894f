#!/usr/bin/env bash
# qwen3-4b_long: 2 tasks in one job
# Compiled by evalc 0.1.0 from slurm_matrix. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_matrix.qwen3-4b_long
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --gpus-per-node=1
#SBATCH --time=2:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/qwen3-4b_long; do
  [ ! -f "$_home"/sbatch_qwen3-4b_long.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_qwen3-4b_long.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=qwen3-4b_long
_script=sbatch_qwen3-4b_long.sh
_from_files=1
_jobs=2
_tasks=(
  qwen3-4b_long.lm-evaluation-harness.ifeval:a40f9573593666d5
  qwen3-4b_long.simple_evals.gpqa_diamond:481e7600041685a4
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
_walltime=7200
_max_walltime=86400
evalc_begin "$@"

# server: vllm, serving qwen3-4b
serve_qwen3-4b_long.model() {
  export \
    PORT=8000 \
    MODEL_ID=qwen3-4b \
    HF_TOKEN
  _mounts=
  exec srun --job-name=serve.qwen3-4b_long.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    --container-image=vllm/vllm-openai:v0.11.0 \
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
evalc_serve qwen3-4b_long.model --port 8000 \
  --health /health --ready-within 3600

# wait
evalc_wait_ready

# evaluate
evalc_evaluate

# done
evalc_finish
