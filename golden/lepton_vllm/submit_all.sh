#!/usr/bin/env bash
# lepton_vllm: submits 2 tasks to DGX Cloud Lepton, with 2 endpoints.
# Compiled by evalc 0.1.0.
#
#   bash submit_all.sh              create what is not there yet; run it as often as you like
#   bash submit_all.sh --dry-run    print what it would do
#   bash submit_all.sh --again      submit also what has ended without being finished
#   bash submit_all.sh --stop       stop the jobs, remove the endpoints
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/lepton_submit.sh
. "$_bundle_dir/lib/lepton_submit.sh"

_label=lepton_vllm
# Each with its name, which the invocation's id follows, and what it talks to.
_tasks=(
  'lm-evaluation-harness.ifeval ifeval-0ce02de8 vllm-ifeval-1e34d3c0'
  'lm-evaluation-harness.gpqa gpqa-2104c83c vllm-gpqa-1697b947'
)
# Each with its folder, and how many seconds it may take until it is ready.
_endpoints=(
  'vllm-ifeval-1e34d3c0 lm-evaluation-harness.ifeval 1800'
  'vllm-gpqa-1697b947 lm-evaluation-harness.gpqa 1800'
)
# These are put into the JSON.
_marks=(USER)
# These must be set in the environment.
_needs=(USER)

evalc_submit_main "$@"
