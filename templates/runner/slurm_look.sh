# shellcheck shell=bash
# What there is to know of runs on Slurm, for evalc to judge: their folders are on standard input, each
# ended by a NUL. Sent to the host after slurm_place.sh; it needs nothing of a bundle there.
#
# What it prints are blocks: a line that names the block, its content with a tab before each line, and an
# empty line. A content whose last line was cut has no empty line behind it.
set -uP
export LC_ALL=C

# Slurm's commands as they are meant, whatever formats and clusters the user has set for himself. Times in
# seconds since 1970.
evalc_ask() {
  (
    for _var in ${!SQUEUE_*} ${!SACCT_*} SLURM_BITSTR_LEN; do unset "$_var"; done
    SLURM_TIME_FORMAT=%s exec timeout 20 "$@"
  ) 2>&1 </dev/null
}

# evalc_block NAME TEXT
evalc_block() { printf '%s\n\t%s\n\n' "$1" "${2//$'\n'/$'\n\t'}"; }

# evalc_file NAME FILE: its block, when there is such a file; its lines are in _lines then.
evalc_file() {
  _lines=()
  [ -f "$2" ] && mapfile _lines <"$2" || return 1
  if [ ${#_lines[@]} -gt 0 ]; then
    printf '%s\n' "$1"
    printf '\t%s' "${_lines[@]}"
    printf '\n'
  fi
}

# evalc_doubt: of a chain whose journal is in _lines, and does not tell its end, the last job into
# _doubted, when Slurm's controller does not know it.
evalc_doubt() {
  local _i _line
  case ${_lines[${#_lines[@]} - 1]-} in *' done '* | *' stop '*) return ;; esac
  for ((_i = ${#_lines[@]} - 1; _i >= 0; _i--)); do
    _line=${_lines[_i]}
    case $_line in
      *' chain by='*) return ;;
      *' submitted job='* | *' successor job='* | *' attempt '*' job='*)
        _line=${_line#*' job='}
        _line=${_line%%[!0-9_]*}
        [ -z "$_line" ] || [ -n "${_queued[$_line]-}" ] || _doubted+=,$_line
        return
        ;;
    esac
  done
}
_doubted=''
declare -A _queued=()

printf 'now\n\t%(%s)T\n\n' -1
_folders=() _gone=()
while IFS= read -r -d '' _folder; do
  # What is gone may have jobs in the queue.
  if evalc_find_place "$_folder"; then _gone+=(''); else _gone+=(1); fi
  # shellcheck disable=SC2154 # slurm_place.sh has set it
  _folders+=("$_place")
done

# First of all: what ends while this works is then in the journals, which are read after it.
_code=0
_queue=$(evalc_ask squeue --me -h -r -t all -o '%i|%T|%S|%e|%N|%r|%o') || _code=$?
if [ "$_code" -eq 0 ]; then
  # The user's other jobs are nobody's business.
  _queue=$(printf '%s\n' "$_queue" | grep -F -f <(printf '|%s/\n' "${_folders[@]}"))
  while IFS='|' read -r _id _; do
    case $_id in '' | *[!0-9_]*) ;; *) _queued[$_id]=1 ;; esac
  done <<<"$_queue"
fi
evalc_block "queue $_code" "$_queue"

for _i in "${!_folders[@]}"; do
  _folder=${_folders[_i]}
  if [ -n "${_gone[_i]}" ]; then
    evalc_block "run $_i gone" "$_folder"
    continue
  fi
  _how=tasks
  [ ! -f "$_folder/sbatch_all.sh" ] || _how=shared
  evalc_block "run $_i $_how" "$_folder"
  if evalc_file "journal $_i" "$_folder/logs/journal"; then evalc_doubt; fi
  for _task in "$_folder"/*/; do
    [ -d "$_task/logs" ] || continue
    _task=${_task%/}
    _name="$_i ${_task##*/}"
    if evalc_file "journal $_name" "$_task/logs/journal"; then evalc_doubt; fi
    evalc_file "exit $_name" "$_task/logs/stage.exit"
    if evalc_file "progress $_name" "$_task/artifacts/progress"; then
      evalc_file "config $_name" "$_task/run_config.yml"
    fi
  done
done

if [ "$_code" -eq 0 ] && [ -n "$_doubted" ]; then
  printf -v _since '%(%Y-%m-%dT%H:%M:%S)T' "$1"
  _said=$(evalc_ask sacct -n -X -P -S "$_since" -j "${_doubted#,}" -o JobID,State,Start,End,NodeList,Reason,WorkDir) || _code=$?
  evalc_block "accounting $_code" "$_said"
fi
