# shellcheck shell=bash
# What submit_all.sh does for a matrix whose cells are a job each, with all the tasks of the cell. Static, see
# common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=submit.sh
. "$_bundle_dir/lib/submit.sh"

# What submit_all.sh sets: pairs of a cell and one of its tasks, as CELL ID:DIGEST.
_cells=()
# Of each cell, its tasks. _tasks holds the cells' names instead, each with a colon behind it: what a job is called.
declare -A _tasks_in=()
_tasks=()

evalc_read_cells() {
  local _pair _cell
  for _pair in "${_cells[@]}"; do
    _cell=${_pair%% *}
    [ -n "${_tasks_in[$_cell]-}" ] || _tasks+=("$_cell:")
    _tasks_in[$_cell]+="${_pair#* } "
  done
}

# evalc_each_job FUNCTION: in the place of submit.sh's own, in which a job has one task.
evalc_each_job() {
  local _task _id _index=-1
  for _task in "${_tasks[@]}"; do
    _id=${_task%:} _index=$((_index + 1))
    case " ${_only[*]-} " in
      '  ' | *" $_id "*)
        read -r -a _tasks_of <<<"${_tasks_in[$_id]}"
        _folder=$_bundle_dir/$_id _script=sbatch_$_id.sh _name=$_id
        "$1"
        ;;
    esac
  done
}
