# shellcheck shell=bash
# Starts tasks of a run, in the background, out of reach of whoever asks for it. Sent to the host, with the
# run's folder, 'again' or 'once', the text of local_keep.sh, and the tasks; standard input brings the
# secrets, each as NAME=VALUE and a NUL. 'once' leaves out tasks that were started before, whatever became
# of them.
#
# Relative paths of the config count from the folder that this is first started in, whichever folder the run is
# resumed from: logs/from keeps it.
#
# It prints a line: 'started', 'there' (they all were started before), 'busy PID', or 'refused WORDS'.
set -u
_how=$2 _keeper=$3 _from=$PWD
cd -P -- "$1" 2>/dev/null || {
  echo 'refused its folder is gone'
  exit 0
}
_bundle_dir=$PWD
shift 3
[ -r "$_bundle_dir/lib/local.sh" ] || {
  echo 'refused its folder holds no bundle of the local backend'
  exit 0
}
# shellcheck source-path=SCRIPTDIR source=../lib/local.sh
. "$_bundle_dir/lib/local.sh"
_logs=$_bundle_dir/logs

_secrets=()
while IFS= read -r -d '' _entry; do _secrets+=("$_entry"); done

# evalc_was_started ID
evalc_was_started() {
  local _file
  for _file in "$_bundle_dir/$1"/logs/stage.* "$_bundle_dir/$1/logs/cancelled"; do
    [ ! -e "$_file" ] || return 0
  done
  grep -qsxF -e "$1" -- "$_logs/asked"
}

# evalc_holder: the process that is at work on the run; returns 1 when there is none.
evalc_holder() {
  local _found
  _found=$(evalc_recall "$_logs/lock")
  [ -n "$_found" ] || _found=$(evalc_recall "$_logs/runner.pid")
  printf '%s' "$_found"
  [ -n "$_found" ]
}

evalc_evaluates() {
  local _file
  for _file in "$_logs"/task.*.pid; do
    [ -z "$(evalc_recall "$_file")" ] || return 0
  done
  return 1
}

# evalc_keep ID...: start local_keep.sh; prints what it answers, nothing when it could not begin. The
# answer is complete when it has closed file 3, which it alone holds beside this shell.
evalc_keep() {
  local _apart=() _entry
  ! command -v setsid >/dev/null || _apart=(setsid)
  for _entry in ${_secrets[@]+"${_secrets[@]}"}; do
    # Not for bash to reject: its words would hold the value.
    export "${_entry?}" 2>/dev/null || return 0
  done
  # When it is gone, the scripts say which path they miss.
  cd -- "$_from" 2>/dev/null || true
  # What bash starts in the background without job control is deaf to SIGINT, and so all that it starts.
  set -m
  ${_apart[@]+"${_apart[@]}"} bash -c "$_keeper" evalc-run "$_bundle_dir" "$@" 3>&1 \
    </dev/null >>"$_logs/run_all.log" 2>&1 &
}

if ! { mkdir -p -- "$_logs" && : >>"$_logs/run_all.log"; } 2>/dev/null; then
  echo "refused can't write in $_logs"
  exit 0
fi
# Until the one that is started has said so: two that are asked to start the same start it once. Without
# flock it is the lock of run_all.sh that sees to that.
exec 9<"$_logs"
flock 9 2>/dev/null || true
for _id in "$@"; do
  [ "$_how" = once ] && evalc_was_started "$_id" || _wanted+=("$_id")
done
if [ ${#_wanted[@]} -eq 0 ]; then
  echo there
  exit 0
fi
# What has just ended needs a moment to tidy up.
_until=$((SECONDS + 5))
while _holder=$(evalc_holder) && ! evalc_evaluates && [ "$SECONDS" -lt "$_until" ]; do sleep 0.1; done
if [ -n "$_holder" ]; then
  echo "busy $_holder"
  exit 0
fi
if [ -s "$_logs/from" ]; then
  IFS= read -r -d '' _from <"$_logs/from" || true
elif ! printf '%s\0' "$_from" 2>/dev/null >"$_logs/from"; then
  echo "refused can't write in $_logs"
  exit 0
fi
for _id in "${_wanted[@]}"; do rm -f -- "$_bundle_dir/$_id/logs/cancelled"; done
_answer=$(evalc_keep "${_wanted[@]}")
echo "${_answer:-refused it could not be started: is the disk full?}"
