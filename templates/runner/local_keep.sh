# shellcheck shell=bash
# Runs run_all.sh for tasks of a run, and writes down how it ended: logs/stage.exit. Started by
# local_start.sh, with the run's folder and the tasks; what all of it says goes to logs/run_all.log.
#
# Meanwhile logs/runner.pid is this process, and logs/asked lists the tasks. A task in whose logs a file
# 'cancelled' appears is stopped as soon as it begins: run_all.sh can't be told to leave it out.
set -u
_bundle_dir=$1
shift
# shellcheck source-path=SCRIPTDIR source=../lib/local.sh
. "$_bundle_dir/lib/local.sh"
_logs=$_bundle_dir/logs
# The terminal may close. What is ignored here is so in all that this starts.
trap '' HUP
# Who asked for this may have gone, and not hear the answer.
trap : PIPE
_all='' _stop=''
trap '_stop=1; [ -z "$_all" ] || kill -TERM "$_all" 2>/dev/null' TERM

# From the moment that 'asked' is there, they count as started.
evalc_remember "$_logs/runner.pid" "$$" && rm -f -- "$_logs/stage.exit" && evalc_stage running &&
  printf '%s\n' "$@" >"$_logs/.asked" && mv -f -- "$_logs/.asked" "$_logs/asked" || exit "$_EXIT_IO"
echo started 2>/dev/null >&3
exec 3>&- 9<&-

for _id in "$@"; do _only+=(--only "$_id"); done
_code=143 _reason='interrupted by SIGTERM'
if [ -z "$_stop" ]; then
  # With job control it is the leader of a group of its own.
  set -m
  bash "$_bundle_dir/run_all.sh" "${_only[@]}" &
  _all=$!
  set +m
  [ -z "$_stop" ] || kill -TERM "$_all" 2>/dev/null
  while kill -0 "$_all" 2>/dev/null; do
    for _mark in "$_bundle_dir"/*/logs/cancelled; do
      [ -e "$_mark" ] || continue
      _id=${_mark%/logs/cancelled}
      _left=$(evalc_recall "$_logs/task.${_id##*/}.pid")
      [ -z "$_left" ] || kill -TERM "$_left" 2>/dev/null
    done
    evalc_wait 0.5
  done
  _code=0 _reason=''
  wait "$_all" 2>/dev/null || _code=$?
  [ "$_code" -eq 0 ] || _reason=$(sed -n 's/^\[[^]]*\] //p' "$_logs/run_all.log" | tail -n 1)
fi
evalc_stage exit "$_code${_reason:+ $_reason}"
rm -f -- "$_logs/runner.pid"
