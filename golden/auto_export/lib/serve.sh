#!/usr/bin/env bash
# Runs one server where it belongs: in its container, or on the host. usage: serve.sh FOLDER
#
# FOLDER holds what the config says: pre_cmd.sh is sourced first (its exports reach the command),
# then command.sh runs. Of a server that spans several nodes this runs on each: head.sh goes before the
# command on the first of them (PROC_ID is 0 there), worker.sh runs in its place on the others.
# shellcheck source-path=SCRIPTDIR source=inside.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/inside.sh"

[ -z "${NODES_PER_INSTANCE-}" ] || export PROC_ID="${SLURM_PROCID:-0}"
evalc_pre_cmd
if [ "${PROC_ID:-0}" -gt 0 ] && [ -f "$_folder/worker.sh" ]; then
  evalc_command worker.sh
  # The first node may not be up yet.
  while [ "$_code" -ne 0 ] && [ -z "$_told" ]; do
    sleep 2
    evalc_command worker.sh
  done
  exit "$_code"
fi
if [ -n "${NODES_PER_INSTANCE-}" ] && [ -f "$_folder/head.sh" ]; then
  evalc_command head.sh
  [ "$_code" -eq 0 ] || exit "$_code"
fi
evalc_command
# What it left in the background would hold srun back from seeing its end.
trap '' TERM
[ -z "${NODES_PER_INSTANCE-}" ] || kill -TERM 0
exit "$_code"
