# shellcheck shell=bash
# Exporting results by itself, as run_all.sh and submit_all.sh see it: whether there is something to export, and how
# they get to it at their end. Sourced by those of bundles that export alone. Static, see common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=work.sh
[ -n "${_EXIT_USAGE-}" ] || . "$_bundle_dir/lib/work.sh"

# Where the cells of a matrix are jobs, what submit_all.sh sets (submit_cells.sh): _tasks has the names of cells then.
_cells=()

# evalc_is_export_due: whether a task has ended well since the last export that had no fault, or there was none.
evalc_is_export_due() {
  local _task _time _code='' _rest _last=$_bundle_dir/logs/stage.export
  if [ -r "$_last" ]; then read -r _time _code _rest <"$_last" || true; fi
  for _task in "${_tasks[@]}" ${_cells[@]+"${_cells[@]#* }"}; do
    _task=$_bundle_dir/${_task%:*}
    [ "$(evalc_exit_code "$_task")" = 0 ] || continue
    # Of one second, both may be.
    if [ "$_code" != 0 ] || [ ! "$_last" -nt "$_task/logs/stage.exit" ]; then return 0; fi
  done
  return 1
}

# evalc_do_more FUNCTION NAME: the library's FUNCTION is called NAME from here on, for another one to take its place
# and to call it.
evalc_do_more() { eval "$2() $(declare -f "$1" | tail -n +2)"; }
