# shellcheck shell=bash
# What a job does that is a container with nothing but its command, as on Lepton: one evaluation, in a
# folder of a mounted volume, within a time limit. The script that sources it wrote the task's files into
# that folder, and this library beside itself. Static, see common.sh.
: "${_bundle_dir:?}" "${_task_dir:?}"
# shellcheck source-path=SCRIPTDIR source=work.sh
. "$_bundle_dir/lib/work.sh"
# shellcheck source-path=SCRIPTDIR source=tell.sh
. "$_bundle_dir/lib/tell.sh"

# How long all attempts of one submission may take together, in seconds; empty: as long as they like.
_timeout=''
# The exit code of a job whose time is over.
readonly _EXIT_OVER=124

# evalc_container_main: evaluate, unless that is done already. Does not return.
evalc_container_main() {
  _label=$_task _home=$_task_dir _artifacts=$_task_dir/artifacts _logs=$_task_dir/logs
  _run_config=$_task_dir/run_config.yml _begun=$SECONDS
  evalc_refuse_marks MODEL_URL "${!EVALC_ENV_@}"
  mkdir -p -- "$_artifacts" "$_logs" ||
    evalc_die "$_EXIT_IO" "can't write in $_task_dir: is the volume mounted, and not full?"
  trap 'evalc_leave "$?"; evalc_tell_results "$_task" "$_task_dir" >&2 || true' EXIT
  if evalc_finished "$_task_dir" "$_digest"; then
    evalc_say "already finished; results in $_artifacts"
    exit 0
  fi
  evalc_catch_signals
  evalc_begin_time
  # What run_config.yml may refer to.
  export RESULTS_DIR=$_artifacts RUN_CONFIG=$_run_config
  [ ${#_fill[@]} -eq 0 ] || RUN_CONFIG=$_logs/run_config.yml
  [ ! -d "$_task_dir/files" ] || export FILES_DIR=$_task_dir/files
  evalc_prepare ''
  evalc_stage running || true
  evalc_say "evaluating; results in $_artifacts"
  evalc_run_client
}

# evalc_refuse_marks NAME...: nothing is evaluated with what was never filled in.
evalc_refuse_marks() {
  local _name
  for _name in "$@"; do
    case ${!_name-} in
      '@@{ENDPOINT_URL}@@'* | "@@{${_name#EVALC_ENV_}}@@")
        evalc_die "$_EXIT_CONFIG" "$_name is still a mark: submit this with submit_all.sh, which fills it in"
        ;;
    esac
  done
}

# evalc_begin_time: when the time of this submission is over, into _deadline. The platform may start a job
# several times; it has its time once.
evalc_begin_time() {
  local _of='' _until='' _now
  [ -n "$_timeout" ] || return 0
  printf -v _now '%(%s)T' -1
  [ ! -r "$_logs/deadline" ] || read -r _of _until <"$_logs/deadline" || true
  case $_until in '' | *[!0-9]*) _of='' ;; esac
  # Who submits by hand has no number, and means each time anew.
  if [ "$_of" != "${EVALC_SUBMISSION-}" ] || [[ $_of != [0-9]* ]]; then
    _until=$((_now + _timeout))
    printf '%s %s\n' "${EVALC_SUBMISSION:--}" "$_until" >"$_logs/deadline" || true
  fi
  _deadline=$((SECONDS + _until - _now))
  [ "$_deadline" -gt "$SECONDS" ] || evalc_die "$_EXIT_OVER" "$(evalc_over) before this attempt began"
}
_deadline=''

evalc_over() { echo "its time of $_timeout s (execution.evaluation_tasks.timeout) was over"; }

# evalc_run_client: the evaluation, from its start to the job's end. What it says goes to the volume and to
# the platform's log.
evalc_run_client() {
  local _pipe=$_bundle_dir/output _tee _try _over=''
  evalc_keep_last "$_logs/client_stdout.log"
  mkfifo -- "$_pipe"
  (trap '' INT TERM HUP && exec tee -- "$_logs/client_stdout.log") <"$_pipe" &
  _tee=$!
  set -m
  bash "$_bundle_dir/lib/step.sh" "$_task_dir" </dev/null >"$_pipe" 2>&1 &
  evalc_track client $!
  while [ -z "$_signal" ] && evalc_alive client; do
    if [ -n "$_deadline" ] && [ "$SECONDS" -ge "$_deadline" ]; then
      _over=1
      break
    fi
    evalc_wait 0.2
  done
  evalc_ignore_signals
  [ -z "$_signal$_over" ] || evalc_stop client
  evalc_collect client
  _code=$_ended
  # What the evaluation left running would hold the log open.
  kill -KILL -- "-${_pid[client]}" 2>/dev/null || true
  for ((_try = 0; _try < 50; _try++)); do
    kill -0 "$_tee" 2>/dev/null || break
    evalc_wait 0.1
  done
  kill -KILL "$_tee" 2>/dev/null || true
  evalc_judge
  if [ -n "$_over" ]; then
    _code=$_EXIT_OVER _reason=$(evalc_over)
  fi
  evalc_conclude "$_code"
}

# evalc_stop NAME: ask it to stop, insist a little before the platform would: how it ended is to be written
# down still.
evalc_stop() {
  local _until=$((SECONDS + _GRACE - 5))
  kill -TERM -- "-${_pid[$1]}" || true
  while [ "$SECONDS" -lt "$_until" ] && evalc_alive "$1"; do evalc_wait 0.1; done
  kill -KILL -- "-${_pid[$1]}" || true
  rm -f -- "$_logs/$1.pid"
} 2>/dev/null
