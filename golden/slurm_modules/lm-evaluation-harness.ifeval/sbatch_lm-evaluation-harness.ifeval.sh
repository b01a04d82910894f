#!/usr/bin/env bash
# lm-evaluation-harness.ifeval: evaluates smollm2-1.7b with lm-evaluation-harness
# Compiled by evalc 0.1.0 from slurm_modules. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_modules.lm-evaluation-harness.ifeval
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
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/lm-evaluation-harness.ifeval; do
  [ ! -f "$_home"/sbatch_lm-evaluation-harness.ifeval.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_lm-evaluation-harness.ifeval.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=lm-evaluation-harness.ifeval
_script=sbatch_lm-evaluation-harness.ifeval.sh
_tasks=(lm-evaluation-harness.ifeval:7621265920a4cce4)
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
    ENDPOINT_TYPE=chat
  cd "$_artifacts"
  exec srun --job-name=evaluate.lm-evaluation-harness.ifeval --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
