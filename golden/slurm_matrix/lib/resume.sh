# shellcheck shell=bash
# Auto-resume: a run on Slurm is a chain of jobs, its links. Each asks here whether it should work,
# has its successor queued before it begins, and says how it ended. Static, see common.sh; nothing of
# this logic stands in the compiled scripts.
#
# What is known of the chain is in its journal (journal.sh). Slurm is asked too (states.sh), and may not
# answer: then the chain goes on, within its bounds. Of two links that run, one works (turn.sh).
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=work.sh
. "$_bundle_dir/lib/work.sh"
# shellcheck source-path=SCRIPTDIR source=journal.sh
. "$_bundle_dir/lib/journal.sh"
# shellcheck source-path=SCRIPTDIR source=states.sh
. "$_bundle_dir/lib/states.sh"
# shellcheck source-path=SCRIPTDIR source=turn.sh
. "$_bundle_dir/lib/turn.sh"

# What the script sets: its own path in the run's folder, the strategy (self, prequeued, none), and the
# chain's bounds: links in all, links that failed or ran out of memory, links in a row without progress,
# seconds of one link and of all (empty: no bound).
_script='' _strategy=self _max_attempts=1 _max_failed=0 _max_out_of_memory=0 _max_idle=2
_walltime='' _max_walltime=''
# Names of variables that sbatch must not see: it keeps the environment with the job.
_scrub=()
# The id of the link before this one: what '--after' says.
_after=''

# A link that finds that the chain has stopped, or must stop.
readonly _EXIT_STOPPED=76
# A link that was told that its walltime is about to end.
readonly _EXIT_TOLD=124

# Deciding ------------------------------------------------------------------------------------

# evalc_judge_link STATE KIND: what became of a link, as one of: resume, failed, out-of-memory,
# cancelled, alive; into _fate. STATE is Slurm's word, KIND the link's own, both may be empty.
evalc_judge_link() {
  local _word=${1%% *}
  # A link that caught the signal before its walltime's end, or was interrupted, left of itself with
  # an exit code, which Slurm calls FAILED.
  if evalc_is_waiting "$_word" || evalc_is_running "$_word"; then
    _fate=alive
  else
    case $2:$_word in
      *:CANCELLED | *:DEADLINE | *:REVOKED) _fate=cancelled ;;
      *:OUT_OF_MEMORY | out-of-memory:*) _fate=out-of-memory ;;
      failed:* | :FAILED | :SPECIAL_EXIT) _fate=failed ;;
      # TIMEOUT, PREEMPTED, NODE_FAIL, BOOT_FAIL, LAUNCH_FAILED, RECONFIG_FAIL; COMPLETED, though there
      # is work left; COMPLETING, which leaves no work; and what nobody knows: a chain is not lost for a
      # doubt.
      *) _fate=resume ;;
    esac
  fi
}
_fate=

# evalc_may_go_on DONE: whether the chain's bounds allow another link, with so much done now; the
# reason against it goes into _why.
evalc_may_go_on() {
  _why=
  if [ "$_failures" -gt "$_max_failed" ]; then
    _why="it failed, and execution.resume.failed allows $_max_failed such attempts to be followed by another"
  elif [ "$_memory_failures" -gt "$_max_out_of_memory" ]; then
    _why="it ran out of memory, and execution.resume.out_of_memory allows $_max_out_of_memory such attempts to be followed by another"
  elif [ "$_attempts" -ge "$_max_attempts" ]; then
    _why="all attempts are used up ($_attempts of $_max_attempts; execution.resume.attempts)"
  elif [ -n "$_max_walltime" ] && [ $((_max_walltime - _spent)) -lt 60 ]; then
    _why="the total walltime is used up ($_spent s of $_max_walltime s; execution.max_walltime)"
  elif evalc_is_idle "$1"; then
    _why="the last $_max_idle attempts made no progress (execution.resume.idle)"
  fi
  [ -z "$_why" ]
}
_why=

# evalc_is_idle DONE: whether the last _max_idle links added nothing to what was done. DONE is
# 'finished tasks':'bytes of responses', see evalc_done.
evalc_is_idle() {
  local _at=$((${#_marks[@]} - _max_idle)) _then _tasks_now _bytes_now
  [ "$_max_idle" -gt 0 ] && [ "$_at" -ge 0 ] || return 1
  _then=${_marks[_at]}
  # More tasks, or more bytes. A harness may also tidy up, which is no progress.
  evalc_number "${1%%:*}" && _tasks_now=$_number
  evalc_number "${1#*:}" && _bytes_now=$_number
  evalc_number "${_then%%:*}" && [ "$_tasks_now" -le "$_number" ] || return 1
  evalc_number "${_then#*:}" && [ "$_bytes_now" -le "$_number" ]
}

# evalc_done: what has been done so far, as 'finished tasks':'bytes of responses'. The harness's cache of
# responses is what a next attempt builds on; one without it has its artifacts.
evalc_done() {
  local _task _finished=0 _bytes=0 _folder _size _sum
  for _task in "${_tasks[@]}"; do
    evalc_finished "$_bundle_dir/${_task%:*}" "${_task##*:}" && _finished=$((_finished + 1))
    # What another config made is no work done; it is put aside when the task begins.
    [ "$(cat -- "$_bundle_dir/${_task%:*}/logs/digest" 2>/dev/null)" = "${_task##*:}" ] || continue
    _folder=$_bundle_dir/${_task%:*}/artifacts
    [ ! -d "$_folder/cache" ] || _folder=$_folder/cache
    _sum=$(find "$_folder" -type f -printf '%s\n' 2>/dev/null | {
      _total=0
      while read -r _size; do _total=$((_total + _size)); done
      echo "$_total"
    }) || _sum=0
    _bytes=$((_bytes + _sum))
  done
  echo "$_finished:$_bytes"
}

# A link's life -------------------------------------------------------------------------------

# evalc_pulse: a sign of life, now and then.
evalc_pulse() {
  [ $((SECONDS - _pulsed)) -ge "$_PULSE" ] || return 0
  _pulsed=$SECONDS
  if evalc_lost_turn; then
    evalc_say "job $_holder took this one for dead and works in its place; this one stops"
    _signal=TERM
    return 0
  fi
  touch -c -- "$_logs/attempt" 2>/dev/null || true
  # Too late to give up the work, when it is refused now.
  [ -z "$_unqueued" ] || evalc_queue_successor || true
}
_pulsed=0

# evalc_attempt: whether this link should work. Returns when it should, with its successor queued; ends
# the script when not.
evalc_attempt() {
  local _turn=0 _begin='' _gpus
  _mine=$_logs/.attempt.$_job_id.$_restart
  evalc_take_turn || _turn=$?
  rm -f -- "$_mine"
  case $_turn in
    1)
      evalc_say "job $_holder is at work here; this one leaves"
      evalc_note left "job=$_job_id" "reason=job $_holder is at work here" || true
      exit 0
      ;;
    2) evalc_die "$_EXIT_IO" "can't write in $_logs: is the disk full, or the folder read-only? Nothing was started" ;;
  esac
  evalc_read_journal
  # Who submits by hand, or again, begins a new chain: its bounds count from there.
  if [ -z "$_after" ] && ! evalc_was_requeued; then
    _begin=1
    evalc_note chain "job=$_job_id" || evalc_cannot_note
    evalc_read_journal
  fi
  evalc_list_unfinished
  if [ ${#_wanted[@]} -eq 0 ]; then
    evalc_say 'everything is finished already'
    evalc_note left "job=$_job_id" 'reason=everything is finished already' || true
    evalc_forget_secrets
    exit 0
  fi
  _done=$(evalc_done)
  [ -n "$_begin" ] || evalc_check_previous
  evalc_drop_failed_tasks
  evalc_number "${SLURM_GPUS_ON_NODE-}"
  _gpus=$((_number * ${SLURM_JOB_NUM_NODES:-1}))
  evalc_note attempt "n=$((_attempts + 1))" "job=$_job_id" "restart=$_restart" "node=${SLURMD_NODENAME:-?}" \
    "start=$(evalc_epoch)" "done=$_done" ${SLURM_GPUS_ON_NODE:+"gpus=$_gpus"} \
    ${_after:+"after=$_after"} || evalc_cannot_note
  evalc_read_journal
  evalc_say "attempt $_attempts of $_max_attempts"
  evalc_queue_successor && return 0
  evalc_note stop "job=$_job_id" "reason=$_why" || true
  evalc_forget_secrets
  evalc_say "where compute nodes may not submit, compile with 'execution.resume.strategy: prequeued' (or none)"
  exit "$_EXIT_UNAVAILABLE"
}
_done=0:0

# evalc_was_requeued: whether this chain has had an attempt of this very job, which Slurm runs again.
evalc_was_requeued() { [ -n "${_runs[$_job_id]-}" ] && [ "${_runs[$_job_id]}" -lt "$_restart" ]; }

evalc_cannot_note() {
  evalc_die "$_EXIT_IO" "can't write $_logs/journal: is the disk full? Without it the chain would have no end; nothing was started"
}

# evalc_list_unfinished: the tasks that are left, into _wanted.
evalc_list_unfinished() {
  local _task
  _wanted=()
  for _task in "${_tasks[@]}"; do
    evalc_finished "$_bundle_dir/${_task%:*}" "${_task##*:}" || _wanted+=("${_task%:*}")
  done
}

# evalc_is_given_up TASK: whether it failed as often as it may.
evalc_is_given_up() { [ "${_task_failures[$1]-0}" -gt "$_max_failed" ]; }

# evalc_has_hope: whether a task is left that is not given up.
evalc_has_hope() {
  local _task
  evalc_list_unfinished
  for _task in ${_wanted[@]+"${_wanted[@]}"}; do evalc_is_given_up "$_task" || return 0; done
  return 1
}

# evalc_drop_failed_tasks: of several tasks, one that is given up is not tried again when the others go
# on.
evalc_drop_failed_tasks() {
  local _task _rest=()
  for _task in "${_wanted[@]}"; do
    if evalc_is_given_up "$_task"; then
      evalc_say "$_task failed before, and is not tried again"
    else
      _rest+=("$_task")
    fi
  done
  _wanted=(${_rest[@]+"${_rest[@]}"})
  [ ${#_wanted[@]} -gt 0 ] || evalc_stop_chain 'every task that is left failed'
}

# evalc_check_previous: what became of the link before this one, or of this job before Slurm ran it
# again; ends the script when the chain should not go on.
evalc_check_previous() {
  local _job=$_after _run _kind _elapsed=0
  if evalc_was_requeued; then _job=$_job_id; fi
  _run=${_runs[$_job]-0}
  case $_stopped in
    stop*) evalc_leave_chain "${_stopped#stop }" ;;
  esac
  _kind=${_kinds["$_job.$_run"]-}
  if [ "$_job" = "$_job_id" ]; then
    # It was requeued; Slurm's word is about the job as it is now.
    _state=REQUEUED _source=restart _fate=resume
  else
    evalc_ask_state "$_job"
    evalc_judge_link "$_state" "$_kind"
  fi
  if [ -z "$_kind" ] && [ "$_fate" != alive ]; then
    if [ -n "${_starts["$_job.$_run"]-}" ]; then
      # As long as it gave signs of life; at most its walltime.
      _elapsed=$(($(evalc_last_pulse) - ${_starts["$_job.$_run"]}))
      [ -z "$_walltime" ] || [ "$_elapsed" -le "$_walltime" ] || _elapsed=$_walltime
      [ "$_elapsed" -ge 0 ] || _elapsed=0
    fi
    evalc_note previous "job=$_job" "restart=$_run" "state=${_state%% *}" "source=${_source:-none}" \
      "kind=$_fate" "elapsed=$_elapsed" || evalc_cannot_note
    evalc_read_journal
  fi
  case $_fate in
    alive)
      evalc_say "job $_job is not over (${_state}); this one leaves"
      evalc_note left "job=$_job_id" "reason=job $_job is not over (${_state})" || true
      exit 0
      ;;
    cancelled) evalc_stop_chain "job $_job was cancelled (${_state})" ;;
  esac
  evalc_say "the attempt before this one, job $_job: ${_state:-nobody knows how it ended}${_kind:+, $_kind}"
  evalc_may_go_on "$_done" || evalc_stop_chain "$_why"
}

# evalc_last_pulse: when the one before gave its last sign of life, in seconds since 1970; now, when it went
# in order but could not write down so.
evalc_last_pulse() { echo "${_last_pulse:-$(evalc_epoch)}"; }

# evalc_close_chain REASON: the chain ends here, with nothing left of it but its results and logs.
evalc_close_chain() {
  evalc_say "the chain stops: $1"
  evalc_cancel_successor
  evalc_note stop "job=$_job_id" "reason=$1" || true
  evalc_forget_secrets
}

# evalc_stop_chain REASON: the chain ends, and so does this link, before it began.
evalc_stop_chain() {
  evalc_close_chain "$1"
  evalc_leave_chain "$1"
}

# evalc_leave_chain REASON: a link that has nothing to do. Links that were queued beforehand follow one
# that did not end with 0.
evalc_leave_chain() {
  evalc_say "nothing is started: the chain has stopped ($1)"
  [ "$_strategy" != prequeued ] || exit 0
  exit "$_EXIT_STOPPED"
}

# The successor -------------------------------------------------------------------------------

# evalc_queue_successor: have the next link queued before the work begins, since a job that is killed
# can't do it any more. Returns 1 when Slurm refuses, with the reason in _why. Ends the script when it can't
# be noted.
evalc_queue_successor() {
  local _left _options=() _answer _code=0
  _unqueued=
  [ "$_strategy" = self ] || return 0
  if [ "$_attempts" -ge "$_max_attempts" ]; then
    [ "$_max_attempts" -le 1 ] || evalc_say 'this is the last attempt'
    return 0
  fi
  # An attempt that a site requeues all the same has one already.
  evalc_has_successor && return 0
  if [ -n "$_max_walltime" ]; then
    _left=$((_max_walltime - _spent - ${_walltime:-0}))
    if [ "$_left" -lt 60 ]; then
      evalc_say 'this is the last attempt: the total walltime is then used up'
      return 0
    fi
    [ -n "$_walltime" ] && [ "$_left" -ge "$_walltime" ] || _options=(--time "$((_left / 60))")
  fi
  _answer=$(evalc_sbatch --dependency "afternotok:$_job_id" --kill-on-invalid-dep yes \
    ${_options[@]+"${_options[@]}"} "$_script" --after "$_job_id" 2>&1) || _code=$?
  if [ "$_code" -eq 0 ] && evalc_read_id "$_answer"; then
    evalc_note successor "job=$_answer_id" "of=$_job_id" || {
      evalc_slurm scancel "$_answer_id" || true
      evalc_cannot_note
    }
    _successor=$_answer_id
    evalc_say "job $_answer_id goes on after this one, should it not finish"
    return 0
  fi
  if evalc_is_passing "$_answer" "$_code"; then
    # The controller is away, and comes back: it is asked again when it does, or at the next sign of life.
    evalc_say "can't queue the next attempt yet: ${_answer:-no answer}"
    _unqueued=1
    return 0
  fi
  _why='the next attempt can not be queued from this node'
  evalc_note no-successor "job=$_job_id" "reason=$_answer" || true
  evalc_say "can't queue the next attempt from this node: $_answer"
  return 1
}
# Whether the successor is still to be queued; the one that this process queued, whatever becomes of the journal.
_unqueued='' _answer_id='' _successor=''

# evalc_read_id ANSWER: the job's id in what sbatch says, into _answer_id; a cluster's name may stand after it,
# and a site's own words around it. Returns 1 without one.
evalc_read_id() {
  local _last_line_with_id=$'.*\n([0-9]+)(;[^\n]*)?\n'
  _answer_id=
  [[ $'\n'$1$'\n' =~ $_last_line_with_id ]] && _answer_id=${BASH_REMATCH[1]}
}

# evalc_is_passing ANSWER CODE: whether what sbatch said is a fault that passes.
evalc_is_passing() {
  [ "$2" -ne 124 ] || return 0
  case $1 in
    *'Unable to contact slurm controller'* | *'ocket timed out'* | *'onnection refused'* | *'Zero Bytes were transmitted'* | *'temporarily unavailable'* | *'emporarily disabled'* | *'Communication connection failure'* | *'in standby mode'*) ;;
    *) return 1 ;;
  esac
}

# evalc_sbatch ARGUMENT...: submit from the run's folder, with none of the settings of the user's or of
# this job's own, which would win over the script's. Prints what sbatch prints. Called in $(...), whose
# process sbatch's takes the place of.
evalc_sbatch() {
  for _var in ${!SBATCH_*} ${!SLURM_*} ${!SLURMD_*} ${_scrub[@]+"${_scrub[@]}"}; do
    case $_var in SLURM_CONF | SLURM_CLUSTERS) ;; *) unset "$_var" ;; esac
  done
  cd -- "$_home" || exit 1
  set -- sbatch --parsable "$@"
  [ -n "$_awaited" ] || set -- timeout "$((3 * _SLURM_PATIENCE))" "$@"
  exec "$@" </dev/null
}
# Whether somebody else sees to it that it does not take too long.
_awaited=

# evalc_own_successor: the id of the job that was queued behind this one, empty without.
evalc_own_successor() { printf '%s' "${_successor:-${_successors[$_job_id]-}}"; }

# evalc_has_successor: whether one is queued for this job.
evalc_has_successor() {
  local _job
  _job=$(evalc_own_successor)
  [ -n "$_job" ] || return 1
  evalc_ask_state "$_job"
  # Where nobody knows, one that was queued is there: two would be worse than a pause.
  ! evalc_is_end "${_state:-PENDING}"
}

evalc_cancel_successor() {
  local _job
  _job=$(evalc_own_successor)
  [ -n "$_job" ] || return 0
  # It would be removed by --kill-on-invalid-dep too, but not everywhere, and not after a failure.
  evalc_slurm scancel "$_job" || evalc_say "can't cancel job $_job; it will see that there is nothing to do"
}

# evalc_end_link CODE KIND REASON: how this link ended, and what follows from it. KIND is finished,
# failed, out-of-memory, told (the walltime's end is near), or interrupted. Does not return.
evalc_end_link() {
  local _code=$1 _kind=$2 _say=$3 _start=${_starts["$_job_id.$_restart"]-0}
  evalc_note end "job=$_job_id" "restart=$_restart" "exit=$_code" "kind=$_kind" \
    "elapsed=$(($(evalc_epoch) - _start))" ${_say:+"reason=$_say"} || evalc_say "can't write $_logs/journal"
  if evalc_lost_turn; then
    # The chain is that one's now, and so are its bounds, its end and its secrets.
    exit "$_code"
  fi
  evalc_read_journal
  case $_kind in
    finished)
      evalc_cancel_successor
      evalc_note 'done' "job=$_job_id" || true
      evalc_forget_secrets
      ;;
    interrupted)
      # By whom, Slurm knows soon, and before it kills this script.
      evalc_await_own_end
      [ "$_fate" != cancelled ] || evalc_close_chain "job $_job_id was cancelled (${_state})"
      ;;
  esac
  if [ "$_kind" != finished ] && [ "$_fate" != cancelled ] && ! evalc_goes_on; then
    # Not another allocation, only to find that out.
    evalc_close_chain "$_why"
    [ "$_strategy" != prequeued ] || [ "$_code" -eq 0 ] || evalc_say 'links that are queued still will see that, and leave'
  fi
  # Here, since a script that ends by a mistake is in its trap already.
  evalc_give_turn_back
  exit "$_code"
}

# evalc_goes_on: whether another link may follow this one, and is queued. The reason against it goes into
# _why.
evalc_goes_on() {
  evalc_may_go_on "$(evalc_done)" || return 1
  _why='every task that is left failed'
  evalc_has_hope || return 1
  _why='no other attempt follows (execution.resume.strategy: none)'
  case $_strategy in
    prequeued) return 0 ;;
    none) return 1 ;;
  esac
  # The last moment for what the controller could not take earlier.
  [ -z "$_unqueued" ] || evalc_queue_successor || return 1
  _why='the next attempt could not be queued: Slurm does not answer'
  [ -z "$_unqueued" ] || return 1
  # None was, since this one was expected to use up what is left of the walltime.
  _why="the total walltime is used up (${_max_walltime:-0} s; execution.max_walltime)"
  [ -n "$(evalc_own_successor)" ]
}

# evalc_await_own_end: what Slurm means with the SIGTERM that came, into _state and _fate.
evalc_await_own_end() {
  local _until=$((SECONDS + 10))
  _fate=resume
  while :; do
    evalc_ask_state "$_job_id"
    if evalc_is_end "$_state"; then
      evalc_judge_link "$_state" interrupted
      return
    fi
    [ "$SECONDS" -lt "$_until" ] || return 0
    evalc_wait 0.5
  done
}

# Secrets -------------------------------------------------------------------------------------

# evalc_keep_secrets NAME...: write those that are set into the run's file, beside those that are in it already;
# nobody else can read it, from its first byte on. Returns 1 when it can't be written.
evalc_keep_secrets() {
  (
    evalc_hide
    # By its mode, not by a umask, which a folder's default ACL puts aside.
    evalc_secrets_file
    _new=$(mktemp -- "$_file.XXXXXX") || exit 1
    trap 'rm -f -- "$_new"' EXIT
    for _name in "$@"; do
      [ -z "${!_name+set}" ] || printf '%s=%s\0' "$_name" "${!_name}" || exit 1
    done >"$_new" || exit 1
    [ ! -r "$_file" ] || while IFS= read -r -d '' _entry; do
      _name=${_entry%%=*}
      case " $* " in *" $_name "*) [ -n "${!_name+set}" ] || printf '%s\0' "$_entry" || exit 1 ;; esac
    done <"$_file" >>"$_new" || exit 1
    mv -f -- "$_new" "$_file"
  ) 2>/dev/null
}

# evalc_secrets_file: where the values of a job's secrets are, into _file: where no container looks.
evalc_secrets_file() { _file=$_bundle_dir/.secrets.$_script; }

evalc_forget_secrets() {
  local _file
  evalc_secrets_file
  rm -f -- "$_file" "$_file".??????
}
