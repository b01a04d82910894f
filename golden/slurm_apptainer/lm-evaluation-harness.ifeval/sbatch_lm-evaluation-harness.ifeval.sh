#!/usr/bin/env bash
# lm-evaluation-harness.ifeval: evaluates gemma-3-27b with lm-evaluation-harness
# Compiled by evalc 0.1.0 from slurm_apptainer. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_apptainer.lm-evaluation-harness.ifeval
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --gpus-per-node=4
#SBATCH --time=04:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/lm-evaluation-harness.ifeval; do
  [ ! -f "$_home"/sbatch_lm-evaluation-harness.ifeval.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_lm-evaluation-harness.ifeval.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=lm-evaluation-harness.ifeval
_script=sbatch_lm-evaluation-harness.ifeval.sh
_tasks=(lm-evaluation-harness.ifeval:23304cc448b2bf81)
_has_setup=1

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=10
_max_failed=0
_max_out_of_memory=0
_max_idle=2
_walltime=14400
_max_walltime=432000
evalc_begin "$@"

# setup
set +eu +o pipefail
# shellcheck source=/dev/null
. "$_bundle_dir/setup.sh"
evalc_setup_ended $?
set -euo pipefail

# server: vllm, serving gemma-3-27b
serve_model() {
  export \
    PORT=8000 \
    MODEL_ID=gemma-3-27b
  evalc_mount \
    /lustre/nlp/checkpoints/gemma-3-27b-it:/checkpoint:ro
  exec srun --job-name=serve.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    apptainer exec --writable-tmpfs --nv \
    ${_mounts:+--bind "$_mounts"} \
    /lustre/nlp/images/vllm-openai-0.11.0.sif \
    vllm serve /checkpoint \
    --tensor-parallel-size=4 \
    --pipeline-parallel-size=1 \
    --data-parallel-size=1 \
    --port 8000 \
    --trust-remote-code \
    --served-model-name gemma-3-27b \
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
    MODEL_ID=gemma-3-27b \
    ENDPOINT_TYPE=chat \
    HF_HOME=/hf
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro" \
    /lustre/nlp/huggingface:/hf:ro
  exec srun --job-name=evaluate.lm-evaluation-harness.ifeval --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    apptainer exec --writable-tmpfs \
    ${_mounts:+--bind "$_mounts"} \
    docker://nvcr.io/nvidia/eval-factory/lm-evaluation-harness:26.03 \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
