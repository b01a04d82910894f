# shellcheck shell=bash
# What is known of a chain of Slurm jobs: the journal, logs/journal. One line an event, 'TIME EVENT
# key=value... reason=text to the end of the line'. It is only ever appended to. A line that was cut by a
# crash is skipped; who writes next ends it with '[cut]'. Static, see common.sh.
: "${_bundle_dir:?}" "${_logs?}"

# How Slurm calls this job: an element of an array has a name of its own.
_job_id=${SLURM_JOB_ID-}
[ -z "${SLURM_ARRAY_JOB_ID-}" ] || _job_id=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
_restart=${SLURM_RESTART_COUNT:-0}
# A link asks, and submits to, the cluster that it runs on, whichever the user named to get there.
[ -z "$_job_id" ] || unset SLURM_CLUSTERS

evalc_epoch() { date +%s; }

# evalc_note EVENT KEY=VALUE... ['reason=text']: add a line. Returns 1 when it can't be written.
evalc_note() {
  local _line _second _last _break=''
  # Nothing is started for a line, where that can be: who submits hundreds of jobs writes two for each.
  printf -v _second '%(%s)T' -1
  [ "$_second" = "$_noted_second" ] || _noted_second=$_second _noted_time=$(evalc_now)
  _line="$_noted_time $*"
  # Small enough for one write, so that lines of two nodes do not mix.
  _line=${_line:0:1000}
  _line=${_line//[[:cntrl:]]/ }
  # What a crash or a full disk cut is never taken for a line. It may end with a NUL: what is behind the
  # last one is looked at.
  if [ -s "$_logs/journal" ]; then
    _last=
    { while IFS= read -r -d '' _last; do :; done <"$_logs/journal"; } 2>/dev/null || true
    [[ $_last = *$'\n' ]] || _break=$' [cut]\n'
  fi
  { printf '%s%s\n' "$_break" "${_line%' [cut]'}" >>"$_logs/journal"; } 2>/dev/null
}
# The time of a line, asked for once a second.
_noted_second='' _noted_time=''

# evalc_field KEY LINE: the value of KEY in a line of the journal, into _field; empty without one.
evalc_field() {
  local _text=" $2 "
  _field=
  case $1$_text in
    reason*' reason='*)
      _field=${_text#*' reason='}
      _field=${_field%' '}
      return
      ;;
  esac
  _text="${_text%%' reason='*} "
  case $_text in
    *" $1="*)
      _field=${_text#*" $1="}
      _field=${_field%%' '*}
      ;;
  esac
  # Rubbish is no id, no number and no kind; and bash has no array element of every name.
  case $_field in *[!A-Za-z0-9_.:-]*) _field='' ;; esac
}
_field=

# evalc_number TEXT: the text when it is a whole number that bash can reckon with, else 0; into _number.
evalc_number() {
  _number=${1#"${1%%[!0]*}"}
  case $_number in '' | *[!0123456789]*) _number=0 ;; esac
  [ ${#_number} -le 15 ] || _number=0
}
_number=0

# evalc_read_journal: this chain so far, into the variables below. A chain begins with a line 'chain';
# what stands before is of earlier ones.
evalc_read_journal() {
  local _event _time _rest _cut=''
  evalc_forget_chain
  [ -f "$_logs/journal" ] && [ -r "$_logs/journal" ] || return 0
  while read -r _time _event _rest || { _cut=1 && [ -n "$_time" ]; }; do
    case "$_cut:$_event $_rest" in
      1:* | *'[cut]' | *'[cut] ')
        # It may have been an attempt: a chain whose every attempt is lost would have no end.
        [[ attempt != "${_event%'[cut]'}"* ]] || _attempts=$((_attempts + 1))
        continue
        ;;
    esac
    case $_event in
      chain)
        evalc_forget_chain
        # Those that submit_all.sh submits stand behind its own line, and before that of the first link.
        case $_rest in by=*) _ids=() ;; esac
        ;;
      attempt) evalc_read_attempt "$_rest" ;;
      end | previous) evalc_read_end "$_rest" ;;
      successor)
        evalc_field of "$_rest"
        _key=$_field
        evalc_field job "$_rest"
        [ -z "$_key" ] || _successors[$_key]=$_field
        ;;
      task) evalc_read_task "$_rest" ;;
      submitted)
        evalc_field job "$_rest"
        [ -z "$_field" ] || _ids+=("$_field")
        ;;
      stop | done)
        evalc_field reason "$_rest"
        _stopped=$_event${_field:+ $_field}
        ;;
    esac
  done <"$_logs/journal"
}

evalc_forget_chain() {
  _attempts=0 _spent=0 _failures=0 _memory_failures=0 _stopped='' _marks=()
  _kinds=() _starts=() _runs=() _successors=() _task_failures=()
}
# Of this chain: its links; the seconds that they took; those that failed, or ran out of memory; whether
# it has ended; what was done at the start of each; by 'job.restart' how it says that it ended, and when
# it began; by job its latest restart, and its successor; by task how often it failed.
_attempts=0 _spent=0 _failures=0 _memory_failures=0 _stopped=''
_marks=()
# The jobs that submit_all.sh submitted last.
_ids=()
declare -A _kinds=() _starts=() _runs=() _successors=() _task_failures=()

# evalc_read_key LINE: the job and the restart that a line is about, into _job_of and _run_of, and as
# 'job.restart' into _key.
evalc_read_key() {
  evalc_field restart "$1"
  evalc_number "$_field"
  _run_of=$_number
  evalc_field job "$1"
  _job_of=$_field _key=$_field.$_run_of
}
_key='' _job_of='' _run_of=0

evalc_read_attempt() {
  _attempts=$((_attempts + 1))
  evalc_read_key "$1"
  [ -z "$_job_of" ] || _runs[$_job_of]=$_run_of
  # Where ids have begun anew, an earlier job of this name is not meant.
  _kinds[$_key]=
  evalc_field start "$1"
  evalc_number "$_field"
  _starts[$_key]=$_number
  evalc_field 'done' "$1"
  _marks+=("$_field")
  # Somebody went on, whatever was said before.
  _stopped=
}

evalc_read_end() {
  evalc_read_key "$1"
  # Counted once, whether the link said it or, before that, the next one that asked what became of it.
  [ -z "${_kinds[$_key]-}" ] || return 0
  evalc_field elapsed "$1"
  evalc_number "$_field"
  _spent=$((_spent + _number))
  evalc_field kind "$1"
  _kinds[$_key]=${_field:-unknown}
  case $_field in
    failed) _failures=$((_failures + 1)) ;;
    out-of-memory) _memory_failures=$((_memory_failures + 1)) ;;
  esac
}

evalc_read_task() {
  evalc_field kind "$1"
  [ "$_field" = failed ] || return 0
  evalc_field id "$1"
  [ -z "$_field" ] || _task_failures[$_field]=$((${_task_failures[$_field]-0} + 1))
}
