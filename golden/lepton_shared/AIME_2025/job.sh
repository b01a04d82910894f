#!/usr/bin/env bash
# AIME_2025: evaluates small with simple_evals
# Compiled by evalc 0.1.0 from lepton_shared. This is the command of the task's job: its JSON
# holds this text. It writes what the task needs, evalc's library last, and evaluates.
set -euo pipefail
_bundle_dir=$(mktemp -d)
# Who submits this without filling in the marks has a folder of its own.
_invocation=${EVALC_INVOCATION-}
case $_invocation in '' | '@@{'*) _invocation=by-hand ;; esac
_task_dir=/workspace/results/$_invocation/AIME_2025
mkdir -p -- "$_bundle_dir"/lib "$_task_dir"

cat >"$_task_dir"/run_config.yml <<'EOF'
config:
  output_dir: "@@{RESULTS_DIR}@@"
  type: AIME_2025
target:
  api_endpoint:
    url: "@@{EVALC_ENV_ENDPOINT_URL}@@/v1/chat/completions"
    model_id: small
    type: chat
EOF

# evalc's library, without its comments: the bundle's lib/ has them.
cat >"$_bundle_dir"/lib/common.sh <<'EOF'
readonly _EXIT_USAGE=2 _EXIT_UNAVAILABLE=69 _EXIT_IO=74 _EXIT_BUSY=75 _EXIT_CONFIG=78
_label=evalc _logs=.
_locks=()
evalc_now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
evalc_say() { printf '[%s] %s\n' "$_label" "$*" >&2 || true; }
evalc_die() {
  local _code=$1
  shift
  evalc_say "$*"
  exit "$_code"
}
evalc_started() {
  local _stat _fields
  if [ -r /proc/self/stat ]; then
    { read -r _stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    read -r -a _fields <<<"${_stat##*) }"
    [ "${_fields[0]}" = Z ] || printf '%s' "${_fields[19]}"
  else
    ps -o lstart= -p "$1" 2>/dev/null || true
  fi
}
evalc_group_lives() {
  local _file _stat _state _parent _group _rest
  [ -r /proc/self/stat ] || {
    kill -0 -- "-$1" 2>/dev/null
    return
  }
  for _file in /proc/[0-9]*/stat; do
    { read -r _stat <"$_file"; } 2>/dev/null || continue
    read -r _state _parent _group _rest <<<"${_stat##*) }"
    if [ "$_group" = "$1" ] && [ "$_state" != Z ]; then return 0; fi
  done
  return 1
}
evalc_remember() { printf '%s %s\n' "$2" "$(evalc_started "$2")" >"$1"; } 2>/dev/null
evalc_recall() {
  local _pid _start
  [ -r "$1" ] && read -r _pid _start <"$1" || return 0
  case $_pid in '' | *[!0-9]*) return 0 ;; esac
  if [ -n "$_start" ] && [ "$(evalc_started "$_pid")" = "$_start" ]; then printf '%s' "$_pid"; fi
}
evalc_lock() {
  local _holder='' _full=''
  {
    flock 9 2>/dev/null || true
    _holder=$(evalc_recall "$1")
    [ -n "$_holder" ] || evalc_remember "$1" "$$" || _full=1
  } 9<"${1%/*}"
  if [ -n "$_full" ]; then
    evalc_say "can't write $1: is the disk full, or the folder read-only?"
    return "$_EXIT_IO"
  fi
  if [ -n "$_holder" ]; then
    evalc_say "process $_holder is at work here already"
    return "$_EXIT_BUSY"
  fi
  _locks+=("$1")
}
evalc_unlock() {
  rm -f -- ${_locks[@]+"${_locks[@]}"}
  _locks=()
}
evalc_stage() {
  local _name=$1
  shift
  printf '%s\n' "$(evalc_now)${*:+ $*}" >"$_logs/.stage" && mv -f -- "$_logs/.stage" "$_logs/stage.$_name"
} 2>/dev/null
evalc_reserve_exit() {
  rm -f -- "$_logs"/stage.*
  printf '%1024s\n' '' >"$_logs/.stage.exit"
} 2>/dev/null
evalc_stage_exit() {
  local _line
  _line="$(evalc_now) $*"
  printf '%s\n' "$_line" 1<>"$_logs/.stage.exit"
  head -n 1 -- "$_logs/.stage.exit" >"$_logs/.stage" &&
    [ "$(cat -- "$_logs/.stage")" = "$_line" ] &&
    mv -f -- "$_logs/.stage" "$_logs/.stage.exit"
  mv -f -- "$_logs/.stage.exit" "$_logs/stage.exit"
} 2>/dev/null
evalc_renew_exit() {
  [ ! -e "$_logs/stage.exit" ] || mv -f -- "$_logs/stage.exit" "$_logs/.stage.exit" 2>/dev/null || return 0
  evalc_stage_exit "$@" || true
  [ "$(evalc_exit_code "${_logs%/logs}")" = "${1%% *}" ] || rm -f -- "$_logs/stage.exit"
}
evalc_exit_code() {
  local _time _code _reason
  [ -r "$1/logs/stage.exit" ] && read -r _time _code _reason <"$1/logs/stage.exit" || return 0
  printf '%s' "$_code"
}
evalc_list_unset() {
  local _name
  _unset=
  for _name in "$@"; do [ -n "${!_name+set}" ] || _unset+=" $_name"; done
}
_unset=
evalc_need_env() {
  evalc_list_unset "$@"
  [ -z "$_unset" ] ||
    evalc_die "$_EXIT_CONFIG" "not set in the environment:$_unset; export them and run this again"
}
evalc_hide() {
  case $- in *x*) _traced=1 ;; *) _traced='' ;; esac
  set +x
} 2>/dev/null
evalc_unhide() { [ -z "$_traced" ] || set -x; }
_traced=
evalc_disk_is_full() {
  local _line _fields
  _line=$(df -Pk -- "$1" 2>/dev/null | tail -n 1) || return 1
  read -r -a _fields <<<"$_line"
  [ "${_fields[3]:-1024}" -lt 64 ]
}
evalc_fill() {
  local LC_ALL=C _template=$1 _out=$2 _rest _name _done=''
  shift 2
  _rest=$(cat -- "$_template" && printf x)
  _rest=${_rest%x}
  while [[ $_rest == *'@@{'*'}@@'* ]]; do
    _done+=${_rest%%'@@{'*}
    _rest=${_rest#*'@@{'}
    _name=${_rest%%'}@@'*}
    case " $* /$_name" in
      */*[!A-Za-z0-9_]*) _done+='@@{' ;;
      *" $_name "*)
        _rest=${_rest#*'}@@'}
        _done+=$(evalc_escape "${!_name}")
        ;;
      *) _done+='@@{' ;;
    esac
  done
  { printf '%s' "$_done$_rest" >"$_out"; } 2>/dev/null
}
evalc_escape() {
  local LC_ALL=C _text=$1 _code _raw _escape
  _text=${_text//\\/\\\\}
  _text=${_text//\"/\\\"}
  _text=${_text//$'\n'/\\n}
  _text=${_text//$'\t'/\\t}
  if [[ $_text == *[!\ -~]* ]]; then
    for _code in {1..31} {127..159}; do
      printf -v _escape '\\u%04x' "$_code"
      printf -v _raw '\\0%o' "$_code"
      [ "$_code" -lt 128 ] || _raw="\\0302$_raw"
      printf -v _raw %b "$_raw"
      _text=${_text//"$_raw"/"$_escape"}
    done
    _text=${_text//$'\xe2\x80\xa8'/\\u2028}
    _text=${_text//$'\xe2\x80\xa9'/\\u2029}
    _text=${_text//$'\xef\xbb\xbf'/\\ufeff}
    _text=${_text//$'\xef\xbf\xbe'/\\ufffe}
    _text=${_text//$'\xef\xbf\xbf'/\\uffff}
  fi
  printf '%s' "$_text"
}
EOF
cat >"$_bundle_dir"/lib/work.sh <<'EOF'
: "${_bundle_dir:?}"
. "$_bundle_dir/lib/common.sh"
_engine=none _home=${_home-} _task='' _task_dir=${_task_dir-} _digest='' _jobs=1
_tasks=() _needs=() _fill=() _services=()
readonly _GRACE=30
_running=()
declare -A _pid=() _container=() _adopted=()
declare -A _port=() _health=() _patience=()
evalc_server() {
  _port[$1]=$3 _health[$1]=$5 _patience[$1]=$7
}
evalc_track() {
  set +m
  _pid[$1]=$2
  _running+=("$1")
  evalc_remember "$_logs/$1.pid" "$2" || true
}
evalc_keep_last() {
  if [ -e "$1" ]; then mv -f -- "$1" "$1.1"; fi
}
evalc_alive() {
  kill -0 "${_pid[$1]}" 2>/dev/null && { [ -z "${_adopted[$1]-}" ] || [ -n "$(evalc_started "${_pid[$1]}")" ]; }
}
evalc_collect() {
  if [ -n "${_adopted[$1]-}" ]; then
    _ended=unknown
    [[ $1 != task.* ]] || _ended=$(evalc_exit_code "$_bundle_dir/${1#task.}")
    _ended=${_ended:-137}
    return
  fi
  _ended=0
  { wait "${_pid[$1]}" || _ended=$?; } 2>/dev/null
}
_ended=0
evalc_wait() {
  sleep "$1" &
  wait $! || true
} 2>/dev/null
evalc_stop_all() {
  local _i
  for ((_i = ${#_running[@]} - 1; _i >= 0; _i--)); do evalc_stop "${_running[_i]}"; done
  _running=()
}
evalc_leave() {
  set +e
  evalc_stop_all
  [ -z "$_unwritten" ] || evalc_stage_exit "$1" 'the script stopped in the middle'
  evalc_unlock
}
_unwritten=
_signal=
evalc_catch_signals() {
  trap '_signal=INT' INT
  trap '_signal=TERM' TERM
  trap '_signal=HUP' HUP
  trap : PIPE
}
evalc_ignore_signals() { trap '' INT TERM HUP; }
evalc_signal_code() {
  case $1 in HUP) echo 129 ;; INT) echo 130 ;; *) echo 143 ;; esac
}
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
evalc_is_ready() {
  local _status
  _status=$(curl --silent --globoff --noproxy '*' --max-time 5 --output /dev/null --write-out '%{http_code}' "$1") || true
  [[ $_status == 2?? ]]
}
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
evalc_last_line() { grep -v -e '^[[:space:]]*$' -e ' --help' -- "$1" | tail -n 1; }
_code=0 _reason='' _dead='' _run_config='' _artifacts='' _begun=0
_watched=()
evalc_finished() {
  [ "$(evalc_exit_code "$1")" = 0 ] && [ "$(cat -- "$1/logs/digest" 2>/dev/null)" = "$2" ] || return 1
  [ -f "$1/command.sh" ] || [ -s "$1/artifacts/results.yml" ]
}
evalc_prepare() {
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
evalc_end() {
  evalc_track client "$1"
  while [ -z "$_signal" ] && [ -z "$_dead" ] && evalc_alive client; do
    evalc_wait 0.2
    evalc_watch ${_watched[@]+"${_watched[@]}"}
  done
  evalc_ignore_signals
  [ -z "$_signal$_dead" ] || evalc_stop client
  evalc_collect client
  _code=$_ended
  evalc_judge
  evalc_conclude "$_code"
}
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
evalc_judge() {
  if [ -n "$_dead" ] && { [ "$_code" -ne 0 ] || ! evalc_has_results; }; then
    _code=$_EXIT_UNAVAILABLE _reason="the server '$_dead' died during the evaluation"
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
evalc_has_results() { [ -f "$_task_dir/command.sh" ] || [ -s "$_artifacts/results.yml" ]; }
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
evalc_is_task() {
  local _one
  for _one in "${_tasks[@]}"; do [ "$_one" != "$1" ] || return 0; done
  return 1
}
evalc_run_tasks() {
  local _next=0 _id
  _failed=()
  while [ -z "$_signal" ] && [ -z "$_dead" ]; do
    while [ ${#_names[@]} -lt "$_jobs" ] && [ "$_next" -lt ${#_wanted[@]} ]; do
      _id=${_wanted[_next]}
      _next=$((_next + 1))
      evalc_launch "$_id"
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
  for _id in ${_names[@]+"${_names[@]}"}; do
    [ -z "$_signal" ] || kill -TERM "${_pid["task.$_id"]}" 2>/dev/null || true
  done
  while [ ${#_names[@]} -gt 0 ]; do
    evalc_reap
    evalc_wait 0.1
  done
}
_only=() _wanted=() _failed=() _names=()
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
evalc_ended() { :; }
EOF
cat >"$_bundle_dir"/lib/inside.sh <<'EOF'
_folder=$1 _code=0 _child='' _tell=0 _told=''
evalc_told() {
  [ -n "$_child" ] || exit 143
  trap '' TERM INT
  _told=1
  case $_folder in /evalc/*) kill -TERM "$_tell" 2>/dev/null ;; esac
}
trap evalc_told TERM INT
evalc_pre_cmd() {
  [ -f "$_folder/pre_cmd.sh" ] || return 0
  . "$_folder/pre_cmd.sh"
  _code=$?
  set +eu
  [ "$_code" -eq 0 ] && return
  echo "pre_cmd ended with exit code $_code" >&2
  exit "$_code"
}
evalc_command() {
  _tell=0
  bash -c 'trap "exit 143" TERM; . "$0"' "$_folder/${1:-command.sh}" &
  evalc_await "$!"
}
evalc_await() {
  _child=$1 _code=0
  wait "$_child" || _code=$?
  while kill -0 "$_child" 2>/dev/null; do
    _code=0
    wait "$_child" || _code=$?
  done
}
EOF
cat >"$_bundle_dir"/lib/step.sh <<'EOF'
. "$(dirname -- "${BASH_SOURCE[0]}")/inside.sh"
evalc_finish() {
  trap - EXIT
  trap '' TERM INT
  set +eu
  if [ -f "$_folder/post_cmd.sh" ]; then
    (. "$_folder/post_cmd.sh")
  fi
  if [ "$_folder" = /evalc/task ] && [ "$(id -u)" = 0 ]; then
    chown -R "$(stat -c %u:%g /results)" /results 2>/dev/null
  fi
  if [ "$_folder" = /evalc/task ] && grep -qs '^oom_kill [1-9]' \
    /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; then
    echo 'the container ran out of memory' >&2
  fi
  exit "$1"
}
trap 'evalc_finish "$?"' EXIT
evalc_pre_cmd
if [ -f "$_folder/command.sh" ]; then
  evalc_command
else
  _harness=nemo-evaluator
  command -v "$_harness" >/dev/null || _harness=eval-factory
  command -v "$_harness" >/dev/null || {
    echo "neither nemo-evaluator nor eval-factory is in PATH" >&2
    exit 127
  }
  "$_harness" run_eval --run_config "$RUN_CONFIG" &
  _tell=$!
  evalc_await "$_tell"
fi
evalc_finish "$_code"
EOF
cat >"$_bundle_dir"/lib/tell.sh <<'EOF'
: "${_bundle_dir:?}"
readonly _tell_at_most=65536 _tell_line=960
evalc_tell_results() {
  local _task_dir=$2 _body=$_bundle_dir/told _left=$_tell_at_most _of _tool _file _mark _count=0 _line _sum
  [ -s "$_task_dir/logs/stage.exit" ] && read -r _of <"$_task_dir/logs/digest" || return 0
  for _tool in base64 gzip sha256sum; do
    command -v "$_tool" >/dev/null || return 0
  done
  printf 'task %s %s\n' "$1" "$_of" >"$_body" || return 0
  evalc_tell_file logs/stage.exit
  if [ "$(evalc_exit_code "$_task_dir")" = 0 ]; then
    evalc_tell_file artifacts/results.yml
    if [ -f "$_task_dir/command.sh" ]; then
      for _file in "$_task_dir"/artifacts/[A-Za-z0-9_]*.json; do evalc_tell_file "artifacts/${_file##*/}"; done
    fi
  fi
  _sum=$(sha256sum <"$_body") || return 0
  printf -v _mark '%(%s)T.%d' -1 "$RANDOM"
  printf "::evalc %s 0 results, for 'evalc fetch' where nobody can read the volume ::\n" "$_mark"
  while read -r _line; do
    _count=$((_count + 1))
    printf '::evalc %s %d %s ::\n' "$_mark" "$_count" "$_line"
  done <"$_body"
  printf '::evalc %s end %d %s ::\n' "$_mark" "$_count" "${_sum%% *}"
}
evalc_tell_file() {
  local _part=$_bundle_dir/part _size
  [ -f "$_task_dir/$1" ] && [ ! -L "$_task_dir/$1" ] || return 0
  [[ ${1##*/} != *[!A-Za-z0-9._-]* ]] || return 0
  gzip -cn -- "$_task_dir/$1" | base64 -w "$_tell_line" >"$_part" || return 0
  _size=$(wc -c <"$_part")
  if [ "$_size" -gt "$_left" ]; then
    printf 'over %s\n' "$1" >>"$_body"
    return 0
  fi
  _left=$((_left - _size))
  { printf 'file %s\n' "$1" && cat -- "$_part"; } >>"$_body"
}
EOF
cat >"$_bundle_dir"/lib/container.sh <<'EOF'
: "${_bundle_dir:?}" "${_task_dir:?}"
. "$_bundle_dir/lib/work.sh"
. "$_bundle_dir/lib/tell.sh"
_timeout=''
readonly _EXIT_OVER=124
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
  export RESULTS_DIR=$_artifacts RUN_CONFIG=$_run_config
  [ ${#_fill[@]} -eq 0 ] || RUN_CONFIG=$_logs/run_config.yml
  [ ! -d "$_task_dir/files" ] || export FILES_DIR=$_task_dir/files
  evalc_prepare ''
  evalc_stage running || true
  evalc_say "evaluating; results in $_artifacts"
  evalc_run_client
}
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
evalc_begin_time() {
  local _of='' _until='' _now
  [ -n "$_timeout" ] || return 0
  printf -v _now '%(%s)T' -1
  [ ! -r "$_logs/deadline" ] || read -r _of _until <"$_logs/deadline" || true
  case $_until in '' | *[!0-9]*) _of='' ;; esac
  if [ "$_of" != "${EVALC_SUBMISSION-}" ] || [[ $_of != [0-9]* ]]; then
    _until=$((_now + _timeout))
    printf '%s %s\n' "${EVALC_SUBMISSION:--}" "$_until" >"$_logs/deadline" || true
  fi
  _deadline=$((SECONDS + _until - _now))
  [ "$_deadline" -gt "$SECONDS" ] || evalc_die "$_EXIT_OVER" "$(evalc_over) before this attempt began"
}
_deadline=''
evalc_over() { echo "its time of $_timeout s (execution.evaluation_tasks.timeout) was over"; }
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
evalc_stop() {
  local _until=$((SECONDS + _GRACE - 5))
  kill -TERM -- "-${_pid[$1]}" || true
  while [ "$SECONDS" -lt "$_until" ] && evalc_alive "$1"; do evalc_wait 0.1; done
  kill -KILL -- "-${_pid[$1]}" || true
  rm -f -- "$_logs/$1.pid"
} 2>/dev/null
EOF
# shellcheck source-path=SCRIPTDIR source=../lib/container.sh
. "$_bundle_dir/lib/container.sh"

_task=AIME_2025
_digest=39fef6446457d57a
# In seconds, of all attempts of a submission together.
_timeout=3600
# These are put into run_config.yml when it runs.
_fill=(EVALC_ENV_ENDPOINT_URL RESULTS_DIR)
evalc_container_main
