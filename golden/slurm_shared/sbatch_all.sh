#!/usr/bin/env bash
# slurm_shared: 4 tasks in one job
# Compiled by evalc 0.1.0 from slurm_shared. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_shared
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --gpus-per-node=8
#SBATCH --time=12:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${SLURM_SUBMIT_DIR-}" "$(dirname -- "${BASH_SOURCE[0]}")"; do
  [ ! -f "$_home"/sbatch_all.sh ] || break
done
_bundle_dir=$_home
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_all.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=slurm_shared
_script=sbatch_all.sh
_from_files=1
_jobs=2
_tasks=(
  lm-evaluation-harness.ifeval:d3fa5951df567fc5
  lm-evaluation-harness.mmlu_pro_instruct:0e2374313a932955
  lm-evaluation-harness.mgsm_cot_chat:abeca558c0d7c2b3
  simple_evals.gpqa_diamond:8f7295ec06383bdc
)
# Read from the run's own file; submitted by hand, from the environment.
_secrets=(HF_TOKEN)
# Nothing starts unless these are set.
_needs=(HF_TOKEN)

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=10
_max_failed=1
_max_out_of_memory=0
_max_idle=2
_walltime=43200
_max_walltime=432000
evalc_begin "$@"

# server: vllm, serving llama-3.3-70b
serve_model() {
  export \
    PORT=8000 \
    MODEL_ID=llama-3.3-70b
  evalc_mount \
    /lustre/nlp/checkpoints/llama-3.3-70b-instruct:/checkpoint:ro
  exec srun --job-name=serve.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    --container-image=vllm/vllm-openai:latest \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ALL_NODE_IPS,MASTER_IP,MODEL_ID,NODES_PER_INSTANCE,PORT \
    vllm serve /checkpoint \
    --tensor-parallel-size=8 \
    --pipeline-parallel-size=1 \
    --data-parallel-size=1 \
    --port 8000 \
    --trust-remote-code \
    --served-model-name llama-3.3-70b \
    --gpu-memory-utilization 0.95
}
evalc_serve model --port 8000 \
  --health /health --ready-within 3600

# wait
evalc_wait_ready

# evaluate
evalc_evaluate

# done
evalc_finish
