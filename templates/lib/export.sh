# shellcheck shell=bash
# What export.sh does: it sends the results of the tasks that are finished to each destination, by itself, so that
# what fails at one is not lost at the others. Copies of files need nothing but coreutils; all else is done by evalc.
# Static, see common.sh.
: "${_bundle_dir:?}"
# shellcheck source-path=SCRIPTDIR source=work.sh
[ -n "${_EXIT_USAGE-}" ] || . "$_bundle_dir/lib/work.sh"

# What export.sh sets: the destinations; the tasks as ID:DIGEST; of copies, where they go and which (1, or empty for
# not); whether evalc is called in a container. It says how evalc is called, too: call_evalc ARGUMENT...
_destinations=() _output_dir='' _copy_artifacts=1 _only_required=1 _copy_logs='' _contained=''
# Of the tasks, those that are finished; what the files are copied for, as 'evalc export' calls the run; why something
# could not be exported.
_complete=() _run='' _faults=''
# How long one destination may take, in seconds. A server that hangs must not hold up who waits for the run's end.
_at_most=1800

evalc_export_main() {
  local _one _exported=''
  case ${1-} in
    '') ;;
    -h | --help)
      printf 'usage: bash export.sh\n\nExports the results of all tasks that are finished; the same twice adds nothing. Exit code: 0 all is exported,\n1 a destination failed, 2 usage, 74 disk, 75 already running, 130 or 143 interrupted.\n\nDestinations:\n'
      printf '  %s\n' "${_destinations[@]}"
      exit 0
      ;;
    *) evalc_die "$_EXIT_USAGE" "unknown argument '$1'; try --help" ;;
  esac
  _logs=$_bundle_dir/logs _home=$_bundle_dir
  mkdir -p -- "$_logs" || evalc_die "$_EXIT_IO" "can't write in $_bundle_dir"
  evalc_lock "$_logs/export.lock" || exit "$?"
  trap 'evalc_leave "$?"' EXIT
  evalc_catch_signals
  evalc_keep_last "$_logs/export.log"
  { : >"$_logs/export.log"; } 2>/dev/null || evalc_die "$_EXIT_IO" "can't write $_logs/export.log: is the disk full?"
  evalc_list_complete
  if [ ${#_complete[@]} -eq 0 ]; then
    evalc_end_export 0 'no task is finished: there was nothing to export'
  fi
  evalc_stage export running || true
  for _one in "${_destinations[@]}"; do
    [ -z "$_signal" ] || break
    if evalc_export_to "$_one"; then
      _exported+="${_exported:+, }$_one"
    else
      _faults+="${_faults:+; }$_one: ${_reason#"$_one: "}"
    fi
  done
  if [ -n "$_signal" ]; then
    evalc_end_export "$(evalc_signal_code "$_signal")" "interrupted by SIG$_signal"
  elif [ -n "$_faults" ]; then
    evalc_end_export 1 "$_faults"
  fi
  evalc_end_export 0 "exported to $_exported"
}

# evalc_end_export CODE WORDS: how it went is said, and written down for who asks later. Does not return.
evalc_end_export() {
  local _words=${2//[[:cntrl:]]/ }
  evalc_ignore_signals
  if [ "$1" -eq 0 ]; then
    evalc_say "$_words"
  else
    evalc_say "not exported: $_words"
    evalc_say "the results are where they were; 'bash export.sh' tries again"
  fi
  evalc_stage export "$1 $_words" || evalc_say "can't write $_logs/stage.export"
  exit "$1"
}

evalc_list_complete() {
  local _task
  for _task in "${_tasks[@]}"; do
    ! evalc_finished "$_bundle_dir/${_task%:*}" "${_task##*:}" || _complete+=("${_task%:*}")
  done
}

# evalc_export_to DESTINATION: returns 1 with the reason in _reason.
evalc_export_to() {
  if [ "$1" != local ]; then
    evalc_send "$1"
    return
  fi
  # What a container writes outside of its mounts is lost with it, so files are copied out here.
  if [ -z "$_contained" ] && { [ -f "$_bundle_dir/export_install.sh" ] || command -v evalc >/dev/null; }; then
    evalc_send local && return 0
    [ -z "$_signal" ] || return 1
    evalc_say "evalc could not do it ($_reason); the files are copied without it"
  fi
  evalc_copy_results
}

# evalc_send DESTINATION: have evalc do it. Returns 1 with the reason in _reason.
evalc_send() {
  local _until=$((SECONDS + _at_most)) _late=''
  evalc_list_unset ${_needs[@]+"${_needs[@]}"}
  [ -z "$_unset" ] || {
    _reason="not set in the environment:$_unset"
    return 1
  }
  evalc_say "exporting to $1; output in $_logs/export.log"
  set -m
  call_evalc export "$_bundle_dir" --dest "$1" </dev/null >>"$_logs/export.log" 2>&1 &
  evalc_track export "$!"
  while [ -z "$_signal" ] && evalc_alive export; do
    [ "$SECONDS" -lt "$_until" ] || {
      _late=1
      break
    }
    evalc_wait 0.2
  done
  [ -z "$_signal$_late" ] || evalc_stop export
  evalc_collect export
  _running=()
  rm -f -- "$_logs/export.pid"
  [ "$_ended" -ne 0 ] || [ -n "$_late" ] || return 0
  _reason="it took longer than $_at_most s"
  [ -n "$_late" ] || _reason=$(evalc_why_not "$_ended")
  return 1
}

# evalc_why_not CODE: what was said last of what went wrong, in a line.
evalc_why_not() {
  local _said
  _said=$(grep -e '^error' -- "$_logs/export.log" | tail -n 1) || true
  [ -n "$_said" ] || _said=$(grep -v '^[[:space:]]*$' -- "$_logs/export.log" | tail -n 1) || true
  _said=${_said#error: }
  printf '%s' "${_said:-exit code $1}"
}

# evalc_stop NAME: ask it to stop, and insist before run_all.sh, which may wait for this, insists itself.
evalc_stop() {
  local _until=$((SECONDS + _GRACE / 3))
  kill -TERM -- "-${_pid[$1]}" || true
  while evalc_alive "$1" && [ "$SECONDS" -lt "$_until" ]; do evalc_wait 0.1; done
  kill -KILL -- "-${_pid[$1]}" || true
} 2>/dev/null

# Copies --------------------------------------------------------------------------------------

# evalc_copy_results: the files of all finished tasks, into _output_dir/RUN/TASK, as 'evalc export --dest local' does.
# Its table is made by evalc alone. Returns 1 with the reason in _reason.
evalc_copy_results() {
  local _folder=$_output_dir _id _before=$_copied
  case $_folder in '~' | '~'/*) _folder=${HOME-}${_folder#'~'} ;; esac
  evalc_name_run || {
    _reason='sha256sum is not installed, which the name of the folder needs'
    return 1
  }
  _reason="can't write in $_folder"
  mkdir -p -- "$_folder" 2>>"$_logs/export.log" || return 1
  {
    # Another run may export to the same folder. The system without flock has no such care.
    flock 9 2>/dev/null || true
    for _id in "${_complete[@]}"; do
      [ -z "$_signal" ] || return 1
      evalc_copy_task "$_id" "$_folder/$_run/$_id" 2>>"$_logs/export.log" || {
        _reason="can't copy the files of $_id: $(tail -n 1 -- "$_logs/export.log")"
        return 1
      }
    done
  } 9<"$_folder"
  evalc_say "copied $((_copied - _before)) file(s) to $_folder/$_run, $_same were there; the table of scores is made by 'evalc export $(printf %q "$_bundle_dir")'"
}
_copied=0 _same=0

# evalc_name_run: what 'evalc export' calls this run, into _run: the end of the folder's name when evalc made it, else
# a digest of the bundle and the folder's path.
evalc_name_run() {
  local LC_ALL=C _sum _program=sha256sum _pattern='^[0-9]{4}(-[0-9]{2}){5}-([a-z0-9]{8})$'
  if [[ ${_bundle_dir##*/} =~ $_pattern ]]; then
    _run=${BASH_REMATCH[2]}
    return
  fi
  command -v sha256sum >/dev/null || _program='shasum -a 256'
  _sum=$($_program <"$_bundle_dir/manifest.json" 2>/dev/null) && [ -n "$_sum" ] || return 1
  _sum=$(printf '%s\0%s' "${_sum%% *}" "$_bundle_dir" | $_program) || return 1
  _run=0${_sum:0:7}
}

# evalc_copy_task ID FOLDER
evalc_copy_task() {
  local _from=$_bundle_dir/$1/artifacts _name _found=''
  if [ -n "$_copy_artifacts" ] && [ -n "$_only_required" ]; then
    for _name in results.yml eval_factory_metrics.json omni-info.json; do
      [ ! -f "$_from/$_name" ] || evalc_copy "$_from/$_name" "$2/artifacts/$_name" || return 1
    done
    evalc_find_lm_eval "$_from"
    [ -z "$_found" ] || evalc_copy "$_found" "$2/artifacts/${_found#"$_from/"}" || return 1
  elif [ -n "$_copy_artifacts" ]; then
    evalc_copy_below "$_from" "$2/artifacts" || return 1
  fi
  [ -z "$_copy_logs" ] || evalc_copy_below "$_bundle_dir/$1/logs" "$2/logs"
}

# evalc_find_lm_eval FOLDER: the newest of lm-eval's files with results, into _found: its name ends with the time.
# Caches hold hundreds of thousands of files.
evalc_find_lm_eval() {
  local LC_ALL=C _path _best=''
  while IFS= read -r -d '' _path; do
    if [[ ${_path##*/} > $_best || (${_path##*/} == "$_best" && $_path > $_found) ]]; then
      _best=${_path##*/} _found=$_path
    fi
  done < <(find "$1" -type d -iname '*cache*' -prune -o ! -type d \( -name results.json -o -name 'results_?*.json' \) -print0)
}

# evalc_copy_below FOLDER TARGET: all files but caches of responses, which are larger than all the rest.
evalc_copy_below() {
  local _path
  [ -d "$1" ] || return 0
  while IFS= read -r -d '' _path; do
    evalc_copy "$_path" "$2/${_path#"$1/"}" || return 1
  done < <(find "$1" -type d \( -name cache -o -name response_stats_cache \) -prune -o -type f -print0)
}

# evalc_copy FILE TARGET: whole or not at all; what is there already, of that size and time, stays.
evalc_copy() {
  local _part=${2%/*}/.${2##*/}.part
  if [ -f "$2" ] && [ ! "$1" -nt "$2" ] && [ ! "$1" -ot "$2" ] && [ "$(wc -c <"$1")" -eq "$(wc -c <"$2")" ]; then
    _same=$((_same + 1))
    return 0
  fi
  mkdir -p -- "${2%/*}" && cp -p -- "$1" "$_part" && mv -f -- "$_part" "$2" || return 1
  _copied=$((_copied + 1))
}
