# shellcheck shell=bash
# The server 'model' (nim), serving meta/llama-3.1-8b-instruct.
# Compiled by evalc 0.1.0; sourced by the scripts that start it.
: "${_bundle_dir:?}"
evalc_server model --port 8000 --health /v1/health/ready --ready-within 1800

serve_model() {
  exec podman run --name "$1" \
    --entrypoint '' \
    --network host --shm-size 100g \
    --device nvidia.com/gpu=all \
    --volume "${NIM_CACHE}":/cache \
    --env PORT=8000 \
    --env MODEL_ID=meta/llama-3.1-8b-instruct \
    --env NGC_API_KEY \
    --env NIM_CACHE_PATH=/cache \
    nvcr.io/nim/meta/llama-3.1-8b-instruct:1.8.6 \
    /opt/nvidia/nvidia_entrypoint.sh /opt/nim/start_server.sh
}
