# shellcheck shell=bash
# Stops tasks of a run for good, or the whole run. Sent to the host, with the run's folder, the engine, how
# many seconds each step may take before it is killed, 'all' or 'some', and the tasks.
#
# It prints what it did, and what it could not end: 'did TASK WORDS', 'left TASK WORDS', with tabs between;
# without a task it is of the run.
set -u
_engine=$2 _within=$3 _how=$4
cd -P -- "$1" 2>/dev/null || {
  # Its processes, if there are any, can't be told from others.
  printf 'left\t\t%s\n' 'its folder is gone: nobody knows what of it runs'
  exit 0
}
_bundle_dir=$PWD _home=$PWD
shift 4
[ -r "$_bundle_dir/lib/local.sh" ] || {
  printf 'left\t\t%s\n' 'its folder holds no bundle of the local backend'
  exit 0
}
# The library sets it anew.
set -- "$_engine" "$@"
# shellcheck source-path=SCRIPTDIR source=../lib/local.sh
. "$_bundle_dir/lib/local.sh"
_engine=$1
shift
_top=$_bundle_dir/logs

evalc_did() { printf 'did\t%s\t%s\n' "$1" "$2"; }
evalc_left() { printf 'left\t%s\t%s\n' "$1" "$2"; }

# evalc_script ID: the process of a task's run.sh, empty when there is none.
evalc_script() {
  local _found
  _found=$(evalc_recall "$_bundle_dir/$1/logs/lock")
  [ -n "$_found" ] || _found=$(evalc_recall "$_top/task.$1.pid")
  printf '%s' "$_found"
}

# evalc_await COMMAND...: until it fails, or patience ends, which is 1.
evalc_await() {
  local _until=$((SECONDS + _within))
  while "$@"; do
    [ "$SECONDS" -lt "$_until" ] || return 1
    sleep 0.1
  done
}

evalc_run_lives() { [ -n "$(evalc_recall "$_top/lock")$(evalc_recall "$_top/runner.pid")" ]; }
# shellcheck disable=SC2329 # evalc_await calls it
evalc_scripts_live() {
  local _id
  for _id in "$@"; do [ -z "$(evalc_script "$_id")" ] || return 0; done
  return 1
}

# evalc_stop_run: run_all.sh stops its tasks and servers in order, and says how it ended.
evalc_stop_run() {
  local _all _runner _one
  _all=$(evalc_recall "$_top/lock") _runner=$(evalc_recall "$_top/runner.pid")
  [ -n "$_all$_runner" ] || return 0
  # When it has not begun yet, who starts it is told.
  kill -TERM "${_all:-$_runner}" 2>/dev/null
  if evalc_await evalc_run_lives; then
    evalc_did '' "told run_all.sh (process ${_all:-$_runner}) to stop, which it did"
    return
  fi
  for _one in "$(evalc_recall "$_top/runner.pid")" "$(evalc_recall "$_top/lock")"; do
    [ -z "$_one" ] || kill -KILL "$_one" 2>/dev/null
  done
  evalc_did '' "killed run_all.sh (process ${_all:-$_runner}), which did not stop within $_within s"
}

# evalc_stop_scripts ID...: run.sh stops its evaluation and its servers, and says how it ended.
evalc_stop_scripts() {
  local _id _pid
  declare -A _told=()
  for _id in "$@"; do
    _pid=$(evalc_script "$_id")
    [ -n "$_pid" ] || continue
    kill -TERM "$_pid" 2>/dev/null && _told[$_id]=$_pid
  done
  [ ${#_told[@]} -gt 0 ] || return 0
  evalc_await evalc_scripts_live "${!_told[@]}"
  for _id in "${!_told[@]}"; do
    _pid=$(evalc_script "$_id")
    if [ -z "$_pid" ]; then
      evalc_did "$_id" "told its script (process ${_told[$_id]}) to stop, which it did"
    else
      kill -KILL "$_pid" 2>/dev/null
      evalc_did "$_id" "killed its script (process $_pid), which did not stop within $_within s"
    fi
  done
}

# evalc_sweep ID FOLDER: what has nobody any more who stops it: process groups, containers. Of the run
# itself when ID is empty.
evalc_sweep() {
  local _file _name _pid _box _boxes
  for _file in "$2"/logs/*.pid; do
    _name=${_file##*/} _name=${_name%.pid}
    case $_name in task.* | runner | '*') continue ;; esac
    _pid=$(evalc_recall "$_file")
    if [ -n "$_pid" ]; then
      kill -TERM -- "-$_pid" 2>/dev/null
      evalc_await evalc_group_lives "$_pid" || kill -KILL -- "-$_pid" 2>/dev/null
      evalc_did "$1" "stopped what was left of $_name (process $_pid)"
      _within=5 evalc_await evalc_group_lives "$_pid" || evalc_left "$1" "process $_pid of $_name does not end"
    fi
    rm -f -- "$_file"
  done
  [ "$_engine" != none ] && command -v "$_engine" >/dev/null || return 0
  _boxes=$(evalc_list_boxes "$2") || {
    evalc_left "$1" "$_engine does not tell whether a container is left: $_boxes"
    return
  }
  for _box in $_boxes; do
    evalc_box_runs "$_box" && "$_engine" kill --signal TERM "$_box" >/dev/null 2>&1
    evalc_await evalc_box_runs "$_box" || "$_engine" kill "$_box" >/dev/null 2>&1
    if "$_engine" rm -f "$_box" >/dev/null 2>&1; then
      evalc_did "$1" "removed the container $_box"
    else
      evalc_left "$1" "$_engine does not remove the container $_box"
    fi
  done
}

# evalc_list_boxes FOLDER: the containers of what was started there, running or not; their names end with
# a sum of the path, see evalc_name_container. Returns 1 with the engine's words when it does not answer.
evalc_list_boxes() {
  local _sum _rest _names _name
  read -r _sum _rest < <(printf '%s' "$1" | cksum)
  _names=$("$_engine" ps --all --format '{{.Names}}' 2>&1) || {
    printf '%s' "${_names//[$'\n\t']/ }"
    return 1
  }
  for _name in $_names; do
    case $_name in evalc-*-"$_sum") printf '%s\n' "$_name" ;; esac
  done
}

evalc_box_runs() { [ "$("$_engine" inspect -f '{{.State.Running}}' "$1" 2>/dev/null)" = true ]; }

# evalc_close ID FOLDER: what could not write down itself that it ended, or never began.
evalc_close() {
  _logs=$2/logs
  [ ! -e "$_logs/stage.exit" ] || return 0
  if [ -e "$_logs/stage.pre-start" ] || [ -e "$_logs/asked" ]; then
    evalc_stage exit '143 it was stopped'
  elif [ -n "$1" ]; then
    evalc_leave_out "$1"
  fi || evalc_left "$1" "can't write in $_logs"
}

evalc_leave_out() { mkdir -p -- "$_bundle_dir/$1/logs" && : >"$_bundle_dir/$1/logs/cancelled"; }

# evalc_waits ID: whether its turn in run_all.sh is still to come.
evalc_waits() {
  local _exit=$_bundle_dir/$1/logs/stage.exit
  [ -z "$(evalc_script "$1")" ] && evalc_run_lives && { [ ! -e "$_exit" ] || [ "$_top/runner.pid" -nt "$_exit" ]; }
}

# What is judged by is looked up before anything is touched.
_working=() _waiting=()
for _id in "$@"; do
  if [ "$_how" = some ] && evalc_waits "$_id"; then
    _waiting+=("$_id")
  else
    _working+=("$_id")
  fi
done
[ "$_how" = some ] || evalc_stop_run
for _id in ${_waiting[@]+"${_waiting[@]}"}; do
  if [ -n "$(evalc_recall "$_top/runner.pid")" ] && evalc_leave_out "$_id"; then
    evalc_did "$_id" 'it will be left out when its turn comes'
  else
    evalc_left "$_id" "it waits for its turn in a run_all.sh that can't be told to leave it out; stop the whole run"
  fi
done
evalc_stop_scripts ${_working[@]+"${_working[@]}"}
for _id in ${_working[@]+"${_working[@]}"}; do
  [ ! -d "$_bundle_dir/$_id/logs" ] || evalc_sweep "$_id" "$_bundle_dir/$_id"
  evalc_close "$_id" "$_bundle_dir/$_id"
done
if [ "$_how" = all ] && [ -d "$_top" ]; then
  evalc_sweep '' "$_bundle_dir"
  evalc_close '' "$_bundle_dir"
fi
exit 0
