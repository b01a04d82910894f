#!/usr/bin/env bash
# nim_podman: evaluates 2 tasks.
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

_label=nim_podman
_engine=podman
_jobs=1
# Each task starts a server of its own, on one port.
_one_by_one=1
# These must be set in the environment.
_needs=(NGC_API_KEY)
_tasks=(
  lm-evaluation-harness.ifeval
  AIME_2025
)

evalc_all_main "$@"
