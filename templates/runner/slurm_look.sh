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

# evalc_list: what is to be read, each with the byte 1 behind it: the folders of all runs; the queue; and then of
# each run its number, whether its tasks share a job, and its folder, and after that the paths of its files in there.
evalc_list() {
  local _i _how
  shopt -s nullglob
  printf '%s\001' "${_folders[@]/#/folder }" "queue $_queue"
  for _i in "${!_folders[@]}"; do
    if [ -n "${_gone[_i]}" ] || ! cd -- "${_folders[_i]}" 2>/dev/null; then
      printf 'run %s gone %s\001' "$_i" "${_folders[_i]}"
      continue
    fi
    _how=tasks
    [ ! -f sbatch_all.sh ] || _how=shared
    printf 'run %s %s %s\001' "$_i" "$_how" "${_folders[_i]}"
    printf '%s\001' ./logs/journal ./*/logs/journal ./*/logs/stage.exit ./*/artifacts/progress
  done
}

# What awk does with that list, since bash would take many times longer: print the queue, as far as it is of these
# runs, and the files as blocks, and as a last line those jobs that the accounting has to be asked for, each after a
# comma: of each chain whose journal does not tell its end the last one, when Slurm's controller does not know it.
# shellcheck disable=SC2016 # awk's own variables
_reader='
function tell(name, text, cut) {
  gsub(/\n/, "\n\t", text)
  printf "%s\n\t%s\n%s", name, text, cut ? "" : "\n"
}
# A file that is not there (any more) has nothing to tell.
function show(name, path, cut) {
  if ((getline content < path) <= 0) content = ""
  close(path)
  if (content == "") return 0
  cut = !sub(/\n$/, "", content)
  tell(name, content, cut)
  return 1
}
function doubt(text, lines, at, from, id) {
  at = split(text, lines, "\n")
  if (lines[at] ~ / (done|stop) /) return
  for (; at > 0; at--) {
    if (lines[at] ~ / chain by=/) return
    if (lines[at] ~ / (submitted|successor) job=| attempt .* job=/) {
      id = substr(lines[at], index(lines[at], " job=") + 5)
      sub(/[^0-9_].*/, "", id)
      if (id != "" && !(id in queued)) doubted = doubted "," id
      return
    }
  }
}
# Of the queue, what runs from one of these folders; the user has other jobs too.
function ours(text, rows, count, at, place, kept) {
  count = split(text, rows, "\n")
  for (at = 1; at <= count; at++) {
    place = rows[at]
    sub(/^[^|]*\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|/, "", place)
    sub(/\/[^\/]*$/, "", place)
    if (!(place in wanted) && (!sub(/\/[^\/]*$/, "", place) || !(place in wanted))) continue
    queued[substr(rows[at], 1, index(rows[at], "|") - 1)] = 1
    kept = kept (kept == "" ? "" : "\n") rows[at]
  }
  return kept
}
BEGIN { RS = "\001" }
/^folder / {
  wanted[substr($0, 8)] = 1
  next
}
/^queue / {
  tell("queue " code, code ? substr($0, 7) : ours(substr($0, 7)))
  next
}
/^run / {
  number = $2
  folder = $0
  sub(/^run [^ ]* [^ ]* /, "", folder)
  tell("run " number " " $3, folder)
  next
}
{
  path = folder substr($0, 2)
  task = substr($0, 3)
  if (!sub(/\/(logs|artifacts)\/[^\/]*$/, "", task)) task = ""
  name = number (task == "" ? "" : " " task)
  if (/journal$/ && show("journal " name, path)) doubt(content)
  else if (/exit$/) show("exit " name, path)
  else if (/progress$/ && show("progress " name, path)) show("config " name, folder "/" task "/run_config.yml")
}
END { print doubted }
'

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
# Without awk nothing is known, which is not the same as that nothing is there.
_said=$(evalc_list | awk -v code="$_code" "$_reader" && echo .) || exit 1
_said=${_said%$'\n.'}
_doubted=${_said##*$'\n'}
printf '%s\n' "${_said%$'\n'*}"

if [ "$_code" -eq 0 ] && [ -n "$_doubted" ]; then
  printf -v _since '%(%Y-%m-%dT%H:%M:%S)T' "$1"
  _said=$(evalc_ask sacct -n -X -P -S "$_since" -j "${_doubted#,}" -o JobID,State,Start,End,NodeList,Reason,WorkDir) || _code=$?
  evalc_block "accounting $_code" "$_said"
fi
