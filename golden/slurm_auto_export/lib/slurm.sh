# shellcheck shell=bash
# The Slurm backend's library: what a job does between its first line and its last. The scripts that
# source it say what to run; this is how. When a job should run at all, resume.sh knows. Static, see
# common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=resume.sh
. "$_bundle_dir/lib/resume.sh"

# What the scripts set after sourcing this, beside what work.sh and resume.sh have: the secrets that the
# job needs, by name, whether each task's command is in a file of its own (evaluate.sh), and whether
# there are lines of the user's own to run first (setup.sh).
_secrets=() _from_files='' _has_setup=''
# The nodes of the allocation, and how many of them have a server already. Evaluations run on the first.
_nodes=() _taken=0 _node=''
# Of each server, the first of its nodes; of each service, how many instances there are, and, when they
# are several, the port of their load balancer and the status that says that one is ready.
declare -A _host=() _instances=() _proxy_port=() _proxy_status=()

# evalc_begin ARGUMENT...: up to the first server. Ends the script when this job has nothing to do.
evalc_begin() {
  while [ $# -gt 0 ]; do
    case $1 in
      --after)
        [ $# -gt 1 ] || evalc_die "$_EXIT_USAGE" '--after needs the id of a job'
        _after=$2
        shift
        ;;
      *) evalc_die "$_EXIT_USAGE" "unknown argument '$1': this script takes --after JOB, for the link of a chain" ;;
    esac
    shift
  done
  _logs=$_home/logs _begun=$SECONDS
  mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_home"
  trap 'evalc_leave_job "$?"' EXIT
  evalc_catch_signals
  trap '_signal=USR1' USR1
  evalc_check_bundle
  evalc_load_secrets
  # What the user's own setup exports is not there yet.
  [ -n "$_has_setup" ] || evalc_need_env ${_needs[@]+"${_needs[@]}"}
  mapfile -t _nodes < <(scontrol show hostnames "${SLURM_JOB_NODELIST-}" 2>/dev/null)
  [ ${#_nodes[@]} -gt 0 ] || _nodes=("${SLURMD_NODENAME:-$(hostname)}")
  _node=${_nodes[0]}
  evalc_attempt
  _open=1
}
# Whether this link works, and its end is still to be noted.
_open=

# evalc_check_bundle: Slurm runs the script that was submitted, beside what the folder holds now; results of
# one must not be taken for those of the other.
evalc_check_bundle() {
  local _one
  for _one in "${_tasks[@]}"; do
    grep -Fqs -- "$_one" "$_home/$_script" || {
      evalc_forget_secrets
      evalc_die "$_EXIT_CONFIG" "the bundle in $_bundle_dir was compiled anew since this job was submitted; submit it again"
    }
  done
}

# evalc_leave_job CODE: however the script ends, a mistake in it included.
evalc_leave_job() {
  set +e
  evalc_ignore_signals
  evalc_stop_all
  if [ -n "$_open" ]; then
    _open=
    trap evalc_give_turn_back EXIT
    # An 'exit 0' of the user's setup too: Slurm would take it for the chain's end.
    evalc_end_link "$(($1 == 0 ? 1 : $1))" failed 'the script stopped in the middle'
  fi
  evalc_give_turn_back
}

# evalc_setup_ended CODE: after the user's own lines.
evalc_setup_ended() {
  [ "$1" -eq 0 ] || evalc_finish_early "execution.setup ended with exit code $1"
  evalc_list_unset ${_needs[@]+"${_needs[@]}"}
  [ -z "$_unset" ] || evalc_finish_early "not set in the environment, nor by execution.setup:$_unset"
}

evalc_tick() { evalc_pulse; }

# evalc_stop NAME: ask it to stop, insist after the grace; what does not end then ends with the job.
evalc_stop() {
  local _name=$1 _until=$((SECONDS + _GRACE)) _try
  for ((_try = 0; SECONDS < _until; _try++)); do
    evalc_alive "$_name" || break
    # srun does not pass SIGTERM on: it kills its tasks at once. An evaluation saves its work first.
    if [ $((_try % 100)) -eq 0 ]; then
      { [ "$_name" = client ] && evalc_tell_step "evaluate.$_task"; } ||
        kill -TERM -- "-${_pid[$_name]}" 2>/dev/null || true
    fi
    evalc_wait 0.1
  done
  # Bash would report the one that was killed.
  {
    kill -KILL -- "-${_pid[$_name]}" || true
    rm -f -- "$_logs/$_name.pid"
  } 2>/dev/null
}

# evalc_tell_step NAME: SIGTERM to all processes of a job step, by its name. Returns 1 when there is none.
evalc_tell_step() {
  local _step _its_name
  while IFS='|' read -r _step _its_name; do
    if [ "$_its_name" = "$1" ] && evalc_slurm scancel --signal TERM "$_step"; then return 0; fi
  done < <(evalc_slurm squeue -h -s -j "$SLURM_JOB_ID" -o '%i|%j')
  return 1
}

# evalc_await_controller: until Slurm's controller answers. Without it srun starts nothing, and the job would
# fail for a restart that takes a minute. What is wrong after _AWAY seconds, srun may say.
evalc_await_controller() {
  local _until=$((SECONDS + _AWAY)) _away=''
  until [[ $(evalc_slurm scontrol ping) == *UP* ]] && { [ -z "$_away" ] || evalc_try_step; }; do
    [ -z "$_signal" ] && [ "$SECONDS" -lt "$_until" ] || return 0
    [ -n "$_away" ] || evalc_say "Slurm's controller does not answer; waiting for it"
    _away=1
    evalc_tick
    evalc_wait 1
  done
  [ -z "$_unqueued" ] || evalc_queue_successor || true
}

# evalc_try_step: whether the nodes take a step. One that was just restarted says that they have no memory,
# until they have told it.
evalc_try_step() {
  evalc_slurm srun --job-name=try --overlap "--nodes=${#_nodes[@]}" "--ntasks=${#_nodes[@]}" true
}
readonly _AWAY=1800

# Secrets -------------------------------------------------------------------------------------

# evalc_load_secrets: the values of _secrets, from the run's file (NAME=VALUE, each ended by a NUL) into
# variables that no child inherits. Nothing in the file is ever evaluated. What it lacks, whoever submitted
# by hand had in the environment; it goes into the file, for the links to come.
evalc_load_secrets() {
  local _entry _name _known=' ' _file _lacks=''
  [ ${#_secrets[@]} -gt 0 ] || return 0
  _scrub=("${_secrets[@]}")
  evalc_secrets_file
  evalc_hide
  if [ -r "$_file" ]; then
    while IFS= read -r -d '' _entry; do
      _name=${_entry%%=*}
      case " ${_secrets[*]} " in
        *" $_name "*)
          printf -v "$_name" %s "${_entry#*=}"
          _known+="$_name "
          ;;
      esac
    done <"$_file"
  fi
  for _name in "${_secrets[@]}"; do
    [ -n "${!_name+set}" ] || continue
    export -n "${_name?}"
    case $_known in *" $_name "*) ;; *) _lacks=1 ;; esac
  done
  [ -z "$_lacks" ] || evalc_keep_secrets "${_secrets[@]}" || true
  evalc_unhide
}

# Containers ----------------------------------------------------------------------------------

# evalc_mount SOURCE:TARGET[:ro]...: what the next container sees, into _mounts.
evalc_mount() {
  local _one _left
  _mounts=
  for _one in "$@"; do
    _left=${_one%:ro}
    case $_left in
      *,* | *:*:*) evalc_die "$_EXIT_CONFIG" "a path with ',' or ':' can't be mounted: $_one" ;;
    esac
    _mounts+=${_mounts:+,}$_one
  done
}
_mounts=

# Servers -------------------------------------------------------------------------------------

# evalc_serve NAME --port PORT --health PATH --ready-within SECONDS [--nodes N] [--instances N]
# [--proxy PORT --status CODE]: start a server's instances on nodes of their own, N nodes in all.
evalc_serve() {
  local _name=$1 _count=1 _all='' _per _i _one _list _log
  evalc_await_controller
  evalc_server "$1" "${@:2:6}"
  shift 7
  _instances[$_name]=1
  while [ $# -gt 0 ]; do
    case $1 in
      --nodes) _count=$2 ;;
      --instances) _instances[$_name]=$2 ;;
      --proxy) _proxy_port[$_name]=$2 ;;
      --status) _proxy_status[$_name]=$2 ;;
    esac
    shift 2
  done
  if [ $((_taken + _count)) -gt ${#_nodes[@]} ]; then
    evalc_finish_early "the server '$_name' needs $_count nodes, and $((${#_nodes[@]} - _taken)) of the job's ${#_nodes[@]} are left"
  fi
  _services+=("$_name")
  for _one in "${_nodes[@]:_taken:_count}"; do _all+=${_all:+,}$(evalc_address "$_one"); done
  _per=$((_count / _instances[$_name]))
  for ((_i = 0; _i < _instances[$_name]; _i++)); do
    evalc_name_instance "$_name" "$_i"
    _list=$(IFS=, && echo "${_nodes[*]:_taken:_per}")
    _host[$_one]=${_nodes[_taken]}
    _taken=$((_taken + _per))
    _log=$_logs/server_${_one}_stdout.log
    evalc_keep_last "$_log"
    # On a node that is shared, another job's server would be taken for this one.
    if (exec 3<>"/dev/tcp/$(evalc_reach "${_host[$_one]}")/${_port[$_name]}") 2>/dev/null; then
      evalc_finish_early "port ${_port[$_name]} of ${_host[$_one]}, which the server '$_one' wants, is in use"
    fi
    evalc_say "starting the server '$_one' on $_list"
    set -m
    # What a server that spans nodes needs to know of them; PROC_ID comes from serve.sh.
    MASTER_IP=$(evalc_address "${_host[$_one]}") ALL_NODE_IPS=$_all NODES_PER_INSTANCE=$_per \
      "serve_$_name" "$_list" </dev/null >"$_log" 2>&1 &
    evalc_track "$_one" $!
  done
}

# evalc_name_instance NAME NUMBER: what an instance is called, into _one.
evalc_name_instance() {
  _one=$1
  [ "${_instances[$1]}" -eq 1 ] || _one=$1-$2
}

# evalc_address NODE: its first IPv4 address, or its name when nobody knows.
evalc_address() {
  local _address=''
  read -r _address _ < <(getent ahostsv4 "$1" 2>/dev/null) || true
  printf '%s' "${_address:-$1}"
}

# evalc_reach NODE: what a node is called from the one that evaluates. A server there may listen on that
# node's own loopback address alone.
evalc_reach() { if [ "$1" = "$_node" ]; then echo 127.0.0.1; else echo "$1"; fi; }

# evalc_url NAME: where a service is reached from the node that evaluates.
evalc_url() {
  if [ -n "${_proxy_port[$1]-}" ]; then
    printf 'http://127.0.0.1:%s' "${_proxy_port[$1]}"
  else
    printf 'http://%s:%s' "$(evalc_reach "${_host[$1]}")" "${_port[$1]}"
  fi
}

# evalc_wait_ready: until all servers are, and the load balancers of those with several instances.
evalc_wait_ready() {
  local _name _one _i
  for _name in ${_services[@]+"${_services[@]}"}; do
    for ((_i = 0; _i < _instances[$_name]; _i++)); do
      evalc_name_instance "$_name" "$_i"
      _patience[$_one]=${_patience[$_name]}
      evalc_await_ready "$_one" "$_logs/server_${_one}_stdout.log" \
        "http://$(evalc_reach "${_host[$_one]}"):${_port[$_name]}${_health[$_name]}" || evalc_finish_early "$_reason"
    done
    [ -z "${_proxy_port[$_name]-}" ] || evalc_balance "$_name"
  done
}

# evalc_balance NAME: haproxy in front of the instances, on the node that evaluates.
evalc_balance() {
  local _name=$1 _one _i _proxy=$1-proxy _log=$_logs/server_$1-proxy_stdout.log _config=$_logs/haproxy_$1.cfg
  {
    printf '%s\n' 'global' '  maxconn 4096' 'defaults' '  mode http' '  timeout connect 10s' \
      '  timeout client 24h' '  timeout server 24h' 'frontend evaluation' \
      "  bind *:${_proxy_port[$_name]}" '  default_backend instances' 'backend instances' \
      '  balance leastconn' "  option httpchk GET ${_health[$_name]}" \
      "  http-check expect status ${_proxy_status[$_name]}"
    for ((_i = 0; _i < _instances[$_name]; _i++)); do
      evalc_name_instance "$_name" "$_i"
      printf '  server %s %s:%s check\n' "$_one" "${_host[$_one]}" "${_port[$_name]}"
    done
  } >"$_config" || evalc_finish_early "can't write $_config"
  _patience[$_proxy]=60
  set -m
  "balance_$_name" "$_config" </dev/null >"$_log" 2>&1 &
  evalc_track "$_proxy" $!
  evalc_await_ready "$_proxy" "$_log" "http://127.0.0.1:${_proxy_port[$_name]}${_health[$_name]}" ||
    evalc_finish_early "$_reason"
}

# Evaluations ---------------------------------------------------------------------------------

# evalc_evaluate: the tasks that are left, _jobs at a time.
evalc_evaluate() {
  _watched=(${_running[@]+"${_running[@]}"})
  evalc_run_tasks
}

evalc_launch() {
  evalc_await_controller
  evalc_note task "id=$1" "job=$_job_id" 'event=started' || true
  (evalc_run_task "$1") </dev/null &
}

# evalc_run_task ID: one evaluation, in a shell of its own, which ends with the harness's exit code.
evalc_run_task() {
  local _one
  # The servers are the job's, and not for this shell to stop.
  _running=() _services=() _locks=()
  _task=$1 _label=$1 _task_dir=$_bundle_dir/$1
  _artifacts=$_task_dir/artifacts _logs=$_task_dir/logs _run_config=$_task_dir/run_config.yml _begun=$SECONDS
  # What run_config.yml may refer to.
  # shellcheck disable=SC2034 # read by name, in evalc_fill
  RESULTS_DIR=$_artifacts
  for _one in "${_tasks[@]}"; do [ "${_one%:*}" != "$1" ] || _digest=${_one##*:}; done
  mkdir -p -- "$_artifacts" "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_task_dir"
  trap 'evalc_leave "$?"' EXIT
  trap - USR1
  evalc_catch_signals
  # shellcheck source=/dev/null
  [ -z "$_from_files" ] || . "$_task_dir/evaluate.sh"
  evalc_prepare ''
  evalc_stage running || true
  evalc_say "evaluating; output in $_logs/client_stdout.log"
  evalc_keep_last "$_logs/client_stdout.log"
  set -m
  evaluate </dev/null >"$_logs/client_stdout.log" 2>&1 &
  evalc_end $!
}

# evalc_ended ID CODE: a task has ended.
evalc_ended() {
  local _kind=failed
  if [ "$2" -eq 0 ]; then
    _kind=finished
  elif [ -n "$_signal" ]; then
    _kind=interrupted
  elif [ -n "$_dead" ] || [ "$2" -eq "$_EXIT_UNAVAILABLE" ]; then
    _kind=server
  elif evalc_was_out_of_memory "$_bundle_dir/$1/logs/client_stdout.log"; then
    _kind=out-of-memory
  fi
  [ "$_kind" = finished ] || _kinds_seen+=" $_kind"
  _last_code=$2
  evalc_note task "id=$1" "job=$_job_id" "exit=$2" "kind=$_kind" || true
}
_kinds_seen='' _last_code=0

# What Slurm's own step daemon says of a step whose memory ran out.
evalc_was_out_of_memory() { tail -n 50 -- "$1" 2>/dev/null | grep -Eq 'Detected [0-9]+ oom[-_]kill event|Out Of Memory'; }

# evalc_finish: how it ended, and what comes next. Does not return.
evalc_finish() {
  local _kind=failed
  evalc_ignore_signals
  trap '' USR1
  if [ "$_signal" = USR1 ]; then
    _code=$_EXIT_TOLD _kind=told _reason='the walltime is about to end'
    evalc_note signal "job=$_job_id" 'name=USR1' || true
  elif [ -n "$_signal" ]; then
    _code=$(evalc_signal_code "$_signal") _kind=interrupted _reason="interrupted by SIG$_signal"
  elif [ -n "$_dead" ]; then
    evalc_collect "$_dead"
    _code=$_EXIT_UNAVAILABLE _reason="the server '$_dead' died during the evaluation (exit code $_ended)"
    evalc_tail "$_logs/server_${_dead}_stdout.log"
  elif [ ${#_failed[@]} -gt 0 ]; then
    # One task's exit code is the job's; of several, none is.
    _code=1 _reason="failed: ${_failed[*]}"
    [ ${#_tasks[@]} -gt 1 ] || _code=$_last_code
    case $_kinds_seen in *out-of-memory*) _kind=out-of-memory ;; esac
  fi
  evalc_stop_all
  if [ "$_code" -eq 0 ]; then
    evalc_list_unfinished
    if [ ${#_wanted[@]} -eq 0 ]; then
      _kind=finished
    else
      _code=1 _reason="not finished: ${_wanted[*]}"
    fi
  fi
  if [ "$_code" -eq 0 ]; then
    evalc_say "finished in $((SECONDS - _begun)) s"
  else
    evalc_say "ended with exit code $_code: $_reason"
  fi
  _open=
  evalc_end_link "$_code" "$_kind" "$_reason"
}

# evalc_finish_early REASON: there was no evaluation.
evalc_finish_early() {
  local _id
  _reason=$1
  evalc_say "$1"
  if [ -z "$_signal" ]; then
    _failed=(${_wanted[@]+"${_wanted[@]}"})
    _kinds_seen=server _last_code=$_EXIT_UNAVAILABLE
    for _id in "${_wanted[@]}"; do
      (
        _logs=$_bundle_dir/$_id/logs
        mkdir -p -- "$_logs"
        evalc_reserve_exit && evalc_stage_exit "$_EXIT_UNAVAILABLE $1"
      ) || true
    done
  fi
  evalc_ignore_signals
  evalc_stop_all
  [ -n "$_signal" ] || { _open= && evalc_end_link "$_EXIT_UNAVAILABLE" failed "$1"; }
  evalc_finish
}
