#!/usr/bin/env bash
# livecodebench.codegeneration_release_v6: evaluates qwen3-30b-a3b with livecodebench
# Compiled by evalc 0.1.0 from slurm_sglang. Submit it from the folder it is in, with sbatch or
# submit_all.sh; README.md tells the rest.
#SBATCH --job-name=evalc.slurm_sglang.livecodebench.codegeneration_release_v6
#SBATCH --account=nlp
#SBATCH --partition=gpu
#SBATCH --qos=long
#SBATCH --nodes=1
#SBATCH --gpus-per-node=4
#SBATCH --time=06:00:00
#SBATCH --output=slurm-%j.log
#SBATCH --signal=B:USR1@300
#SBATCH --open-mode=append
#SBATCH --no-requeue
set -euo pipefail

# Slurm runs a copy of this script; the bundle is where it was submitted from.
for _home in "${_home-}" "${SLURM_SUBMIT_DIR-}" "${SLURM_SUBMIT_DIR-}"/livecodebench.codegeneration_release_v6; do
  [ ! -f "$_home"/sbatch_livecodebench.codegeneration_release_v6.sh ] || break
done
_bundle_dir=$(dirname -- "$_home")
[ -f "$_bundle_dir/lib/slurm.sh" ] || { echo 'submit this from the folder that it is in: sbatch sbatch_livecodebench.codegeneration_release_v6.sh' >&2 && exit 2; }
# shellcheck source-path=SCRIPTDIR source=../lib/slurm.sh
. "$_bundle_dir/lib/slurm.sh"

_label=livecodebench.codegeneration_release_v6
_script=sbatch_livecodebench.codegeneration_release_v6.sh
_tasks=(livecodebench.codegeneration_release_v6:1cdd8666bb19dcc9)

# resume: how many attempts at most; walltimes in seconds, of one and of all
_strategy=prequeued
_max_attempts=3
_max_failed=0
_max_out_of_memory=1
_max_idle=2
_walltime=21600
_max_walltime=64800
evalc_begin "$@"

# server: sglang, serving qwen3-30b-a3b
serve_model() {
  export \
    PORT=8000 \
    MODEL_ID=qwen3-30b-a3b
  evalc_mount \
    /lustre/nlp/checkpoints/qwen3-30b-a3b:/checkpoint:ro
  exec srun --job-name=serve.model --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$1" \
    --container-image=lmsysorg/sglang:v0.5.3 \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ALL_NODE_IPS,MASTER_IP,MODEL_ID,NODES_PER_INSTANCE,PORT \
    python3 \
    -m sglang.launch_server \
    --model-path /checkpoint \
    --host 0.0.0.0 \
    --port 8000 \
    --served-model-name qwen3-30b-a3b \
    --tp-size 4 \
    --dp-size 1 \
    --pp-size 1 \
    --context-length 32768 \
    --mem-fraction-static 0.85
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
    MODEL_ID=qwen3-30b-a3b \
    ENDPOINT_TYPE=chat
  evalc_mount "$_artifacts":/results "$_task_dir:$_task_dir:ro" "$_bundle_dir/lib:$_bundle_dir/lib:ro"
  exec srun --job-name=evaluate.livecodebench.codegeneration_release_v6 --overlap --export=ALL \
    --nodes=1 --ntasks=1 --nodelist="$_node" \
    --container-image='nvcr.io#nvidia/eval-factory/livecodebench:26.03' \
    ${_mounts:+--container-mounts="$_mounts"} --container-mount-home \
    --container-env=ENDPOINT_TYPE,MODEL_ID,MODEL_URL,RESULTS_DIR,RUN_CONFIG \
    bash "$_bundle_dir/lib/step.sh" "$_task_dir"
}
evalc_evaluate

# done
evalc_finish
