#!/usr/bin/env bash
# own_harness: evaluates 1 task.
# Compiled by evalc 0.1.0.
#
#   bash run_all.sh                 evaluate all, 1 at a time; finished tasks are skipped
#   bash run_all.sh --only TASK     only this task (can be repeated)
#   bash run_all.sh --jobs N        N tasks at a time
#   bash run_all.sh --force         evaluate again
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/local.sh
. "$_bundle_dir/lib/local.sh"

_label=own_harness
_engine=docker
_jobs=1
_tasks=(
  spelling
)

evalc_all_main "$@"
