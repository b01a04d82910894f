#!/usr/bin/env bash
# lepton_shared: submits 3 tasks to DGX Cloud Lepton, with 1 endpoint.
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

_label=lepton_shared
# Each with its name, which the invocation's id follows, and what it talks to.
_tasks=(
  'lm-evaluation-harness.ifeval ifeval-80d9ba40 generic-61d8669f'
  'lm-evaluation-harness.gpqa gpqa-1f9a7f74 generic-61d8669f'
  'AIME_2025 aime-2025-39fef644 generic-61d8669f'
)
# Each with its folder, and how many seconds it may take until it is ready.
_endpoints=(
  'generic-61d8669f . 1200'
)

evalc_submit_main "$@"
