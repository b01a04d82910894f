# shellcheck shell=bash
# One job at a time works in a folder, whatever was submitted twice or run again: the file logs/attempt is
# its, and it touches it while it works. Static, see common.sh.
: "${_bundle_dir:?}" "${_logs?}" "${_job_id?}" "${_restart?}" "${_state?}"

# evalc_take_turn: make this job the one that works in this folder. Returns 1 when another does, with its
# id in _holder, and 2 when nothing can be written. The holder touches the file while it works. It goes
# back with evalc_give_turn_back, for which the script has its trap.
evalc_take_turn() {
  local _try _gone=0
  _seen='' _holder='' _doubt=''
  printf '%s %s %s\n' "$_job_id" "$_restart" "${SLURMD_NODENAME:-?}" 2>/dev/null >"$_mine" || return 2
  for ((_try = 0; _try < 2 * _SILENCE; _try++)); do
    # A hard link is made once, also on network file systems.
    if ln -T -- "$_mine" "$_logs/attempt" 2>/dev/null; then
      touch -c -- "$_logs/attempt"
      return 0
    fi
    if [ ! -e "$_logs/attempt" ]; then
      # It was given back this very moment; or there can be no links here.
      _gone=$((_gone + 1))
      [ "$_gone" -lt 10 ] || return 2
      continue
    fi
    _holder=
    read -r _holder _ 2>/dev/null <"$_logs/attempt" || true
    if [ "$_holder" != "$_job_id" ] && evalc_holder_lives; then
      [ -n "$_doubt" ] || return 1
      evalc_wait 1
    else
      evalc_take_over && return 0
      evalc_wait 0.5
    fi
  done
  # Still being cleaned, or a folder in which nothing can be moved.
  [ -z "$_doubt" ] || return 1
  return 2
}
# The file that becomes the holder's; whether only its signs of life speak for the holder.
_mine='' _holder='' _doubt=''

# evalc_holder_lives: whether the job _holder is still at work here. When Slurm does not know, its signs of
# life decide; so they do for a job that is COMPLETING, for hours when a node hangs.
evalc_holder_lives() {
  local _last
  _doubt=
  [ -n "$_holder" ] || return 1
  evalc_ask_state "$_holder"
  if [ -z "$_completing" ]; then
    if evalc_is_running "$_state"; then return 0; fi
    if evalc_is_end "$_state" || evalc_is_waiting "$_state" || [ "$_state" = SPECIAL_EXIT ]; then return 1; fi
  fi
  _last=$(stat -c %Y -- "$_logs/attempt" 2>/dev/null) || return 1
  # A new one, since the last question, leaves no doubt.
  if [ "$_holder $_last" != "$_seen" ] && [ "${_seen%% *}" = "$_holder" ]; then return 0; fi
  _doubt=1 _seen="$_holder $_last"
  evalc_is_recent "$_last" "$_SILENCE"
}

# evalc_is_recent TIME SECONDS: whether a file's time is no further away from now, as the file system's own
# clock tells it, which may be another than this node's. A time to come was set by a clock that was put
# back since.
evalc_is_recent() {
  local _age
  touch -c -- "$_mine"
  _age=$(($(stat -c %Y -- "$_mine") - $1))
  [ "${_age#-}" -lt "$2" ]
}
# A job that works gives a sign of life every _PULSE seconds; after _SILENCE it is taken for dead. What
# takes a moment, and is not done after _STALE, was left by a job that died.
readonly _PULSE=15 _SILENCE=120 _STALE=60

# evalc_take_over: take the place of a dead job. Only one may at a time.
evalc_take_over() {
  local _now='' _made _last _won=1
  mkdir -- "$_logs/.taking-over" 2>/dev/null || {
    _made=$(stat -c %Y -- "$_logs/.taking-over" 2>/dev/null) || return 1
    evalc_is_recent "$_made" "$_STALE" || rmdir -- "$_logs/.taking-over" 2>/dev/null || true
    return 1
  }
  # Another one may have been faster, between the question and this.
  read -r _now _ 2>/dev/null <"$_logs/attempt" || true
  if [ "$_now" = "$_holder" ] && _last=$(stat -c %Y -- "$_logs/attempt" 2>/dev/null); then
    touch -c -- "$_mine"
    if mv -fT -- "$_mine" "$_logs/attempt" 2>/dev/null; then _won=0 _last_pulse=$_last; fi
  fi
  rmdir -- "$_logs/.taking-over" 2>/dev/null || true
  return "$_won"
}
# When the job whose place this one took was last seen, in seconds since 1970; and by whom and when, in
# the question before, a sign of life was given.
_last_pulse='' _seen=''

# evalc_lost_turn: whether another one, into _holder, works in this one's place, as when its node was asleep.
evalc_lost_turn() {
  local _run
  read -r _holder _run _ 2>/dev/null <"$_logs/attempt" || return 1
  [ "$_holder.$_run" != "$_job_id.$_restart" ]
}

evalc_give_turn_back() {
  local _now='' _run=''
  read -r _now _run _ 2>/dev/null <"$_logs/attempt" || true
  if [ "$_now.$_run" = "$_job_id.$_restart" ]; then rm -f -- "$_logs/attempt"; fi
  [ -z "$_mine" ] || rm -f -- "$_mine"
}
