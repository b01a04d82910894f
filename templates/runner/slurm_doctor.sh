# shellcheck shell=bash
# What the Slurm backend asks a host, after doctor.sh and slurm_path.sh: of the cluster, and of what this user
# may do there. Its arguments are the programs that doctor.sh looked for, before the profile was read.
# shellcheck disable=SC2154 # slurm_path.sh has set it
if [ -n "$_by_login" ]; then
  evalc_told login true
  for _tool in "$@"; do evalc_told "tool $_tool" type -P "$_tool"; done
fi
# shellcheck disable=SC2154 # doctor.sh has set it
evalc_ask kind stat --file-system --format=%T -- "$_there"
if type -P sbatch >/dev/null; then
  evalc_ask partitions scontrol --oneliner show partition
  evalc_ask gpus sinfo --noheader --format='%R|%G|%D'
  evalc_ask config scontrol show config
  evalc_ask accounts sacctmgr --noheader --parsable2 show assoc "user=$(id -un)" format=account,partition,qos
  evalc_ask qos sacctmgr --noheader --parsable2 show qos format=name
fi
