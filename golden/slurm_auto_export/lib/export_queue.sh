# shellcheck shell=bash
# What submit_all.sh does when all jobs are submitted, in bundles that export results: it queues sbatch_export.sh once,
# behind the jobs that there are. Which jobs follow those, nobody knows yet; the job itself looks when its turn has
# come (export_job.sh). Static, see common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=submit.sh
[ -n "${_EXIT_USAGE-}" ] || . "$_bundle_dir/lib/submit.sh"
# shellcheck source-path=SCRIPTDIR source=export_due.sh
. "$_bundle_dir/lib/export_due.sh"
# shellcheck source-path=SCRIPTDIR source=export_live.sh
. "$_bundle_dir/lib/export_live.sh"

evalc_do_more evalc_leave evalc_leave_jobs

# evalc_leave: also of a submission that was cut short nothing is exported before it is whole.
evalc_leave() {
  local _status=$?
  if [ "$_status" -le 1 ] && [ "$_answered" -eq "$_asked" ]; then evalc_queue_export; fi
  evalc_leave_jobs
}

# evalc_show_export: the job among those that --dry-run and --test-only tell.
evalc_show_export() {
  [ -n "$_dry$_test" ] || return 0
  _folder=$_bundle_dir _script=sbatch_export.sh _name='the export'
  evalc_show_job
}
trap evalc_show_export EXIT

# evalc_queue_export: what goes wrong with it is said, and no fault of the submission.
evalc_queue_export() {
  local _index=-1
  _folder=$_bundle_dir _home=$_bundle_dir _logs=$_bundle_dir/logs _script=sbatch_export.sh _name='the export'
  evalc_list_live || {
    evalc_say 'the export is not queued: Slurm does not say what runs; run this again for it'
    return 0
  }
  [ ${#_live[@]} -gt 0 ] || evalc_is_export_due || return 0
  evalc_keep_export_secrets || {
    evalc_say "the export is not queued: can't write in $_bundle_dir"
    return 0
  }
  evalc_find_queued
  if [ -n "$_found" ]; then
    evalc_say "$_name: job ${_found%% *} is ${_found#* }"
  elif evalc_sbatch_export 1; then
    evalc_say "$_name: submitted as job $_answer_id, for when all others have ended"
  else
    evalc_say "$_name: not submitted: $_answer; 'sbatch $_script' does it, or 'bash export.sh' here"
  fi
}

# evalc_keep_export_secrets: the values that exporting needs, into the job's own file. One that is missing is no
# reason to evaluate nothing.
evalc_keep_export_secrets() {
  evalc_read_secrets
  [ ${#_named[@]} -gt 0 ] || {
    evalc_forget_secrets
    return 0
  }
  evalc_keep_secrets "${_named[@]}" || return 1
  _unset='' _absent=''
  evalc_list_unset "${_named[@]}"
  evalc_list_absent
  [ -z "$_absent" ] || evalc_say "not set in the environment:$_absent; without it the export will fail"
}
