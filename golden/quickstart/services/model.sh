# shellcheck shell=bash
# The server 'model' (generic), serving SmolLM2-135M-Instruct.
# Compiled by evalc 0.1.0; sourced by the scripts that start it.
: "${_bundle_dir:?}"
evalc_server model --port 18423 --health /health --ready-within 60

serve_model() {
  export \
    PORT=18423 \
    MODEL_ID=SmolLM2-135M-Instruct \
    FILES_DIR="$_bundle_dir"/services/model/files
  exec bash "$_bundle_dir/lib/serve.sh" "$_bundle_dir"/services/model
}
