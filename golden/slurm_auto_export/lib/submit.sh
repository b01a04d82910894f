# shellcheck shell=bash
# What submit_all.sh does: hand everything that is missing to Slurm, once. Static, see common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=resume.sh
. "$_bundle_dir/lib/resume.sh"

# What submit_all.sh sets: its tasks as ID:DIGEST; how they are submitted (tasks: a job each, shared: one
# job for all, array: one array); the array's limit; the secrets that they need, by name; and how many
# links are queued beforehand.
_how=tasks _array_limit='' _links=1
_secrets=()
# What the command line says.
_dry='' _test='' _again=''

evalc_submit_main() {
  local _folder _script
  evalc_submit_options "$@"
  evalc_need_slurm
  if [ -n "$_dry$_test" ]; then
    if [ "$_how" = array ]; then
      _folder=$_bundle_dir _script=sbatch_array.sh _name='the array'
      evalc_show_job
    fi
    [ "$_how" = array ] && [ -n "$_dry" ] || evalc_each_job evalc_show_job
    exit "$_code"
  fi
  evalc_need_secrets
  case $_bundle_dir in
    *[%\\]*) evalc_die "$_EXIT_CONFIG" "Slurm takes '%' and '\\' in the path of a job's log for patterns: no job could start in $_bundle_dir" ;;
  esac
  _home=$_bundle_dir _logs=$_bundle_dir/logs
  mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir"
  evalc_lock "$_logs/submit.lock" || exit "$?"
  trap evalc_leave EXIT
  evalc_await_others
  evalc_read_queue
  _scrub=(${_secrets[@]+"${_secrets[@]}"})
  evalc_make_folders
  evalc_each_job evalc_submit_job
  while evalc_next_answer; do evalc_settle; done
  [ ${#_missing[@]} -eq 0 ] || evalc_submit_array
  evalc_say "$_submitted submitted, $_there there already, $_finished finished${_halted:+, $_halted stopped}${_refused:+, $_refused refused}"
  exit "$_code"
}
_submitted=0 _there=0 _finished=0 _halted='' _refused=''

evalc_submit_options() {
  local _id _task _known
  while [ $# -gt 0 ]; do
    case $1 in
      --dry-run) _dry=1 ;;
      --test-only) _test=1 ;;
      --again) _again=1 ;;
      --only)
        [ $# -gt 1 ] || evalc_die "$_EXIT_USAGE" '--only needs the name of a task; try --help'
        _only+=("$2")
        shift
        ;;
      --only=*) _only+=("${1#*=}") ;;
      -h | --help)
        printf 'usage: bash submit_all.sh [--dry-run | --test-only] [--only TASK]... [--again]\n\nSubmits what is not finished, queued or running already; run it as often as you like.\n\n  --dry-run    print the commands\n  --test-only  ask Slurm whether it would take the scripts, and when they would start\n  --only TASK  only this task (can be repeated)\n  --again      submit also what has stopped without being finished\n\nExit code: 0 all is submitted or finished, 1 Slurm refused something, or something has stopped, 2 usage, 69 Slurm does not\nanswer, 74 disk, 75 another one is at work, 78 a secret is missing, or the path is none for Slurm.\n\nTasks:\n'
        printf '  %s\n' "${_tasks[@]%:*}"
        exit 0
        ;;
      *) evalc_die "$_EXIT_USAGE" "unknown argument '$1'; try --help" ;;
    esac
    shift
  done
  [ ${#_only[@]} -eq 0 ] || [ "$_how" != shared ] ||
    evalc_die "$_EXIT_USAGE" 'the tasks share one job: there is no --only'
  for _id in ${_only[@]+"${_only[@]}"}; do
    _known=
    for _task in "${_tasks[@]}"; do [ "${_task%:*}" != "$_id" ] || _known=1; done
    [ -n "$_known" ] || evalc_die "$_EXIT_USAGE" "there is no task '$_id'; --help lists them"
  done
}

# evalc_need_secrets: what a job needs must be in the environment, or in the job's own file beforehand.
evalc_need_secrets() {
  evalc_list_unset ${_needs[@]+"${_needs[@]}"}
  [ -n "$_unset" ] || return 0
  _absent=
  evalc_each_job evalc_list_absent
  [ -z "$_absent" ] ||
    evalc_die "$_EXIT_CONFIG" "not set in the environment:$_absent; export them and run this again"
}

# evalc_list_absent: of the names in _unset, those that this job takes and its file does not have, into
# _absent.
evalc_list_absent() {
  local _one _entry _file _known=' '
  evalc_read_secrets
  evalc_secrets_file
  evalc_hide
  [ ! -r "$_file" ] || while IFS= read -r -d '' _entry; do _known+="${_entry%%=*} "; done <"$_file"
  evalc_unhide
  for _one in $_unset; do
    case "$_known$_absent " in
      *" $_one "*) ;;
      *) case " ${_named[*]-} " in *" $_one "*) _absent+=" $_one" ;; esac ;;
    esac
  done
}
_absent=''

# evalc_read_secrets: the names of the secrets that a job takes, as its script says, into _named.
evalc_read_secrets() {
  local _line
  _named=()
  while IFS= read -r _line; do
    case $_line in
      '_secrets=('*')')
        _line=${_line#*(}
        read -r -a _named <<<"${_line%)}"
        return
        ;;
    esac
  done <"$_folder/$_script"
}
_named=()

evalc_need_slurm() {
  [ -n "$_dry" ] || command -v sbatch >/dev/null ||
    evalc_die "$_EXIT_UNAVAILABLE" "sbatch is not in PATH: run this where jobs are submitted"
}

# evalc_each_job FUNCTION: calls it for each job, in order, with _folder (where it is submitted), _script
# and _tasks_of (its tasks) set.
evalc_each_job() {
  local _task _id _index=-1
  if [ "$_how" = shared ]; then
    _folder=$_bundle_dir _script=sbatch_all.sh _tasks_of=("${_tasks[@]}") _name='all tasks'
    "$1"
    return
  fi
  for _task in "${_tasks[@]}"; do
    _id=${_task%:*} _index=$((_index + 1))
    case " ${_only[*]-} " in
      '  ' | *" $_id "*)
        _folder=$_bundle_dir/$_id _script=sbatch_$_id.sh _tasks_of=("$_task") _name=$_id
        "$1"
        ;;
    esac
  done
}
_folder='' _name='' _tasks_of=()

evalc_show_job() {
  local _said
  if [ -n "$_dry" ]; then
    printf 'cd %q && sbatch --parsable %q\n' "$_folder" "$_script"
    return
  fi
  if _said=$(_home=$_folder && evalc_sbatch --test-only "$_script" 2>&1); then
    evalc_say "$_name: ${_said#sbatch: }"
  else
    evalc_say "$_name: $_said"
    _code=1
  fi
}

# evalc_read_queue: what this user has of this bundle in the queue, into _queue. Without an answer nothing
# is submitted: it might be there already.
evalc_read_queue() {
  local _said _one _state _runs
  _said=$(evalc_slurm squeue --me -h -r -o '%i|%T|%o') ||
    evalc_die "$_EXIT_UNAVAILABLE" "Slurm does not say what is queued (squeue); nothing was submitted"
  while IFS='|' read -r _one _state _runs; do
    case $_runs in
      "$_bundle_dir/sbatch_array.sh") _runs=${_one##*_} ;;
      # What a link is told follows its script's name.
      "$_bundle_dir"/*) _runs=${_runs#"$_bundle_dir"} && _runs=${_runs%% *} ;;
      *) continue ;;
    esac
    _queue[$_runs]+=" $_one:$_state"
  done < <(printf '%s\n' "$_said")
}
# ID:STATE of each, by the script that it runs, with a slash before it, or by the number of the array's
# element.
declare -A _queue=()

# evalc_find_queued: the jobs of _script that are in the queue, into _queued, and the first of them with its
# state into _found; empty without one.
evalc_find_queued() {
  local _one
  _found='' _queued=()
  for _one in ${_queue["${_folder#"$_bundle_dir"}/$_script"]-} ${_queue["$_index"]-}; do
    _queued+=("${_one%:*}")
    [ -n "$_found" ] || _found="${_one%:*} ${_one##*:}"
  done
}
_found=''
_queued=()

evalc_submit_job() {
  local _task _left='' _id
  _home=$_folder _logs=$_folder/logs
  for _task in "${_tasks_of[@]}"; do
    # Most have never begun, which is seen without starting anything.
    [ -e "$_bundle_dir/${_task%:*}/logs/stage.exit" ] &&
      evalc_finished "$_bundle_dir/${_task%:*}" "${_task##*:}" || _left=1
  done
  if [ -z "$_left" ]; then
    [ ${#_secrets[@]} -eq 0 ] || evalc_forget_secrets
    _finished=$((_finished + 1))
    evalc_say "$_name: finished"
    return 0
  fi
  [ -d "$_logs" ] || mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_folder"
  evalc_read_journal
  evalc_find_queued
  if [ -n "$_found" ]; then
    # It may be there because this was killed between the submission and its note.
    grep -qs " job=${_found%% *}\( \|$\)" -- "$_logs/journal" || evalc_note submitted "job=${_found%% *}" || true
    _there=$((_there + 1))
    evalc_say "$_name: job ${_found%% *} is ${_found#* }"
    evalc_add_links
    return 0
  fi
  # A chain that was done was of another config, since there is work left.
  if [ -s "$_logs/journal" ] && [ -z "$_again" ] && [ "$_stopped" != 'done' ] && grep -qs ' submitted \| attempt ' -- "$_logs/journal"; then
    [ ${#_secrets[@]} -eq 0 ] || evalc_forget_secrets
    evalc_say "$_name: has stopped${_stopped:+: ${_stopped#stop }}; --again submits it"
    _halted=$((_halted + 1)) _code=1
    return 0
  fi
  if [ ${#_secrets[@]} -gt 0 ]; then
    evalc_hide
    evalc_read_secrets
    if [ ${#_named[@]} -eq 0 ]; then
      evalc_forget_secrets
    else
      evalc_keep_secrets "${_named[@]}" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir"
    fi
    evalc_unhide
  fi
  case $_how:$_links in
    array:*) _missing+=("$_index") ;;
    tasks:1) evalc_submit_soon ;;
    *) evalc_submit_links ;;
  esac
}
_missing=()

# evalc_submit_soon: hand this job to an sbatch that is not waited for yet. It is starting up that takes sbatch its
# time, and several can do so beside each other; Slurm's controller, which takes jobs one by one, hardly notices.
evalc_submit_soon() {
  local _fd _pid
  [ $((_asked - _answered)) -lt "$_AT_ONCE" ] || { evalc_next_answer && evalc_settle; }
  evalc_begin_chain
  evalc_start "$_script"
  _asked=$((_asked + 1))
  _going[_asked]="$_fd $_pid $_name"
}
readonly _AT_ONCE=4
# By its number, each sbatch that was not waited for: where its answer comes, its process, and its task; how many
# were started, and of how many the answer was taken.
_going=() _asked=0 _answered=0

# evalc_next_answer: whose answer is to be taken next into _fd, _pid and _task; returns 1 when there is none.
evalc_next_answer() {
  [ "$_answered" -lt "$_asked" ] || return 1
  _answered=$((_answered + 1))
  _task=${_going[_answered]#* }
  _fd=${_going[_answered]%% *} _pid=${_task%% *} _task=${_task#* }
}
_fd='' _pid='' _task=''

# evalc_settle: take that answer, and note the job.
evalc_settle() {
  local _id _name=$_task _script=sbatch_$_task.sh _logs=$_bundle_dir/$_task/logs
  evalc_take || {
    evalc_forget_secrets
    return 0
  }
  evalc_note submitted "job=$_id" link=1 || evalc_unsubmit
  _submitted=$((_submitted + 1))
  evalc_say "$_name: submitted as job $_id"
}

# evalc_leave: whatever ends this, jobs that were handed over are noted, or not there.
evalc_leave() {
  local _id
  while evalc_next_answer; do
    _logs=$_bundle_dir/$_task/logs
    ! evalc_read_answer 5 || evalc_note submitted "job=$_id" link=1 || evalc_slurm scancel "$_id" || true
  done
  evalc_unlock
}

# evalc_await_others: an sbatch that a killed submit_all.sh has left behind is at work still, and what it submits is
# not in the queue yet. It holds this file open, and with it the lock.
evalc_await_others() {
  exec {_alive}<"$_bundle_dir/submit_all.sh"
  flock -w "$((3 * _SLURM_PATIENCE))" "$_alive" 2>/dev/null || true
}
_alive=''

# evalc_make_folders: the folders for the logs of all jobs at once. Whatever stays without one is told when
# its turn has come.
evalc_make_folders() {
  evalc_each_job evalc_print_folder | xargs -0 mkdir -p -- 2>/dev/null || true
}

evalc_print_folder() { printf '%s\0' "$_folder/logs"; }

# evalc_begin_chain: what was said of an earlier chain is not for the links of this one.
evalc_begin_chain() {
  evalc_note chain 'by=submit_all' || evalc_die "$_EXIT_IO" "can't write $_logs/journal: is the disk full?"
}

# evalc_submit_links: this job, and the links that are queued behind it.
evalc_submit_links() {
  local _before=''
  evalc_begin_chain
  evalc_submit_from 1 || {
    [ -n "$_before" ] || evalc_forget_secrets
    return 0
  }
  _submitted=$((_submitted + 1))
  evalc_say "$_name: submitted as job ${_before#:}"
}

# evalc_add_links: of a chain that is queued beforehand, the links that an interruption left out.
evalc_add_links() {
  local _before='' _ended=0 _one
  [ "$_links" -gt 1 ] || return 0
  for _one in ${_ids[@]+"${_ids[@]}"}; do
    case " ${_queued[*]} " in *" $_one "*) ;; *) _ended=$((_ended + 1)) ;; esac
  done
  [ $((_ended + ${#_queued[@]})) -lt "$_links" ] || return 0
  for _one in "${_queued[@]}"; do _before+=:$_one; done
  evalc_submit_from $((_ended + ${#_queued[@]} + 1)) || return 0
  evalc_say "$_name: completed the chain of $_links jobs"
}

# evalc_submit_from NUMBER: the links from this one on, behind those of _before. Returns 1 when Slurm
# refuses one.
evalc_submit_from() {
  local _link _options=()
  for ((_link = $1; _link <= _links; _link++)); do
    # After all that are before it: when one finishes, none of the others can ever start, and Slurm
    # removes them.
    [ "$_link" -eq 1 ] || _options=(--dependency "afternotok$_before" --kill-on-invalid-dep yes)
    evalc_submit ${_options[@]+"${_options[@]}"} "$_script" ${_before:+--after "${_before##*:}"} || return 1
    evalc_note submitted "job=$_id" "link=$_link" || evalc_unsubmit
    _before+=:$_id
  done
}

# evalc_submit_array: the tasks of _missing, as elements of one array.
evalc_submit_array() {
  local _id _one _list
  _home=$_bundle_dir _name='the array' _list=$(IFS=, && echo "${_missing[*]}")
  for _one in "${_missing[@]}"; do
    _logs=$_bundle_dir/${_tasks[_one]%:*}/logs
    evalc_begin_chain
  done
  evalc_submit --array "$_list${_array_limit:+%$_array_limit}" sbatch_array.sh || return 0
  for _one in "${_missing[@]}"; do
    _logs=$_bundle_dir/${_tasks[_one]%:*}/logs
    evalc_note submitted "job=${_id}_$_one" || evalc_unsubmit
  done
  _submitted=$((_submitted + ${#_missing[@]}))
  evalc_say "submitted as the array $_id (${#_missing[@]} tasks)"
}

# evalc_submit ARGUMENT...: one sbatch; the job's id goes into _id. Returns 1 when Slurm refuses.
evalc_submit() {
  local _fd _pid
  evalc_start "$@"
  evalc_take
}

# evalc_start ARGUMENT...: an sbatch; where its answer comes goes into _fd, and its process into _pid.
evalc_start() {
  # How long it may take, evalc_read_answer says: with hundreds of jobs, a process less for each counts.
  exec {_fd}< <(
    _awaited=1
    evalc_sbatch "$@" 2>&1
  )
  _pid=$!
}

# evalc_take: what the sbatch of _fd and _pid answers; the job's id goes into _id. Returns 1 when Slurm refuses.
evalc_take() {
  local _status=0
  evalc_read_answer "$((3 * _SLURM_PATIENCE))" || _status=$?
  [ "$_status" -ne 0 ] || return 0
  evalc_say "$_name: not submitted: ${_said:-no answer}"
  if evalc_is_passing "$_said" "$_status"; then
    evalc_die "$_EXIT_UNAVAILABLE" 'Slurm does not answer; run this again later, it goes on where it was'
  fi
  _refused=$((_refused + 1)) _code=1
  return 1
}

# evalc_read_answer SECONDS: what the sbatch of _fd says into _said, and the job's id into _id. Returns 1 when there
# is none in it, and 124, like timeout, when it took longer and was ended.
evalc_read_answer() {
  local _late=''
  IFS= read -r -d '' -t "$1" -u "$_fd" _said || [ $? -le 128 ] || _late=1
  [ -z "$_late" ] || kill "$_pid" 2>/dev/null || true
  exec {_fd}<&-
  _said=${_said%$'\n'}
  if evalc_read_id "$_said"; then
    _id=$_answer_id
    return 0
  fi
  [ -z "$_late" ] || return 124
  return 1
}
_said=''

# evalc_unsubmit: a job whose id can't be remembered must not run.
evalc_unsubmit() {
  evalc_slurm scancel "$_id" || true
  evalc_die "$_EXIT_IO" "can't write $_logs/journal: is the disk full? Job $_id was cancelled"
}
