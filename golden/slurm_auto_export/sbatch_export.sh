#!/usr/bin/env bash
# slurm_auto_export: exports the results when all other jobs of this bundle have ended.
# Compiled by evalc 0.1.0. submit_all.sh submits it; by hand, submit it from the folder it is in.
#SBATCH --job-name=evalc.slurm_auto_export.export
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --time=00:30:00
#SBATCH --output=export-%j.log
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _bundle_dir in "${SLURM_SUBMIT_DIR-}" "$(dirname -- "${BASH_SOURCE[0]}")"; do
  [ ! -f "$_bundle_dir/sbatch_export.sh" ] || break
done
[ -f "$_bundle_dir/lib/export_job.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_export.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=lib/export_job.sh
. "$_bundle_dir/lib/export_job.sh"

_label=slurm_auto_export
_script=sbatch_export.sh
# Read from the run's own file; submitted by hand, from the environment.
_secrets=(WANDB_API_KEY)
# How often it may be queued anew, behind jobs that have followed those that it waited for.
_rounds=11

evalc_export_job "$@"
