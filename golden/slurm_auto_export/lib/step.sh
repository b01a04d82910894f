#!/usr/bin/env bash
# Runs one evaluation where it belongs: in its container, or on the host. usage: step.sh FOLDER
#
# FOLDER holds what the config says: pre_cmd.sh is sourced first (its exports reach the command),
# then command.sh runs, or the harness by its own contract, and post_cmd.sh at the end whatever
# happened. The exit code is the command's.
# shellcheck source-path=SCRIPTDIR source=inside.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/inside.sh"

evalc_finish() {
  trap - EXIT
  trap '' TERM INT
  set +eu
  if [ -f "$_folder/post_cmd.sh" ]; then
    # In a shell of its own, since it may exit.
    # shellcheck source=/dev/null
    (. "$_folder/post_cmd.sh")
  fi
  # In a container that runs as root, results would belong to root; give them to whoever owns the
  # folder that was mounted.
  if [ "$_folder" = /evalc/task ] && [ "$(id -u)" = 0 ]; then
    chown -R "$(stat -c %u:%g /results)" /results 2>/dev/null
  fi
  # The kernel's own count (of cgroups 2 and 1): podman does not always tell. run.sh looks for it.
  if [ "$_folder" = /evalc/task ] && grep -qs '^oom_kill [1-9]' \
    /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; then
    echo 'the container ran out of memory' >&2
  fi
  exit "$1"
}
# A pre_cmd may exit too.
trap 'evalc_finish "$?"' EXIT

evalc_pre_cmd
if [ -f "$_folder/command.sh" ]; then
  evalc_command
else
  # Images before 25.06 have the harness under its older name.
  _harness=nemo-evaluator
  command -v "$_harness" >/dev/null || _harness=eval-factory
  command -v "$_harness" >/dev/null || {
    echo "neither nemo-evaluator nor eval-factory is in PATH" >&2
    exit 127
  }
  "$_harness" run_eval --run_config "$RUN_CONFIG" &
  # A harness ends its own children, and in its own way.
  _tell=$!
  evalc_await "$_tell"
fi
evalc_finish "$_code"
