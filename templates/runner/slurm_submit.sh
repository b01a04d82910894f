# shellcheck shell=bash
# Has a bundle's own submit_all.sh submit what is missing. Sent to the host, before slurm_look.sh, with the
# oldest time to ask the accounting for, the folder, 'again' or nothing, and jobs, none for all.
_since=$1 _home=$2 _how=$3
shift 3
_options=()
[ -z "$_how" ] || _options=(--again)
# Tasks that share a job are submitted as one.
if [ ! -f "$_home/sbatch_all.sh" ]; then
  for _job in "$@"; do _options+=(--only "$_job"); done
fi
# Of the job of a single task, only the folder tells what its script is called.
for _file in "$_home"/.secrets.sbatch_*.sh; do
  _script=${_file##*/.secrets.} _job=${_file##*/.secrets.sbatch_}
  [ -f "$_home/$_script" ] || [ -f "$_home/${_job%.sh}/$_script" ] || rm -f -- "$_file"
done
# One that lost its connection may be at work still; it ends by itself.
for ((_try = 0; _try < 120; _try++)); do
  _code=0
  bash "$_home/submit_all.sh" ${_options[@]+"${_options[@]}"} </dev/null >/dev/null || _code=$?
  [ "$_code" -eq 75 ] || break
  sleep 0.5
done
printf 'submitted %s\n\n' "$_code"
set -- "$_since"
