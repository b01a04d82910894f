# shellcheck shell=bash
# A task's small results at the end of its job's log, for 'evalc fetch' where nobody can read the volume.
# Static, see common.sh.
#
# Each line is '::evalc MARK NUMBER TEXT ::'. MARK is the time and a number by chance, so that attempts are told
# apart; the '::' at its end shows that a line was not cut, the count and the SHA-256 of the last one that
# all have come. TEXT is ASCII, so no character can be cut either, and each line is one write that a pipe does
# not tear. The reference tells what the texts are.
: "${_bundle_dir:?}"

# How much of it there may be, in bytes of base64, and in one line.
readonly _tell_at_most=65536 _tell_line=960

# evalc_tell_results TASK FOLDER: say how the task ended whose folder this is, and with 0 what came of it.
evalc_tell_results() {
  local _task_dir=$2 _body=$_bundle_dir/told _left=$_tell_at_most _of _tool _file _mark _count=0 _line _sum
  [ -s "$_task_dir/logs/stage.exit" ] && read -r _of <"$_task_dir/logs/digest" || return 0
  for _tool in base64 gzip sha256sum; do
    command -v "$_tool" >/dev/null || return 0
  done
  printf 'task %s %s\n' "$1" "$_of" >"$_body" || return 0
  evalc_tell_file logs/stage.exit
  if [ "$(evalc_exit_code "$_task_dir")" = 0 ]; then
    evalc_tell_file artifacts/results.yml
    # What else a harness leaves is much, and no result.
    if [ -f "$_task_dir/command.sh" ]; then
      for _file in "$_task_dir"/artifacts/[A-Za-z0-9_]*.json; do evalc_tell_file "artifacts/${_file##*/}"; done
    fi
  fi
  _sum=$(sha256sum <"$_body") || return 0
  printf -v _mark '%(%s)T.%d' -1 "$RANDOM"
  printf "::evalc %s 0 results, for 'evalc fetch' where nobody can read the volume ::\n" "$_mark"
  while read -r _line; do
    _count=$((_count + 1))
    printf '::evalc %s %d %s ::\n' "$_mark" "$_count" "$_line"
  done <"$_body"
  printf '::evalc %s end %d %s ::\n' "$_mark" "$_count" "${_sum%% *}"
}

# evalc_tell_file PATH: add a file of the task's folder to _body, or that there is no room for it in _left.
evalc_tell_file() {
  local _part=$_bundle_dir/part _size
  # A link may lead to what is no result.
  [ -f "$_task_dir/$1" ] && [ ! -L "$_task_dir/$1" ] || return 0
  [[ ${1##*/} != *[!A-Za-z0-9._-]* ]] || return 0
  gzip -cn -- "$_task_dir/$1" | base64 -w "$_tell_line" >"$_part" || return 0
  _size=$(wc -c <"$_part")
  if [ "$_size" -gt "$_left" ]; then
    printf 'over %s\n' "$1" >>"$_body"
    return 0
  fi
  _left=$((_left - _size))
  { printf 'file %s\n' "$1" && cat -- "$_part"; } >>"$_body"
}
