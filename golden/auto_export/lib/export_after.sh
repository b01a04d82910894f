# shellcheck shell=bash
# What run_all.sh does when all tasks have ended, in bundles that export results: it starts export.sh, and waits for
# it. Whatever becomes of that, the run's exit code stays what it was. Static, see common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=local.sh
[ -n "${_EXIT_USAGE-}" ] || . "$_bundle_dir/lib/local.sh"
# shellcheck source-path=SCRIPTDIR source=export_due.sh
. "$_bundle_dir/lib/export_due.sh"

evalc_do_more evalc_leave evalc_leave_tasks

# evalc_leave CODE: however the script ends; while it still holds its lock, and its servers are gone.
evalc_leave() {
  set +e
  evalc_stop_all
  case $1 in
    # Tasks that are finished are exported also where others failed, or their server did.
    0 | 1 | "$_EXIT_UNAVAILABLE") [ -n "$_signal" ] || ! evalc_is_export_due || evalc_export ;;
  esac
  evalc_leave_tasks "$1"
}

evalc_export() {
  evalc_catch_signals
  _container[exporting]=''
  set -m
  bash "$_bundle_dir/export.sh" </dev/null &
  evalc_track exporting "$!"
  while [ -z "$_signal" ] && evalc_alive exporting; do evalc_wait 0.2; done
  evalc_ignore_signals
  [ -z "$_signal" ] || evalc_stop exporting
  evalc_collect exporting
  _running=()
  rm -f -- "$_logs/exporting.pid"
}
