#!/usr/bin/env bash
# lepton_nim: submits 1 task to DGX Cloud Lepton, with 1 endpoint.
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

_label=lepton_nim
# Each with its name, which the invocation's id follows, and what it talks to.
_tasks=(
  'lm-evaluation-harness.ifeval ifeval-b9483765 llama-3-1-8b-ifeva-819f081d'
)
# Each with its folder, and how many seconds it may take until it is ready.
_endpoints=(
  'llama-3-1-8b-ifeva-819f081d lm-evaluation-harness.ifeval 1200'
)

evalc_submit_main "$@"
