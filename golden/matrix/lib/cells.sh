# shellcheck shell=bash
# What run_all.sh does for a matrix whose cells have servers of their own: one cell after the other, since their
# servers may want the same ports and GPUs. Static, see common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=local.sh
. "$_bundle_dir/lib/local.sh"

# What run_all.sh sets: pairs of a cell and one of its servers, and of a cell and one of its tasks.
_cell_servers=() _cell_tasks=()

# evalc_ignore_signals: in the place of work.sh's own. While there are cells to come, a signal is noted, or the next
# one would be begun all the same.
evalc_ignore_signals() { [ -z "$_signal$_over" ] || trap '' INT TERM HUP; }
_over=

# evalc_run_all: in the place of local.sh's own, which has one set of servers.
evalc_run_all() {
  local _pair _cell='' _cells=() _all=(${_wanted[@]+"${_wanted[@]}"}) _at_work=(${_names[@]+"${_names[@]}"}) _worst=0
  evalc_clear_tasks
  for _pair in "${_cell_tasks[@]}"; do
    [ "${_pair%% *}" = "$_cell" ] || _cells+=("${_pair%% *}")
    _cell=${_pair%% *}
  done
  for _cell in "${_cells[@]}"; do
    [ -z "$_signal" ] || break
    evalc_of_cell ${_all[@]+"${_all[@]}"} && _wanted=(${_chosen[@]+"${_chosen[@]}"})
    evalc_of_cell ${_at_work[@]+"${_at_work[@]}"} && _names=(${_chosen[@]+"${_chosen[@]}"})
    [ $((${#_wanted[@]} + ${#_names[@]})) -gt 0 ] || continue
    _services=()
    for _pair in "${_cell_servers[@]}"; do
      [ "${_pair%% *}" != "$_cell" ] || _services+=("${_pair#* }")
    done
    evalc_say "the cell $_cell"
    evalc_run_cell
  done
  _over=1
  evalc_ignore_signals
  if [ -n "$_signal" ]; then
    _worst=$(evalc_signal_code "$_signal")
    evalc_say "interrupted by SIG$_signal; run this again to go on"
  fi
  _reason=''
  evalc_summary
  exit "$_worst"
}

# evalc_of_cell TASK...: those of the tasks that are of _cell, into _chosen.
evalc_of_cell() {
  local _id _pair
  _chosen=()
  for _id in "$@"; do
    for _pair in "${_cell_tasks[@]}"; do [ "$_pair" != "$_cell $_id" ] || _chosen+=("$_id"); done
  done
}
_chosen=()

# evalc_run_cell: the tasks of _wanted and _names, with the servers of _services; what fails goes into _worst.
evalc_run_cell() {
  _dead='' _reason='' _running=() _watched=()
  evalc_adopt_servers
  if evalc_start_services ${_services[@]+"${_services[@]}"}; then
    evalc_run_served
    if [ -z "$_dead" ] && [ ${#_failed[@]} -gt 0 ] && [ "$_worst" -eq 0 ]; then
      _worst=1
    fi
  fi
  evalc_stop_all
  unset EVALC_SERVERS
  [ -z "$_signal" ] && [ -n "$_reason" ] || return 0
  # The other cells have servers of their own, and go on.
  _worst=$_EXIT_UNAVAILABLE
  evalc_say "$_reason"
  evalc_fail_rest "$_reason"
}
