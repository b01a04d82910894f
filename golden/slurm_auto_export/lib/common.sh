# shellcheck shell=bash
# What evalc's scripts share: messages, stage files, locks, processes. Static: no value of a config
# is in here. Variables start with '_' and functions with 'evalc_', so that neither can meet a
# variable of the user's. Bash 4.2 is enough.

# Exit codes of the scripts' own; every other one is the harness's.
readonly _EXIT_USAGE=2 _EXIT_UNAVAILABLE=69 _EXIT_IO=74 _EXIT_BUSY=75 _EXIT_CONFIG=78

# Who speaks, and where stage files and logs go; the script that runs sets both.
_label=evalc _logs=.
_locks=()

evalc_now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

# Nothing may fail because nobody listens any more, as when a terminal was closed.
evalc_say() { printf '[%s] %s\n' "$_label" "$*" >&2 || true; }

evalc_die() {
  local _code=$1
  shift
  evalc_say "$*"
  exit "$_code"
}

# evalc_started PID: when a process started, as text that tells it from a later one of the same
# number; empty when there is no such process.
evalc_started() {
  local _stat _fields
  if [ -r /proc/self/stat ]; then
    { read -r _stat <"/proc/$1/stat"; } 2>/dev/null || return 0
    # The name in parentheses may hold anything; the start time is field 22 of all (man 5 proc).
    read -r -a _fields <<<"${_stat##*) }"
    # A zombie has ended; in some containers nobody ever buries it.
    [ "${_fields[0]}" = Z ] || printf '%s' "${_fields[19]}"
  else
    ps -o lstart= -p "$1" 2>/dev/null || true
  fi
}

# evalc_group_lives PGID: whether a process of this group still runs.
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

# What bash itself has to say of a full disk is left out here and below: who calls these says it, or goes on
# without.

# evalc_remember FILE PID: note a process, so that a later run can tell whether it is still there.
evalc_remember() { printf '%s %s\n' "$2" "$(evalc_started "$2")" >"$1"; } 2>/dev/null

# evalc_recall FILE: the process id noted in FILE when that very process still lives, else empty.
evalc_recall() {
  local _pid _start
  [ -r "$1" ] && read -r _pid _start <"$1" || return 0
  case $_pid in '' | *[!0-9]*) return 0 ;; esac
  if [ -n "$_start" ] && [ "$(evalc_started "$_pid")" = "$_start" ]; then printf '%s' "$_pid"; fi
}

# evalc_lock FILE: take the lock; or say why not and return the exit code for that: somebody holds it, or it
# can't be written. A lock whose holder is gone, as after a kill -9, is taken over.
evalc_lock() {
  local _holder='' _full=''
  {
    # Only one looks and takes at a time. The system without flock, or whose network file system has
    # no use for it, has a moment in which two may.
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

# Stage files, in $_logs: stage.pre-start, stage.running, stage.exit (time, exit code, reason).
evalc_stage() {
  local _name=$1
  shift
  printf '%s\n' "$(evalc_now)${*:+ $*}" >"$_logs/.stage" && mv -f -- "$_logs/.stage" "$_logs/stage.$_name"
} 2>/dev/null

# stage.exit must tell the truth on a full disk too: its block is taken before anything runs, and
# written over in place at the end.
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

# evalc_renew_exit WORDS: stage.exit of what could not even begin, over the one that is there: in its block,
# since there may be no other. Rather none than one that is no longer true.
evalc_renew_exit() {
  [ ! -e "$_logs/stage.exit" ] || mv -f -- "$_logs/stage.exit" "$_logs/.stage.exit" 2>/dev/null || return 0
  evalc_stage_exit "$@" || true
  [ "$(evalc_exit_code "${_logs%/logs}")" = "${1%% *}" ] || rm -f -- "$_logs/stage.exit"
}

# evalc_exit_code DIR: the exit code in a task's stage.exit, empty when it never ended.
evalc_exit_code() {
  local _time _code _reason
  [ -r "$1/logs/stage.exit" ] && read -r _time _code _reason <"$1/logs/stage.exit" || return 0
  printf '%s' "$_code"
}

# evalc_list_unset NAME...: those that are not set in the environment, each after a space, into _unset.
evalc_list_unset() {
  local _name
  _unset=
  for _name in "$@"; do [ -n "${!_name+set}" ] || _unset+=" $_name"; done
}
_unset=

# evalc_need_env NAME...: each must be set in the environment; says all that are missing.
evalc_need_env() {
  evalc_list_unset "$@"
  [ -z "$_unset" ] ||
    evalc_die "$_EXIT_CONFIG" "not set in the environment:$_unset; export them and run this again"
}

# evalc_hide and evalc_unhide stand around what 'bash -x' must not show: it would print the values
# of secrets.
evalc_hide() {
  case $- in *x*) _traced=1 ;; *) _traced='' ;; esac
  set +x
} 2>/dev/null
evalc_unhide() { [ -z "$_traced" ] || set -x; }
_traced=

# evalc_disk_is_full DIR
evalc_disk_is_full() {
  local _line _fields
  _line=$(df -Pk -- "$1" 2>/dev/null | tail -n 1) || return 1
  read -r -a _fields <<<"$_line"
  [ "${_fields[3]:-1024}" -lt 64 ]
}

# evalc_fill TEMPLATE OUT NAME...: copy a file, each @@{NAME}@@ replaced by the variable's value as
# text inside JSON's (and so YAML's) double quotes.
evalc_fill() {
  # Bytes, whatever the user's locale: patterns are exact, and no character is half a match.
  local LC_ALL=C _template=$1 _out=$2 _rest _name _done=''
  shift 2
  _rest=$(cat -- "$_template" && printf x)
  _rest=${_rest%x}
  # From left to right, so that a value that looks like a mark stays a value.
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

# evalc_escape TEXT: the text as it stands between JSON's double quotes.
evalc_escape() {
  local LC_ALL=C _text=$1 _code _raw _escape
  _text=${_text//\\/\\\\}
  _text=${_text//\"/\\\"}
  _text=${_text//$'\n'/\\n}
  _text=${_text//$'\t'/\\t}
  # YAML takes no other control characters (those from 128 on are two bytes in UTF-8), no mark of a
  # byte order, and some line separators for line breaks.
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
