# shellcheck shell=bash
# What a Lepton bundle's submit_all.sh does: create what is missing, once; remove the endpoints when no job
# needs them any more. Static, see common.sh.
#
# It looks before it creates: everything of a run has the invocation's id in its name. What it is about to
# do stands in a journal first (journal.sh), what the server answered at once afterwards, so that it can be
# killed anywhere and run again.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=work.sh
. "$_bundle_dir/lib/work.sh"
_logs=$_bundle_dir/logs
# shellcheck source-path=SCRIPTDIR source=journal.sh
. "$_bundle_dir/lib/journal.sh"
# shellcheck source-path=SCRIPTDIR source=lepton.sh
. "$_bundle_dir/lib/lepton.sh"

# What submit_all.sh sets: its tasks as 'ID NAME ENDPOINT', where ENDPOINT is a name of _endpoints, the name of
# an endpoint that runs already after 'running:', or '-'; its endpoints as 'NAME FOLDER SECONDS'; and the
# variables that go into the JSON. Names lack the invocation's id.
_tasks=() _endpoints=() _marks=()
# What the command line says.
_dry='' _again='' _stop='' _wait='' _prepare=''
# How often the workspace is asked what has become of jobs and endpoints, in seconds.
_pace=${EVALC_POLL_SECONDS:-15}
# How long after a request without an answer the server may still do what it asked for, in seconds.
_settle=${EVALC_SETTLE_SECONDS:-30}
# Of each task: what there is to do about it (submit, wait, finished, halted), and why; its job, its job's
# state, how often it was submitted, and when a submission began of which nobody knows. Of each endpoint what it is (absent, starting, ready, failed), its
# URL, and since when it is waited for.
declare -A _todo=() _because=() _job=() _count=() _doubt=() _endpoint_of=() _name_of=()
declare -A _is=() _url_of=() _since=() _folder_of=() _ready_within=()

evalc_submit_main() {
  evalc_submit_options "$@"
  evalc_read_plan
  evalc_need_env ${_needs[@]+"${_needs[@]}"}
  if [ -n "$_dry" ]; then
    evalc_show
    exit 0
  fi
  mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir"
  evalc_take_folder
  _answer=$(mktemp) || evalc_die "$_EXIT_IO" "can't write a temporary file"
  trap 'rm -f -- "$_answer"; evalc_unlock' EXIT
  evalc_catch_signals
  evalc_read_invocation keep
  [ -z "$_prepare" ] || evalc_prepare_all
  evalc_open_workspace
  evalc_list_jobs
  evalc_each_task evalc_judge_task
  evalc_each_task evalc_end_doubt
  evalc_each_task evalc_stop_twins
  if [ -n "$_stop" ]; then evalc_stop_everything; fi
  [ -z "$_again" ] || evalc_each_task evalc_submit_again
  evalc_submit_missing
  evalc_follow
  evalc_report
}

# evalc_take_folder: one at a time is at work with a run. Does not return when another one is.
evalc_take_folder() {
  local _why=0
  evalc_lock "$_logs/submit.lock" || _why=$?
  [ "$_why" -ne "$_EXIT_BUSY" ] ||
    evalc_say "it can be ended anywhere, and this goes on where it was; what evalc left behind is ended by 'evalc kill' and 'evalc resume'"
  [ "$_why" -eq 0 ] || exit "$_why"
}

evalc_submit_options() {
  local _id _one _known
  while [ $# -gt 0 ]; do
    case $1 in
      --dry-run) _dry=1 ;;
      --prepare) _prepare=1 ;;
      --again) _again=1 ;;
      --wait) _wait=1 ;;
      --no-wait) _wait=0 ;;
      --stop) _stop=1 ;;
      --only)
        [ $# -gt 1 ] || evalc_die "$_EXIT_USAGE" '--only needs the name of a task; try --help'
        _only+=("$2")
        shift
        ;;
      --only=*) _only+=("${1#*=}") ;;
      -h | --help)
        printf 'usage: bash submit_all.sh [--dry-run] [--only TASK]... [--again] [--wait | --no-wait] [--stop] [--prepare]\n\nCreates the endpoints and jobs that are not there yet; run it as often as you like. Where the bundle has\nendpoints, it stays until all jobs have ended, and then removes them.\n\n  --dry-run    print what it would do; asks nobody\n  --only TASK  only this task (can be repeated)\n  --again      submit also what has ended without being finished; finished tasks are skipped all the same\n  --wait       stay until all jobs have ended\n  --no-wait    leave once they are submitted; run this again to have endpoints removed\n  --stop       stop all jobs of this run, and remove its endpoints\n  --prepare    write the JSON that would be sent to <task>/logs, without sending it\n\nThe workspace is named by LEPTON_WORKSPACE_ID (or LEPTON_WORKSPACE_URL), the token is read from\nLEPTON_WORKSPACE_TOKEN. EVALC_POLL_SECONDS says how often it looks (15).\n\nExit code: 0 all is submitted, or finished where it waited; 1 something was refused, failed or has ended; 2 usage;\n69 the workspace does not answer, or an endpoint did not get ready; 74 disk; 75 another one is at work;\n77 the token is refused; 78 a variable is missing; 129, 130 or 143 interrupted.\n\nTasks:\n'
        for _one in "${_tasks[@]}"; do printf '  %s\n' "${_one%% *}"; done
        exit 0
        ;;
      *) evalc_die "$_EXIT_USAGE" "unknown argument '$1'; try --help" ;;
    esac
    shift
  done
  for _id in ${_only[@]+"${_only[@]}"}; do
    _known=
    for _one in "${_tasks[@]}"; do [ "${_one%% *}" != "$_id" ] || _known=1; done
    [ -n "$_known" ] || evalc_die "$_EXIT_USAGE" "there is no task '$_id'; --help lists them"
  done
  # Nobody else would remove an endpoint.
  [ -n "$_wait" ] || { [ ${#_endpoints[@]} -gt 0 ] && _wait=1; } || _wait=0
}

evalc_read_plan() {
  local _one _id _name _endpoint _folder _seconds
  for _one in "${_tasks[@]}"; do
    read -r _id _name _endpoint <<<"$_one"
    _name_of[$_id]=$_name
    [ "$_endpoint" = - ] || _endpoint_of[$_id]=$_endpoint
    case $_endpoint in running:*) _is[$_endpoint]=absent _ready_within[$_endpoint]=600 ;; esac
  done
  for _one in ${_endpoints[@]+"${_endpoints[@]}"}; do
    read -r _name _folder _seconds <<<"$_one"
    _is[$_name]=absent _folder_of[$_name]=$_folder _ready_within[$_name]=$_seconds
  done
}

# evalc_read_invocation [keep]: the id of this run, into _invocation: what was noted, else the end of the
# folder's name, else a new one.
evalc_read_invocation() {
  local _file=$_logs/invocation
  [ ! -r "$_file" ] || read -r _invocation <"$_file" || true
  if ! [[ $_invocation =~ ^[a-z][a-z0-9]{7}$ ]]; then
    if [[ ${_bundle_dir##*/} =~ ^[0-9]{4}(-[0-9]{2}){5}-([a-z][a-z0-9]{7})$ ]]; then
      _invocation=${BASH_REMATCH[2]}
    else
      _invocation=$(LC_ALL=C tr -dc bcdfghjkmnpqrstvwxz </dev/urandom 2>/dev/null | head -c 8) || true
    fi
    [ "${1-}" = keep ] || return 0
    { printf '%s\n' "$_invocation" >"$_file.new" && mv -f -- "$_file.new" "$_file"; } 2>/dev/null ||
      evalc_die "$_EXIT_IO" "can't write $_file; nothing was submitted"
  fi
  # shellcheck disable=SC2034 # read by name, in evalc_fill
  EVALC_INVOCATION=$_invocation
}

# evalc_each_task FUNCTION: calls it for each task that was chosen, with _task and its _logs set.
evalc_each_task() {
  local _one
  for _one in "${_tasks[@]}"; do
    _task=${_one%% *} _logs=$_bundle_dir/${_one%% *}/logs
    evalc_is_chosen "$_task" || continue
    "$1"
  done
  _logs=$_bundle_dir/logs
}

evalc_is_chosen() {
  case " ${_only[*]-} " in '  ' | *" $1 "*) return 0 ;; esac
  return 1
}

evalc_show() {
  evalc_read_invocation
  for _one in ${_endpoints[@]+"${_endpoints[@]}"}; do
    read -r _name _folder _ <<<"$_one"
    printf 'create the endpoint %s-%s from %s/endpoint.json\n' "$_name" "$_invocation" "$_folder"
  done
  evalc_each_task evalc_show_task
}

evalc_show_task() {
  printf 'create the job %s-%s from %s/job.json%s\n' "${_name_of[$_task]}" "$_invocation" "$_task" \
    "${_endpoint_of[$_task]:+ with the URL of ${_endpoint_of[$_task]#running:}}"
}

# What is there -------------------------------------------------------------------------------

# evalc_read_job: what the task's journal tells: its last job and how that ended, into _job, _ended_as and
# _count; when a submission began of which nobody knows whether it was taken, into _doubt (0: none).
evalc_read_job() {
  local _event _rest _time
  _ended_as='' _told=' '
  _job[$_task]='' _count[$_task]=0 _doubt[$_task]=0
  [ -r "$_logs/journal" ] || return 0
  while read -r _time _event _rest; do
    case $_rest in *'[cut]') continue ;; esac
    case $_event in
      submitting | submitted)
        evalc_field n "$_rest"
        evalc_number "$_field"
        [ "$_number" -le "${_count[$_task]}" ] || _count[$_task]=$_number
        evalc_field at "$_rest"
        evalc_number "$_field"
        _doubt[$_task]=$_number
        [ "$_event" = submitted ] || continue
        evalc_field job "$_rest"
        [ -n "$_field" ] || continue
        _ended_as='' _job[$_task]=$_field _doubt[$_task]=0
        _told+="$_field "
        ;;
      refused) _doubt[$_task]=0 ;;
      ended | gone | stopped)
        evalc_field job "$_rest"
        [ "$_field" = "${_job[$_task]}" ] || continue
        evalc_field state "$_rest"
        [ "$_event" = stopped ] || _ended_as=${_field:-gone}
        ;;
    esac
  done <"$_logs/journal"
}
_ended_as='' _told=' '

# evalc_adopt: a job of the task's name that no journal tells of is the one that was taken when this was
# killed, or the answer was lost.
evalc_adopt() {
  local _one
  ! evalc_is_listed_live "${_job[$_task]}" || return 0
  for _one in ${_named["${_name_of[$_task]}-$_invocation"]-}; do
    case $_told in *" $_one "*) continue ;; esac
    mkdir -p -- "$_logs"
    [ "${_count[$_task]}" -gt 0 ] || _count[$_task]=1
    evalc_note submitted "job=$_one" "name=${_name_of[$_task]}-$_invocation" "n=${_count[$_task]}" || evalc_cannot_note
    _job[$_task]=$_one _ended_as='' _doubt[$_task]=0
    _told+="$_one "
    evalc_has_ended "${_state_of[$_one]-UNK}" || return 0
  done
}

# evalc_is_listed_live ID: whether the list has a job that goes on.
evalc_is_listed_live() {
  [ -n "$1" ] && [ -n "${_state_of[$1]-}" ] && ! evalc_has_ended "${_state_of[$1]}"
}

# evalc_stop_twins: of two jobs of one name, which there are where a request that was given up was served after
# all, one stays: they would write to one folder.
evalc_stop_twins() {
  local _one
  evalc_is_listed_live "${_job[$_task]-}" || return 0
  for _one in ${_named["${_name_of[$_task]}-$_invocation"]-}; do
    if [ "$_one" = "${_job[$_task]}" ] || ! evalc_is_listed_live "$_one"; then continue; fi
    case ${_state_of[$_one]} in Stopping | Terminating | Deleting) continue ;; esac
    evalc_ask_stop "$_one"
    case $_status in
      2?? | 404) evalc_say "$_task: stopped job $_one: job ${_job[$_task]} does the same" ;;
      *) evalc_say "$_task: can't stop job $_one, a twin of ${_job[$_task]} ($(evalc_said))" ;;
    esac
  done
}

# evalc_ask_stop ID: have a job end; the answer is in _status.
evalc_ask_stop() {
  local _stopping=$_bundle_dir/logs/.stop.json
  printf '{"spec": {"stopped": true}}\n' >"$_stopping" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir/logs"
  evalc_ask PATCH "/jobs/$1" "$_stopping"
  rm -f -- "$_stopping"
}

evalc_cannot_note() { evalc_die "$_EXIT_IO" "can't write $_logs/journal: is the disk full?"; }

# evalc_judge_task: what there is to do about a task.
evalc_judge_task() {
  local _state=''
  evalc_read_job
  evalc_adopt
  if [ -n "${_job[$_task]}" ]; then
    _state=$_ended_as
    [ -n "$_state" ] || evalc_look_at_job "${_job[$_task]}"
  fi
  case $_state in
    '') _todo[$_task]=submit ;;
    Completed) _todo[$_task]=finished ;;
    Failed | Stopped | Deleted | Archived | gone) _todo[$_task]=halted _because[$_task]=$_state ;;
    *) _todo[$_task]=wait _because[$_task]=$_state ;;
  esac
}

# evalc_end_doubt: a request of an earlier run may still be on its way.
evalc_end_doubt() {
  [ "${_doubt[$_task]}" -gt 0 ] || return 0
  EVALC_SUBMISSION=${_count[$_task]}
  evalc_find_job $((_doubt[$_task] + _settle - $(evalc_epoch))) || true
}

evalc_submit_again() { [ "${_todo[$_task]}" != halted ] || _todo[$_task]=submit; }

# evalc_look_at_job ID: its state into _state, by the list or, where that does not have it, by itself. An end is
# noted.
evalc_look_at_job() {
  _state=${_state_of[$1]-}
  if [ -z "$_state" ]; then
    evalc_ask GET "/jobs/$1?job_query_mode=alive_and_archive"
    case $_status in
      404) _state=gone ;;
      2??)
        _state=UNK
        evalc_json "$_answer" /status/state || true
        evalc_json_get /status/state
        [ -z "$_value" ] || _state=$_value
        ;;
      *) _state=UNK ;;
    esac
  fi
  case $_state in *[!A-Za-z]*) _state=UNK ;; esac
  if [ "$_state" = gone ]; then
    evalc_note gone "job=$1" || evalc_cannot_note
  elif evalc_has_ended "$_state"; then
    evalc_note ended "job=$1" "state=$_state" || evalc_cannot_note
  fi
}

# Submitting ----------------------------------------------------------------------------------

# evalc_submit_missing: the endpoints first, then each job as soon as its endpoint is ready.
evalc_submit_missing() {
  local _left=1 _name
  evalc_each_task evalc_need_endpoint
  while [ -n "$_left" ] && [ -z "$_signal" ]; do
    _left=
    for _name in ${_is[@]+"${!_is[@]}"}; do
      [ "${_is[$_name]}" != starting ] || evalc_check_endpoint "$_name"
      [ "${_is[$_name]}" != starting ] || _left=1
    done
    evalc_each_task evalc_submit_when_ready
    [ -z "$_left" ] || [ -n "$_signal" ] || evalc_wait "$_pace"
  done
}

# evalc_need_endpoint: what a task that is to be submitted talks to must be there.
evalc_need_endpoint() {
  local _name=${_endpoint_of[$_task]-}
  [ "${_todo[$_task]}" = submit ] && [ -n "$_name" ] && [ "${_is[$_name]}" = absent ] || return 0
  _is[$_name]=starting _since[$_name]=$SECONDS
  case $_name in
    running:*) ;;
    *) evalc_create_endpoint "$_name" ;;
  esac
}

evalc_endpoint_logs() {
  _logs=$_bundle_dir/logs
  [ "${_folder_of[$1]}" = . ] || _logs=$_bundle_dir/${_folder_of[$1]}/logs
  mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir"
}

# evalc_note_endpoint NAME EVENT [REASON]
evalc_note_endpoint() {
  local _logs
  evalc_endpoint_logs "$1"
  evalc_note endpoint "name=$1-$_invocation" "event=$2" ${3:+"reason=$3"} || evalc_cannot_note
}

# evalc_create_endpoint NAME: create it unless it is there.
evalc_create_endpoint() {
  local _logs _try _full=$1-$_invocation _kind
  evalc_endpoint_logs "$1"
  for ((_try = 1; ; _try++)); do
    # First of all, and after each answer that tells nothing: names are unique, but a second creation would
    # be a fault that is not one.
    evalc_look_at_endpoint "$_full"
    [ -z "$_signal" ] || return 0
    case $_state in
      none) ;;
      '') evalc_die "$_EXIT_UNAVAILABLE" "can't ask for the endpoint $_full ($(evalc_said))" ;;
      Deleting)
        # The one before of this name goes still.
        [ $((SECONDS - _since[$1])) -lt "${_ready_within[$1]}" ] || return 0
        evalc_wait "$_pace"
        _try=0
        continue
        ;;
      *) return 0 ;;
    esac
    evalc_fill_endpoint "$1"
    _kind=endpoint.json
    [ "$_family" = deployments ] || _kind=endpoint.components.json
    evalc_note endpoint "name=$_full" 'event=creating' "at=$(evalc_epoch)" || evalc_cannot_note
    evalc_call POST "/$_family" "$_logs/$_kind"
    case $_status in
      2??)
        evalc_note endpoint "name=$_full" 'event=created' || evalc_cannot_note
        evalc_say "created the endpoint $_full"
        return 0
        ;;
      409) return 0 ;;
    esac
    if ! evalc_is_passing; then
      evalc_fail_endpoint "$1" "the endpoint was refused ($(evalc_said))"
      return 0
    fi
    [ "$_try" -lt "$_tries" ] ||
      evalc_die "$_EXIT_UNAVAILABLE" "the endpoint $_full can't be created ($(evalc_said)); run this again later, it goes on where it was"
    evalc_pause "$_try"
  done
}

# evalc_check_endpoint NAME: whether it is ready, or never will be.
evalc_check_endpoint() {
  local _full=$1-$_invocation _waited=$((SECONDS - _since[$1]))
  case $1 in running:*) _full=${1#running:} ;; esac
  evalc_look_at_endpoint "$_full"
  case $_state in
    Ready)
      if [ -n "$_url" ]; then
        _is[$1]=ready _url_of[$1]=$_url
        evalc_say "the endpoint $_full is ready at $_url"
        case $1 in running:*) ;; *) evalc_note_endpoint "$1" ready ;; esac
        return
      fi
      ;;
    none) evalc_fail_endpoint "$1" "there is no endpoint $_full" && return ;;
    Error | Stopping | Stopped | Deleting) evalc_fail_endpoint "$1" "the endpoint $_full can't get ready: it is $_state" && return ;;
  esac
  if [ "$_waited" -ge "${_ready_within[$1]}" ]; then
    evalc_fail_endpoint "$1" "the endpoint $_full was not ready within ${_ready_within[$1]} s (${_state:-no state})"
  elif [ $((_waited / 60)) -gt "$_minutes" ]; then
    _minutes=$((_waited / 60))
    evalc_say "waiting for the endpoint $_full: ${_state:-no state} ($_waited s of ${_ready_within[$1]} s)"
  fi
}
_minutes=0

# evalc_fail_endpoint NAME REASON: no job can use it; what this run created is removed.
evalc_fail_endpoint() {
  _is[$1]=failed
  evalc_say "$2"
  case $1 in
    running:*) ;;
    *)
      evalc_note_endpoint "$1" failed "$2"
      evalc_remove_endpoint "$1"
      ;;
  esac
}

# evalc_fill_json FROM TO: replace the marks.
evalc_fill_json() {
  evalc_fill "$1" "$2" EVALC_INVOCATION EVALC_SUBMISSION ENDPOINT_URL ${_marks[@]+"${_marks[@]}"} ||
    evalc_die "$_EXIT_IO" "can't write $2: is the disk full?"
}

# evalc_prepare_all: --prepare. Does not return.
evalc_prepare_all() {
  local _name _logs
  evalc_each_task evalc_read_job
  evalc_each_task evalc_prepare_job
  for _name in ${_folder_of[@]+"${!_folder_of[@]}"}; do
    evalc_endpoint_logs "$_name"
    evalc_fill_endpoint "$_name"
  done
  evalc_say "what would be sent is in the folders logs; a mark ENDPOINT_URL that is left is the endpoint's URL"
  exit 0
}

# evalc_fill_endpoint NAME: its JSON as it is sent.
evalc_fill_endpoint() {
  local _kind
  for _kind in endpoint.json endpoint.spec.json endpoint.components.json; do
    evalc_fill_json "$_bundle_dir/${_folder_of[$1]}/$_kind" "$_logs/$_kind"
  done
}

# evalc_prepare_job: the JSON of a task as it would be sent.
evalc_prepare_job() {
  local _kind _name=${_endpoint_of[$_task]-}
  mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir/$_task"
  EVALC_SUBMISSION=$((_count[$_task] + 1))
  # Without a URL, the mark stays.
  # shellcheck disable=SC2034 # read by name, in evalc_fill
  ENDPOINT_URL=${_url_of[${_name:--}]-'@@{ENDPOINT_URL}@@'}
  for _kind in job.json job.spec.json; do
    evalc_fill_json "$_bundle_dir/$_task/$_kind" "$_logs/$_kind"
  done
}

evalc_submit_when_ready() {
  local _name=${_endpoint_of[$_task]-}
  [ "${_todo[$_task]}" = submit ] && [ -z "$_signal" ] || return 0
  if [ -n "$_name" ]; then
    case ${_is[$_name]} in
      ready) ;;
      failed)
        _todo[$_task]=halted _because[$_task]='no endpoint' _code=$_EXIT_UNAVAILABLE
        return
        ;;
      *) return ;;
    esac
  fi
  evalc_submit_job
}

# evalc_submit_job: create the task's job. A job's name is not unique to the server, so after an answer that
# tells nothing it is looked for before it is tried again.
evalc_submit_job() {
  local _full=${_name_of[$_task]}-$_invocation _try _look
  evalc_prepare_job
  for ((_try = 1; ; _try++)); do
    evalc_note submitting "name=$_full" "n=$EVALC_SUBMISSION" "at=$(evalc_epoch)" || evalc_cannot_note
    evalc_call POST /jobs "$_logs/job.json"
    case $_status in
      2??)
        if evalc_json "$_answer" /metadata/id; then evalc_json_get /metadata/id; else _value=''; fi
        case $_value in
          '' | *[!A-Za-z0-9._-]*) ;;
          *)
            evalc_submitted "$_value"
            return
            ;;
        esac
        ;;
      *)
        if ! evalc_is_passing; then
          _todo[$_task]=halted _because[$_task]="refused: $(evalc_said)" _code=1
          evalc_note refused "name=$_full" "reason=${_because[$_task]}" || evalc_cannot_note
          return
        fi
        ;;
    esac
    _because[$_task]=$(evalc_said) _look=$_settle
    # These were not taken.
    case $_status in 429 | 503) _look=0 ;; esac
    evalc_pause "$_try"
    evalc_find_job "$_look" && return
    [ "$_try" -lt "$_tries" ] && [ -z "$_signal" ] ||
      evalc_die "$_EXIT_UNAVAILABLE" "$_task can't be submitted (${_because[$_task]}); run this again later, it goes on where it was"
  done
}

evalc_submitted() {
  evalc_note submitted "job=$1" "name=${_name_of[$_task]}-$_invocation" "n=$EVALC_SUBMISSION" ||
    evalc_die "$_EXIT_IO" "can't write $_logs/journal; job $1 was submitted, and is found again when you run this again"
  _job[$_task]=$1 _todo[$_task]=wait _because[$_task]=submitted _count[$_task]=$EVALC_SUBMISSION
  _new=$((_new + 1))
  evalc_say "$_task: submitted as job $1"
}
_new=0

# evalc_find_job SECONDS: the job that was taken although no answer said so; looked for until so many seconds
# have passed, since the server may be slow. Returns 1 when there is none.
evalc_find_job() {
  local _one _until=$((SECONDS + $1))
  while :; do
    evalc_read_job
    evalc_list_jobs
    for _one in ${_named["${_name_of[$_task]}-$_invocation"]-}; do
      case $_told in *" $_one "*) continue ;; esac
      evalc_submitted "$_one"
      return 0
    done
    [ "$SECONDS" -lt "$_until" ] && [ -z "$_signal" ] || return 1
    evalc_wait 1
  done
}

# Until the end -------------------------------------------------------------------------------

# evalc_follow: until all jobs have ended; an endpoint goes when no job needs it.
evalc_follow() {
  local _name
  while [ -z "$_signal" ]; do
    _waiting=0
    evalc_each_task evalc_count_waiting
    for _name in ${_folder_of[@]+"${!_folder_of[@]}"}; do
      if ! evalc_is_needed "$_name"; then evalc_remove_endpoint "$_name"; fi
    done
    [ "$_waiting" -gt 0 ] && [ "$_wait" = 1 ] || return 0
    evalc_wait "$_pace"
    [ -z "$_signal" ] || return 0
    evalc_list_jobs
    evalc_each_task evalc_stop_twins
    evalc_each_task evalc_judge_waiting
  done
}
_waiting=0

evalc_count_waiting() { [ "${_todo[$_task]}" != wait ] || _waiting=$((_waiting + 1)); }

evalc_judge_waiting() {
  local _state=''
  [ "${_todo[$_task]}" = wait ] || return 0
  evalc_look_at_job "${_job[$_task]}"
  evalc_has_ended "$_state" || return 0
  if [ "$_state" = Completed ]; then
    _todo[$_task]=finished
    evalc_say "$_task: finished"
  else
    _todo[$_task]=halted _because[$_task]=$_state
    evalc_say "$_task: ended ($_state)"
  fi
}

# evalc_is_needed ENDPOINT: whether a job that has not ended talks to it; also one that was not chosen now.
evalc_is_needed() {
  local _one _task _state _logs
  for _one in "${_tasks[@]}"; do
    _task=${_one%% *}
    [ "${_endpoint_of[$_task]-}" = "$1" ] || continue
    if [ -z "${_todo[$_task]-}" ]; then
      _logs=$_bundle_dir/$_task/logs
      evalc_judge_task
      [ "${_todo[$_task]}" != submit ] || _todo[$_task]=left
    fi
    case ${_todo[$_task]} in wait | submit) return 0 ;; esac
  done
  return 1
}

# evalc_remove_endpoint NAME: once; one that is not there is removed already, unless it may still come.
evalc_remove_endpoint() {
  [ -z "${_removed[$1]-}" ] || return 0
  evalc_choose_family
  while :; do
    evalc_ask DELETE "/$_family/$1-$_invocation"
    case $_status in
      2??)
        evalc_note_endpoint "$1" removed
        evalc_say "removed the endpoint $1-$_invocation"
        ;;
      404)
        if evalc_may_come "$1"; then
          evalc_wait 1
          [ -n "$_signal" ] || continue
          evalc_say "the endpoint $1-$_invocation may still come, and costs then: run this again"
          return
        fi
        ;;
      *)
        evalc_say "can't remove the endpoint $1-$_invocation ($(evalc_said)); it costs until you do: run this again"
        _code=1
        return
        ;;
    esac
    break
  done
  _removed[$1]=1
}

# evalc_may_come NAME: whether its creation was asked for a moment ago, and nobody has noted an answer: who
# asked was killed.
evalc_may_come() {
  local _logs _time _event _rest _asked=0
  evalc_endpoint_logs "$1"
  [ -r "$_logs/journal" ] || return 1
  while read -r _time _event _rest; do
    case "$_event $_rest " in
      *'[cut] ') ;;
      "endpoint name=$1-$_invocation event=creating "*)
        evalc_field at "$_rest"
        evalc_number "$_field"
        _asked=$_number
        ;;
      "endpoint name=$1-$_invocation "*) _asked=0 ;;
    esac
  done <"$_logs/journal"
  [ $(($(evalc_epoch) - _asked)) -lt "$_settle" ]
}
declare -A _removed=()

# evalc_stop_everything: --stop. Does not return.
evalc_stop_everything() {
  local _name
  evalc_each_task evalc_stop_job
  [ ${#_only[@]} -gt 0 ] || for _name in ${_folder_of[@]+"${!_folder_of[@]}"}; do evalc_remove_endpoint "$_name"; done
  for _name in ${_folder_of[@]+"${!_folder_of[@]}"}; do
    if ! evalc_is_needed "$_name"; then evalc_remove_endpoint "$_name"; fi
  done
  evalc_say "stopped ${_new:-0} job$([ "$_new" = 1 ] || echo s)"
  exit "$_code"
}

evalc_stop_job() {
  [ "${_todo[$_task]}" = wait ] || {
    _todo[$_task]=left
    return 0
  }
  evalc_ask_stop "${_job[$_task]}"
  case $_status in
    2?? | 404)
      evalc_note stopped "job=${_job[$_task]}" || evalc_cannot_note
      _todo[$_task]=left _new=$((_new + 1))
      evalc_say "$_task: stopped job ${_job[$_task]}"
      ;;
    *)
      evalc_say "$_task: can't stop job ${_job[$_task]} ($(evalc_said))"
      _code=1
      ;;
  esac
}

# evalc_report: what has become of each task. Does not return.
evalc_report() {
  evalc_each_task evalc_report_task
  if [ -n "$_signal" ]; then
    evalc_say "interrupted by SIG$_signal; what was submitted goes on. Run this again to go on, or with --stop"
    exit "$(evalc_signal_code "$_signal")"
  fi
  evalc_say "$_new submitted, $_running_now running, $_finished_now finished${_halted_now:+, $_halted_now stopped or failed}"
  [ "$_running_now" -eq 0 ] || [ ${#_endpoints[@]} -eq 0 ] ||
    evalc_say 'an endpoint is up: run this again when the jobs have ended, to have it removed'
  [ -z "$_halted_now" ] || [ "$_code" -ne 0 ] || _code=1
  exit "$_code"
}
_running_now=0 _finished_now=0 _halted_now=''

evalc_report_task() {
  case ${_todo[$_task]} in
    wait) _running_now=$((_running_now + 1)) ;;
    finished) _finished_now=$((_finished_now + 1)) ;;
    halted)
      _halted_now=$((_halted_now + 1))
      evalc_say "$_task: ${_because[$_task]}; --again submits it"
      ;;
  esac
}
