#!/usr/bin/env bash
# spelling: evaluates smollm2-1.7b with its own command
# Compiled by evalc 0.1.0 from slurm_modules. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_modules.spelling
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --gres=gpu:1
#SBATCH --time=02:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/spelling; do
  [ ! -f "$_home"/sbatch_spelling.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_spelling.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=spelling
_script=sbatch_spelling.sh
_tasks=(spelling:d7d4a0ffd6858110)
_has_setup=1

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=self
_max_attempts=10
_max_failed=0
_max_out_of_memory=0
_max_idle=2
_walltime=7200
_max_walltime=432000
evalc_begin "$@"

# setup
set +eu +o pipefail
# shellcheck source=/dev/null
. "$_bundle_dir/setup.sh"
evalc_setup_ended $?
set -euo pipefail

# server: generic, serving smollm2-1.7b
serve_model() {
  export \
    PORT=8000 \
    MODEL_ID=smollm2-1.7b
  exec srun --job-name=serve.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    bash "$_bundle_dir/lib/serve.sh" "$_bundle_dir/services/model"
}
evalc_serve model --port 8000 \
  --health /health --ready-within 600

# wait
evalc_wait_ready

# evaluate
# These are put into run_config.yml when it runs.
_fill=(RESULTS_DIR)
evaluate() {
  export \
    RESULTS_DIR="$_artifacts" \
    RUN_CONFIG="$_task_dir"/logs/run_config.yml \
    MODEL_URL=http://127.0.0.1:8000/v1/chat/completions \
    MODEL_ID=smollm2-1.7b \
    ENDPOINT_TYPE=chat \
    LIMIT_SAMPLES=200 \
    FILES_DIR="$_task_dir"/files \
    NEMO_EVALUATOR_DATASET_DIR=/lustre/nlp/data/spelling
  cd "$_artifacts"
  exec srun --job-name=evaluate.spelling --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
