# shellcheck shell=bash
# What the Slurm backend asks a host, after doctor.sh: of the cluster, and of what this user may do there.
# shellcheck disable=SC2154 # doctor.sh has set it
evalc_ask kind stat --file-system --format=%T -- "$_there"
if type -P sbatch >/dev/null; then
  evalc_ask partitions scontrol --oneliner show partition
  evalc_ask gpus sinfo --noheader --format='%R|%G|%D'
  evalc_ask config scontrol show config
  evalc_ask accounts sacctmgr --noheader --parsable2 show assoc "user=$(id -un)" format=account,partition,qos
  evalc_ask qos sacctmgr --noheader --parsable2 show qos format=name
fi
