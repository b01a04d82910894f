# shellcheck shell=bash
# The server 'model' (vllm), serving qwen3-4b.
# Compiled by evalc 0.1.0; sourced by the scripts that start it.
: "${_bundle_dir:?}"
evalc_server model --port 8000 --health /health --ready-within 600

serve_model() {
  exec docker run --name "$1" \
    --entrypoint '' \
    --network host --shm-size 100g \
    --gpus all \
    --volume /data/huggingface:/root/.cache/huggingface \
    --env PORT=8000 \
    --env MODEL_ID=qwen3-4b \
    --env HF_TOKEN \
    vllm/vllm-openai:latest \
    vllm serve Qwen/Qwen3-4B-Instruct-2507 \
    --tensor-parallel-size=1 \
    --pipeline-parallel-size=1 \
    --data-parallel-size=1 \
    --port 8000 \
    --trust-remote-code \
    --served-model-name qwen3-4b \
    --gpu-memory-utilization 0.95 \
    --max-model-len 16384
}
