#!/usr/bin/env bash
# lepton_existing: submits 1 task to DGX Cloud Lepton.
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

_label=lepton_existing
# Each with its name, which the invocation's id follows, and what it talks to.
_tasks=(
  'lm-evaluation-harness.ifeval ifeval-fa6b56cb running:llama-3-1-8b'
)

evalc_submit_main "$@"
