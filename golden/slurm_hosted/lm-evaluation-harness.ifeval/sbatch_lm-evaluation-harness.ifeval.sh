#!/usr/bin/env bash
# lm-evaluation-harness.ifeval: evaluates meta/llama-3.2-3b-instruct with lm-evaluation-harness
# Compiled by evalc 0.1.0 from slurm_hosted. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_hosted.lm-evaluation-harness.ifeval
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --nodes=1
#SBATCH --cpus-per-task=4
#SBATCH --time=90
#SBATCH --comment="nightly evaluation"
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
_tasks=(lm-evaluation-harness.ifeval:5ee7bb1ac37dab1d)
# Read from the run's own file; submitted by hand, from the environment.
_secrets=(NGC_API_KEY)
# Nothing starts unless these are set.
_needs=(NGC_API_KEY)

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=10
_max_failed=0
_max_out_of_memory=0
_max_idle=2
_walltime=5400
_max_walltime=432000
evalc_begin "$@"

# evaluate
evaluate() {
  export \
    RESULTS_DIR=/results \
    RUN_CONFIG="$_task_dir"/run_config.yml \
    MODEL_URL=https://integrate.api.nvidia.com/v1/chat/completions \
    MODEL_ID=meta/llama-3.2-3b-instruct \
    ENDPOINT_TYPE=chat \
    API_KEY_NAME=NGC_API_KEY \
    LIMIT_SAMPLES=100 \
    NGC_API_KEY
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro"
  exec srun --job-name=evaluate.lm-evaluation-harness.ifeval --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    --container-image='nvcr.io#nvidia/eval-factory/lm-evaluation-harness:26.03' \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=API_KEY_NAME,ENDPOINT_TYPE,LIMIT_SAMPLES,MODEL_ID,MODEL_URL,NGC_API_KEY,RESULTS_DIR,RUN_CONFIG \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
