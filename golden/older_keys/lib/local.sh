# shellcheck shell=bash
# The local backend's library: runs one task, or all of them, with the servers that they need. The
# scripts that source it say what to run; this is how. Static, see common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=work.sh
. "$_bundle_dir/lib/work.sh"

# What the scripts set after sourcing this, beside what work.sh has: whether run_all.sh can only run one
# task at a time.
_one_by_one=''
# --force, for each task.
_again=()
# Relative paths of the config, each after its key.
_paths=()

# evalc_clear NAME LOG: clear away what a run that was killed by -9 left of NAME, and keep the last
# log under another name.
evalc_clear() {
  local _left _try
  _container[$1]=
  if [ "$_engine" = none ]; then
    _left=$(evalc_recall "$_logs/$1.pid")
    if [ -n "$_left" ]; then
      evalc_say "stopping what an earlier run left behind (process $_left)"
      kill -KILL -- "-$_left" 2>/dev/null || true
      for ((_try = 0; _try < 100; _try++)); do
        evalc_group_lives "$_left" || break
        evalc_wait 0.1
      done
    fi
  else
    evalc_name_container "$1"
    "$_engine" rm -f "${_container[$1]}" >/dev/null 2>&1 || true
  fi
  evalc_keep_last "$2"
}

# evalc_name_container NAME: the same at each run in this folder, another in every other folder.
evalc_name_container() {
  local LC_ALL=C _sum _rest
  read -r _sum _rest < <(printf '%s' "$_home" | cksum)
  # A config's name may hold what a container's may not.
  _container[$1]=evalc-${_label//[!A-Za-z0-9_.-]/_}-$1-$_sum
}

# evalc_stop NAME: ask it to stop, insist after the grace, leave nothing. Its exit code stays
# readable through wait. Bash would report the one that was killed.
evalc_stop() {
  local _name=$1 _until=$((SECONDS + _GRACE)) _box=${_container[$1]} _try
  for ((_try = 0; SECONDS < _until; _try++)); do
    evalc_alive "$_name" || break
    if [ -n "$_box" ] && [ $((_try % 10)) -eq 0 ]; then
      # Again and again: a container that has only just been started is deaf, and 'stop' tells it but
      # once. While the image is pulled there is none yet, but a client that can be told; what it
      # makes in that moment is told the next time.
      "$_engine" kill --signal TERM "$_box" >/dev/null || kill -TERM -- "-${_pid[$_name]}" || true
    elif [ "$_try" -eq 0 ]; then
      kill -TERM -- "-${_pid[$_name]}" || true
    fi
    evalc_wait 0.1
  done
  # The leader may have ended before its children.
  kill -KILL -- "-${_pid[$_name]}" || true
  [ -z "$_box" ] || [ "$_name" != client ] || [ "$_code" -ne 0 ] || evalc_note_image "$_box" || true
  if [ -n "$_box" ]; then
    # podman's 'rm -f' asks first, and waits ten seconds.
    "$_engine" kill "$_box" >/dev/null || true
    "$_engine" rm -f "$_box" >/dev/null || true
  fi
  rm -f -- "$_logs/$_name.pid"
} 2>/dev/null

# evalc_note_image CONTAINER: by which digest a registry has the image that it ran, into logs/image_digest: a tag
# means another one tomorrow. One that was made here and is in no registry has none, with docker.
evalc_note_image() {
  local _id _one _said='' _name
  rm -f -- "$_logs/image_digest"
  _id=$("$_engine" inspect -f '{{.Image}}' "$1") && _name=$("$_engine" inspect -f '{{.Config.Image}}' "$1") || return 0
  _name=${_name%%@*}
  _name=${_name##*/}
  # The same image may have been pulled from several.
  while IFS= read -r _one; do
    case $_one in *"/${_name%%:*}@sha256:"* | "${_name%%:*}@sha256:"*) _said=$_one ;; *@sha256:*) _said=${_said:-$_one} ;; esac
  done < <("$_engine" image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' "$_id")
  [ -z "$_said" ] || printf '%s\n' "$_said" >"$_logs/image_digest"
} 2>/dev/null

# evalc_note_gpus ROOT: how many GPUs the machine has, into logs/gpus, as NVIDIA's driver lists them: a server that takes
# all of them took so many. None, where nothing looks like a GPU of whatever make; else nobody knows. ROOT is empty
# but in tests.
evalc_note_gpus() {
  local _cards=("$1"/proc/driver/nvidia/gpus/*) _one
  rm -f -- "$_logs/gpus"
  if [ -e "${_cards[0]}" ]; then
    printf '%s\n' "${#_cards[@]}" >"$_logs/gpus"
    return
  fi
  [ -r "$1/proc/self/stat" ] || return 0
  for _one in "$1"/proc/driver/nvidia "$1"/dev/nvidia* "$1"/dev/dxg "$1"/dev/dri/render* "$1"/sys/class/kfd; do
    [ ! -e "$_one" ] || return 0
  done
  echo 0 >"$_logs/gpus"
} 2>/dev/null

evalc_need_tools() {
  if [ "$_engine" != none ]; then
    command -v "$_engine" >/dev/null ||
      evalc_die "$_EXIT_UNAVAILABLE" "$_engine is not installed, or not in PATH"
  fi
  [ $# -eq 0 ] || command -v curl >/dev/null ||
    evalc_die "$_EXIT_UNAVAILABLE" "curl is not installed; it asks the model server whether it is ready"
}

# evalc_need_paths: docker would make an empty folder of a path that is not there, and whoever is evaluated
# would find nothing in it.
evalc_need_paths() {
  local _i
  for ((_i = 0; _i < ${#_paths[@]}; _i += 2)); do
    [ -e "$PWD/${_paths[_i + 1]}" ] ||
      evalc_die "$_EXIT_CONFIG" "there is no '${_paths[_i + 1]}' (${_paths[_i]}) in $PWD: run this from the folder that has it, or give an absolute path"
  done
}

# evalc_start_services NAME...: start each and wait until all are ready. On failure returns
# non-zero with the reason in $_reason.
evalc_start_services() {
  local _name _log
  [ $# -eq 0 ] || evalc_note_gpus '' || true
  for _name in "$@"; do
    [ -z "${_adopted[$_name]-}" ] || continue
    _log=$_logs/server_${_name}_stdout.log
    evalc_clear "$_name" "$_log"
    if (exec 3<>"/dev/tcp/127.0.0.1/${_port[$_name]}") 2>/dev/null; then
      _reason="port ${_port[$_name]}, which the server '$_name' wants, is in use"
      return 1
    fi
    set -m
    "serve_$_name" "${_container[$_name]}" </dev/null >"$_log" 2>&1 &
    evalc_track "$_name" $!
  done
  for _name in "$@"; do
    # It was ready before the tasks began that were found at work with it.
    [ -z "${_adopted[$_name]-}" ] || continue
    _log=$_logs/server_${_name}_stdout.log
    evalc_await_ready "$_name" "$_log" "http://127.0.0.1:${_port[$_name]}${_health[$_name]}" || {
      [ -z "${_container[$_name]}" ] || [ "$_ended" -ne 125 ] ||
        _reason="the server '$_name' can't start: $_engine says: $(evalc_last_line "$_log")"
      return 1
    }
  done
}

# One task ------------------------------------------------------------------------------------

# evalc_begin ARGUMENT...: up to the evaluation: skip a finished task, check what is needed, start
# the servers. Ends the script when there is nothing to do, or no way to do it.
evalc_begin() {
  local _force='' _arg _server
  for _arg in "$@"; do
    case $_arg in
      --force) _force=1 ;;
      -h | --help)
        printf 'usage: bash run.sh [--force]\n\nEvaluates %s. A finished task is skipped; --force repeats it, and its old results move to\nartifacts.old. Exit code: the harness'\''s own; 2 usage, 69 a server or tool is missing, 74 disk,\n75 already running, 78 a variable or path is missing, 130 or 143 interrupted.\n' "$_task"
        exit 0
        ;;
      *) evalc_die "$_EXIT_USAGE" "unknown argument '$_arg'; try --help" ;;
    esac
  done
  _label=$_task _home=$_task_dir _artifacts=$_task_dir/artifacts _logs=$_task_dir/logs
  _run_config=$_task_dir/run_config.yml _begun=$SECONDS
  mkdir -p -- "$_artifacts" "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_task_dir"
  evalc_lock "$_logs/lock" || {
    _code=$?
    # Only what need not be repeated is as it was.
    if [ "$_code" -eq "$_EXIT_IO" ] && { [ -n "$_force" ] || ! evalc_finished "$_task_dir" "$_digest"; }; then
      _reason="can't write $_logs/lock"
      ! evalc_disk_is_full "$_logs" || _reason='the disk is full'
      evalc_renew_exit "$_code $_reason" || true
    fi
    exit "$_code"
  }
  trap 'evalc_leave "$?"' EXIT
  if [ -z "$_force" ] && evalc_finished "$_task_dir" "$_digest"; then
    evalc_say "already finished; --force repeats it"
    exit 0
  fi
  evalc_need_env ${_needs[@]+"${_needs[@]}"}
  evalc_need_paths
  _watched=(${_services[@]+"${_services[@]}"})
  # With run_all.sh the servers run already: EVALC_SERVERS holds their names and process ids.
  if [ -n "${EVALC_SERVERS-}" ]; then
    _services=()
    for _server in $EVALC_SERVERS; do _pid[${_server%:*}]=${_server#*:}; done
    # They are not those of a bundle that the command itself may run.
    unset EVALC_SERVERS
  fi
  evalc_need_tools ${_services[@]+"${_services[@]}"}
  case $_engine:$_task_dir in
    none:*) ;;
    *:*:*) evalc_die "$_EXIT_IO" "$_engine can't mount a folder with ':' in its path: $_task_dir" ;;
  esac
  evalc_catch_signals
  evalc_prepare "$_force"
  evalc_start_services ${_services[@]+"${_services[@]}"} || evalc_conclude "$_EXIT_UNAVAILABLE"
  evalc_stage running || true
  evalc_say "evaluating; output in $_logs/client_stdout.log"
  evalc_clear client "$_logs/client_stdout.log"
  set -m
}

# evalc_out_of_memory CONTAINER: whether the engine says so, or step.sh did.
evalc_out_of_memory() {
  [ "$("$_engine" inspect -f '{{.State.OOMKilled}}' "$1" 2>/dev/null)" = true ] ||
    [ "$(tail -n 1 -- "$_logs/client_stdout.log")" = 'the container ran out of memory' ]
}

# All tasks -----------------------------------------------------------------------------------

# evalc_all_main ARGUMENT...: what run_all.sh does. It defined _tasks, _jobs, _needs and, when the
# tasks share servers, _services.
evalc_all_main() {
  local _id _named=()
  while [ $# -gt 0 ]; do
    case $1 in
      --force) _again=(--force) ;;
      --jobs | --only)
        [ $# -gt 1 ] || evalc_die "$_EXIT_USAGE" "$1 needs a value; try --help"
        if [ "$1" = --jobs ]; then _jobs=$2; else _named+=("$2"); fi
        shift
        ;;
      --jobs=*) _jobs=${1#*=} ;;
      --only=*) _named+=("${1#*=}") ;;
      -h | --help)
        printf 'usage: bash %s [--force] [--jobs N] [--only TASK]...\n\nEvaluates all tasks, %s at a time. Finished tasks are skipped; --force repeats them.\nExit code: 0 all are finished, 1 a task failed, 2 usage, 69 a server or tool is missing, 74 disk,\n75 already running, 78 a variable or path is missing, 130 or 143 interrupted.\n\nTasks:\n' "${0##*/}" "$_jobs"
        printf '  %s\n' "${_tasks[@]}"
        exit 0
        ;;
      *) evalc_die "$_EXIT_USAGE" "unknown argument '$1'; try --help" ;;
    esac
    shift
  done
  case $_jobs in
    # More digits than bash can reckon with would stand for any number, a negative one too.
    '' | *[!0-9]* | 0* | ?????*) evalc_die "$_EXIT_USAGE" "--jobs takes a number from 1 to 9999, not '$_jobs'" ;;
  esac
  [ -z "$_one_by_one" ] || [ "$_jobs" -eq 1 ] ||
    evalc_die "$_EXIT_USAGE" 'each task starts a server of its own, on one port: there is only --jobs 1'
  for _id in ${_named[@]+"${_named[@]}"}; do
    evalc_is_task "$_id" || evalc_die "$_EXIT_USAGE" "there is no task '$_id'; --help lists them"
    # Named twice, it is still one task.
    case " ${_only[*]-} " in *" $_id "*) ;; *) _only+=("$_id") ;; esac
  done
  [ ${#_only[@]} -gt 0 ] || _only=("${_tasks[@]}")
  _home=$_bundle_dir _logs=$_bundle_dir/logs
  mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir"
  evalc_lock "$_logs/lock" || exit "$?"
  trap 'evalc_leave "$?"' EXIT
  evalc_adopt_tasks
  for _id in "${_only[@]}"; do
    [ -z "${_adopted["task.$_id"]-}" ] || continue
    evalc_read_digest "$_id"
    if [ ${#_again[@]} -eq 0 ] && evalc_finished "$_bundle_dir/$_id" "$_digest"; then
      evalc_say "$_id is already finished"
      _result[$_id]=0
    else
      _wanted+=("$_id")
    fi
  done
  if [ ${#_wanted[@]} -eq 0 ] && [ ${#_names[@]} -eq 0 ]; then
    evalc_say 'nothing to do; --force repeats finished tasks'
    exit 0
  fi
  evalc_need_env ${_needs[@]+"${_needs[@]}"}
  evalc_need_paths
  evalc_need_tools ${_services[@]+"${_services[@]}"}
  evalc_catch_signals
  evalc_run_all
}

# How each task has ended in this run, or is finished since an earlier one: its exit code.
declare -A _result=()
evalc_ended() { _result[$1]=$2; }

# evalc_read_digest ID: of the task's plan, as it is now, into _digest.
evalc_read_digest() {
  local _rest
  read -r _digest _rest < <(grep -s '^_digest=' -- "$_bundle_dir/$1/run.sh") || true
  _digest=${_digest#_digest=}
}

# evalc_adopt_tasks: tasks that a run_all.sh which was killed by -9 has left at work, into _names, whoever
# asked for them: they go on to their end, with the servers that they use. See evalc_clear_tasks for those
# that would be repeated all the same.
evalc_adopt_tasks() {
  local _id _left
  [ ${#_again[@]} -eq 0 ] || return 0
  for _id in "${_tasks[@]}"; do
    _left=$(evalc_recall "$_logs/task.$_id.pid")
    evalc_read_digest "$_id"
    [ -n "$_left" ] && [ "$(cat -- "$_bundle_dir/$_id/logs/digest" 2>/dev/null)" = "$_digest" ] || continue
    evalc_say "$_id runs already (process $_left), and goes on"
    _pid["task.$_id"]=$_left _adopted["task.$_id"]=1
    _names+=("$_id")
    case " ${_only[*]} " in *" $_id "*) ;; *) _only+=("$_id") ;; esac
  done
}

# evalc_adopt_servers: those that tasks which were found at work are using.
evalc_adopt_servers() {
  local _name _left
  [ ${#_names[@]} -gt 0 ] || return 0
  for _name in ${_services[@]+"${_services[@]}"}; do
    _left=$(evalc_recall "$_logs/$_name.pid")
    [ -n "$_left" ] || continue
    evalc_say "the server '$_name' runs already (process $_left)"
    [ "$_engine" = none ] || evalc_name_container "$_name"
    _pid[$_name]=$_left _adopted[$_name]=1 _container[$_name]=${_container[$_name]-}
    _running+=("$_name")
  done
}

# evalc_clear_tasks: stop the tasks of a run_all.sh that was killed by -9 which are to be repeated, or were
# of another config.
evalc_clear_tasks() {
  local _id _left _until=$((SECONDS + _GRACE + 5))
  for _id in "${_tasks[@]}"; do
    [ -z "${_adopted["task.$_id"]-}" ] || continue
    _left=$(evalc_recall "$_logs/task.$_id.pid")
    [ -n "$_left" ] || continue
    evalc_say "stopping $_id, which an earlier run left behind (process $_left)"
    kill -TERM "$_left" 2>/dev/null || true
    while [ -n "$(evalc_recall "$_logs/task.$_id.pid")" ] && [ "$SECONDS" -lt "$_until" ] && [ -z "$_signal" ]; do
      evalc_wait 0.1
    done
  done
}

evalc_run_all() {
  evalc_clear_tasks
  evalc_adopt_servers
  if ! evalc_start_services ${_services[@]+"${_services[@]}"}; then
    _code=$_EXIT_UNAVAILABLE
  else
    evalc_run_served
    if [ -n "$_dead" ]; then
      _code=$_EXIT_UNAVAILABLE
    elif [ ${#_failed[@]} -gt 0 ]; then
      _code=1
    fi
  fi
  evalc_ignore_signals
  evalc_stop_all
  if [ -n "$_signal" ]; then
    _code=$(evalc_signal_code "$_signal") _reason="interrupted by SIG$_signal; run this again to go on"
  elif [ -n "$_reason" ]; then
    evalc_fail_rest "$_reason"
  fi
  [ -z "$_reason" ] || evalc_say "$_reason"
  evalc_summary
  exit "$_code"
}

# evalc_run_served: the tasks of _wanted and _names, with the servers of _services, which run; that one of these
# died goes into _reason.
evalc_run_served() {
  local _id
  # The tasks don't start these again, and watch that they live.
  export EVALC_SERVERS=
  for _id in ${_services[@]+"${_services[@]}"}; do EVALC_SERVERS+="$_id:${_pid[$_id]} "; done
  _watched=(${_services[@]+"${_services[@]}"})
  evalc_run_tasks
  if [ -n "$_dead" ]; then
    evalc_collect "$_dead"
    _reason="the server '$_dead' died (exit code $_ended)"
    evalc_tail "$_logs/server_${_dead}_stdout.log"
  fi
}

evalc_launch() {
  bash "$_bundle_dir/$1/run.sh" ${_again[@]+"${_again[@]}"} </dev/null &
}

# evalc_fail_rest REASON: tasks that were to run and have not begun, since the servers that they share failed:
# each has failed with them, as it would have with servers of its own, and its stage.exit says so.
evalc_fail_rest() {
  local _id
  for _id in ${_wanted[@]+"${_wanted[@]}"}; do
    [ -z "${_result[$_id]-}" ] || continue
    # What can't be locked ends the shell that tries.
    (evalc_fail "$_id" "$1") || continue
    _result[$_id]=$_EXIT_UNAVAILABLE
  done
}

# evalc_fail ID REASON: the task's stage.exit says so. Returns 1 when it can't.
evalc_fail() {
  local _label=$1 _logs=$_bundle_dir/$1/logs _artifacts=$_bundle_dir/$1/artifacts _locks=() _status=0
  mkdir -p -- "$_logs" "$_artifacts" && evalc_lock "$_logs/lock" || return
  evalc_reserve_exit && { [ ${#_again[@]} -eq 0 ] || evalc_set_aside 1; } &&
    evalc_stage_exit "$_EXIT_UNAVAILABLE $2" || _status=1
  evalc_unlock
  return "$_status"
}

# evalc_summary: one line for each task of _only, of this run. An older run may have left a stage.exit.
evalc_summary() {
  local _id _time _code _reason _word _width=4
  for _id in "${_only[@]}"; do [ ${#_id} -le "$_width" ] || _width=${#_id}; done
  for _id in "${_only[@]}"; do
    _code='' _reason='' _word='not run'
    [ -z "${_adopted["task.$_id"]-}" ] || _word='still runs'
    if [ -r "$_bundle_dir/$_id/logs/stage.exit" ]; then
      read -r _time _code _reason <"$_bundle_dir/$_id/logs/stage.exit" || true
    fi
    case ${_result[$_id]-}:$_code in
      0:*) printf '  %-*s  finished\n' "$_width" "$_id" ;;
      :*) printf '  %-*s  %s\n' "$_width" "$_id" "$_word" ;;
      *:) printf '  %-*s  did not end\n' "$_width" "$_id" ;;
      "$_code:$_code") printf '  %-*s  failed (%s) %s\n' "$_width" "$_id" "$_code" "$_reason" ;;
      *) printf '  %-*s  failed (%s) before it began\n' "$_width" "$_id" "${_result[$_id]}" ;;
    esac
  done >&2 || true
}
