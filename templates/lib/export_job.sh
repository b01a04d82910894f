# shellcheck shell=bash
# What sbatch_export.sh does: when no job of this bundle runs or waits any more, it starts export.sh. It is a job of
# its own: whatever becomes of it, the jobs that evaluated have ended as they have. Static, see common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=slurm.sh
. "$_bundle_dir/lib/slurm.sh"
# shellcheck source-path=SCRIPTDIR source=export_live.sh
. "$_bundle_dir/lib/export_live.sh"

# What the script sets: how often this job may be queued anew behind jobs that still go on.
_rounds=0
_round=1

# evalc_export_job [--round N]. Does not return.
evalc_export_job() {
  local _try
  if [ "${1-}" = --round ]; then
    evalc_number "${2-}"
    _round=$_number
  elif [ $# -gt 0 ]; then
    evalc_die "$_EXIT_USAGE" "unknown argument '$1': this script takes --round N"
  fi
  _home=$_bundle_dir _logs=$_bundle_dir/logs
  mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir"
  trap 'exit 143' INT TERM HUP
  evalc_load_secrets
  for ((_try = 0; _try < 6; _try++)); do
    evalc_list_live && break
    # The controller may be away for a moment.
    evalc_wait 20
  done
  [ ${#_live[@]} -eq 0 ] || evalc_wait_another_round
  trap evalc_forget_secrets EXIT
  cd -- "$_bundle_dir" || exit "$_EXIT_IO"
  evalc_hide
  [ ${#_secrets[@]} -eq 0 ] || export "${_secrets[@]?}"
  evalc_unhide
  _code=0
  bash "$_bundle_dir/export.sh" </dev/null || _code=$?
  exit "$_code"
}

# evalc_wait_another_round: other jobs have followed those that this one waited for; it is queued behind them, and
# keeps its secrets. Returns when it can't be: what is finished is exported then.
evalc_wait_another_round() {
  evalc_say "still to end: ${_live[*]}"
  if [ "$_round" -gt "$_rounds" ]; then
    evalc_say "that was looked for $_round times; what is finished is exported now, and 'bash submit_all.sh' exports the rest"
  elif evalc_sbatch_export "$((_round + 1))"; then
    evalc_say "job $_answer_id exports when they have"
    exit 0
  else
    evalc_say "can't queue another job behind them ($_answer): what is finished is exported now"
  fi
}
