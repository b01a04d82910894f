#!/usr/bin/env bash
# matrix: evaluates 4 tasks, with a server for those of each cell.
# Compiled by evalc 0.1.0.
#
#   bash run_all.sh                 evaluate all, 4 at a time; finished tasks are skipped
#   bash run_all.sh --only TASK     only this task (can be repeated)
#   bash run_all.sh --jobs N        N tasks at a time
#   bash run_all.sh --force         evaluate again
set -euo pipefail
_bundle_dir=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source-path=SCRIPTDIR source=lib/cells.sh
. "$_bundle_dir/lib/cells.sh"
# shellcheck source-path=SCRIPTDIR source=services/context-256.model.sh
. "$_bundle_dir"/services/context-256.model.sh
# shellcheck source-path=SCRIPTDIR source=services/context-1024.model.sh
. "$_bundle_dir"/services/context-1024.model.sh

_label=matrix
_engine=none
_jobs=4
_services=(context-256.model context-1024.model)
_tasks=(
  context-256.arithmetic
  context-256.facts
  context-1024.arithmetic
  context-1024.facts
)
# Each cell of the matrix with its servers, and with the tasks that are evaluated with them.
_cell_servers=(
  'context-256 context-256.model'
  'context-1024 context-1024.model'
)
_cell_tasks=(
  'context-256 context-256.arithmetic'
  'context-256 context-256.facts'
  'context-1024 context-1024.arithmetic'
  'context-1024 context-1024.facts'
)

evalc_all_main "$@"
