#!/usr/bin/env bash
# sshd.sh FOLDER PORT [NAME=VALUE...]
#
# An ssh server on a port of 127.0.0.1, and what leads there, in FOLDER, for as long as standard input
# stays open. Only its own key logs in, as the user that this runs as; the variables are set in every
# session there, as is HOME, FOLDER/home. Nothing of the machine's own ssh is seen or touched, but
# that sshd needs an empty folder /run/sshd, which Debian's service makes, too. Prints the
# environment in which `ssh testhost` works, one NAME=VALUE a line, then "ready".
#
# It then obeys what it reads, and says "ready" after each:
#   stop     no more logins; sessions go on, as they do when a service is stopped
#   start    logins again
#   cut      all connections break at once, without a word to the other side
#   rekey    the server has another host key from its next start on
# When standard input ends, or on a signal, server and connections are ended and FOLDER is removed.
set -euo pipefail
readonly folder=$1 port=$2
shift 2
[[ -d $folder && -z $(ls -A "$folder") ]] || { echo "not an empty folder: $folder" && exit 2; }
server='' connections=''
ssh=$(command -v ssh)
readonly ssh

configure() {
  local variable variables=''
  mkdir -p "$folder"/{bin,home}
  mkdir -m 700 "$folder/run"
  [[ $(id -u) != 0 ]] || mkdir -p /run/sshd
  for variable in "HOME=$folder/home" "$@"; do
    variables+=" \"$variable\""
  done
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/host"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/key"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/stranger"
  cp "$folder/key.pub" "$folder/authorized_keys"
  printf '[127.0.0.1]:%s %s\n' "$port" "$(<"$folder/host.pub")" >"$folder/known_hosts"
  cat >"$folder/sshd_config" <<CONFIG
ListenAddress 127.0.0.1
Port $port
HostKey $folder/host
PidFile none
AuthorizedKeysFile $folder/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
UseDNS no
LogLevel VERBOSE
AcceptEnv TESTS_SHELL
SetEnv$variables
CONFIG
  # The last ones are for tests of what a login shell makes of a command: sshd itself would start
  # the shell that the user has, with just these words.
  cat >>"$folder/sshd_config" <<'CONFIG'
ForceCommand exec ${TESTS_SHELL:-$SHELL} -c "$SSH_ORIGINAL_COMMAND"
CONFIG
  for variable in bash dash zsh tcsh fish; do
    printf 'Host testhost-%s\n  SetEnv TESTS_SHELL=%s\n' "$variable" "$variable"
  done >"$folder/config"
  cat >>"$folder/config" <<CONFIG
Host testhost testhost-*
  HostName 127.0.0.1
  Port $port
  User $(id -un)
  IdentityFile $folder/key
  IdentitiesOnly yes
  UserKnownHostsFile $folder/known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking ask
CONFIG
  # ssh looks up its user's home elsewhere than in HOME, and no variable names its configuration.
  printf '#!/bin/sh\nexec %q -F %q "$@"\n' "$ssh" "$folder/config" >"$folder/bin/ssh"
  chmod +x "$folder/bin/ssh"
}

start() {
  local tries
  /usr/sbin/sshd -D -e -f "$folder/sshd_config" </dev/null >/dev/null 2>>"$folder/log" &
  server=$!
  for ((tries = 0; tries < 600; tries++)); do
    ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  echo "sshd did not start:"
  tail -n 5 "$folder/log"
  exit 1
}

# A connection's process is a child of the server's, and somebody else's once that has ended: so
# they are remembered.
remember() {
  [[ -z $server ]] || connections+=" $(pgrep --parent "$server" || true)"
}

stop() {
  remember
  [[ -z $server ]] || kill -TERM "$server" 2>/dev/null || true
  [[ -z $server ]] || wait "$server" 2>/dev/null || true
  server=''
}

cut() {
  local pid
  remember
  for pid in $connections; do
    # Not one that has got the number since.
    [[ $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) != sshd:* ]] || kill -KILL "$pid" || true
  done
  connections=''
}

rekey() {
  rm "$folder/host" "$folder/host.pub"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$folder/host"
}

finish() {
  trap - EXIT
  stop
  cut
  rm -rf "$folder"
}

trap finish EXIT
trap 'exit 143' TERM INT HUP
configure "$@"
start
printf '%s\n' "XDG_RUNTIME_DIR=$folder/run" ready
while read -r order; do
  case $order in
    stop | start | cut | rekey) "$order" ;;
    *) echo "no such order: $order" && exit 2 ;;
  esac
  echo ready
done
