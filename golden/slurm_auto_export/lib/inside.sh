# shellcheck shell=bash
# What step.sh and serve.sh share. Each is a container's first process, or on the host the leader of
# a process group, and gets the folder with what the config says: 'inside.sh' reads it from $1.
# There is no 'set -e' or '-u' here, since the user's text is sourced and does not expect them.
_folder=$1 _code=0 _child='' _tell=0 _told=''

# evalc_told: SIGTERM came, and is passed on once. On the host, whoever stops the evaluation or the
# server tells the whole process group; docker and podman tell a container's first process alone.
evalc_told() {
  # A pre_cmd is at work, and nothing to be saved.
  [ -n "$_child" ] || exit 143
  trap '' TERM INT
  _told=1
  case $_folder in /evalc/*) kill -TERM "$_tell" 2>/dev/null ;; esac
}
# A container's first process is sent no signal that it has no trap for.
trap evalc_told TERM INT

# evalc_pre_cmd: source pre_cmd.sh; its exports reach what follows, and a failure ends the script.
evalc_pre_cmd() {
  [ -f "$_folder/pre_cmd.sh" ] || return 0
  # shellcheck source=/dev/null
  . "$_folder/pre_cmd.sh"
  _code=$?
  set +eu
  [ "$_code" -eq 0 ] && return
  echo "pre_cmd ended with exit code $_code" >&2
  exit "$_code"
}

# evalc_command [FILE]: run command.sh, or another file of the folder. With a trap of its own its bash
# waits for the program that it runs when both are told to stop, and runs no further one.
evalc_command() {
  # The whole process group is told: bash text can't pass a signal on.
  _tell=0
  bash -c 'trap "exit 143" TERM; . "$0"' "$_folder/${1:-command.sh}" &
  evalc_await "$!"
}

# evalc_await PID: wait for a child's end; its exit code goes into _code.
evalc_await() {
  _child=$1 _code=0
  wait "$_child" || _code=$?
  # A signal ends the wait, not the child, which may still be writing what it has.
  while kill -0 "$_child" 2>/dev/null; do
    _code=0
    wait "$_child" || _code=$?
  done
}
