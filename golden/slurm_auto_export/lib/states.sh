# shellcheck shell=bash
# What Slurm says of its jobs, and what its words for their states mean. It may not answer, or know nothing:
# that is an answer of its own. Static, see common.sh.
: "${_bundle_dir:?}"

# Slurm's commands as they are meant, whatever formats and clusters the user has set for himself.
evalc_slurm() {
  (
    for _var in ${!SQUEUE_*} ${!SACCT_*} ${!SCANCEL_*} ${!SCONTROL_*} SLURM_TIME_FORMAT SLURM_BITSTR_LEN; do
      unset "$_var"
    done
    # A daemon that is down, or an accounting that is slow, must not hold up a job for long.
    exec timeout "$_SLURM_PATIENCE" "$@"
  ) 2>/dev/null </dev/null
}
readonly _SLURM_PATIENCE=20

# evalc_ask_state JOB: what Slurm says of a job's state, into _state, and who says it into _source; both
# empty when nobody knows; _completing says that its nodes are still being cleaned. The controller knows
# best, while it remembers the job: the accounting lags behind, and gives a job that was requeued the end
# of its run before. So the accounting is believed of ends alone, where the controller has none to tell.
evalc_ask_state() {
  local _answer _said='' _since=now-30days _start=${_starts["$1.0"]-0}
  _state='' _source='' _completing=''
  _answer=$(evalc_slurm scontrol show job -o "$1" | head -n 1) || true
  case $_answer in
    *' JobState='*)
      _said=${_answer#*' JobState='}
      _said=${_said%%' '*}
      ;;
  esac
  [ -z "$_said" ] || _state=$_said _source=scontrol
  # How it will have ended, and who cancelled it, only the accounting tells.
  case $_said in
    '' | CANCELLED) ;;
    COMPLETING) _completing=1 ;;
    *) return 0 ;;
  esac
  # Where Slurm's state was wiped, ids begin anew, and the accounting has two jobs of one id.
  [ "$_start" -eq 0 ] || _since=$(date -d "@$((_start - 86400))" +%Y-%m-%dT%H:%M:%S 2>/dev/null) || _since=now-30days
  _answer=$(evalc_slurm sacct -n -X -P -S "$_since" -j "$1" -o State | head -n 1) || true
  case $_said:$_answer in
    CANCELLED:CANCELLED*) ;;
    CANCELLED:*) return 0 ;;
  esac
  if evalc_is_end "$_answer"; then _state=$_answer _source=sacct; fi
}
_state='' _source='' _completing=''

# evalc_is_end STATE: whether a job in that state never runs again ('CANCELLED by 1000' is one too).
evalc_is_end() {
  case ${1%% *} in
    BOOT_FAIL | CANCELLED | COMPLETED | DEADLINE | FAILED | LAUNCH_FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | RECONFIG_FAIL | REVOKED | TIMEOUT) ;;
    *) return 1 ;;
  esac
}

# evalc_is_waiting STATE: whether a job in that state is in the queue, to run later.
evalc_is_waiting() {
  case $1 in
    PENDING | REQUEUED | REQUEUE_FED | REQUEUE_HOLD | RESV_DEL_HOLD) ;;
    *) return 1 ;;
  esac
}

# evalc_is_running STATE: whether a job in that state has nodes, and goes on.
evalc_is_running() {
  case $1 in
    RUNNING | CONFIGURING | EXPEDITING | POWER_UP_NODE | RESIZING | SIGNALING | STAGE_OUT | STOPPED | SUSPENDED | UPDATE_DB) ;;
    *) return 1 ;;
  esac
}
