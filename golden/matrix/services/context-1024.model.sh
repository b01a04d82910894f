# shellcheck shell=bash
# The server 'context-1024.model' (generic), serving SmolLM2-135M-Instruct.
# Compiled by evalc 0.1.0; sourced by the scripts that start it.
: "${_bundle_dir:?}"
evalc_server context-1024.model --port 18424 --health /health --ready-within 60

serve_context-1024.model() {
  export \
    PORT=18424 \
    MODEL_ID=SmolLM2-135M-Instruct \
    FILES_DIR="$_bundle_dir"/services/context-1024.model/files
  exec bash "$_bundle_dir/lib/serve.sh" "$_bundle_dir"/services/context-1024.model
}
