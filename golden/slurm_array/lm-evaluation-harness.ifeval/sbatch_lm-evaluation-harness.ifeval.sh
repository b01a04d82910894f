#!/usr/bin/env bash
# lm-evaluation-harness.ifeval: evaluates llama-3.3-70b with lm-evaluation-harness
# Compiled by evalc 0.1.0 from slurm_array. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_array.lm-evaluation-harness.ifeval
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --nodes=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=1-12
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
_tasks=(lm-evaluation-harness.ifeval:50c11978bb12f8a5)
# Read from the run's own file; submitted by hand, from the environment.
_secrets=(INFERENCE_KEY)
# Nothing starts unless these are set.
_needs=(INFERENCE_KEY)

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=10
_max_failed=0
_max_out_of_memory=0
_max_idle=2
_walltime=129600
_max_walltime=432000
evalc_begin "$@"

# evaluate
evaluate() {
  export \
    RESULTS_DIR=/results \
    RUN_CONFIG="$_task_dir"/run_config.yml \
    MODEL_URL=https://inference.example.com/v1/chat/completions \
    MODEL_ID=llama-3.3-70b \
    ENDPOINT_TYPE=chat \
    API_KEY_NAME=INFERENCE_KEY \
    INFERENCE_KEY
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro"
  exec srun --job-name=evaluate.lm-evaluation-harness.ifeval --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    --container-image='nvcr.io#nvidia/eval-factory/lm-evaluation-harness:26.03' \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=API_KEY_NAME,ENDPOINT_TYPE,INFERENCE_KEY,MODEL_ID,MODEL_URL,RESULTS_DIR,RUN_CONFIG \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
