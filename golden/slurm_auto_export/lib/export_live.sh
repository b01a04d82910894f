# shellcheck shell=bash
# The job that exports results, and those that it waits for. Static, see common.sh.
: "${_bundle_dir:?}" "${_logs?}"
# shellcheck source-path=SCRIPTDIR source=resume.sh
[ -n "${_EXIT_USAGE-}" ] || . "$_bundle_dir/lib/resume.sh"

# evalc_list_live: the jobs of this bundle that run, or wait in the queue, but those that export, into _live: an array
# as one. Returns 1 when Slurm does not say. A job that is followed by another has it queued from its start on, so
# there is no moment in which a chain goes on and nothing of it is to be seen.
evalc_list_live() {
  local _said _one _state _runs
  _live=()
  _said=$(evalc_slurm squeue --me -h -o '%F|%T|%o') || return 1
  while IFS='|' read -r _one _state _runs; do
    case $_state:$_runs in
      COMPLETING:* | *:"$_bundle_dir"/sbatch_export.sh*) ;;
      *:"$_bundle_dir"/*) case " ${_live[*]-} " in *" $_one "*) ;; *) _live+=("$_one") ;; esac ;;
    esac
  done <<<"$_said"
}
_live=()

# evalc_sbatch_export ROUND: queue the job behind those of _live. Its id goes into _answer_id; returns 1 with
# what Slurm says in _answer.
evalc_sbatch_export() {
  local _options=()
  # More ids than that make a long line; it looks again when these have ended.
  [ ${#_live[@]} -eq 0 ] || _options=(--dependency "afterany$(printf ':%s' "${_live[@]:0:200}")")
  # The line tells where to look for it until it tells how it went.
  if _answer=$(evalc_sbatch ${_options[@]+"${_options[@]}"} sbatch_export.sh --round "$1" 2>&1) && evalc_read_id "$_answer"; then
    evalc_stage export "queued as job $_answer_id" || true
    return 0
  fi
  _answer=${_answer:-no answer}
  return 1
}
_answer=''
