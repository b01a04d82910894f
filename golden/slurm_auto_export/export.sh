#!/usr/bin/env bash
# slurm_auto_export: exports results to local, wandb.
# Compiled by evalc 0.1.0. sbatch_export.sh starts it when all has ended.
#
#   bash export.sh    what is finished; the same twice adds nothing
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"
# shellcheck source-path=SCRIPTDIR source=lib/export.sh
. "$_bundle_dir/lib/export.sh"

_label=slurm_auto_export
_destinations=(local wandb)
_tasks=(
  lm-evaluation-harness.ifeval:ffb5bdfea844f4af
  simple_evals.gpqa_diamond:cf0ad08718fb3c84
)
# Without these, evalc can't export.
_needs=(WANDB_API_KEY)
# Files: where they are copied to, and which.
_output_dir=/lustre/nlp/exported
_copy_artifacts=1
_only_required=1
_copy_logs=''
_contained=1

call_evalc() {
  export \
    WANDB_DIR=/wandb \
    WANDB_API_KEY
  evalc_mount "$_bundle_dir:$_bundle_dir" \
    /lustre/nlp/wandb:/wandb
  exec srun --job-name=export --overlap --export=ALL \
    --nodes=1 --ntasks=1 \
    --container-image=python:3.12-slim \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-workdir="$_bundle_dir" \
    --container-env=WANDB_API_KEY,WANDB_DIR \
    bash "$_bundle_dir/lib/call_evalc.sh" "$@"
}

evalc_export_main "$@"
