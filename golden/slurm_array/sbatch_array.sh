#!/usr/bin/env bash
# slurm_array: all tasks as one array; each element runs its task's own script.
# Compiled by evalc 0.1.0. Submit it from the folder it is in, with sbatch or submit_all.sh.
#SBATCH --job-name=evalc.slurm_array
#SBATCH --account=nlp
#SBATCH --partition=cpu
#SBATCH --nodes=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=1-12
#SBATCH --array=0-5%4
#SBATCH --output=slurm-%A_%a.log
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail
# In the order of the elements' numbers.
_all=(
  lm-evaluation-harness.ifeval
  lm-evaluation-harness.mgsm_cot_chat
  simple_evals.gpqa_diamond
  simple_evals.humaneval
  mbpp-chat
  livecodebench.codegeneration_release_v6
)
_home=${SLURM_SUBMIT_DIR-}/${_all[$SLURM_ARRAY_TASK_ID]}
# shellcheck source=/dev/null
. "$_home/sbatch_${_all[$SLURM_ARRAY_TASK_ID]}.sh"
