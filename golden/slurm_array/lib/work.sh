# shellcheck shell=bash
# What all backends' scripts do alike: start, watch and stop processes, wait for servers, judge how an
# evaluation ended, run several at a time. Static, see common.sh. A backend's own library says how a
# process is stopped (evalc_stop NAME) and how a task is started (evalc_launch ID, in the background);
# it may have something to do while it waits (evalc_tick) and when a task has ended (evalc_ended).
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$_bundle_dir/lib/common.sh"

# What the scripts set after sourcing this: the engine; the task, its folder and the digest of its
# plan, or all tasks and how many run at a time; the environment variables that must be set; those
# that go into run_config.yml; the servers to start.
_engine=none _home=${_home-} _task='' _task_dir=${_task_dir-} _digest='' _jobs=1
_tasks=() _needs=() _fill=() _services=()

# How long something that was asked to stop may take, in seconds. Harnesses save their work in it.
readonly _GRACE=30

# What is running, by name; the process id of each, and the container where there is one. What was found
# running, and is no child of this script, is also in _adopted.
_running=()
declare -A _pid=() _container=() _adopted=()
# Where each server listens, how it says that it is ready, and how many seconds it has for that.
declare -A _port=() _health=() _patience=()

# evalc_server NAME --port PORT --health PATH --ready-within SECONDS
evalc_server() {
  _port[$1]=$3 _health[$1]=$5 _patience[$1]=$7
}

# evalc_track NAME PID: note what has just been started, under 'set -m': with job control it has a
# process group of its own, so that it can be stopped whole, and a Ctrl-C reaches only this script,
# which stops everything in order.
evalc_track() {
  set +m
  _pid[$1]=$2
  _running+=("$1")
  # Only a run after a kill -9 needs it: no reason to fail on a full disk.
  evalc_remember "$_logs/$1.pid" "$2" || true
}

# evalc_keep_last LOG: what the last attempt wrote stays, under another name.
evalc_keep_last() {
  if [ -e "$1" ]; then mv -f -- "$1" "$1.1"; fi
}

# A child that has ended is there until it is collected; what is no child may never be buried.
evalc_alive() {
  kill -0 "${_pid[$1]}" 2>/dev/null && { [ -z "${_adopted[$1]-}" ] || [ -n "$(evalc_started "${_pid[$1]}")" ]; }
}

# evalc_collect NAME: the exit code of something that has ended, into _ended; of what is no child, the one
# that a task has written down.
evalc_collect() {
  if [ -n "${_adopted[$1]-}" ]; then
    _ended=unknown
    [[ $1 != task.* ]] || _ended=$(evalc_exit_code "$_bundle_dir/${1#task.}")
    # A task that could not write it was killed.
    _ended=${_ended:-137}
    return
  fi
  _ended=0
  # Bash reports a child that a signal ended; the exit code says the same.
  { wait "${_pid[$1]}" || _ended=$?; } 2>/dev/null
}
_ended=0

# evalc_wait SECONDS: sleep, but let a signal's trap run at once. Bash reports meanwhile which child a signal
# ended; what that means is said by who collects it.
evalc_wait() {
  sleep "$1" &
  wait $! || true
} 2>/dev/null

# evalc_stop_all: the last started first, so that an evaluation ends before its server.
evalc_stop_all() {
  local _i
  for ((_i = ${#_running[@]} - 1; _i >= 0; _i--)); do evalc_stop "${_running[_i]}"; done
  _running=()
}

# evalc_leave CODE: however a script ends, a mistake in it included.
evalc_leave() {
  set +e
  evalc_stop_all
  [ -z "$_unwritten" ] || evalc_stage_exit "$1" 'the script stopped in the middle'
  evalc_unlock
}
# Whether a task has begun and its stage.exit is still to be written.
_unwritten=

# Signals: note which one came; the loops below see it, stop everything and exit with its code.
_signal=
evalc_catch_signals() {
  trap '_signal=INT' INT
  trap '_signal=TERM' TERM
  trap '_signal=HUP' HUP
  # A reader of what this says may go; the work goes on.
  trap : PIPE
}

# evalc_ignore_signals: from here on the script stops what it started, and writes down how it ended.
# It takes no longer than the grace; a second Ctrl-C must not leave it half done.
evalc_ignore_signals() { trap '' INT TERM HUP; }

evalc_signal_code() {
  case $1 in HUP) echo 129 ;; INT) echo 130 ;; *) echo 143 ;; esac
}

# evalc_await_ready NAME LOG URL: wait until a server that was started answers at URL. Returns 1 with
# the reason in $_reason when it died, was not ready in time, or a signal came.
evalc_await_ready() {
  local _name=$1 _log=$2 _url=$3 _begun=$SECONDS _said=$SECONDS
  _ended=0
  evalc_say "waiting for the server '$_name' at $_url"
  until evalc_is_ready "$_url"; do
    [ -z "$_signal" ] || return 1
    if ! evalc_alive "$_name"; then
      evalc_collect "$_name"
      _reason="the server '$_name' died before it was ready (exit code $_ended)"
      evalc_tail "$_log"
      return 1
    fi
    if [ $((SECONDS - _begun)) -gt "${_patience[$_name]}" ]; then
      _reason="the server '$_name' was not ready within ${_patience[$_name]} s"
      evalc_tail "$_log"
      return 1
    fi
    if [ $((SECONDS - _said)) -ge 30 ]; then
      evalc_say "still waiting for '$_name' ($((SECONDS - _begun)) s of ${_patience[$_name]} s)"
      _said=$SECONDS
    fi
    evalc_tick
    evalc_wait 0.2
  done
  evalc_say "the server '$_name' is ready after $((SECONDS - _begun)) s"
}

evalc_tick() { :; }

# evalc_is_ready URL: whether it answers with a status of 2xx. Not by 'curl --fail', which hangs up on
# the answer that it does not like; servers fill their logs with that.
evalc_is_ready() {
  local _status
  _status=$(curl --silent --globoff --noproxy '*' --max-time 5 --output /dev/null --write-out '%{http_code}' "$1") || true
  [[ $_status == 2?? ]]
}

# evalc_watch NAME...: the first of these servers that is no more, into _dead.
evalc_watch() {
  local _name
  for _name in "$@"; do
    if ! evalc_alive "$_name"; then
      _dead=$_name
      return
    fi
  done
}

evalc_tail() {
  [ -s "$1" ] || return 0
  evalc_say "last lines of $1:"
  tail -n 20 -- "$1" | sed 's/^/    /' >&2 || true
}

# evalc_last_line LOG: what an engine that could not start a container said last, without its advice.
evalc_last_line() { grep -v -e '^[[:space:]]*$' -e ' --help' -- "$1" | tail -n 1; }

# One task ------------------------------------------------------------------------------------

# Around an evaluation: _reason is why it failed, _dead a server that died, _watched the servers that
# must live, _run_config the file that the harness is given.
_code=0 _reason='' _dead='' _run_config='' _artifacts='' _begun=0
_watched=()

# evalc_finished FOLDER DIGEST: a task is finished when it ended with 0, for this config, and, unless
# its command is the user's own, left results.
evalc_finished() {
  [ "$(evalc_exit_code "$1")" = 0 ] && [ "$(cat -- "$1/logs/digest" 2>/dev/null)" = "$2" ] || return 1
  [ -f "$1/command.sh" ] || [ -s "$1/artifacts/results.yml" ]
}

# evalc_prepare FORCE: the task's folder before its evaluation. Ends the script when it can't be written.
evalc_prepare() {
  # First of all: what stage.exit says is of the run before.
  evalc_reserve_exit || evalc_die "$_EXIT_IO" "can't write in $_logs: is the disk full?"
  _unwritten=1
  evalc_set_aside "$1" || {
    _reason="can't move $_artifacts to artifacts.old"
    ! evalc_disk_is_full "$_logs" || _reason='the disk is full'
    evalc_conclude "$_EXIT_IO"
  }
  { printf '%s\n' "$_digest" >"$_logs/digest"; } 2>/dev/null || true
  evalc_stage pre-start || true
  if [ ${#_fill[@]} -gt 0 ]; then
    evalc_fill "$_run_config" "$_logs/run_config.yml" "${_fill[@]}" || {
      _reason="can't write $_logs/run_config.yml"
      evalc_disk_is_full "$_logs" && _reason='the disk is full'
      evalc_conclude "$_EXIT_IO"
    }
  fi
}

# evalc_set_aside FORCE: results that are to be repeated, or that another config made, are no work
# done; they move to artifacts.old. Those of a run that was interrupted stay, for the harness to go
# on from. Returns 1 when they can't be moved.
evalc_set_aside() {
  [ -n "$(ls -A -- "$_artifacts")" ] || return 0
  if [ -z "$1" ]; then
    [ -r "$_logs/digest" ] && [ "$(cat -- "$_logs/digest")" != "$_digest" ] || {
      rm -f -- "$_artifacts/.nemo_evaluator_interrupted"
      return 0
    }
    evalc_say 'the results here are of another config; they move to artifacts.old'
  fi
  { rm -rf -- "$_artifacts.old" && mv -- "$_artifacts" "$_artifacts.old" && mkdir -- "$_artifacts"; } 2>/dev/null
}

# evalc_end PID: from the start of the evaluation, whose process this is, to the script's end.
evalc_end() {
  evalc_track client "$1"
  while [ -z "$_signal" ] && [ -z "$_dead" ] && evalc_alive client; do
    evalc_wait 0.2
    # Also when the harness has just ended: it may have, because the server died.
    evalc_watch ${_watched[@]+"${_watched[@]}"}
  done
  evalc_ignore_signals
  [ -z "$_signal$_dead" ] || evalc_stop client
  evalc_collect client
  _code=$_ended
  evalc_judge
  evalc_conclude "$_code"
}

# evalc_conclude CODE: stop everything, write down how it ended, and exit with that.
evalc_conclude() {
  evalc_ignore_signals
  _code=$1
  if [ -n "$_signal" ]; then
    _code=$(evalc_signal_code "$_signal") _reason="interrupted by SIG$_signal"
  fi
  evalc_stop_all
  if [ "$_code" -eq 0 ]; then
    evalc_say "finished in $((SECONDS - _begun)) s; results in $_artifacts"
  else
    evalc_say "failed with exit code $_code: $_reason"
  fi
  evalc_stage_exit "$_code${_reason:+ $_reason}" || evalc_say "can't write $_logs/stage.exit"
  _unwritten=
  exit "$_code"
}

# What the harness's end means, into _code and _reason.
evalc_judge() {
  if [ -n "$_dead" ] && { [ "$_code" -ne 0 ] || ! evalc_has_results; }; then
    _code=$_EXIT_UNAVAILABLE _reason="the server '$_dead' died during the evaluation"
    # A server that the tasks share has its log, and who shows it, elsewhere.
    [ -z "${_services[*]-}" ] || evalc_tail "$_logs/server_${_dead}_stdout.log"
  elif [ "$_code" -eq 0 ] && [ -f "$_artifacts/.nemo_evaluator_interrupted" ]; then
    _code=143 _reason='the harness was interrupted, and saved what it had'
  elif [ "$_code" -eq 0 ] && ! evalc_has_results; then
    _code=$_EXIT_IO _reason='the harness ended with 0 but left no results.yml'
    if evalc_disk_is_full "$_artifacts"; then _reason='the disk is full'; fi
  elif [ "$_code" -ne 0 ]; then
    _reason=$(evalc_why "$_code")
    [ -n "$_signal" ] || evalc_tail "$_logs/client_stdout.log"
  fi
}

# An empty file is what a harness leaves that did not look whether the disk was full.
evalc_has_results() { [ -f "$_task_dir/command.sh" ] || [ -s "$_artifacts/results.yml" ]; }

# evalc_why CODE: what a harness's exit code tells, in words.
evalc_why() {
  local _box=${_container[client]-}
  if evalc_disk_is_full "$_artifacts"; then
    echo 'the disk is full'
  elif [ -n "$_box" ] && evalc_out_of_memory "$_box"; then
    echo 'the container ran out of memory (execution.memory_limit)'
  elif [ -n "$_box" ] && [ "$1" -eq 125 ]; then
    echo "$_engine can't start the container: $(evalc_last_line "$_logs/client_stdout.log")"
  elif [ "$1" -eq 127 ]; then
    echo 'a command was not found'
  elif [ "$1" -gt 128 ] && [ "$1" -lt 160 ]; then
    echo "the harness was killed by signal $(($1 - 128))"
  else
    echo 'the harness failed'
  fi
}

# Several tasks ----------------------------------------------------------------------------------

evalc_is_task() {
  local _one
  for _one in "${_tasks[@]}"; do [ "$_one" != "$1" ] || return 0; done
  return 1
}

# evalc_run_tasks: the tasks of _wanted, _jobs at a time, and those of _names, which run already, until all
# have ended, a signal comes or a server of _watched dies (_dead). Those that failed go into _failed.
evalc_run_tasks() {
  local _next=0 _id
  _failed=()
  while [ -z "$_signal" ] && [ -z "$_dead" ]; do
    while [ ${#_names[@]} -lt "$_jobs" ] && [ "$_next" -lt ${#_wanted[@]} ]; do
      _id=${_wanted[_next]}
      _next=$((_next + 1))
      evalc_launch "$_id"
      # Marked, since a task and a server may have one name.
      _pid["task.$_id"]=$!
      evalc_remember "$_logs/task.$_id.pid" "$!" || true
      _names+=("$_id")
    done
    evalc_reap
    evalc_tick
    evalc_watch ${_watched[@]+"${_watched[@]}"}
    [ ${#_names[@]} -gt 0 ] || [ "$_next" -lt ${#_wanted[@]} ] || break
    [ ${#_names[@]} -lt "$_jobs" ] && [ "$_next" -lt ${#_wanted[@]} ] || evalc_wait 0.2
  done
  evalc_ignore_signals
  # Tasks that still run stop themselves: at a signal, which they are sent, or since their server
  # is gone, which they see.
  for _id in ${_names[@]+"${_names[@]}"}; do
    [ -z "$_signal" ] || kill -TERM "${_pid["task.$_id"]}" 2>/dev/null || true
  done
  while [ ${#_names[@]} -gt 0 ]; do
    evalc_reap
    evalc_wait 0.1
  done
}
_only=() _wanted=() _failed=() _names=()

# Collect the tasks of _names that have ended, noting those that failed in _failed.
evalc_reap() {
  local _id _still=()
  for _id in ${_names[@]+"${_names[@]}"}; do
    if evalc_alive "task.$_id"; then
      _still+=("$_id")
    else
      evalc_collect "task.$_id"
      rm -f -- "$_logs/task.$_id.pid"
      [ "$_ended" -eq 0 ] || _failed+=("$_id")
      evalc_ended "$_id" "$_ended"
    fi
  done
  _names=(${_still[@]+"${_still[@]}"})
}

# evalc_ended ID CODE: what a backend has to do when a task has ended.
evalc_ended() { :; }
