# shellcheck shell=bash
# What is to be seen of runs of the local backend. Sent to the host, after lib/common.sh; standard input
# tells the runs, each as its folder, the engine, how many tasks, and those, with a NUL after each.
#
# It prints for each run a line, for each of its tasks a line, with tabs between the fields; seen.py knows
# them. A live process is told by its number and when it started. As long as nothing has gone wrong no
# process is started for a task.
set -u
_tab=$'\t'

# evalc_first FILE: its first line into _line, empty when there is none.
evalc_first() {
  _line=
  if [ -r "$1" ]; then IFS= read -r _line <"$1" || true; fi
}

# evalc_live FILE: the process noted there into _pid, empty when it is gone.
evalc_live() {
  _pid=
  if [ -e "$1" ]; then _pid=$(evalc_recall "$1"); fi
}

# evalc_box FOLDER: whether a container of the task there runs, into _box: its name, '?' and the reason when
# nobody can tell. The name ends with a sum of the path, see evalc_name_container in lib/local.sh.
evalc_box() {
  local _path _sum _rest _name
  _box=
  if [ -z "${_asked_of[$_engine]+set}" ]; then
    _asked_of[$_engine]=1
    _boxes[$_engine]=$(${_within[@]+"${_within[@]}"} "$_engine" ps --format '{{.Names}}' 2>&1) ||
      _fault[$_engine]="? $_engine does not answer: ${_boxes[$_engine]//[$'\n\t']/ }"
  fi
  if [ -n "${_fault[$_engine]-}" ]; then
    _box=${_fault[$_engine]}
    return
  fi
  _path=$(cd -P -- "$1" && pwd) || return 0
  read -r _sum _rest < <(printf '%s' "$_path" | cksum)
  for _name in ${_boxes[$_engine]}; do
    case $_name in evalc-*-client-"$_sum") _box=$_name ;; esac
  done
}
declare -A _asked_of=() _boxes=() _fault=()
# An engine that hangs must not make this hang.
_within=()
! command -v timeout >/dev/null || _within=(timeout 20)

# evalc_look_at ID: one task of the run in _folder.
evalc_look_at() {
  local _its=$_folder/$1/logs _exit _begun _served _old='' _script _client='' _box='' _marked='' _asked='' _words=''
  local _done='' _total=''
  evalc_first "$_its/stage.exit" && _exit=${_line%"${_line##*[! ]}"}
  evalc_first "$_its/stage.pre-start" && _begun=$_line
  evalc_first "$_its/stage.running" && _served=$_line
  [ ! -e "$_its/cancelled" ] || _marked=1
  case $_list in *$'\n'"$1"$'\n'*) _asked=1 ;; esac
  # What ended before the runner that is at work now began will be repeated.
  if [ -n "$_exit" ] && [ -n "$_runner" ] && [ "$_folder/logs/runner.pid" -nt "$_its/stage.exit" ]; then _old=1; fi
  evalc_live "$_its/lock" && _script=$_pid
  if [ -z "$_script" ]; then evalc_live "$_folder/logs/task.$1.pid" && _script=$_pid; fi
  if [ -n "$_begun" ] && [ -z "$_exit" ] && [ -z "$_script" ]; then
    # It writes how it ended before it goes: it may have done both since.
    evalc_first "$_its/stage.exit" && _exit=${_line%"${_line##*[! ]}"}
  fi
  if [ -n "$_begun" ] && [ -z "$_exit" ] && [ -z "$_script" ]; then
    evalc_live "$_its/client.pid" && _client=$_pid
    if [ "$_engine" != none ]; then evalc_box "$_folder/$1"; fi
  elif [ -z "$_begun$_exit$_script$_runner$_all" ] && [ -n "$_asked" ] && [ -n "$_ended" ]; then
    _words=$(grep -sF "[$1] " "$_folder/logs/run_all.log" | tail -n 1)
    _words=${_words#"[$1] "}
  fi
  # As nemo-evaluator writes it. The bound stands in the file that the harness is given.
  evalc_first "$_folder/$1/artifacts/progress" && _done=$_line
  if [ -n "$_done" ] && [ -r "$_folder/$1/run_config.yml" ]; then
    while IFS= read -r _line; do
      [[ ! $_line =~ ^' '*limit_samples:' '*([0-9]+)' '*$ ]] || _total=${BASH_REMATCH[1]}
    done <"$_folder/$1/run_config.yml"
  fi
  printf '%s\t' task "$_exit" "$_old" "$_begun" "$_served" "$_script" "$_client" "$_box" "$_marked" "$_asked" \
    "${_done//"$_tab"/}" "$_total"
  printf '%s\n' "${_words//"$_tab"/ }"
}

while IFS= read -r -d '' _folder; do
  IFS= read -r -d '' _engine
  IFS= read -r -d '' _count
  _there='' _runner='' _all='' _ended='' _started='' _servers='' _list=$'\n' _known=''
  if [ -d "$_folder" ]; then
    _there=1
    evalc_live "$_folder/logs/runner.pid" && _runner=$_pid
    evalc_live "$_folder/logs/lock" && _all=$_pid
    evalc_first "$_folder/logs/stage.exit" && _ended=$_line
    evalc_first "$_folder/logs/stage.running" && _started=$_line
    if [ -r "$_folder/logs/asked" ]; then
      _known=1
      while IFS= read -r _line; do _list+=$_line$'\n'; done <"$_folder/logs/asked"
      # Who wrote that may have come since.
      if [ -z "$_runner$_all" ]; then evalc_live "$_folder/logs/runner.pid" && _runner=$_pid; fi
    fi
    for _file in "$_folder"/logs/*.pid; do
      case ${_file##*/} in task.* | runner.pid | export.pid | exporting.pid) continue ;; esac
      evalc_live "$_file"
      _name=${_file##*/}
      [ -z "$_pid" ] || _servers+="${_servers:+ }${_name%.pid}"
    done
  fi
  printf 'run\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$_there" "$_runner" "$_all" "$_known" "$_started" "$_servers" "${_ended//"$_tab"/ }"
  for (( ; _count > 0; _count--)); do
    IFS= read -r -d '' _id
    evalc_look_at "$_id"
  done
done
