#!/usr/bin/env bash
# Where each task of the bundles beside this script stands: from the stage files and journals that their
# scripts leave, and from Slurm's queue. Nothing is changed.
#
#   bash status.sh             all bundles here
#   bash status.sh FOLDER...   these: a bundle, or a run's folder
#
# Needs bash, and squeue for what has not ended. Exit code: 0 all tasks have completed, 1 one has failed or
# was stopped, 2 wrong usage, 4 one is not over yet, or nobody knows.
set -u
export LC_ALL=C

# Folders are found by this script's own place, wherever it is called from.
_top=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
_rows=() _worst=0

evalc_main() {
  local _folder _found=''
  case ${1-} in
    -h | --help)
      printf 'usage: bash status.sh [FOLDER]...\n\nTells where each task stands; without a FOLDER, of all bundles beside this script.\n\nExit code: 0 all completed, 1 one failed or was stopped, 2 usage, 4 not over, or unknown.\n'
      exit 0
      ;;
    -*)
      printf '[status] unknown argument %q; try --help\n' "$1" >&2
      exit 2
      ;;
  esac
  [ $# -gt 0 ] || set -- "$_top"/*/
  evalc_ask_queue
  for _folder in "$@"; do
    # What lies beside the bundles when none was named.
    if [ ! -f "$_folder/manifest.json" ]; then
      case $_folder in "$_top"/*) continue ;; esac
      printf '[status] %s holds no bundle\n' "$_folder" >&2
      exit 2
    fi
    _found=1
    if [ ! -f "$_folder/lib/slurm.sh" ] && [ ! -f "$_folder/run_all.sh" ]; then
      printf '[status] %s is neither for Slurm nor for this machine; evalc status tells of it\n' "${_folder%/}" >&2
      _worst=4
      continue
    fi
    evalc_bundle "$_folder"
  done
  if [ -z "$_found" ]; then
    printf '[status] there is no bundle in %s\n' "$_top" >&2
    exit 2
  fi
  [ ${#_rows[@]} -eq 0 ] || evalc_table
  exit "$_worst"
}

# evalc_ask_queue: the user's jobs into _queue, one a line: ID|STATE|REASON|NODES|SCRIPT; why not into _silent.
evalc_ask_queue() {
  _queue='' _silent=''
  if ! command -v squeue >/dev/null; then
    _silent='squeue is not in PATH'
    return
  fi
  # As it is meant, whatever formats the user has set for himself.
  if ! _queue=$(
    for _var in ${!SQUEUE_*} SLURM_BITSTR_LEN SLURM_TIME_FORMAT; do unset "$_var"; done
    exec timeout 20 squeue --me -h -r -o '%i|%T|%r|%N|%o' 2>/dev/null </dev/null
  ); then
    _silent='Slurm does not answer (squeue)'
  fi
}

# evalc_bundle FOLDER: adds a row for each of its tasks.
evalc_bundle() {
  local _here _name _how=local _file=run_all.sh _line _in='' _ids=() _cells=() _cell='' _index _id
  _here=$(cd -P -- "$1" && pwd) || return 0
  _name=${_here##*/}
  [ ! -f "$_here/lib/slurm.sh" ] || _how=tasks _file=submit_all.sh
  while IFS= read -r _line; do
    case $_in$_line in
      _how=*) _how=${_line#_how=} ;;
      '_tasks=(') _in=1 ;;
      # Of a matrix, each cell with a task of its job.
      '_cells=(') _in=2 ;;
      '1)' | '2)') _in='' ;;
      2*)
        _line=${_line//[\' ]/ }
        read -r _cell _id <<<"${_line#2}"
        _ids+=("${_id%%:*}") _cells+=("$_cell")
        ;;
      1*)
        _line=${_line#"${_line%%[! ]*}"}
        _ids+=("${_line%%:*}") _cells+=('')
        ;;
    esac
  done <"$_here/$_file"
  for _index in "${!_ids[@]}"; do
    _id=${_ids[_index]} _cell=${_cells[_index]}
    _state='' _attempt='' _job='' _why=''
    evalc_exit "$_here/$_id/logs/stage.exit"
    if [ "$_how" = local ]; then evalc_local "$_here/$_id"; else evalc_slurm; fi
    evalc_row "$_name/$_id" "$_here/$_id"
  done
}

# evalc_exit FILE: the exit code that a task's stage.exit tells into _code, with its reason in _said; empty when
# it has not ended.
evalc_exit() {
  local _time
  _code='' _said=''
  if [ -r "$1" ]; then read -r _time _code _said <"$1" || true; fi
}

# evalc_slurm: the state of task _id in the bundle _here, of which it is number _index; _cell is whose job it is in.
evalc_slurm() {
  local _job_name=${_cell:-$_id} _element=''
  local _scripts=("$_here/$_job_name/sbatch_$_job_name.sh")
  case $_how in
    shared)
      _scripts=("$_here/sbatch_all.sh")
      evalc_journal "$_here/logs/journal"
      ;;
    array)
      _scripts+=("$_here/sbatch_array.sh")
      _element=_$_index
      evalc_journal "$_here/$_id/logs/journal"
      ;;
    *) evalc_journal "$_here/$_job_name/logs/journal" ;;
  esac
  if [ "$_code" = 0 ]; then
    _state=completed
    return
  fi
  evalc_find_job
  if [ -n "$_found_job" ]; then
    _job=$_found_job
    case $_found_state in
      PENDING | REQUEUED | REQUEUE_HOLD | REQUEUE_FED | RESV_DEL_HOLD | SPECIAL_EXIT) _state=pending _why=$_found_why ;;
      *) _state=running _why=$_found_nodes ;;
    esac
    [ "$_why" != None ] || _why=''
  elif [ -n "$_closed" ]; then
    _state=stopped _why=$_closed_why
    [ -z "$_code" ] || _state=failed _why="exit code $_code: $_said${_closed_why:+; $_closed_why}"
  elif [ -n "$_silent" ] && [ -n "$_last_job" ]; then
    _state=unknown _why=$_silent
  elif [ -n "$_code" ]; then
    _state=failed _why="exit code $_code${_said:+: $_said}"
  elif [ -n "$_last_job" ]; then
    _state=unknown _why="Slurm does not show job $_last_job any more, and its journal does not tell its end"
  else
    _state='not submitted'
  fi
}

# evalc_journal FILE: of its last chain how many attempts there were, the newest job, and whether it has ended.
evalc_journal() {
  local _line _time _event _rest
  _attempt='' _last_job='' _closed='' _closed_why=''
  [ -r "$1" ] || return 0
  while IFS= read -r _line; do
    # What a crash has cut tells nothing, but may have been an attempt.
    case $_line in
      *'[cut]')
        [[ $_line != *' attempt'* ]] || _attempt=$((_attempt + 1))
        continue
        ;;
    esac
    read -r _time _event _rest <<<"$_line"
    case $_event in
      chain) _attempt='' _closed='' _closed_why='' ;;
      attempt) _attempt=$((_attempt + 1)) _closed='' _closed_why='' ;;
      stop | done)
        _closed=$_event
        case $_rest in *reason=*) _closed_why=${_rest#*reason=} ;; esac
        ;;
    esac
    case $_event:" $_rest" in
      chain:*' job='* | submitted:*' job='* | successor:*' job='* | attempt:*' job='*)
        _rest=" $_rest"
        _rest=${_rest#*' job='}
        _last_job=${_rest%% *}
        ;;
    esac
  done <"$1"
  _job=$_last_job
}

# evalc_find_job: what of _scripts, and for an array of _element, is in the queue: what runs before what waits.
evalc_find_job() {
  local _one _its_state _reason _nodes _runs _script
  _found_job='' _found_state='' _found_why='' _found_nodes=''
  while IFS='|' read -r _one _its_state _reason _nodes _runs; do
    for _script in "${_scripts[@]}"; do
      # What a job is told stands behind its script.
      case $_runs in "$_script" | "$_script "*) ;; *) continue ;; esac
      case $_script in */sbatch_array.sh) [[ $_one = *"$_element" ]] || continue ;; esac
      [ -z "$_found_job" ] || [ "$_found_state" = PENDING ] || continue
      _found_job=$_one _found_state=$_its_state _found_why=$_reason _found_nodes=$_nodes
    done
  done <<<"$_queue"
}

# evalc_local FOLDER: the state of a task that runs on this machine.
evalc_local() {
  if [ "$_code" = 0 ]; then
    _state=completed
  elif evalc_lives "$1/logs/lock"; then
    _state=running
  elif [ -n "$_code" ]; then
    _state=failed _why="exit code $_code${_said:+: $_said}"
  elif [ -e "$1/logs/stage.pre-start" ]; then
    _state=stopped _why='it was killed, and did not say how it ended'
  else
    _state='not started'
  fi
}

# evalc_lives FILE: whether the process that is noted there, with when it started, still runs.
evalc_lives() {
  local _pid _start _stat _fields
  [ -r "$1" ] && read -r _pid _start <"$1" || return 1
  case $_pid in '' | *[!0-9]*) return 1 ;; esac
  { read -r _stat <"/proc/$_pid/stat"; } 2>/dev/null || return 1
  # The name in parentheses may hold anything; the start is field 22 of all (man 5 proc).
  read -r -a _fields <<<"${_stat##*) }"
  [ "${_fields[19]-}" = "$_start" ]
}

# evalc_row NAME FOLDER: a row of the table, from the variables above.
evalc_row() {
  local _samples=''
  if [ -r "$2/artifacts/progress" ]; then read -r _samples <"$2/artifacts/progress" || true; fi
  _rows+=("$1" "$_state" "$_attempt" "$_job" "$_samples" "${_why//[[:cntrl:]]/ }")
  case $_state in
    completed) ;;
    failed | stopped) [ "$_worst" = 4 ] || _worst=1 ;;
    *) _worst=4 ;;
  esac
}

evalc_table() {
  local _widths=(4 5 7 3 7) _at _column _cells
  for ((_at = 0; _at < ${#_rows[@]}; _at += 6)); do
    for _column in 0 1 2 3 4; do
      [ ${#_rows[_at + _column]} -le "${_widths[_column]}" ] || _widths[_column]=${#_rows[_at + _column]}
    done
  done
  _rows=(TASK STATE ATTEMPT JOB SAMPLES REASON "${_rows[@]}")
  for ((_at = 0; _at < ${#_rows[@]}; _at += 6)); do
    _cells=("${_rows[@]:_at:6}")
    printf -v _line '%-*s  %-*s  %-*s  %-*s  %-*s  %s' "${_widths[0]}" "${_cells[0]}" "${_widths[1]}" "${_cells[1]}" \
      "${_widths[2]}" "${_cells[2]}" "${_widths[3]}" "${_cells[3]}" "${_widths[4]}" "${_cells[4]}" "${_cells[5]}"
    printf '%s\n' "${_line%"${_line##*[! ]}"}"
  done
}

evalc_main "$@"
