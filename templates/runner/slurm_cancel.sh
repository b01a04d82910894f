# shellcheck shell=bash
# Stops jobs of a bundle for good: what waits before what runs, since a job that is cancelled is followed by
# its successor. Sent to the host, after slurm_place.sh, with the seconds to wait for Slurm, the bundle's
# folder, the text of lib/states.sh, 'all' or 'some', and jobs as NAME:INDEX (of the element in an array). With
# 'all' the job that exports results is stopped, too; its name is sbatch_export.sh, which no task can have.
#
# A bundle whose folder is gone may have jobs in the queue all the same; Slurm still tells the paths of their
# scripts, and they are stopped by these. There is no journal then, and nobody who submits.
#
# It prints lines: 'was JOB ID STATE' for each link that was in the queue, 'left JOB ID STATE' for each that
# still is; for a job without any, 'end JOB EVENT REASON' when it had ended, 'gone JOB' when nobody knows how,
# and 'none JOB' when it was never submitted; 'lost JOB' for each when the folder is gone; 'fault WORDS'.
set -uP
export LC_ALL=C
_patience=$1 _states=$3 _lost=''
# shellcheck disable=SC2154 # slurm_place.sh has set it
evalc_find_place "$2" && [ -r "$_place/lib/resume.sh" ] || _lost=1
_bundle_dir=$_place _logs=$_place/logs _how=$4
shift 4
if [ -n "$_lost" ]; then
  eval "$_states"
else
  # shellcheck source-path=SCRIPTDIR source=../lib/resume.sh
  . "$_bundle_dir/lib/resume.sh"
fi

# evalc_find_job NAME:INDEX: where its journal is, and what its script is called.
evalc_find_job() {
  _name=${1%:*} _index=${1##*:} _folder=$_bundle_dir _script=sbatch_all.sh
  [ -f "$_bundle_dir/sbatch_all.sh" ] || _folder=$_bundle_dir/$_name _script=sbatch_$_name.sh
  _logs=$_folder/logs
  # Whether all tasks share a job only the folder tells; when they do, it is the only one.
  [ -z "$_lost" ] || _job_of["$_bundle_dir/sbatch_all.sh"]=$_name
}
_name='' _index='' _folder=''

# evalc_list_links: what of the jobs is in the queue, as 'JOB ID STATE' lines in _links, the newest first.
# Returns 1 when Slurm does not say.
evalc_list_links() {
  local _queue _id _its_state _runs
  _links=()
  _queue=$(evalc_slurm squeue --me -h -r -S -i -o '%i|%T|%o') || return 1
  while IFS='|' read -r _id _its_state _runs; do
    case ${_runs##* --after } in *[!0-9_]*) ;; *) _runs=${_runs% --after *} ;; esac
    case $_runs in "$_bundle_dir/$_exporting --round "*) _runs=$_bundle_dir/$_exporting ;; esac
    [ "$_runs" != "$_bundle_dir/sbatch_array.sh" ] || _runs=${_id##*_}
    _name=${_job_of["$_runs"]-}
    [ -z "$_name" ] || _links+=("$_name $_id $_its_state")
  done <<<"${_queue:-|}"
}
_links=()
_exporting=sbatch_export.sh
# The names of jobs, by the script that Slurm runs, or the number of the array's element.
declare -A _job_of=()

# evalc_choose waiting|running: the ids of _links that wait, or that do not, into _chosen.
evalc_choose() {
  local _link _id
  _chosen=()
  for _link in ${_links[@]+"${_links[@]}"}; do
    _id=${_link% *}
    _id=${_id##* }
    case $1:${_link##* } in
      *:COMPLETING) ;;
      waiting:*) if evalc_is_waiting "${_link##* }"; then _chosen+=("$_id"); fi ;;
      *) evalc_is_waiting "${_link##* }" || _chosen+=("$_id") ;;
    esac
  done
}
_chosen=()

# evalc_cancel_all: until nothing of them is left. A link may queue its successor at this very moment.
evalc_cancel_all() {
  local _until=$((SECONDS + _patience)) _which
  while [ ${#_links[@]} -gt 0 ]; do
    for _which in waiting running; do
      evalc_choose "$_which"
      [ ${#_chosen[@]} -eq 0 ] || evalc_slurm scancel "${_chosen[@]}" || true
    done
    evalc_list_links || return 1
    [ ${#_links[@]} -gt 0 ] && [ "$SECONDS" -lt "$_until" ] || return 0
    sleep 0.2
  done
}

# evalc_close JOB: a chain of which nothing can go on says in its journal that it was cancelled, where no link
# of it could, and has no secrets any more. One that was not in the queue tells how it ended.
evalc_close() {
  local _link
  evalc_find_job "$1"
  for _link in ${_links[@]+"${_links[@]}"}; do
    case $_link in "$_name "*' COMPLETING') ;; "$_name "*) return 0 ;; esac
  done
  evalc_forget_secrets
  _ids=()
  evalc_read_journal
  if [ -z "${_was[$_name]-}" ]; then
    _link=gone
    [ -n "${_ids[*]-}" ] || [ "$_attempts" -gt 0 ] || _link=none
    [ -z "$_stopped" ] || _link=end
    echo "$_link $_name${_stopped:+ $_stopped}"
  elif [ -z "$_stopped" ]; then
    # A link that is ending still will say so itself; twice does no harm.
    evalc_note stop "job=${_was[$_name]}" "reason=job ${_was[$_name]} was cancelled (evalc kill)" ||
      echo "fault can't write $_logs/journal: is the disk full?"
  fi
}

# evalc_close_export: who asks how the export went is told that it was cancelled.
evalc_close_export() {
  local _logs=$_bundle_dir/logs
  rm -f -- "$_bundle_dir/.secrets.$_exporting" "$_bundle_dir/.secrets.$_exporting".??????
  [ -n "$_lost" ] || evalc_stage export "130 job ${_was[$_exporting]} was cancelled (evalc kill)" || true
}

# By job, the link that was in the queue, the running one where there was one.
declare -A _was=()

# evalc_take_turn: what submits at this moment would be missed.
evalc_take_turn() {
  local _until=$((SECONDS + _patience)) _said
  mkdir -p -- "$_logs" 2>/dev/null
  until _said=$(evalc_lock "$_logs/submit.lock" 2>&1); do
    [ "$SECONDS" -lt "$_until" ] || {
      echo "fault ${_said#\[*\] }"
      exit 0
    }
    sleep 0.2
  done
  _locks=("$_bundle_dir/logs/submit.lock")
  trap evalc_unlock EXIT
}

[ -n "$_lost" ] || evalc_take_turn

for _job in "$@"; do
  evalc_find_job "$_job"
  _job_of["$_folder/$_script"]=$_name
  _job_of["$_index"]=$_name
done
[ "$_how" != all ] || _job_of["$_bundle_dir/$_exporting"]=$_exporting
evalc_list_links || {
  echo 'fault Slurm does not say what is queued (squeue)'
  exit 0
}
for _link in ${_links[@]+"${_links[@]}"}; do
  echo "was $_link"
  _id=${_link% *}
  _was[${_link%% *}]=${_id##* }
done
evalc_cancel_all || {
  echo 'fault Slurm does not say what is left in the queue (squeue)'
  exit 0
}
for _link in ${_links[@]+"${_links[@]}"}; do echo "left $_link"; done
[ -z "${_was[$_exporting]-}" ] || evalc_close_export
for _job in "$@"; do
  if [ -n "$_lost" ]; then echo "lost ${_job%:*}"; else evalc_close "$_job"; fi
done
